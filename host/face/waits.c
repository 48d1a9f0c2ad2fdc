/* waits.c - the reasons that run.c writes, for people. */
#include "face/waits.h"

#include <string.h>

static void put_named(tm_buf *out, const char *what, const char *name) {
  tm_buf_puts(out, what);
  if (name && *name)
    tm_buf_printf(out, " \"%s\"", name);
}

void tm_waits_put(tm_buf *out, const tm_json *why) {
  const char *what = tm_json_get_str(why, "for"), *name = tm_json_get_str(why, "name");
  const char *run = tm_json_get_str(why, "run"), *until = tm_json_get_str(why, "until");
  if (what && strcmp(what, "key") == 0) {
    put_named(out, "the key", tm_json_get_str(why, "key"));
    put_named(out, " of action", name);
  } else {
    put_named(out, what ? what : "its turn", name);
  }
  if (run)
    tm_buf_printf(out, ", %s run %s",
                  what && strcmp(what, "call") == 0 ? "which is" : "held by", run);
  if (until)
    tm_buf_printf(out, " until %s", until);
}

void tm_waits_put_all(tm_buf *out, const tm_json *reason) {
  for (size_t i = 0; i < tm_json_len(reason); i++) {
    tm_buf_puts(out, i ? "; " : "");
    tm_waits_put(out, tm_json_at(reason, i));
  }
}
