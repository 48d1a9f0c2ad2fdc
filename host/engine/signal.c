/* signal.c - events: sending, keeping, waiting.
 */
#include "engine/signal.h"

#include <stdio.h>
#include <string.h>

#include "engine/wake.h"
#include "text/schema.h"

#define MAX_LINKS 10000 /* of mill.continue_as: more are a damaged chain */
#define MAX_ID    255

/* -- what is there ------------------------------------------------------------------ */

typedef struct finding {
  tm_arena *arena;
  tm_signal_row row;
  tm_run *run;   /* skip what it has used up in this turn; NULL: nothing */
  int64_t until; /* what came later is too late; 0: nothing is */
  bool found;
} finding;

static int find(void *ctx, const tm_signal_row *row) {
  finding *f = ctx;
  tm_arena *a = f->arena;
  if (f->run && tm_map_get(&f->run->taken, row->sid))
    return 0;
  f->found = !f->until || row->at <= f->until;
  if (!f->found || !a)
    return 1;
  f->row = (tm_signal_row){
      .sid = tm_arena_strdup(a, row->sid),
      .name = tm_arena_strdup(a, row->name),
      .body = tm_arena_strdup(a, row->body),
      .place = tm_arena_strdup(a, row->place),
      .at = row->at,
  };
  return 1;
}

static bool look(tm_engine *e, const tm_signal_filter *which, finding *f) {
  tm_err err = TM_ERR_INIT;
  tm_store *s = e->ports.store;
  if (s->vt->signals(s, which, find, f, &err) < 0)
    tm_engine_break(e, &err);
  return f->found;
}

bool tm_signal_pending(tm_engine *e, const char *run, const char *event) {
  finding f = {.arena = NULL};
  return look(e, &(tm_signal_filter){.run = run, .name = event, .pending = true}, &f);
}

/* -- mill.wait ---------------------------------------------------------------------- */

static tm_op *mark(tm_branch *b, tm_op_kind kind, const char *sid) {
  tm_op *op = tm_turn_op(b->run->engine, b->run, kind);
  tm_arena *a = &tm_turn_of(b->run->engine)->batch->arena;
  op->u.signal.sid = tm_arena_strdup(a, sid);
  op->u.signal.place = tm_arena_strdup(a, b->place);
  return op;
}

static void use(tm_branch *b, const tm_signal_row *row) {
  tm_arena *a = &b->scratch;
  tm_json *payload = NULL, *meta = tm_json_new_object(a);
  tm_err err = TM_ERR_INIT;
  char at[TM_CLOCK_TEXT];
  if (tm_json_parse(&payload, a, row->body, strlen(row->body), NULL, &err) < 0) {
    tm_run_outcome(b, NULL, tm_run_error(a, "internal", "event %s: %s", row->sid, err.msg),
                   NULL);
    return;
  }
  tm_clock_format(row->at, at);
  tm_json_set_str(a, meta, "id", row->sid);
  tm_json_set_str(a, meta, "at", at);
  b->signal = row->sid;
  tm_map_set(&b->run->taken, row->sid, b->run);
  mark(b, TM_OP_SIGNAL_CONSUME, row->sid);
  tm_run_outcome(b, payload, NULL, meta);
}

static int64_t due_of(const tm_branch *b) {
  const tm_entry *open = tm_place_last(b->past, TM_RECORD_OPEN);
  if (open)
    return tm_json_int(tm_json_get(open->body, "due"), 0);
  int64_t ms = tm_json_int(tm_json_get(b->request, "timeout_ms"), 0);
  return ms ? b->opened + ms : 0;
}

static bool take(tm_branch *b, int64_t until) {
  finding f = {.arena = &b->scratch, .run = b->run, .until = until};
  tm_signal_filter which = {.run = b->run->id, .name = b->name, .pending = true};
  if (!look(b->run->engine, &which, &f))
    return false;
  use(b, &f.row);
  return true;
}

void tm_signal_launch(tm_branch *b) {
  bool open = tm_place_last(b->past, TM_RECORD_OPEN) != NULL;
  int64_t due = due_of(b);
  b->recorded = open;
  if (take(b, due))
    return;
  if (!open) {
    tm_json *body = tm_exec_open_body(b);
    if (due)
      tm_json_set_int(&b->scratch, body, "due", due);
    tm_turn_record(b->run, TM_RECORD_OPEN, b->place, b->name, body);
  }
  b->recorded = b->waits = true;
  if (due)
    tm_engine_set_timer(b, due);
}

void tm_signal_look(tm_branch *b) {
  take(b, b->due);
}

void tm_signal_due(tm_branch *b) {
  if (!take(b, due_of(b)))
    tm_run_outcome(
        b, NULL,
        tm_run_error(&b->scratch, "timeout", "the event \"%s\" did not come in time", b->name),
        NULL);
}

/* In a replay: the event of an outcome that nobody will hear of, when the process died before
 * it could give it back. */
static const char *left_used(tm_branch *b) {
  const tm_entry *e = tm_place_outcome(b->past);
  const char *sid = e ? tm_json_get_str(tm_json_get(e->body, "m"), "id") : NULL;
  finding f = {.arena = &b->scratch};
  tm_signal_filter which = {.run = b->run->id, .sid = sid};
  bool ours = sid && look(b->run->engine, &which, &f) && f.row.place &&
              strcmp(f.row.place, b->place) == 0;
  return ours ? sid : NULL;
}

/* Another wait may have looked for it in vain. */
static void given_back(tm_after *after, const tm_err *err) {
  if (err->code == TM_OK && !after->run->lost && !after->run->ended)
    tm_wake_run(after->run->engine, after->run->id);
}

void tm_signal_give_back(tm_branch *b) {
  const char *sid = NULL;
  if (b->run->lost || b->run->ended || b->run->rehearsed)
    return;
  if (b->phase == TM_PHASE_ANSWERED)
    sid = b->signal;
  else if (b->phase == TM_PHASE_HELD)
    sid = left_used(b);
  if (!sid)
    return;
  b->signal = NULL;
  tm_map_remove(&b->run->taken, sid);
  mark(b, TM_OP_SIGNAL_FREE, sid);
  tm_turn_after(b->run->engine, given_back, b->run, NULL);
}

/* -- sending: to whom, and does it fit? ------------------------------------------------ */

typedef struct letter {
  const char *run, *event, *id;
  const tm_json *payload;
  char to[64]; /* the run that will have it */
  bool known;  /* one of that id is there already */
} letter;

typedef struct starting {
  tm_arena *arena;
  tm_json *body;
  tm_err *err;
} starting;

static int read_start(void *ctx, const tm_record *r) {
  starting *s = ctx;
  tm_json_parse(&s->body, s->arena, r->body, r->body_len, NULL, s->err);
  return 1;
}

static int check_payload(const tm_json *schema, const letter *l, tm_arena *a, tm_err *err) {
  tm_schema *compiled;
  tm_schema_report report = {.arena = a, .max = 1};
  if (tm_schema_compile(&compiled, a, schema, NULL, err) < 0)
    return -1;
  int rc = tm_schema_check(compiled, l->payload, &report, err);
  if (rc == 1)
    return tm_err_set(err, TM_USAGE, "the payload does not fit the event \"%s\": %s", l->event,
                      report.errors[0].message);
  return rc;
}

static int check_event(tm_engine *e, const letter *l, tm_arena *a, tm_err *err) {
  tm_store *s = e->ports.store;
  starting start = {.arena = a, .err = err};
  if (s->vt->journal(s, l->to, 0, read_start, &start, err) < 0 || !start.body)
    return -1;
  const tm_json *events = tm_json_get(start.body, "events");
  const tm_json *schema = tm_json_get(events, l->event);
  if (schema)
    return check_payload(schema, l, a, err);
  tm_buf known = TM_BUF_INIT;
  for (size_t i = 0; i < tm_json_len(events); i++)
    tm_buf_printf(&known, "%s%s", i ? ", " : "", tm_json_member_at(events, i)->key);
  tm_err_set(err, TM_USAGE, "run %s declares no event \"%s\"; %s%s", l->to, l->event,
             known.len ? "it declares " : "its workflow has no `events = { … }`",
             tm_buf_str(&known));
  tm_buf_free(&known);
  return -1;
}

/* Is a letter of that id there? The same one: known; another one: a conflict. */
static int check_known(tm_engine *e, letter *l, tm_arena *a, tm_err *err) {
  finding f = {.arena = a};
  tm_json *was = NULL;
  if (!look(e, &(tm_signal_filter){.run = l->to, .sid = l->id}, &f))
    return 0;
  l->known = true;
  if (tm_json_parse(&was, a, f.row.body, strlen(f.row.body), NULL, err) < 0)
    return -1;
  if (strcmp(f.row.name, l->event) == 0 && tm_json_equal(was, l->payload))
    return 0;
  return tm_err_set(err, TM_CONFLICT,
                    "run %s was sent another event under the id \"%s\"; use another id for "
                    "another event",
                    l->to, l->id);
}

/* From the run that is named to the one that goes on for it. */
static int find_receiver(tm_engine *e, letter *l, tm_arena *a, tm_err *err) {
  const char *to = l->run;
  tm_run_row row;
  for (int links = 0; links < MAX_LINKS; links++) {
    int found = tm_wake_row(e, to, a, &row, err);
    if (found < 0)
      return -1;
    if (!found)
      return tm_err_set(err, TM_NOTFOUND, "there is no run %s", to);
    snprintf(l->to, sizeof l->to, "%s", row.id);
    if (check_known(e, l, a, err) < 0 || l->known)
      return l->known && err->code == TM_OK ? 0 : -1;
    const char *next = tm_wake_successor(&row, a);
    if (next) {
      to = next;
      continue;
    }
    if (tm_wake_ended(&row) || strcmp(row.state, "diverged") == 0)
      return tm_err_set(err, TM_CONFLICT,
                        "run %s has ended (%s): it hears of no event any more", row.id,
                        row.state);
    return 0;
  }
  return tm_err_set(err, TM_INTERNAL, "run %s is continued by itself", l->run);
}

static int address(tm_engine *e, letter *l, tm_err *err) {
  tm_arena a;
  tm_arena_init(&a, 0);
  int rc = find_receiver(e, l, &a, err);
  if (rc == 0 && !l->known)
    rc = check_event(e, l, &a, err);
  if (rc < 0 && err->code == TM_OK)
    tm_err_set(err, TM_INTERNAL, "run %s has no start record; the journal is damaged", l->to);
  tm_arena_free(&a);
  return rc;
}

static void write_letter(tm_engine *e, tm_op *op, const letter *l) {
  tm_arena *a = &tm_turn_of(e)->batch->arena;
  op->u.signal = (tm_signal_row){
      .run = tm_arena_strdup(a, l->to),
      .sid = tm_arena_strdup(a, l->id),
      .name = tm_arena_strdup(a, l->event),
      .body = tm_json_text(a, l->payload, NULL),
      .at = tm_engine_now(e),
  };
}

/* -- mill.emit ------------------------------------------------------------------------- */

static letter letter_of(tm_branch *b) {
  const tm_json *payload = tm_json_get(b->request, "payload");
  return (letter){
      .run = tm_json_get_str(b->request, "run"),
      .event = b->name,
      .id = tm_arena_printf(&b->scratch, "@%s/%s", b->run->id, b->place),
      .payload = payload ? payload : tm_json_null(&b->scratch),
  };
}

static void emitted(tm_after *after, const tm_err *err) {
  tm_branch *b = after->branch;
  if (err->code != TM_OK || after->op->status == TM_OP_FENCED)
    return;
  if (after->op->status != TM_OP_LOST)
    tm_wake_run(b->run->engine, after->op->u.signal.run);
  if (!tm_after_awaited(after, err))
    return;
  if (after->op->status == TM_OP_LOST)
    tm_signal_emit(b); /* it ended a moment ago: who goes on for it? */
  else
    tm_run_outcome(b, NULL, NULL, NULL);
}

void tm_signal_emit(tm_branch *b) {
  tm_engine *e = b->run->engine;
  letter l = letter_of(b);
  tm_err err = TM_ERR_INIT;
  b->recorded = b->recorded || tm_place_last(b->past, TM_RECORD_OPEN);
  if (address(e, &l, &err) < 0 && l.known && b->run->journal.moves) {
    /* what a RETRY made void has sent another event from here; that one is out */
    tm_err_clear(&err);
    l = letter_of(b);
    l.id = tm_arena_printf(&b->scratch, "%s~%d", l.id, b->run->journal.moves);
    address(e, &l, &err);
  }
  if (err.code != TM_OK) {
    tm_run_outcome(b, NULL, tm_run_error(&b->scratch, tm_err_word(err.code), "%s", err.msg),
                   NULL);
    return;
  }
  if (l.known) {
    tm_run_outcome(b, NULL, NULL, NULL);
    return;
  }
  if (!b->recorded)
    tm_turn_record(b->run, TM_RECORD_OPEN, b->place, b->name, tm_exec_open_body(b));
  b->recorded = true;
  tm_op *op = tm_turn_op(e, b->run, TM_OP_SIGNAL_EMIT);
  write_letter(e, op, &l);
  tm_turn_after(e, emitted, b->run, b)->op = op;
}

/* -- from outside ------------------------------------------------------------------------ */

typedef struct sending {
  tm_engine *engine;
  letter letter;
  tm_engine_fn done;
  void *ctx;
} sending;

static void send(tm_engine *e, const letter *l, tm_engine_fn done, void *ctx);

static void sent(tm_after *after, const tm_err *err) {
  sending *s = after->ctx;
  if (err->code == TM_OK && after->op->status == TM_OP_LOST) {
    send(s->engine, &s->letter, s->done, s->ctx);
    return;
  }
  if (err->code == TM_OK)
    tm_wake_run(s->engine, s->letter.to);
  if (s->done)
    s->done(s->ctx, s->letter.to, err);
}

static void send(tm_engine *e, const letter *l, tm_engine_fn done, void *ctx) {
  tm_err err = e->broken;
  letter to = *l;
  if (err.code != TM_OK || address(e, &to, &err) < 0 || to.known) {
    if (done)
      done(ctx, to.to, &err);
    return;
  }
  tm_turn *t = tm_turn_of(e);
  tm_arena *a = &t->batch->arena;
  tm_op *op = tm_batch_add(t->batch, TM_OP_SIGNAL_NEW);
  t->guard = NULL;
  write_letter(e, op, &to);
  sending *s = tm_arena_new(a, sending);
  *s = (sending){.engine = e, .letter = to, .done = done, .ctx = ctx};
  s->letter.run = tm_arena_strdup(a, to.to);
  s->letter.event = op->u.signal.name;
  s->letter.id = op->u.signal.sid;
  s->letter.payload = tm_json_copy(a, to.payload);
  tm_after *after = tm_turn_after(e, sent, NULL, NULL);
  after->op = op;
  after->ctx = s;
}

void tm_engine_signal(tm_engine *e, const char *run, const char *event, const tm_json *payload,
                      const char *id, tm_engine_fn done, void *ctx) {
  char fresh[TM_ID_LEN + 1];
  tm_err err = TM_ERR_INIT;
  tm_id_new(fresh);
  if (id && (!*id || *id == '@' || strlen(id) > MAX_ID)) {
    tm_err_set(&err, TM_USAGE,
               "\"%.40s\" is no id for an event: 1 to %d bytes, not beginning with '@'", id,
               MAX_ID);
    done(ctx, NULL, &err);
    return;
  }
  letter l = {.run = run, .event = event, .id = id ? id : fresh, .payload = payload};
  send(e, &l, done, ctx);
}
