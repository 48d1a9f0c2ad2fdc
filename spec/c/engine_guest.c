/* engine_guest.c - running scripts of JSON steps: a language with nothing in it but calls.
 *
 *   resume ─► take the answer (or go on in a body) ─► steps until one waits, or the end
 */
#include "engine_guest.h"

#include <stdio.h>
#include <string.h>

#include "engine/perform.h"

typedef struct script {
  kit *kit;
  tm_run *run;
  tm_arena arena;
  const tm_json *steps;
  tm_buf all;    /* what the run was told, in its order */
  tm_buf trace;  /* the same for the world's check */
  tm_json *done; /* [[name, key]]: actions that can be undone, in the order of their ends */
  const tm_json *error; /* main has raised this, and undoes what was done; NULL: it goes on */
} script;

/* A branch under way. */
typedef struct frame {
  tm_arena arena; /* the request being made */
  const tm_json *steps, *step, *opts, *body;
  size_t at, body_at;
  tm_buf acc;  /* what it was told */
  tm_buf last; /* a body's latest result, in JSON */
  char **results;
  size_t result_count;
  int64_t now;
} frame;

/* -- what a step says ------------------------------------------------------------------ */

static bool is(const tm_json *step, const char *op) {
  return strcmp(tm_json_str(tm_json_at(step, 0), NULL), op) == 0;
}

static const char *name_of(const tm_json *step) {
  const char *name = tm_json_str(tm_json_at(step, 1), NULL);
  return name ? name : "";
}

static const tm_json *short_hash(frame *f, const tm_buf *text) {
  tm_hash h = tm_hash_bytes(tm_buf_str(text), text->len);
  return tm_json_new_strn(&f->arena, h.hex, 8);
}

static const tm_json *fill_object(script *s, frame *f, const tm_json *v);

/* A copy in which "$acc" and its like stand filled in. */
static const tm_json *fill(script *s, frame *f, const tm_json *v) {
  const char *text = tm_json_str(v, NULL);
  if (tm_json_type_of(v) == TM_JSON_OBJECT)
    return fill_object(s, f, v);
  if (!text || *text != '$')
    return v;
  if (strcmp(text, "$acc") == 0)
    return short_hash(f, &f->acc);
  if (strcmp(text, "$all") == 0)
    return short_hash(f, &s->all);
  return tm_json_new_int(&f->arena, f->now);
}

static bool is_private(const char *key) {
  static const char *const words[] = {"try", "body", "probe", "budget", "told"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(key, words[i]) == 0)
      return true;
  return false;
}

static const tm_json *fill_object(script *s, frame *f, const tm_json *v) {
  tm_json *o = tm_json_new_object(&f->arena);
  for (size_t i = 0; i < tm_json_len(v); i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    if (!is_private(m->key))
      tm_json_set(&f->arena, o, m->key, fill(s, f, &m->value));
  }
  return o;
}

static const tm_json *request_of(script *s, frame *f) {
  return f->opts ? fill_object(s, f, f->opts) : tm_json_new_object(&f->arena);
}

static void where_of(const tm_branch *b, char out[64]) {
  const frame *f = b->slot;
  snprintf(out, 64, "flow:%zu", f->at);
}

/* -- what it was told ------------------------------------------------------------------ */

static void put_results(frame *f) {
  tm_buf_putc(&f->acc, '[');
  for (size_t i = 0; i < f->result_count; i++)
    tm_buf_printf(&f->acc, "%s%s", i ? "|" : "", f->results[i] ? f->results[i] : "");
  tm_buf_putc(&f->acc, ']');
}

static void put_member(tm_buf *out, const tm_json *v, const char *key) {
  tm_buf_printf(out, "%s ", key);
  tm_json_print(out, tm_json_get(v, key));
}

/* Without times and names of runs: they differ from one life to the next. */
static void put_value(frame *f, const tm_json *v) {
  if (is(f->step, "fork")) {
    put_results(f);
  } else if (is(f->step, "gate")) {
    put_member(&f->acc, v, "approved");
    put_member(&f->acc, v, "answer");
  } else if (is(f->step, "recall") || is(f->step, "decide")) {
    put_member(&f->acc, v, "value");
  } else if (!is(f->step, "sleep")) {
    tm_json_print(&f->acc, v);
  }
}

static bool keep(frame *f, const tm_answer *a) {
  tm_buf_printf(&f->acc, "%s%s=", f->acc.len ? ";" : "",
                tm_json_str(tm_json_at(f->step, 0), NULL));
  if (a->kind == TM_ANSWER_VALUE) {
    put_value(f, a->value);
    return true;
  }
  tm_buf_printf(&f->acc, "!%s", tm_json_get_str(a->value, "kind"));
  return tm_json_bool(tm_json_get(f->opts, "try"), false);
}

/* A run that was moved may be told another story: "r", then "r#1". */
static const char *life_of(script *s) {
  int moves = s->run->journal.moves;
  return moves ? tm_arena_printf(&s->arena, "%s#%d", s->run->id, moves) : s->run->id;
}

static void trace(script *s, tm_branch *b, const tm_answer *a) {
  static const char *const kinds[] = {"value", "error", "begin", "enter"};
  tm_buf line = TM_BUF_INIT;
  tm_buf_printf(&line, "<%s> %s ", b->path, kinds[a->kind]);
  if (a->value)
    tm_json_print_canonical(&line, a->value);
  tm_buf_putc(&line, '\n');
  tm_buf_put(&s->trace, line.data, line.len);
  tm_buf_put(&s->all, line.data, line.len);
  tm_buf_free(&line);
  if (!s->run->rehearsed || !s->kit->trial)
    kit_trace(s->kit->world, life_of(s), &s->trace);
  if (s->kit->told_of)
    s->kit->told_of(s->kit, b, a);
}

/* -- bodies of actions ----------------------------------------------------------------- */

static void call(tm_branch *b, tm_call_kind kind, const char *name, const tm_json *request,
                 const tm_json *live) {
  char where[64];
  where_of(b, where);
  tm_perform_call(b, kind, name, request, live, where);
}

static void leave_body(tm_branch *b, const char *how, const tm_json *v) {
  frame *f = b->slot;
  tm_json *outcome = tm_json_new_object(&f->arena);
  tm_json_set(&f->arena, outcome, how, v ? v : tm_json_null(&f->arena));
  call(b, TM_CALL_OUTCOME, b->name, outcome, NULL);
}

/* A verb carries the action's key and arguments to the other side. */
static const tm_json *verb_request(script *s, frame *f, const tm_json *step,
                                   const tm_branch *b) {
  tm_json *r = tm_json_new_object(&f->arena);
  const tm_json *opts = tm_json_at(step, 2), *args = tm_json_get(b->request, "args");
  tm_json_set_str(&f->arena, r, "key", b->action.key);
  if (args)
    tm_json_set(&f->arena, r, "args", args);
  for (size_t i = 0; i < tm_json_len(opts); i++) {
    const tm_json_member *m = tm_json_member_at(opts, i);
    tm_json_set(&f->arena, r, m->key, fill(s, f, &m->value));
  }
  return r;
}

static tm_json *refused(frame *f, const tm_err *err) {
  return tm_run_error(&f->arena, "usage", "%s", err->msg);
}

static void log_line(tm_branch *b, const tm_json *step) {
  frame *f = b->slot;
  tm_err err = TM_ERR_INIT;
  char where[64];
  const tm_json *opts = tm_json_at(step, 2);
  where_of(b, where);
  tm_perform_note(b, TM_CALL_LOG, name_of(step), opts ? opts : tm_json_null(&f->arena), where,
                  &err);
}

/* One step of a body; false: it waits, or has left the body. */
static bool body_step(script *s, tm_branch *b, const tm_json *step) {
  frame *f = b->slot;
  tm_err err = TM_ERR_INIT;
  if (is(step, "log")) {
    log_line(b, step);
    return true;
  }
  if (is(step, "ok")) {
    leave_body(b, "ok", tm_json_at(step, 1));
    return false;
  }
  if (is(step, "fail")) {
    leave_body(b, "error", tm_json_at(step, 1));
    return false;
  }
  tm_call_kind kind = is(step, "http") ? TM_CALL_HTTP : TM_CALL_LLM;
  if (tm_perform_allows(b, kind, &err) < 0)
    leave_body(b, "error", refused(f, &err));
  else
    call(b, kind, name_of(step), verb_request(s, f, step, b), NULL);
  return false;
}

static void run_body(script *s, tm_branch *b) {
  frame *f = b->slot;
  tm_arena_reset(&f->arena);
  while (f->body_at < tm_json_len(f->body))
    if (!body_step(s, b, tm_json_at(f->body, f->body_at++)))
      return;
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  if (f->last.len)
    tm_json_parse(&v, &f->arena, f->last.data, f->last.len, NULL, &err);
  leave_body(b, "ok", v);
}

static const tm_json *plain_body(script *s, const char *method) {
  tm_json *body = tm_json_new_array(&s->arena), *step = tm_json_new_array(&s->arena);
  tm_json_push(&s->arena, step, tm_json_new_str(&s->arena, "http"));
  tm_json_push(&s->arena, step, tm_json_new_str(&s->arena, method));
  tm_json_push(&s->arena, body, step);
  return body;
}

static void enter(script *s, tm_branch *b, const tm_json *order) {
  frame *f = b->slot;
  bool probe = strcmp(tm_json_get_str(order, "enter"), "probe") == 0;
  f->body = tm_json_get(f->opts, probe ? "probe" : "body");
  if (!f->body)
    f->body = plain_body(s, probe ? "GET" : "POST");
  f->body_at = 0;
  tm_buf_reset(&f->last);
  run_body(s, b);
}

static void verb_answered(script *s, tm_branch *b, const tm_answer *a) {
  frame *f = b->slot;
  if (a->kind == TM_ANSWER_ERROR) {
    tm_arena_reset(&f->arena);
    leave_body(b, "error", tm_json_copy(&f->arena, a->value));
    return;
  }
  tm_buf_reset(&f->last);
  tm_json_print(&f->last, a->value);
  run_body(s, b);
}

/* -- undo ------------------------------------------------------------------------------ */

static void note_done(script *s, const tm_branch *b, const tm_answer *a) {
  const frame *f = b->slot;
  if (a->kind != TM_ANSWER_VALUE || !tm_json_bool(tm_json_get(f->opts, "undo"), false))
    return;
  tm_json *entry = tm_json_new_array(&s->arena);
  const char *key = tm_arena_strdup(&s->arena, tm_json_get_str(b->request, "key"));
  tm_json_push(&s->arena, entry,
               tm_json_new_str(&s->arena, tm_arena_strdup(&s->arena, b->name)));
  tm_json_push(&s->arena, entry, tm_json_new_str(&s->arena, key));
  tm_json_push(&s->arena, s->done, entry);
}

/* The latest of what was done and is not undone yet; behind them all, the error. */
static void undo(script *s, tm_branch *b) {
  frame *f = b->slot;
  size_t left = tm_json_len(s->done);
  if (left == 0) {
    tm_run_raise(b, s->error);
    return;
  }
  const tm_json *entry = tm_json_at(s->done, left - 1);
  const char *key = tm_json_str(tm_json_at(entry, 1), NULL);
  tm_json *rest = tm_json_new_array(&s->arena), *request, *args;
  for (size_t i = 0; i + 1 < left; i++)
    tm_json_push(&s->arena, rest, tm_json_copy(&s->arena, tm_json_at(s->done, i)));
  s->done = rest;
  tm_json *step = tm_json_new_array(&s->arena);
  tm_json_push(&s->arena, step, tm_json_new_str(&s->arena, "undo"));
  f->step = step;
  f->opts = NULL;
  tm_arena_reset(&f->arena);
  request = tm_json_new_object(&f->arena);
  args = tm_json_new_object(&f->arena);
  tm_json_set_str(&f->arena, args, "of", key);
  tm_json_set(&f->arena, request, "args", args);
  tm_json_set_str(&f->arena, request, "key", tm_arena_printf(&f->arena, "undo %s", key));
  tm_json_set_str(&f->arena, request, "on_unknown", "retry");
  call(b, TM_CALL_ACTION,
       tm_arena_printf(&f->arena, "undo %s", tm_json_str(tm_json_at(entry, 0), NULL)), request,
       NULL);
}

/* As mill's own: what main raises undoes first what was done. */
static void fail(script *s, tm_branch *b, const tm_json *error) {
  if (b->parent || tm_json_len(s->done) == 0) {
    tm_run_raise(b, error);
    return;
  }
  s->error = tm_json_copy(&s->arena, error);
  s->run->unwinding = true;
  undo(s, b);
}

/* -- steps ----------------------------------------------------------------------------- */

static void raise_kind(script *s, tm_branch *b, const char *kind) {
  frame *f = b->slot;
  fail(s, b, tm_run_error(&f->arena, kind, "raised by the script"));
}

/* A noted call; false: the run has diverged, and the script stops. */
static bool note(script *s, tm_branch *b, tm_call_kind kind) {
  frame *f = b->slot;
  tm_err err = TM_ERR_INIT;
  char where[64];
  where_of(b, where);
  const tm_json *v = tm_perform_note(b, kind, name_of(f->step), request_of(s, f), where, &err);
  if (!v)
    return false;
  if (kind == TM_CALL_NOW)
    f->now = tm_json_int(v, 0);
  if (kind == TM_CALL_RANDOM || kind == TM_CALL_ENV ||
      tm_json_bool(tm_json_get(f->opts, "told"), false)) {
    tm_buf_printf(&f->acc, "%s%s=", f->acc.len ? ";" : "", tm_call_word(kind));
    tm_json_print(&f->acc, v);
  }
  return true;
}

static void ask_model(script *s, tm_branch *b) {
  frame *f = b->slot;
  tm_json *request = tm_json_new_object(&f->arena), *live = tm_json_new_object(&f->arena);
  tm_json_set_str(&f->arena, request, "unit", name_of(f->step));
  tm_json_set(&f->arena, request, "vars", request_of(s, f));
  if (tm_json_get(f->opts, "cache")) {
    tm_json *object = tm_json_new_object(&f->arena); /* the kit's answers are objects */
    tm_json_set_str(&f->arena, object, "type", "object");
    tm_json_set(&f->arena, request, "schema", object);
    tm_json_set(&f->arena, request, "cache", tm_json_get(f->opts, "cache"));
  }
  if (tm_json_get(f->opts, "tools"))
    tm_json_set(&f->arena, request, "tools", tm_json_get(f->opts, "tools"));
  tm_json_set(&f->arena, live, "request", request);
  if (tm_json_get(f->opts, "budget"))
    tm_json_set(&f->arena, live, "budget", tm_json_get(f->opts, "budget"));
  s->run->llm_calls++;
  call(b, TM_CALL_LLM, name_of(f->step), request, live);
}

static void fork(tm_branch *b) {
  frame *f = b->slot;
  const tm_json *max = tm_json_get(f->opts, "max"), *race = tm_json_get(f->opts, "race");
  tm_json *request = tm_json_new_object(&f->arena);
  f->result_count = tm_json_len(tm_json_at(f->step, 1));
  f->results = tm_new_array(char *, f->result_count + 1);
  tm_json_set_int(&f->arena, request, "n", (int64_t)f->result_count);
  if (max)
    tm_json_set(&f->arena, request, "max", max);
  if (race)
    tm_json_set(&f->arena, request, "race", race);
  call(b, TM_CALL_FORK, "fork", request, NULL);
}

static void sleep_for(tm_branch *b) {
  frame *f = b->slot;
  tm_json *request = tm_json_new_object(&f->arena);
  tm_json_set(&f->arena, request, "ms", tm_json_at(f->step, 1));
  call(b, TM_CALL_SLEEP, "sleep", request, NULL);
}

static void awaited(script *s, tm_branch *b, tm_call_kind kind) {
  frame *f = b->slot;
  tm_err err = TM_ERR_INIT;
  if (tm_perform_allows(b, kind, &err) < 0)
    fail(s, b, refused(f, &err));
  else if (kind == TM_CALL_LLM)
    ask_model(s, b);
  else if (kind == TM_CALL_FORK)
    fork(b);
  else if (kind == TM_CALL_SLEEP)
    sleep_for(b);
  else
    call(b, kind, name_of(f->step), request_of(s, f), NULL);
}

/* The run goes on as another one, until so many have; false: it is the last one. */
static bool again(script *s, tm_branch *b) {
  frame *f = b->slot;
  int64_t n = tm_json_int(tm_json_get(s->run->input, "n"), 0);
  if (n >= tm_json_int(tm_json_at(f->step, 1), 0))
    return false;
  tm_json *request = tm_json_new_object(&f->arena), *input = tm_json_new_object(&f->arena);
  tm_json_set_int(&f->arena, input, "n", n + 1);
  tm_json_set(&f->arena, request, "input", input);
  call(b, TM_CALL_CONTINUE, "", request, NULL);
  return true;
}

static void stop(script *s) {
  tm_err err = TM_ERR_INIT;
  tm_err_set(&err, TM_LIMIT, "the script took too many steps");
  tm_run_stop(s->run, &err);
}

/* One step; false: it waits, or the branch is over. */
static bool step(script *s, tm_branch *b) {
  frame *f = b->slot;
  if (is(f->step, "raise") || is(f->step, "stop")) {
    if (is(f->step, "stop"))
      stop(s);
    else
      raise_kind(s, b, name_of(f->step));
    return false;
  }
  if (is(f->step, "step") || is(f->step, "unwind")) {
    if (is(f->step, "unwind"))
      s->run->unwinding = true;
    tm_perform_step(b, name_of(f->step));
    return true;
  }
  if (is(f->step, "again"))
    return !again(s, b);
  tm_call_kind kind = (tm_call_kind)tm_call_by_word(tm_json_str(tm_json_at(f->step, 0), NULL));
  if (tm_call_class_of(kind) == TM_CALL_NOTED)
    return note(s, b, kind);
  awaited(s, b, kind);
  return false;
}

static void finish(script *s, tm_branch *b) {
  frame *f = b->slot;
  if (!b->parent && s->run->cancelling && tm_json_len(s->done)) {
    fail(s, b, tm_run_error(&f->arena, "cancelled", "the run was cancelled"));
    return;
  }
  if (!b->parent) {
    tm_json *v = tm_json_new_object(&f->arena);
    tm_json_set(&f->arena, v, "told", tm_json_new_str(&f->arena, tm_buf_str(&f->acc)));
    tm_run_return(b, v);
    return;
  }
  frame *parent = b->parent->slot;
  parent->results[b->index] = tm_strdup(tm_buf_str(&f->acc));
  tm_run_return(b, NULL);
}

static void go(script *s, tm_branch *b) {
  frame *f = b->slot;
  for (;;) {
    tm_arena_reset(&f->arena);
    f->step = tm_json_at(f->steps, f->at++);
    f->opts = tm_json_at(f->step, 2);
    if (!f->step)
      break;
    if (!step(s, b))
      return;
  }
  finish(s, b);
}

/* -- the guest ------------------------------------------------------------------------- */

static void begin(script *s, tm_branch *b) {
  frame *f = tm_new(frame);
  const frame *parent = b->parent ? b->parent->slot : NULL;
  tm_arena_init(&f->arena, 0);
  f->steps = parent ? tm_json_at(tm_json_at(parent->step, 1), b->index) : s->steps;
  b->slot = f;
}

static void free_results(frame *f) {
  for (size_t i = 0; i < f->result_count; i++)
    tm_free(f->results[i]);
  tm_free(f->results);
  f->results = NULL;
  f->result_count = 0;
}

static void answered(script *s, tm_branch *b, const tm_answer *a) {
  frame *f = b->slot;
  bool goes_on = keep(f, a);
  note_done(s, b, a);
  free_results(f);
  if (s->error && !b->parent)
    undo(s, b);
  else if (goes_on)
    go(s, b);
  else
    fail(s, b, a->value);
}

static void resume(void *guest, tm_branch *b, const tm_answer *a) {
  script *s = guest;
  if (a->kind == TM_ANSWER_ENTER) {
    enter(s, b, a->value);
    return;
  }
  if (b->phase == TM_PHASE_BODY) {
    verb_answered(s, b, a);
    return;
  }
  trace(s, b, a);
  if (a->kind == TM_ANSWER_BEGIN) {
    begin(s, b);
    go(s, b);
  } else {
    answered(s, b, a);
  }
}

static void drop(void *guest, tm_branch *b) {
  (void)guest;
  frame *f = b->slot;
  b->slot = NULL;
  free_results(f);
  tm_buf_free(&f->acc);
  tm_buf_free(&f->last);
  tm_arena_free(&f->arena);
  tm_free(f);
}

static void close_script(void **guest) {
  script *s = *guest;
  *guest = NULL;
  tm_buf_free(&s->all);
  tm_buf_free(&s->trace);
  tm_arena_free(&s->arena);
  tm_free(s);
}

static int open_script(void **out, void *ctx, tm_run *run, tm_err *err) {
  script *s = tm_new(script);
  void *guest = s;
  tm_json *other = NULL;
  tm_arena_init(&s->arena, 0);
  s->kit = ctx;
  s->run = run;
  s->done = tm_json_new_array(&s->arena);
  if (s->kit->other)
    tm_json_parse(&other, &s->arena, s->kit->other, strlen(s->kit->other), NULL, err);
  s->steps = tm_json_get(other ? other : run->closure->models, run->workflow);
  if (!run->events)
    run->events = tm_json_get(run->closure->models, "events");
  if (s->steps) {
    *out = s;
    return 0;
  }
  close_script(&guest);
  return tm_err_set(err, TM_NOTFOUND, "there is no workflow \"%s\"", run->workflow);
}

const tm_guest_vt kit_guest = {
    .open = open_script,
    .resume = resume,
    .drop = drop,
    .close = close_script,
};
