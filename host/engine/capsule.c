/* capsule.c - writing a run into one document.
 */
#include "engine/capsule.h"

#include <stdio.h>
#include <string.h>

typedef struct packing {
  tm_engine *engine;
  tm_arena *arena;
  tm_tale tale;
  tm_json *records, *sources, *files, *gates, *effects, *decisions;
  bool redact;
  int64_t strings; /* hidden so far */
  tm_err *err;
} packing;

/* -- hiding texts ----------------------------------------------------------------------- */

/* What is named by us or by the sources, and not by people and models. */
static bool is_open(const char *key) {
  static const char *const keys[] = {"kind", "code",   "model", "prompt",
                                     "unit", "schema", "role"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (strcmp(keys[i], key) == 0)
      return true;
  return false;
}

static tm_json *hidden(packing *p, const tm_json *v) {
  tm_arena *a = p->arena;
  size_t len;
  const char *text = tm_json_str(v, &len);
  if (text) {
    p->strings++;
    return tm_json_new_str(a, tm_arena_printf(a, "sha256:%.16s", tm_hash_bytes(text, len).hex));
  }
  tm_json *copy = tm_json_copy(a, v);
  if (tm_json_type_of(v) == TM_JSON_ARRAY) {
    copy = tm_json_new_array(a);
    for (size_t i = 0; i < tm_json_len(v); i++)
      tm_json_push(a, copy, hidden(p, tm_json_at(v, i)));
  } else if (tm_json_type_of(v) == TM_JSON_OBJECT) {
    copy = tm_json_new_object(a);
    for (size_t i = 0; i < tm_json_len(v); i++) {
      const tm_json_member *m = tm_json_member_at(v, i);
      tm_json_setn(a, copy, m->key, m->key_len,
                   is_open(m->key) ? &m->value : hidden(p, &m->value));
    }
  }
  return copy;
}

/* A record's own short keys that hold what the world said. */
static const tm_json *hidden_body(packing *p, const tm_json *body) {
  static const char *const keys[] = {"input",  "v",    "q",   "a",   "e",
                                     "answer", "note", "key", "env", "back"};
  if (!p->redact)
    return body;
  tm_json *copy = tm_json_copy(p->arena, body);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const tm_json *v = tm_json_get(body, keys[i]);
    if (v)
      tm_json_set(p->arena, copy, keys[i], hidden(p, v));
  }
  return copy;
}

/* A stored JSON text as a value; a text that is none stays one. */
static const tm_json *stored(packing *p, const char *text) {
  tm_json *v;
  tm_err ignored = TM_ERR_INIT;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  if (tm_json_parse(&v, p->arena, text, strlen(text), &opts, &ignored) < 0)
    v = tm_json_new_str(p->arena, text);
  return v;
}

static void set_stored(packing *p, tm_json *o, const char *key, const char *text) {
  if (!text || !*text)
    return;
  const tm_json *v = stored(p, text);
  tm_json_set(p->arena, o, key, p->redact ? hidden(p, v) : v);
}

static void set_text(packing *p, tm_json *o, const char *key, const char *text) {
  if (text && *text)
    tm_json_set_str(p->arena, o, key, text);
}

static void set_time(packing *p, tm_json *o, const char *key, int64_t ms) {
  if (ms)
    tm_json_set_int(p->arena, o, key, ms);
}

/* -- what a run relied on --------------------------------------------------------------- */

static int add_files(packing *p, const tm_closure *c) {
  tm_arena *a = p->arena;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));) {
    const tm_source *s = e->value;
    if (tm_json_get(p->files, s->hash.hex))
      continue;
    if (tm_json_utf8_valid(s->bytes, s->len) == s->len) {
      tm_json_set(a, p->files, s->hash.hex, tm_json_new_strn(a, s->bytes, s->len));
      continue;
    }
    tm_buf hex = TM_BUF_INIT;
    for (size_t k = 0; k < s->len; k++)
      tm_buf_printf(&hex, "%02x", (unsigned char)s->bytes[k]);
    tm_json *o = tm_json_new_object(a);
    tm_json_set_str(a, o, "hex", tm_buf_str(&hex));
    tm_json_set(a, p->files, s->hash.hex, o);
    tm_buf_free(&hex);
  }
  return 0;
}

static int add_closure(packing *p, const char *hash) {
  tm_closure *c;
  tm_json *manifest;
  if (!hash || tm_json_get(p->sources, hash))
    return 0;
  if (tm_engine_closure(p->engine, hash, &c, p->err) < 0)
    return -1;
  int rc = tm_json_parse(&manifest, p->arena, c->manifest, c->manifest_len, NULL, p->err);
  if (rc == 0) {
    tm_json_set(p->arena, p->sources, hash, manifest);
    rc = add_files(p, c);
  }
  tm_closure_release(&c);
  return rc;
}

static int add_effect(packing *p, const char *action, const char *key) {
  tm_store *s = p->engine->ports.store;
  tm_effect_row want = {.ns = p->tale.workflow, .action = action, .key = key}, row;
  int found = s->vt->effect(s, &want, p->arena, &row, p->err);
  if (found <= 0)
    return found;
  tm_json *o = tm_json_new_object(p->arena), *shown = tm_json_new_str(p->arena, key);
  tm_json_set_str(p->arena, o, "action", action);
  tm_json_set(p->arena, o, "key", p->redact ? hidden(p, shown) : shown);
  set_text(p, o, "args_hash", row.args_hash);
  set_text(p, o, "run", row.run);
  set_text(p, o, "place", row.place);
  set_stored(p, o, "result", row.result);
  tm_json_push(p->arena, p->effects, o);
  return 0;
}

static int add_decision(packing *p, const char *name, const char *key) {
  tm_store *s = p->engine->ports.store;
  tm_decision_row want = {.ns = p->tale.workflow, .name = name, .key = key}, row;
  int found = s->vt->decision(s, &want, p->arena, &row, p->err);
  if (found <= 0)
    return found;
  tm_json *o = tm_json_new_object(p->arena), *shown = tm_json_new_str(p->arena, key);
  tm_json_set_str(p->arena, o, "name", name);
  tm_json_set(p->arena, o, "key", p->redact ? hidden(p, shown) : shown);
  set_text(p, o, "input_hash", row.input_hash);
  set_stored(p, o, "value", row.value);
  set_text(p, o, "run", row.run);
  set_time(p, o, "at", row.at);
  if (row.version > 1)
    tm_json_set_int(p->arena, o, "version", row.version);
  set_time(p, o, "expires", row.expires);
  set_time(p, o, "reopened", row.voided);
  tm_json_push(p->arena, p->decisions, o);
  return 0;
}

/* The sources, effects and decisions that a record names. */
static int follow(packing *p, const tm_record *r, const tm_json *body) {
  const char *kind = tm_json_get_str(body, "k"), *key = tm_json_get_str(body, "key");
  const char *asked = tm_json_get_str(tm_json_get(body, "q"), "key");
  if (r->kind == TM_RECORD_START)
    return add_closure(p, tm_json_get_str(body, "closure"));
  if (r->kind == TM_RECORD_REPIN)
    return add_closure(p, tm_json_get_str(body, "was")) < 0
               ? -1
               : add_closure(p, tm_json_get_str(body, "now"));
  if (r->kind == TM_RECORD_OPEN && key && kind && strcmp(kind, "action") == 0)
    return add_effect(p, r->name, key);
  if (r->kind == TM_RECORD_DONE && asked && kind && strcmp(kind, "recall") == 0)
    return add_decision(p, r->name, asked);
  return 0;
}

/* -- records and gates ------------------------------------------------------------------ */

static int add_record(packing *p, const tm_record *r) {
  tm_arena *a = p->arena;
  tm_json *o = tm_json_new_object(a), *body;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  size_t len;
  if (tm_json_parse(&body, a, r->body, r->body_len, &opts, p->err) < 0)
    return tm_err_wrap(p->err, "record %lld of run %s", (long long)r->seq, p->tale.run);
  const char *again = tm_json_text(a, body, &len);
  bool exact = len == r->body_len && memcmp(again, r->body, len) == 0;
  tm_json_set_int(a, o, "seq", r->seq);
  tm_json_set_str(a, o, "record", tm_record_word(r->kind));
  set_text(p, o, "place", r->place);
  set_text(p, o, "name", r->name);
  tm_json_set(a, o, "body",
              exact || p->redact ? hidden_body(p, body)
                                 : tm_json_new_strn(a, r->body, r->body_len));
  tm_json_set_str(a, o, "chain", r->chain);
  tm_json_push(a, p->records, o);
  return follow(p, r, body);
}

static int add_gate(void *ctx, const tm_gate_row *g) {
  packing *p = ctx;
  tm_json *o = tm_json_new_object(p->arena);
  tm_json_set_str(p->arena, o, "id", g->id);
  tm_json_set_str(p->arena, o, "place", g->place);
  tm_json_set_str(p->arena, o, "name", g->name);
  tm_json_set_str(p->arena, o, "state", g->state);
  set_text(p, o, "digest", g->digest);
  set_stored(p, o, "body", g->body);
  set_stored(p, o, "decision", g->decision);
  set_text(p, o, "by", g->by);
  set_time(p, o, "opened", g->opened);
  set_time(p, o, "expires", g->expires);
  set_time(p, o, "decided", g->decided);
  tm_json_push(p->arena, p->gates, o);
  return 0;
}

static tm_json *run_row(packing *p) {
  const tm_tale *t = &p->tale;
  tm_json *o = tm_json_new_object(p->arena);
  tm_json_set_str(p->arena, o, "id", t->run);
  tm_json_set_str(p->arena, o, "workflow", t->workflow);
  tm_json_set_str(p->arena, o, "state", t->state);
  tm_json_set_int(p->arena, o, "created", t->created);
  tm_json_set_int(p->arena, o, "updated", t->updated);
  set_text(p, o, "input_hash", t->input_hash);
  set_text(p, o, "sources", t->sources);
  set_text(p, o, "parent", t->parent);
  set_stored(p, o, "reason", t->reason);
  set_stored(p, o, "result", t->result);
  return o;
}

static int collect(packing *p, const char *run) {
  tm_store *s = p->engine->ports.store;
  tm_gate_filter of_run = {.run = run};
  if (tm_verify_read(&p->tale, p->arena, s, run, p->err) < 0 ||
      add_closure(p, p->tale.sources) < 0)
    return -1;
  for (size_t i = 0; i < p->tale.count; i++)
    if (add_record(p, &p->tale.records[i]) < 0)
      return -1;
  return s->vt->gates(s, &of_run, add_gate, p, p->err) < 0 ? -1 : 0;
}

int tm_capsule_export(tm_json **out, tm_arena *a, tm_engine *e, const char *run, bool redact,
                      tm_err *err) {
  packing p = {.engine = e,
               .arena = a,
               .redact = redact,
               .err = err,
               .records = tm_json_new_array(a),
               .sources = tm_json_new_object(a),
               .files = tm_json_new_object(a),
               .gates = tm_json_new_array(a),
               .effects = tm_json_new_array(a),
               .decisions = tm_json_new_array(a)};
  if (collect(&p, run) < 0)
    return -1;
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "schema", "tidemill.capsule/1");
  tm_json_set_int(a, o, "abi", TM_CLOSURE_ABI);
  tm_json_set(a, o, "run", run_row(&p));
  tm_json_set(a, o, "records", p.records);
  tm_json_set(a, o, "sources", p.sources);
  tm_json_set(a, o, "files", p.files);
  tm_json_set(a, o, "gates", p.gates);
  tm_json_set(a, o, "effects", p.effects);
  tm_json_set(a, o, "decisions", p.decisions);
  if (redact) {
    tm_json *r = tm_json_new_object(a);
    tm_json_set_int(a, r, "strings", p.strings);
    tm_json_set(a, o, "redacted", r);
  }
  tm_json_set_str(a, o, "seal", tm_json_hash(o).hex);
  *out = o;
  return 0;
}
