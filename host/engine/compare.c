/* compare.c - what differs between two closures.
 */
#include <string.h>

#include "engine/closure.h"
#include "text/changes.h"

#define MAX_SETTINGS 100

static void add(tm_arena *a, tm_json *list, const char *name, const tm_source *was,
                const tm_source *is) {
  tm_json *o = tm_json_new_object(a);
  tm_buf diff = TM_BUF_INIT;
  tm_changes_text(&diff, was ? name : NULL, was ? was->bytes : "", was ? was->len : 0,
                  is ? name : NULL, is ? is->bytes : "", is ? is->len : 0);
  tm_json_set_str(a, o, "name", name);
  tm_json_set_str(a, o, "change", !was ? "added" : !is ? "removed" : "changed");
  size_t valid = tm_json_utf8_valid(tm_buf_str(&diff), diff.len);
  tm_json_set(a, o, "diff", tm_json_new_strn(a, tm_buf_str(&diff), valid));
  tm_json_push(a, list, o);
  tm_buf_free(&diff);
}

static tm_json *files(tm_arena *a, const tm_closure *was, const tm_closure *is) {
  tm_json *list = tm_json_new_array(a);
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&was->files, &i));) {
    const tm_source *s = e->value, *now = tm_closure_file(is, e->key);
    if (!now || strcmp(now->hash.hex, s->hash.hex) != 0)
      add(a, list, e->key, s, now);
  }
  for (size_t i = 0; (e = tm_map_next(&is->files, &i));)
    if (!tm_closure_file(was, e->key))
      add(a, list, e->key, NULL, e->value);
  return list;
}

tm_json *tm_closure_changes(tm_arena *a, const tm_closure *was, const tm_closure *is) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set(a, o, "files", files(a, was, is));
  tm_json_set(a, o, "models", tm_changes_of(a, was->models, is->models, MAX_SETTINGS));
  tm_json_set(a, o, "prices", tm_changes_of(a, was->prices, is->prices, MAX_SETTINGS));
  return o;
}

bool tm_closure_same(const tm_json *changes) {
  return tm_json_len(tm_json_get(changes, "files")) +
             tm_json_len(tm_json_get(changes, "models")) +
             tm_json_len(tm_json_get(changes, "prices")) ==
         0;
}
