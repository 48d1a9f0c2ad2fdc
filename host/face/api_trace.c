/* api_trace.c - a run and those that it began, as one trace.
 *
 *   order          invoke_workflow order        the trace of the run that nobody began
 *   └ order:4      └ call notify
 *     └ …              └ invoke_workflow notify its span hangs under the call that began it
 *
 * The id of a trace is of the uppermost run, so a child gives the same spans whether it is asked for
 * by itself or with its family. A fork, and a run that goes on by mill.continue_as, is a trace of its
 * own, with a link to the run before it.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/wake.h"
#include "face/api.h"
#include "face/spans.h"

#define TRACE_BYTES ((size_t)256 << 20)
#define TRACE_UP    1000 /* runs above one: more are no family, but a loop of a damaged database */

/* -- what a run begins with -------------------------------------------------------------- */

typedef struct first {
  tm_arena *arena;
  const char *chain, *parent, *fork; /* parent: who called or started it */
  tm_err *err;
} first;

static int read_first(void *ctx, const tm_record *r) {
  first *f = ctx;
  tm_json *body;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  if (tm_json_parse(&body, f->arena, r->body, r->body_len, &opts, f->err) < 0)
    return 1;
  f->chain = tm_arena_strdup(f->arena, r->chain);
  f->fork = tm_json_get_str(tm_json_get(body, "fork"), "run");
  if (!f->fork)
    f->parent = tm_json_get_str(body, "parent");
  return 1;
}

/* 1: it is there, 0: it is not. */
static int first_of(first *f, tidemill *t, tm_arena *a, const char *run, tm_err *err) {
  *f = (first){.arena = a, .err = err};
  if (t->store->vt->journal(t->store, run, 0, read_first, f, err) < 0 || err->code != TM_OK)
    return -1;
  return f->chain != NULL;
}

/* -- one run ----------------------------------------------------------------------------- */

typedef struct tracing tracing;

/* A run whose spans are wanted. */
typedef struct wanted {
  struct wanted *next;
  const char *run, *parent; /* parent: a span, or NULL */
  const tm_otlp_link *link;
} wanted;

struct tracing {
  tidemill *t;
  tm_arena *arena;
  tm_arena one;
  tm_otlp_trace_id trace;
  bool content;
  tm_buf spans;
  tm_map seen;
  wanted *first, **last;
  const char *sought, *found; /* a child, and the span of the call that began it */
  tm_spans *reading;
  tm_err *err;
};

static void want(tracing *x, const char *run, const char *parent, const tm_otlp_link *link) {
  static char mark;
  if (tm_map_set(&x->seen, run, &mark))
    return;
  wanted *w = tm_arena_new(x->arena, wanted);
  *w = (wanted){.run = tm_arena_strdup(x->arena, run),
                .parent = tm_arena_strdup(x->arena, parent),
                .link = link};
  *x->last = w;
  x->last = &w->next;
}

static void want_child(void *ctx, const char *run, const char *span) {
  want(ctx, run, span, NULL);
}

static void see_child(void *ctx, const char *run, const char *span) {
  tracing *x = ctx;
  if (!x->found && strcmp(run, x->sought) == 0)
    x->found = tm_arena_strdup(x->arena, span);
}

static int read_record(void *ctx, const tm_record *r) {
  tracing *x = ctx;
  tm_json *body;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  tm_arena_reset(&x->one);
  if (tm_json_parse(&body, &x->one, r->body, r->body_len, &opts, x->err) < 0)
    return -1;
  tm_spans_record(x->reading, r, body);
  if (x->spans.len > TRACE_BYTES)
    tm_err_set(x->err, TM_LIMIT,
               "the trace is larger than %zu MiB; `tidemill trace` with the id of a child has "
               "a part of it",
               TRACE_BYTES >> 20);
  return x->err->code != TM_OK || x->found ? 1 : 0;
}

static int read_run(tracing *x, const tm_spans_of *of) {
  x->reading = tm_spans_begin(of);
  int rc = x->t->store->vt->journal(x->t->store, of->run, 0, read_record, x, x->err);
  return rc < 0 || x->err->code != TM_OK ? -1 : 0;
}

/* -- whom it hangs under ------------------------------------------------------------------- */

static int trace_of(tm_otlp_trace_id *out, tracing *x, const char *run) {
  first f;
  int rc = 1;
  for (int up = 0; up < TRACE_UP && (rc = first_of(&f, x->t, x->arena, run, x->err)) > 0;
       up++) {
    *out = tm_otlp_trace(run, f.chain);
    if (!f.parent)
      return 0;
    run = f.parent;
  }
  return rc < 0 ? -1 : 0; /* whoever is above was taken away: what is there counts */
}

/* "r:4" of "r:4~3", the run that goes on for it: calls name the first one. */
static const char *first_name(tm_arena *a, const char *run) {
  const char *tilde = strrchr(run, '~');
  bool number = tilde && tilde[1] && !tilde[1 + strspn(tilde + 1, "0123456789")];
  return number ? tm_arena_strndup(a, run, (size_t)(tilde - run)) : run;
}

/* The span of the call that began the run, in its parent's journal; NULL: there is none. */
static int parent_span(const char **out, tracing *x, const char *run, const char *parent) {
  tm_spans_of of = {.run = parent, .trace = x->trace, .child = see_child, .ctx = x};
  const char *const names[] = {run, first_name(x->arena, run)};
  int rc = 0;
  x->found = NULL;
  for (size_t i = 0; rc == 0 && !x->found && i < 2; i++) {
    x->sought = names[i];
    rc = read_run(x, &of);
    tm_spans_free(&x->reading);
  }
  *out = x->found;
  x->found = NULL;
  return rc;
}

/* The run that went on as this one: "r" of "r~2", "r~2" of "r~3". */
static int predecessor(const char **out, tracing *x, const char *run) {
  const char *base = first_name(x->arena, run), *name = base;
  tm_run_row row;
  *out = NULL;
  if (strcmp(base, run) == 0)
    return 0;
  long n = strtol(run + strlen(base) + 1, NULL, 10);
  if (n > 2)
    name = tm_arena_printf(x->arena, "%s~%ld", base, n - 1);
  int rc = tm_wake_row(x->t->engine, name, x->arena, &row, x->err);
  const char *next = rc > 0 ? tm_wake_successor(&row, x->arena) : NULL;
  if (next && strcmp(next, run) == 0)
    *out = name;
  return rc < 0 ? -1 : 0;
}

/* The first root of that run. */
static int link_to(const tm_otlp_link **out, tracing *x, const char *run) {
  tm_otlp_link *link = tm_arena_new(x->arena, tm_otlp_link);
  first f;
  int rc = first_of(&f, x->t, x->arena, run, x->err);
  if (rc <= 0)
    return rc;
  link->span = tm_otlp_span("run", run, f.chain);
  *out = link;
  return trace_of(&link->trace, x, run);
}

static int find_home(tracing *x, const char *run) {
  first f;
  const char *parent = NULL, *before = NULL;
  const tm_otlp_link *link = NULL;
  if (first_of(&f, x->t, x->arena, run, x->err) < 0 || trace_of(&x->trace, x, run) < 0 ||
      (f.parent && parent_span(&parent, x, run, f.parent) < 0) ||
      (!f.fork && predecessor(&before, x, run) < 0))
    return -1;
  if ((f.fork || before) && link_to(&link, x, f.fork ? f.fork : before) < 0)
    return -1;
  want(x, run, parent, link);
  return 0;
}

/* -- the document -------------------------------------------------------------------------- */

static int read_wanted(tracing *x, const wanted *w) {
  tm_spans_of of = {.run = w->run,
                    .trace = x->trace,
                    .parent = w->parent,
                    .link = w->link,
                    .content = x->content,
                    .out = &x->spans,
                    .child = want_child,
                    .ctx = x};
  int rc = read_run(x, &of);
  const char *next = tm_spans_successor(x->reading);
  if (rc == 0 && next && w->parent) { /* whoever waits for it waits for that one, too */
    const tm_otlp_link *link = NULL;
    rc = link_to(&link, x, w->run);
    want(x, next, w->parent, link);
  }
  tm_spans_free(&x->reading);
  return rc;
}

static void put_resource(tm_buf *out, tm_arena *a, const char *service) {
  tm_json *list = tm_json_new_array(a);
  tm_otlp_put_text(a, list, "service.name", service && *service ? service : "tidemill");
  tm_otlp_put_text(a, list, "telemetry.sdk.name", "tidemill");
  tm_otlp_put_text(a, list, "telemetry.sdk.language", "c");
  tm_otlp_put_text(a, list, "telemetry.sdk.version", tidemill_version());
  tm_buf_puts(out, "{\"resource\":{\"attributes\":");
  tm_json_print(out, list);
  tm_buf_printf(out,
                "},\"scopeSpans\":[{\"scope\":{\"name\":\"tidemill\",\"version\":\"%s\"},"
                "\"spans\":[",
                tidemill_version());
}

int tm_api_trace(tm_buf *out, tm_arena *a, tidemill *t, const char *run, const tm_json *opts,
                 tm_err *err) {
  static const char *const known[] = {"content", "service", NULL};
  tracing x = {.t = t,
               .arena = a,
               .content = tm_json_bool(tm_json_get(opts, "content"), false),
               .err = err};
  if (tm_api_members(opts, known, "the options of \"trace\"", err) < 0)
    return -1;
  tm_arena_init(&x.one, 0);
  x.last = &x.first;
  int rc = find_home(&x, run);
  for (const wanted *w = x.first; rc == 0 && w; w = w->next)
    rc = read_wanted(&x, w);
  tm_buf_puts(out, "{\"resourceSpans\":[");
  if (x.spans.len) { /* of a run that has only begun there is none */
    put_resource(out, a, tm_json_get_str(opts, "service"));
    tm_buf_put(out, x.spans.data, x.spans.len);
    tm_buf_puts(out, "]}]}");
  }
  tm_buf_puts(out, "]}");
  tm_buf_free(&x.spans);
  tm_map_free(&x.seen);
  tm_arena_free(&x.one);
  return rc;
}
