/* asked.c - what models were asked and what came back, read off the journals. */
#include "engine/asked.h"

#include <string.h>

typedef struct reading {
  tm_store *store;
  const tm_asked_filter *filter;
  tm_asked_fn fn;
  void *ctx;
  const tm_run_row *run;
  tm_map times;      /* place -> int64_t in `own`: its call's last attempt */
  tm_arena own, one; /* of a run, of a record */
  bool stopped;
  tm_err *err;
} reading;

/* The engine writes `k` first; so what is no model's need not be parsed, however long it is. */
static bool about_a_model(const tm_record *r) {
  static const char *const heads[] = {"{\"k\":\"llm\"", "{\"k\":\"embed\""};
  if (r->kind != TM_RECORD_ATTEMPT && r->kind != TM_RECORD_DONE && r->kind != TM_RECORD_FAIL)
    return false;
  for (size_t i = 0; i < 2; i++)
    if (r->body_len > strlen(heads[i]) && memcmp(r->body, heads[i], strlen(heads[i])) == 0)
      return true;
  return false;
}

static void keep_time(reading *x, const char *place, int64_t at) {
  int64_t *time = tm_map_get(&x->times, place);
  if (!time) {
    time = tm_arena_new(&x->own, int64_t);
    tm_map_set(&x->times, place, time);
  }
  *time = at;
}

static int tell(reading *x, const tm_record *r, const tm_json *body, int64_t at) {
  const tm_asked_filter *f = x->filter;
  if (at < f->since || (f->until && at >= f->until))
    return 0;
  tm_asked a = {.run = x->run,
                .seq = r->seq,
                .kind = (tm_record_kind)r->kind,
                .place = r->place,
                .unit = r->name,
                .body = body,
                .at = at};
  x->stopped = x->fn(x->ctx, &a) != 0;
  return x->stopped;
}

static int read_record(void *ctx, const tm_record *r) {
  reading *x = ctx;
  tm_json *body;
  tm_json_opts opts = {.max_depth = TM_JSON_DEPTH + 8};
  if (!about_a_model(r))
    return 0;
  tm_arena_reset(&x->one);
  if (tm_json_parse(&body, &x->one, r->body, r->body_len, &opts, x->err) < 0) {
    tm_err_wrap(x->err, "record %lld of run %s", (long long)r->seq, x->run->id);
    return x->stopped = true;
  }
  if (r->kind == TM_RECORD_ATTEMPT) {
    const tm_json *attempt = tm_json_get(body, "a");
    int64_t at = tm_json_int(tm_json_get(attempt, "at"), x->run->created);
    keep_time(x, r->place, at);
    return tell(x, r, attempt, at);
  }
  /* Without an attempt nobody was asked: the budget refused, or a fork shares the result. */
  const int64_t *at = tm_map_get(&x->times, r->place);
  const tm_json *meta = tm_json_get(body, "m");
  return at && meta ? tell(x, r, meta, *at) : 0;
}

static bool has_ended(const tm_run_row *row) {
  static const char *const open[] = {"queued", "running", "waiting"};
  for (size_t i = 0; i < sizeof open / sizeof *open; i++)
    if (strcmp(row->state, open[i]) == 0)
      return false;
  return true;
}

static int read_run(void *ctx, const tm_run_row *row) {
  reading *x = ctx;
  if (has_ended(row) && row->updated < x->filter->since)
    return 0;
  x->run = row;
  tm_map_free(&x->times);
  tm_arena_reset(&x->own);
  if (x->store->vt->journal(x->store, row->id, 0, read_record, x, x->err) < 0)
    return x->stopped = true;
  return x->stopped;
}

int tm_asked_each(tm_store *s, const tm_asked_filter *f, tm_asked_fn fn, void *ctx,
                  tm_err *err) {
  reading x = {.store = s, .filter = f, .fn = fn, .ctx = ctx, .err = err};
  tm_run_filter runs = {.id = f->run, .workflow = f->workflow, .limit = f->newest};
  tm_arena_init(&x.own, 0);
  tm_arena_init(&x.one, 0);
  int rc = s->vt->runs(s, &runs, read_run, &x, err);
  tm_map_free(&x.times);
  tm_arena_free(&x.one);
  tm_arena_free(&x.own);
  return rc < 0 || err->code != TM_OK ? -1 : 0;
}
