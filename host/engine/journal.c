/* journal.c - reading a run's records back, and the two hashes they carry.
 */
#include "engine/journal.h"

#include <stdio.h>
#include <string.h>

#include "text/number.h"

static const char *const words[TM_RECORD_KIND_COUNT] = {
#define X(name, word) word,
    TM_RECORD_KINDS(X)
#undef X
};

const char *tm_record_word(int kind) {
  return kind >= 0 && kind < TM_RECORD_KIND_COUNT ? words[kind] : "?";
}

tm_record tm_journal_copy(tm_arena *a, const tm_record *r) {
  return (tm_record){
      .seq = r->seq,
      .kind = r->kind,
      .place = tm_arena_strdup(a, r->place),
      .name = tm_arena_strdup(a, r->name),
      .body = tm_arena_strndup(a, r->body, r->body_len),
      .body_len = r->body_len,
      .chain = tm_arena_strdup(a, r->chain),
  };
}

void tm_journal_link(char chain[TM_HASH_HEX + 1], const tm_record *r) {
  char head[2 * TM_NUMBER_TEXT];
  size_t n = tm_number_write_int(head, r->seq);
  head[n++] = ' ';
  n += tm_number_write_int(head + n, r->kind);
  const tm_span fields[] = {
      {chain, strlen(chain)},       {head, n},
      {r->place, strlen(r->place)}, {r->name, strlen(r->name)},
      {r->body, r->body_len},
  };
  memcpy(chain, tm_hash_spans(fields, sizeof fields / sizeof *fields).hex, TM_HASH_HEX + 1);
}

void tm_journal_identity(char out[TM_IDENTITY + 1], tm_call_kind kind, const char *name,
                         const tm_json *request) {
  tm_buf text = TM_BUF_INIT;
  tm_buf_reserve(&text, 1000); /* most are shorter */
  tm_json_print_canonical(&text, request);
  const char *word = tm_call_word(kind);
  const tm_span fields[] = {{word, strlen(word)}, {name, strlen(name)}, {text.data, text.len}};
  memcpy(out, tm_hash_spans(fields, sizeof fields / sizeof *fields).hex, TM_IDENTITY);
  out[TM_IDENTITY] = 0;
  tm_buf_free(&text);
}

/* -- loading --------------------------------------------------------------------------- */

typedef struct loading {
  tm_journal *journal;
  const char *run;
  tm_err *err;
} loading;

static void index_entry(tm_journal *j, tm_entry *e) {
  tm_place *p = tm_map_get(&j->places, e->place);
  if (!p) {
    p = tm_arena_new(j->arena, tm_place);
    tm_map_set(&j->places, e->place, p);
  }
  if (p->last)
    p->last->next_here = e;
  else
    p->first = e;
  p->last = e;
}

static void append(tm_journal *j, tm_entry *e) {
  if (j->last)
    j->last->next = e;
  else
    j->first = e;
  j->last = e;
  index_entry(j, e);
}

/* Forget the story from seq `from` on. */
static void void_from(tm_journal *j, int64_t from) {
  tm_entry *e = j->first;
  tm_map_free(&j->places);
  j->first = j->last = NULL;
  for (tm_entry *next; e && e->seq < from; e = next) {
    next = e->next;
    e->next = e->next_here = NULL;
    append(j, e);
  }
}

/* The call whose FAIL is record `from` is asked from its beginning. */
static void spend(const tm_journal *j, int64_t from) {
  const tm_entry *fail = j->first;
  while (fail && fail->seq != from)
    fail = fail->next;
  tm_place *p = fail && *fail->place ? tm_journal_at(j, fail->place) : NULL;
  for (tm_entry *e = p ? p->first : NULL; e && e != fail; e = e->next_here)
    e->spent = true;
}

static int check_move(loading *l, const tm_entry *e) {
  tm_journal *j = l->journal;
  int64_t from = tm_json_int(tm_json_get(e->body, "from"), -1);
  j->moves++;
  if (e->kind == TM_RECORD_REPIN) {
    j->pinned = e->seq;
    return 0;
  }
  if (from < 1 || from > e->seq)
    return tm_err_set(l->err, TM_INTERNAL,
                      "record %lld of run %s goes back to record %lld, which cannot be; the "
                      "journal is damaged, restore the database from a backup",
                      (long long)e->seq, l->run, (long long)from);
  spend(j, from);
  void_from(j, from);
  return 0;
}

static int check_record(loading *l, const tm_record *r) {
  tm_journal *j = l->journal;
  if (r->seq != j->length)
    return tm_err_set(l->err, TM_INTERNAL,
                      "record %lld of run %s is missing (found %lld instead); the journal is "
                      "damaged, restore the database from a backup",
                      (long long)j->length, l->run, (long long)r->seq);
  if (r->kind < 0 || r->kind >= TM_RECORD_KIND_COUNT)
    return tm_err_set(
        l->err, TM_INTERNAL,
        "record %lld of run %s has the unknown kind %d; it was written by a newer "
        "tidemill",
        (long long)r->seq, l->run, r->kind);
  tm_journal_link(j->chain, r);
  if (!r->chain || strcmp(r->chain, j->chain) != 0)
    return tm_err_set(
        l->err, TM_INTERNAL,
        "record %lld of run %s was changed after it was written (its hash does not "
        "fit the chain); restore the database from a backup",
        (long long)r->seq, l->run);
  return 0;
}

static int load_record(void *ctx, const tm_record *r) {
  loading *l = ctx;
  tm_journal *j = l->journal;
  if (check_record(l, r) < 0)
    return -1;
  tm_json *body;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  if (tm_json_parse(&body, j->arena, r->body, r->body_len, &opts, l->err) < 0)
    return tm_err_wrap(l->err, "record %lld of run %s", (long long)r->seq, l->run);
  tm_entry *e = tm_arena_new(j->arena, tm_entry);
  e->seq = r->seq;
  e->kind = (tm_record_kind)r->kind;
  e->place = tm_arena_strdup(j->arena, r->place);
  e->name = tm_arena_strdup(j->arena, r->name);
  e->body = body;
  j->length++;
  if ((e->kind == TM_RECORD_RETRY || e->kind == TM_RECORD_REPIN) && check_move(l, e) < 0)
    return -1;
  append(j, e);
  return 0;
}

int tm_journal_load(tm_journal *j, tm_arena *a, tm_store *store, const char *run, tm_err *err) {
  loading l = {.journal = j, .run = run, .err = err};
  j->arena = a;
  tm_err_clear(err);
  if (store->vt->journal(store, run, 0, load_record, &l, err) < 0 || err->code != TM_OK)
    goto fail;
  if (!j->first || j->first->kind != TM_RECORD_START) {
    tm_err_set(err, TM_INTERNAL, "run %s has no start record; the journal is damaged", run);
    goto fail;
  }
  j->cursor = j->first->next;
  return 0;

fail:
  tm_journal_free(j);
  return -1;
}

void tm_journal_free(tm_journal *j) {
  tm_map_free(&j->places);
  j->first = j->last = j->cursor = NULL;
}

/* -- looking up ------------------------------------------------------------------------ */

tm_place *tm_journal_at(const tm_journal *j, const char *place) {
  return tm_map_get(&j->places, place);
}

const tm_entry *tm_place_find(const tm_place *p, tm_record_kind kind) {
  for (const tm_entry *e = p ? p->first : NULL; e; e = e->next_here)
    if (e->kind == kind)
      return e;
  return NULL;
}

const tm_entry *tm_place_last(const tm_place *p, tm_record_kind kind) {
  const tm_entry *last = NULL;
  for (const tm_entry *e = p ? p->first : NULL; e; e = e->next_here)
    if (e->kind == kind)
      last = e;
  return last;
}

const tm_entry *tm_place_outcome(const tm_place *p) {
  for (const tm_entry *e = p ? p->first : NULL; e; e = e->next_here)
    if (e->kind == TM_RECORD_DONE || e->kind == TM_RECORD_FAIL || e->kind == TM_RECORD_NOTE)
      return e;
  return NULL;
}

const tm_entry *tm_journal_end(const tm_journal *j) {
  for (const tm_entry *e = j->first; e; e = e->next)
    if (e->kind == TM_RECORD_END)
      return e;
  return NULL;
}

const tm_entry *tm_journal_unasked(const tm_journal *j) {
  for (const tm_entry *e = j->first; e; e = e->next) {
    const tm_place *p = *e->place ? tm_journal_at(j, e->place) : NULL;
    if (p && !p->asked)
      return e;
  }
  return NULL;
}
