/* import.c - a run out of a document: nothing of it is believed before it is verified.
 *
 *   schema, abi ─► not redacted ─► seal ─► sources by hash ─► records by chain
 *                                               row, records, gates ◄─┘
 */
#include <stdio.h>
#include <string.h>

#include "engine/capsule.h"

/* -- a capsule as a store: only what loading a closure asks for ------------------------- */

typedef struct capsule_store {
  tm_store base;
  const tm_json *capsule;
} capsule_store;

static int nibble(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int from_hex(const char *hex, size_t n, tm_arena *a, const char **bytes, size_t *len) {
  char *out = tm_arena_alloc(a, n / 2 + 1);
  for (size_t i = 0; i + 1 < n; i += 2) {
    int high = nibble(hex[i]), low = nibble(hex[i + 1]);
    if (high < 0 || low < 0)
      return 0;
    out[i / 2] = (char)(high * 16 + low);
  }
  out[n / 2] = 0;
  *bytes = out;
  *len = n / 2;
  return 1;
}

static int find_file(tm_store *s, const char *hash, tm_arena *a, const char **bytes,
                     size_t *len, tm_err *err) {
  (void)err;
  const tm_json *v = tm_json_get(tm_json_get(((capsule_store *)s)->capsule, "files"), hash);
  size_t n = 0;
  const char *text = tm_json_str(v, len), *hex = tm_json_str(tm_json_get(v, "hex"), &n);
  if (hex)
    return from_hex(hex, n, a, bytes, len);
  if (!text)
    return 0;
  *bytes = tm_arena_strndup(a, text, *len);
  return 1;
}

static int find_manifest(tm_store *s, const char *hash, tm_arena *a, const char **text,
                         size_t *len, tm_err *err) {
  (void)err;
  const tm_json *v = tm_json_get(tm_json_get(((capsule_store *)s)->capsule, "sources"), hash);
  tm_buf b = TM_BUF_INIT;
  if (!v)
    return 0;
  tm_json_print_canonical(&b, v);
  *text = tm_arena_strndup(a, tm_buf_str(&b), b.len);
  *len = b.len;
  tm_buf_free(&b);
  return 1;
}

static const tm_store_vt capsule_vt = {
    .name = "capsule",
    .blob = find_file,
    .closure = find_manifest,
};

static int load_closure(tm_closure **out, const tm_json *capsule, const char *hash,
                        tm_err *err) {
  capsule_store s = {.base = {.vt = &capsule_vt}, .capsule = capsule};
  if (tm_closure_load(out, &s.base, hash, err) < 0) {
    tm_code code = err->code == TM_CONFIG ? TM_CONFIG : TM_USAGE;
    tm_err_wrap(err, "the capsule's sources do not verify");
    err->code = code;
    return -1;
  }
  return 0;
}

/* -- verifying -------------------------------------------------------------------------- */

static int check_seal(const tm_json *capsule, tm_arena *a, tm_err *err) {
  const char *schema = tm_json_get_str(capsule, "schema"),
             *seal = tm_json_get_str(capsule, "seal");
  if (!schema || strncmp(schema, "tidemill.capsule/", 17) != 0)
    return tm_err_set(err, TM_USAGE,
                      "this is no run capsule (`tidemill export RUN` makes one)");
  if (strcmp(schema, "tidemill.capsule/1") != 0)
    return tm_err_set(err, TM_CONFIG,
                      "the capsule has the format %s; this tidemill reads "
                      "tidemill.capsule/1",
                      schema);
  if (tm_json_get(capsule, "redacted"))
    return tm_err_set(err, TM_USAGE,
                      "the capsule is redacted: its texts are hashes, so it can be read and "
                      "compared, but not imported or replayed. Export it without --redact");
  tm_json *rest = tm_json_copy(a, capsule);
  tm_json_remove(rest, "seal");
  if (!seal || strcmp(tm_json_hash(rest).hex, seal) != 0)
    return tm_err_set(err, TM_USAGE,
                      "the capsule was changed after it was made (its content does not fit its "
                      "seal); export it again");
  return 0;
}

static int kind_by_word(const char *word) {
  for (int k = 0; word && k < TM_RECORD_KIND_COUNT; k++)
    if (strcmp(tm_record_word(k), word) == 0)
      return k;
  return -1;
}

static const char *or_empty(const char *s) {
  return s ? s : "";
}

/* One record, held to the chain. */
static int read_record(tm_record *out, tm_arena *a, const tm_json *v, size_t i, char *chain,
                       tm_err *err) {
  const tm_json *body = tm_json_get(v, "body");
  const char *verbatim = tm_json_str(body, &out->body_len);
  out->seq = (int64_t)i;
  out->kind = kind_by_word(tm_json_get_str(v, "record"));
  out->place = or_empty(tm_json_get_str(v, "place"));
  out->name = or_empty(tm_json_get_str(v, "name"));
  out->body = verbatim ? verbatim : tm_json_text(a, body, &out->body_len);
  out->chain = or_empty(tm_json_get_str(v, "chain"));
  if (out->kind < 0)
    return tm_err_set(err, TM_CONFIG,
                      "record %zu of the capsule is of the unknown kind \"%s\"; it "
                      "was made by a newer tidemill",
                      i, or_empty(tm_json_get_str(v, "record")));
  tm_journal_link(chain, out);
  if (strcmp(chain, out->chain) != 0)
    return tm_err_set(
        err, TM_USAGE,
        "record %zu of the capsule was changed, or one before it is missing (its hash "
        "does not fit the chain)",
        i);
  return 0;
}

static int read_records(tm_tale *t, tm_arena *a, const tm_json *list, tm_err *err) {
  char chain[TM_HASH_HEX + 1] = "";
  t->records = tm_arena_array(a, tm_record, tm_json_len(list) + 1);
  for (; t->count < tm_json_len(list); t->count++)
    if (read_record(&t->records[t->count], a, tm_json_at(list, t->count), t->count, chain,
                    err) < 0)
      return -1;
  if (t->count == 0 || t->records[0].kind != TM_RECORD_START)
    return tm_err_set(err, TM_USAGE, "the capsule's journal does not begin with a start");
  return 0;
}

static const char *json_of(tm_arena *a, const tm_json *v) {
  return v ? tm_json_text(a, v, NULL) : NULL;
}

static int read_row(tm_tale *t, tm_arena *a, const tm_json *run, tm_err *err) {
  *t = (tm_tale){
      .run = tm_json_get_str(run, "id"),
      .workflow = tm_json_get_str(run, "workflow"),
      .state = tm_json_get_str(run, "state"),
      .owner = "",
      .sources = tm_json_get_str(run, "sources"),
      .input_hash = or_empty(tm_json_get_str(run, "input_hash")),
      .parent = tm_json_get_str(run, "parent"),
      .reason = json_of(a, tm_json_get(run, "reason")),
      .result = json_of(a, tm_json_get(run, "result")),
      .epoch = 0, /* no process of this database ever had it */
      .created = tm_json_int(tm_json_get(run, "created"), 0),
      .updated = tm_json_int(tm_json_get(run, "updated"), 0),
  };
  if (!t->run || !*t->run || strlen(t->run) > 63 || !t->workflow || !t->state || !t->sources)
    return tm_err_set(err, TM_USAGE, "the capsule does not say which run it is of");
  return 0;
}

int tm_capsule_read(tm_tale *out, tm_arena *a, const tm_json *capsule, tm_err *err) {
  if (check_seal(capsule, a, err) < 0 ||
      read_row(out, a, tm_json_get(capsule, "run"), err) < 0 ||
      read_records(out, a, tm_json_get(capsule, "records"), err) < 0)
    return -1;
  return load_closure(&out->closure, capsule, out->sources, err);
}

/* -- storing ---------------------------------------------------------------------------- */

static bool is_over(const char *state) {
  return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
         strcmp(state, "cancelled") == 0;
}

/* All closures of the run's past: going back to one of them stays possible. */
static int write_sources(tm_engine *e, const tm_json *capsule, tm_err *err) {
  const tm_json *all = tm_json_get(capsule, "sources");
  for (size_t i = 0; i < tm_json_len(all); i++) {
    tm_closure *c;
    if (load_closure(&c, capsule, tm_json_member_at(all, i)->key, err) < 0)
      return -1;
    tm_closure_write(c, tm_turn_of(e)->batch);
    tm_closure_release(&c);
  }
  return 0;
}

/* They stay as long as the run does. */
static void pin_sources(tm_run *r, const tm_json *all) {
  tm_arena *a = &tm_turn_of(r->engine)->batch->arena;
  for (size_t i = 0; i <= tm_json_len(all) && tm_json_len(all) > 1; i++)
    tm_turn_op(r->engine, r, TM_OP_RUN_PIN)->u.run.closure = tm_arena_strdup(
        a, i < tm_json_len(all) ? tm_json_member_at(all, i)->key : r->closure->hash.hex);
}

static void write_gate(tm_run *r, const tm_json *g) {
  tm_engine *e = r->engine;
  const char *state = or_empty(tm_json_get_str(g, "state"));
  bool decided = strcmp(state, "open") != 0 && strcmp(state, "closed") != 0;
  tm_op *op = tm_turn_op(e, r, TM_OP_GATE_NEW);
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  const char *id = tm_arena_strdup(a, or_empty(tm_json_get_str(g, "id")));
  op->u.gate = (tm_gate_row){
      .id = id,
      .place = tm_arena_strdup(a, tm_json_get_str(g, "place")),
      .name = tm_arena_strdup(a, tm_json_get_str(g, "name")),
      .digest = tm_arena_strdup(a, tm_json_get_str(g, "digest")),
      .body = tm_arena_strdup(a, or_empty(json_of(a, tm_json_get(g, "body")))),
      .opened = tm_json_int(tm_json_get(g, "opened"), 0),
      .expires = tm_json_int(tm_json_get(g, "expires"), 0),
  };
  op = decided ? tm_batch_add(tm_turn_of(e)->batch, TM_OP_GATE_DECIDE)
               : tm_turn_op(e, r, TM_OP_GATE_CLOSE);
  op->u.gate.id = id;
  op->u.gate.state = decided ? tm_arena_strdup(a, state) : "closed";
  op->u.gate.decision = json_of(a, tm_json_get(g, "decision"));
  op->u.gate.by = tm_arena_strdup(a, tm_json_get_str(g, "by"));
  op->u.gate.decided = tm_json_int(tm_json_get(g, "decided"), 0);
  if (decided)
    tm_turn_of(e)->guard = NULL; /* deciding has ended the run's group */
}

/* Is it there already, record for record? 1 yes, 0 there is no such run. */
static int find_same(tm_engine *e, tm_arena *a, const tm_tale *t, tm_err *err) {
  tm_tale known;
  tm_err missing = TM_ERR_INIT;
  if (tm_verify_read(&known, a, e->ports.store, t->run, &missing) < 0) {
    if (missing.code == TM_NOTFOUND)
      return 0;
    *err = missing;
    return -1;
  }
  if (known.count >= t->count && known.count > 0 &&
      strcmp(known.records[t->count - 1].chain, t->records[t->count - 1].chain) == 0)
    return 1;
  return tm_err_set(err, TM_CONFLICT,
                    "the database has another run %s: the capsule's is not part of it", t->run);
}

static int import_run(tm_engine *e, tm_arena *a, const tm_json *capsule, tm_engine_fn done,
                      void *ctx, tm_err *err) {
  tm_tale t;
  const tm_json *gates = tm_json_get(capsule, "gates");
  if (tm_capsule_read(&t, a, capsule, err) < 0)
    return -1;
  int same = find_same(e, a, &t, err);
  int rc = same < 0 ? -1 : same ? 0 : write_sources(e, capsule, err);
  if (rc == 0 && same) {
    done(ctx, t.run, err);
  } else if (rc == 0) {
    if (!is_over(t.state))
      t.state = "imported";
    t.parent = NULL; /* is not in this database */
    tm_run *r = tm_change_create(e, &t, done, ctx);
    pin_sources(r, tm_json_get(capsule, "sources"));
    for (size_t i = 0; i < tm_json_len(gates); i++)
      write_gate(r, tm_json_at(gates, i));
  }
  tm_closure_release(&t.closure);
  return rc;
}

void tm_capsule_import(tm_engine *e, const tm_json *capsule, tm_engine_fn done, void *ctx) {
  tm_err err = e->broken;
  tm_arena a;
  tm_arena_init(&a, 0);
  if (err.code != TM_OK || import_run(e, &a, capsule, done, ctx, &err) < 0)
    done(ctx, NULL, &err);
  tm_arena_free(&a);
}
