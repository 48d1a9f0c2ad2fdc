/* spans.c - the spans of one run, read off its journal. */
#include "face/spans.h"

#include <string.h>

#include "face/spans_call.h"

/* From one START or RETRY to the END: what one root covers. */
typedef struct life {
  tm_otlp_span_id root;
  int64_t began;
  tm_otlp_link before; /* the root that this one goes on from */
  bool linked, over;
  tm_spans_call own; /* events of the run itself */
} life;

struct tm_spans {
  tm_spans_of of;
  tm_arena one; /* of a record */
  tm_map calls; /* place -> tm_spans_call that has not ended */
  life life;
  char *workflow, *sources, *successor;
  int64_t copied; /* records behind the START that are another run's */
  int64_t clock;  /* the latest time that a record told */
};

tm_spans *tm_spans_begin(const tm_spans_of *of) {
  tm_spans *s = tm_new(tm_spans);
  s->of = *of;
  tm_arena_init(&s->one, 0);
  tm_arena_init(&s->life.own.arena, 0);
  return s;
}

const char *tm_spans_successor(const tm_spans *s) {
  return s->successor;
}

tm_otlp_span_id tm_spans_root(const tm_spans *s) {
  return s->life.root;
}

static void free_call(tm_spans_call *c) {
  tm_arena_free(&c->arena);
  tm_free(c);
}

static void forget_calls(tm_spans *s) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&s->calls, &i));)
    free_call(e->value);
  tm_map_free(&s->calls);
}

void tm_spans_free(tm_spans **out) {
  tm_spans *s = *out;
  *out = NULL;
  if (!s)
    return;
  forget_calls(s);
  tm_arena_free(&s->life.own.arena);
  tm_arena_free(&s->one);
  tm_free(s->workflow);
  tm_free(s->sources);
  tm_free(s->successor);
  tm_free(s);
}

static void emit(tm_spans *s, const tm_otlp_record *span) {
  if (!s->of.out)
    return;
  if (s->of.out->len)
    tm_buf_putc(s->of.out, ',');
  tm_json_print(s->of.out, tm_otlp_json(&s->one, span));
}

static int64_t at_of(const tm_json *body) {
  return tm_json_int(tm_json_get(body, "at"), 0);
}

static void hear(tm_spans *s, int64_t time) {
  s->clock = time > s->clock ? time : s->clock;
}

/* -- the run --------------------------------------------------------------------------- */

static void begin_life(tm_spans *s, const tm_record *r, int64_t at) {
  life *l = &s->life, was = *l;
  tm_arena own = l->own.arena;
  tm_arena_reset(&own);
  *l = (life){.root = tm_otlp_span("run", s->of.run, r->chain),
              .began = at,
              .own = {.arena = own},
              .linked = r->seq > 0};
  if (r->seq > 0)
    l->before = (tm_otlp_link){.trace = s->of.trace, .span = was.root};
}

static void put_origin(tm_spans *s, const tm_json *start) {
  s->copied = tm_json_int(tm_json_get(tm_json_get(start, "fork"), "copied"), 0);
  s->workflow = tm_strdup(tm_json_get_str(start, "workflow"));
  s->sources = tm_strdup(tm_json_get_str(start, "closure"));
}

static void start(tm_spans *s, const tm_record *r, const tm_json *body) {
  begin_life(s, r, at_of(body));
  put_origin(s, body);
  if (s->of.content) {
    tm_json *list = tm_json_new_array(&s->one);
    tm_otlp_put_value(&s->one, list, "tidemill.input", tm_json_get(body, "input"));
    tm_spans_call_event(&s->life.own, at_of(body), "input", list);
  }
}

static bool has_failed(const tm_json *end) {
  const char *state = tm_json_get_str(end, "state");
  return state && strcmp(state, "failed") == 0;
}

static tm_json *root_attributes(tm_spans *s, const tm_json *end) {
  tm_arena *a = &s->one;
  tm_json *out = tm_json_new_array(a);
  const tm_json *calls = tm_json_get(end, "llm_calls"), *usd = tm_json_get(end, "usd");
  tm_otlp_put_text(a, out, "gen_ai.operation.name", "invoke_workflow");
  tm_otlp_put_text(a, out, "gen_ai.workflow.name", s->workflow);
  tm_otlp_put_text(a, out, "tidemill.run.id", s->of.run);
  tm_otlp_put_text(a, out, "tidemill.run.state", tm_json_get_str(end, "state"));
  tm_otlp_put_text(a, out, "tidemill.run.sources", s->sources);
  tm_otlp_put_text(a, out, "tidemill.run.continued", tm_json_get_str(end, "continued"));
  if (calls)
    tm_otlp_put_int(a, out, "tidemill.run.llm_calls", tm_json_int(calls, 0));
  if (usd) /* a run's own sum: its calls have theirs under another name */
    tm_otlp_put_double(a, out, "tidemill.run.cost.usd", tm_json_number(usd, 0));
  if (has_failed(end))
    tm_otlp_put_text(a, out, "error.type", tm_spans_error_type(tm_json_get(end, "e")));
  if (s->of.content)
    tm_otlp_put_value(a, out, "tidemill.result", tm_json_get(end, "v"));
  return out;
}

static void emit_root(tm_spans *s, const tm_json *end) {
  const life *l = &s->life;
  tm_otlp_record span = {
      .trace = s->of.trace,
      .id = l->root,
      .parent = s->of.parent,
      .name = tm_arena_printf(&s->one, "invoke_workflow %s", s->workflow ? s->workflow : "?"),
      .kind = TM_OTLP_INTERNAL,
      .start = l->began,
      .end = s->clock,
      .attributes = root_attributes(s, end),
      .events = l->own.events,
      .dropped_events = l->own.dropped,
      .link = l->linked ? &l->before : s->of.link,
      .failed = has_failed(end),
      .message = tm_spans_error_message(tm_json_get(end, "e"), s->of.content)};
  emit(s, &span);
}

/* -- calls ----------------------------------------------------------------------------- */

static tm_spans_call *call_at(tm_spans *s, const tm_record *r) {
  tm_spans_call *c = tm_map_get(&s->calls, r->place);
  if (c)
    return c;
  c = tm_new(tm_spans_call);
  tm_arena_init(&c->arena, 0);
  c->id = tm_otlp_span("call", s->of.run, r->chain);
  c->place = tm_arena_strdup(&c->arena, r->place);
  c->seq = r->seq;
  tm_map_set(&s->calls, r->place, c);
  return c;
}

static void tell_child(tm_spans *s, const tm_spans_call *c) {
  if (c->child && s->of.child)
    s->of.child(s->of.ctx, c->child, c->id.hex);
}

/* When it was done: journals from before that was kept say only how long it took. What it consists of
 * may seem to end a millisecond later, for its length is measured by another clock. */
static int64_t end_of(const tm_spans *s, const tm_spans_call *c, const tm_json *end) {
  int64_t at = at_of(end), ms = tm_json_int(tm_json_get(end, "ms"), 0);
  int64_t start = c->start ? c->start : s->clock;
  int64_t done = at ? at : start + ms;
  return done > c->last ? done : c->last;
}

/* Without an OPEN the time that it took goes back from its end, at most to the run's begin. */
static int64_t start_of(const tm_spans *s, const tm_spans_call *c, const tm_json *end,
                        int64_t ended) {
  int64_t start = ended - tm_json_int(tm_json_get(end, "ms"), 0);
  if (c->opened)
    return c->start;
  if (!end)
    return c->start ? c->start : s->life.began;
  if (c->start && c->start < start)
    start = c->start;
  return start > s->life.began ? start : s->life.began;
}

/* `end` NULL: its run is over, and it is not. */
static void emit_call(tm_spans *s, const tm_spans_call *c, const tm_json *end, int64_t ended) {
  const tm_json *error = tm_json_get(end, "e");
  tm_otlp_record span = {
      .trace = s->of.trace,
      .id = c->id,
      .parent = s->life.root.hex,
      .name = tm_spans_call_title(c, &s->one, tm_json_get(end, "m")),
      .kind = tm_spans_call_kind(c),
      .start = start_of(s, c, end, ended),
      .end = ended,
      .attributes = tm_spans_call_attributes(c, &s->one, s->of.run, end, s->of.content),
      .events = c->events,
      .dropped_events = c->dropped,
      .failed = error != NULL,
      .message = tm_spans_error_message(error, s->of.content)};
  emit(s, &span);
}

static void opened(tm_spans *s, const tm_record *r, const tm_json *body) {
  bool first = !tm_map_get(&s->calls, r->place);
  tm_spans_call *c = call_at(s, r);
  int64_t at = at_of(body);
  const char *what = tm_json_get(body, "back")    ? "backoff"
                     : tm_json_get(body, "gate")  ? "gate.opened"
                     : tm_json_get(body, "epoch") ? "intent"
                                                  : NULL;
  hear(s, at);
  tm_spans_call_see(c, r, body, s->of.content);
  if (first) {
    c->start = at;
    c->opened = true;
  }
  c->last = at;
  if (what)
    tm_spans_call_event(c, at, what, NULL);
  tell_child(s, c);
}

static void decided(tm_spans *s, const tm_record *r, const tm_json *body) {
  tm_spans_call *c = call_at(s, r);
  tm_json *list = tm_json_new_array(&s->one);
  tm_spans_call_see(c, r, body, s->of.content);
  tm_otlp_put_text(&s->one, list, "tidemill.gate.state", c->gate);
  if (s->of.content) {
    tm_otlp_put_text(&s->one, list, "tidemill.gate.by", tm_json_get_str(body, "by"));
    tm_otlp_put_value(&s->one, list, "tidemill.gate.answer", tm_json_get(body, "answer"));
  }
  hear(s, at_of(body));
  tm_spans_call_event(c, at_of(body), "gate.decided", list);
}

static void emit_attempt(tm_spans *s, const tm_spans_call *c, const tm_record *r,
                         const tm_json *attempt, int64_t at, int64_t ended) {
  const tm_json *error = tm_json_get(attempt, "error");
  tm_otlp_record span = {
      .trace = s->of.trace,
      .id = tm_otlp_span("attempt", s->of.run, r->chain),
      .parent = c->id.hex,
      .name = "attempt",
      .kind = TM_OTLP_CLIENT,
      .start = at,
      .end = ended,
      .attributes = tm_spans_attempt_attributes(&s->one, s->of.run, attempt, s->of.content),
      .failed = error != NULL,
      .message = tm_spans_error_message(error, s->of.content)};
  emit(s, &span);
}

static void attempted(tm_spans *s, const tm_record *r, const tm_json *body) {
  tm_spans_call *c = call_at(s, r);
  const tm_json *attempt = tm_json_get(body, "a");
  const char *kind = tm_json_get_str(body, "k");
  tm_spans_call_see(c, r, body, s->of.content);
  if (!tm_json_get(attempt, "provider")) { /* a verb in an action's body */
    hear(s, at_of(body));
    tm_spans_call_event(c, at_of(body) ? at_of(body) : s->clock, kind ? kind : "?",
                        tm_spans_verb_attributes(&s->one, kind, attempt, s->of.content));
    return;
  }
  int64_t at = at_of(attempt);
  int64_t ended = at + tm_json_int(tm_json_get(attempt, "latency_ms"), 0);
  c->start = c->start ? c->start : at;
  c->last = ended;
  hear(s, ended);
  emit_attempt(s, c, r, attempt, at, ended);
}

static void finished(tm_spans *s, const tm_record *r, const tm_json *body) {
  tm_spans_call *c = call_at(s, r);
  tm_spans_call_see(c, r, body, s->of.content);
  tell_child(s, c);
  int64_t ended = end_of(s, c, body);
  hear(s, ended);
  emit_call(s, c, body, ended);
  tm_map_remove(&s->calls, r->place);
  free_call(c);
}

/* -- what happens to a run ------------------------------------------------------------- */

static void logged(tm_spans *s, const tm_json *body) {
  const tm_json *v = tm_json_get(body, "v");
  tm_json *list = tm_json_new_array(&s->one);
  tm_otlp_put_text(&s->one, list, "tidemill.log.where", tm_json_get_str(body, "w"));
  if (s->of.content) {
    tm_otlp_put_value(&s->one, list, "tidemill.log.message", tm_json_get(v, "message"));
    tm_otlp_put_value(&s->one, list, "tidemill.log.fields", tm_json_get(v, "fields"));
  }
  tm_spans_call_event(&s->life.own, s->clock, "log", list);
}

static void noted(tm_spans *s, const tm_json *body) {
  const char *kind = tm_json_get_str(body, "k");
  if (kind && strcmp(kind, "now") == 0)
    hear(s, tm_json_int(tm_json_get(body, "v"), 0));
  if (kind && strcmp(kind, "log") == 0)
    logged(s, body);
}

static void happened(tm_spans *s, const tm_json *body, const char *what) {
  hear(s, at_of(body));
  tm_spans_call_event(&s->life.own, at_of(body), what, NULL);
}

static void ended(tm_spans *s, const tm_json *body) {
  tm_map_entry *e;
  s->life.over = true;
  hear(s, at_of(body));
  for (size_t i = 0; (e = tm_map_next(&s->calls, &i));)
    emit_call(s, e->value, NULL, at_of(body));
  forget_calls(s);
  emit_root(s, body);
  tm_free(s->successor);
  s->successor = tm_strdup(tm_json_get_str(body, "continued"));
}

static void take(tm_spans *s, const tm_record *r, const tm_json *body) {
  switch ((tm_record_kind)r->kind) {
  case TM_RECORD_START:
    start(s, r, body);
    break;
  case TM_RECORD_NOTE:
    noted(s, body);
    break;
  case TM_RECORD_OPEN:
    opened(s, r, body);
    break;
  case TM_RECORD_ATTEMPT:
    attempted(s, r, body);
    break;
  case TM_RECORD_DECIDED:
    decided(s, r, body);
    break;
  case TM_RECORD_DONE:
  case TM_RECORD_FAIL:
    finished(s, r, body);
    break;
  case TM_RECORD_CANCEL:
    happened(s, body, "cancel");
    break;
  case TM_RECORD_REPIN:
    happened(s, body, "repin");
    tm_free(s->sources);
    s->sources = tm_strdup(tm_json_get_str(body, "now"));
    break;
  case TM_RECORD_RETRY:
    hear(s, at_of(body));
    forget_calls(s);
    begin_life(s, r, at_of(body));
    break;
  case TM_RECORD_END:
    ended(s, body);
    break;
  case TM_RECORD_KIND_COUNT:
    break;
  }
}

void tm_spans_record(tm_spans *s, const tm_record *r, const tm_json *body) {
  tm_arena_reset(&s->one);
  hear(s, r->seq == 0 ? at_of(body) : 0);
  if (r->seq == 0 || r->seq > s->copied)
    take(s, r, body);
}
