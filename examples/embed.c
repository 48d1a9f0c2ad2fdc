/* embed.c - Tidemill inside another program: one action in C, one run, its result on stdout.
 *
 *   cc embed.c $(pkg-config --cflags --libs tidemill) -o embed && ./embed examples/embed
 */
#include <stdio.h>
#include <tidemill.h>

/* An action's body. The key is the same on every retry, for ever: hand it to the other side. */
static void send_sms(void *user, tidemill_call *call) {
  int *sent = user;
  size_t len;
  char result[64];
  const char *input = tidemill_call_input(call, &len);
  fprintf(stderr, "sms %d: %.*s (key %s)\n", ++*sent, (int)len, input, tidemill_call_key(call));
  int n = snprintf(result, sizeof result, "{\"id\":\"sms-%d\"}", *sent);
  tidemill_complete(call, result, (size_t)n);
}

static int fail(tidemill *t, const char *what) {
  fprintf(stderr, "%s: %s\n", what, tidemill_errmsg(t));
  tidemill_close(t);
  return 1;
}

int main(int argc, char **argv) {
  static const char input[] = "{\"to\":\"+431234567\",\"text\":\"Your parcel is here.\"}";
  tidemill *t;
  char *run = NULL, *result = NULL;
  size_t len;
  int sent = 0;

  tidemill_options *o = tidemill_options_new();
  tidemill_options_set(o, "dir", argc > 1 ? argv[1] : "examples/embed");
  tidemill_options_set(o, "db", argc > 2 ? argv[2] : "memory:");
  int rc = tidemill_open(&t, o);
  tidemill_options_free(o);
  if (rc < 0 || tidemill_register_action(t, "send_sms", send_sms, &sent) < 0)
    return fail(t, "open");

  if (tidemill_start(t, "notify", input, SIZE_MAX, NULL, &run) < 0)
    return fail(t, "start");
  if (tidemill_run(t, run, -1) < 0 || tidemill_result(t, run, &result, &len) < 0)
    return fail(t, "run");

  printf("%.*s\n", (int)len, result);
  tidemill_free(result);
  tidemill_free(run);
  tidemill_close(t);
  return 0;
}
