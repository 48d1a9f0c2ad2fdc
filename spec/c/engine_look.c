/* engine_look.c - reading the disk of a kit_world, as texts that a test can compare. */
#include "engine_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct looking {
  kit_world *world;
  tm_buf text;
  const char *kind, *place; /* of the record sought */
  int64_t seq;
  const char *body;
  const char *state, *result, *reason, *owner;
  int64_t epoch;
} looking;

const char *kit_text(kit_world *w, const char *quoted) {
  char *text = tm_arena_strdup(&w->arena, quoted);
  for (char *c = text; *c; c++)
    if (*c == '\'')
      *c = '"';
  return text;
}

static const char *keep(kit_world *w, const char *s) {
  return tm_arena_strdup(&w->arena, s ? s : "");
}

static const char *take(looking *l) {
  const char *text = keep(l->world, tm_buf_str(&l->text));
  tm_buf_free(&l->text);
  return text;
}

/* -- rows ------------------------------------------------------------------------------ */

static int on_run(void *ctx, const tm_run_row *row) {
  looking *l = ctx;
  l->state = keep(l->world, row->state);
  l->result = keep(l->world, row->result);
  l->reason = keep(l->world, row->reason);
  l->owner = keep(l->world, row->owner);
  l->epoch = row->epoch;
  return 1;
}

static looking row_of(kit_world *w, const char *run) {
  looking l = {.world = w, .state = "", .result = "", .reason = "", .owner = ""};
  tm_run_filter f = {.id = run};
  tm_err err = TM_ERR_INIT;
  CHECK(w->disk->vt->runs(w->disk, &f, on_run, &l, &err) >= 0);
  return l;
}

const char *kit_state(kit_world *w, const char *run) {
  return row_of(w, run).state;
}

const char *kit_reason(kit_world *w, const char *run) {
  return row_of(w, run).reason;
}

const char *kit_owner(kit_world *w, const char *run) {
  return row_of(w, run).owner;
}

int64_t kit_epoch(kit_world *w, const char *run) {
  return row_of(w, run).epoch;
}

const char *kit_result(kit_world *w, const char *run) {
  tm_json *v;
  tm_err err = TM_ERR_INIT;
  const char *text = row_of(w, run).result;
  if (!*text || tm_json_parse(&v, &w->arena, text, strlen(text), NULL, &err) < 0)
    return "";
  const char *told = tm_json_get_str(v, "told");
  return told ? told : text;
}

static int on_gate(void *ctx, const tm_gate_row *row) {
  looking *l = ctx;
  tm_buf_printf(&l->text, "%s%s %s", l->text.len ? ", " : "", row->id, row->state);
  return 0;
}

const char *kit_gates(kit_world *w) {
  looking l = {.world = w};
  tm_gate_filter f = {.id = NULL};
  tm_err err = TM_ERR_INIT;
  CHECK(w->disk->vt->gates(w->disk, &f, on_gate, &l, &err) >= 0);
  return take(&l);
}

/* -- journals -------------------------------------------------------------------------- */

static int on_record(void *ctx, const tm_record *r) {
  looking *l = ctx;
  const char *word = tm_record_word(r->kind);
  tm_buf_printf(&l->text, "%s%s%s%s", l->text.len ? " " : "", word, *r->place ? ":" : "",
                r->place);
  bool sought = l->kind ? strcmp(l->kind, word) == 0 && strcmp(l->place, r->place) == 0
                        : l->seq == r->seq;
  if (sought && !l->body)
    l->body = tm_arena_strndup(&l->world->arena, r->body, r->body_len);
  return 0;
}

static void read_journal(looking *l, const char *run) {
  tm_err err = TM_ERR_INIT;
  tm_store *disk = l->world->disk;
  CHECK(disk->vt->journal(disk, run, 0, on_record, l, &err) >= 0);
}

const char *kit_journal(kit_world *w, const char *run) {
  looking l = {.world = w, .seq = -1};
  read_journal(&l, run);
  return take(&l);
}

const char *kit_body(kit_world *w, const char *run, int64_t seq) {
  looking l = {.world = w, .seq = seq};
  read_journal(&l, run);
  tm_buf_free(&l.text);
  return l.body ? l.body : "";
}

const char *kit_record(kit_world *w, const char *run, const char *kind, const char *place) {
  looking l = {.world = w, .kind = kind, .place = place};
  read_journal(&l, run);
  tm_buf_free(&l.text);
  return l.body;
}

int kit_verify(kit_world *w, const char *run, tm_err *err) {
  tm_journal j = {.arena = NULL};
  int rc = tm_journal_load(&j, &w->arena, w->disk, run, err);
  tm_journal_free(&j);
  return rc;
}

/* -- the other side -------------------------------------------------------------------- */

static int by_key(const void *a, const void *b) {
  const tm_map_entry *const *x = a, *const *y = b;
  return strcmp((*x)->key, (*y)->key);
}

const char *kit_effects(kit_world *w) {
  const tm_map_entry *seen[256];
  size_t n = 0;
  tm_map_entry *e;
  tm_buf text = TM_BUF_INIT;
  for (size_t i = 0; (e = tm_map_next(&w->effects, &i)) && n < 256;)
    if (((kit_effect *)e->value)->sends)
      seen[n++] = e;
  qsort(seen, n, sizeof seen[0], by_key);
  for (size_t i = 0; i < n; i++) {
    int sends = ((kit_effect *)seen[i]->value)->sends;
    tm_buf_printf(&text, "%s%s", text.len ? " " : "", seen[i]->key);
    if (sends > 1)
      tm_buf_printf(&text, "x%d", sends);
  }
  const char *s = keep(w, tm_buf_str(&text));
  tm_buf_free(&text);
  return s;
}

const kit_effect *kit_effect_of(kit_world *w, const char *key) {
  static const kit_effect none = {.sends = 0};
  const kit_effect *e = key ? tm_map_get(&w->effects, key) : NULL;
  return e ? e : &none;
}

int kit_count(const kit *k, const char *event) {
  int n = 0;
  size_t len = strlen(event);
  for (const char *line = tm_buf_str(&k->events); *line; line = strchr(line, '\n') + 1)
    n += strncmp(line, event, len) == 0;
  return n;
}
