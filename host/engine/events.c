/* events.c - what people see as it happens: never from a replay, never before the commit.
 */
#include "engine/engine.h"

static bool wanted(const tm_run *r) {
  return r->engine->ports.event != NULL;
}

#define ROOM 1024 /* bytes of tree that most events fit into */

static tm_json *event_of(tm_run *r, tm_arena *a, const char *event) {
  tm_json *o = tm_json_new_object(a);
  tm_json_lend_str(a, o, "event", event);
  tm_json_lend_str(a, o, "run", r->id);
  tm_json_lend_str(a, o, "workflow", r->workflow);
  return o;
}

/* With a key: value under it; without one: the value's own members. */
static void add_facts(tm_arena *a, tm_json *o, const char *key, const tm_json *value) {
  if (key)
    tm_json_lend(a, o, key, value ? value : tm_json_null(a));
  for (size_t i = 0; !key && i < tm_json_len(value); i++) {
    const tm_json_member *m = tm_json_member_at(value, i);
    tm_json_lend(a, o, m->key, &m->value);
  }
}

void tm_event_run(tm_run *r, const char *event, const char *key, const tm_json *value) {
  _Alignas(16) char room[ROOM];
  tm_arena a;
  if (!wanted(r))
    return;
  tm_arena_init_in(&a, room, sizeof room);
  tm_json *o = event_of(r, &a, event);
  add_facts(&a, o, key, value);
  r->engine->ports.event(r->engine->ports.ctx, o);
  tm_arena_free(&a);
}

void tm_event_call(tm_branch *b, const char *event, const char *key, const tm_json *value) {
  tm_run *r = b->run;
  _Alignas(16) char room[ROOM];
  tm_arena a;
  if (!wanted(r))
    return;
  tm_arena_init_in(&a, room, sizeof room);
  tm_json *o = event_of(r, &a, event);
  tm_json_lend_str(&a, o, "place", b->place ? b->place : "");
  tm_json_lend_str(&a, o, "kind", tm_call_word(b->kind));
  tm_json_lend_str(&a, o, "name", b->name ? b->name : "");
  tm_json_lend_str(&a, o, "step", b->step);
  add_facts(&a, o, key, value);
  r->engine->ports.event(r->engine->ports.ctx, o);
  tm_arena_free(&a);
}
