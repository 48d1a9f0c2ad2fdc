/* api_usage.c - tokens and money by model, workflow, unit or day: sums over the journals.
 *
 * What is not known is told as such: a count that no server gave is null, an attempt whose price
 * is not known stands in `unpriced` and not as 0 in `usd`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/asked.h"
#include "face/api.h"

static const char *const counts[] = {"input", "cached_input", "cache_write", "output",
                                     "reasoning"};
#define COUNTS (sizeof counts / sizeof *counts)

typedef struct sums {
  const char *key;
  int64_t calls, attempts, failed, untold, unpriced;
  int64_t tokens[COUNTS]; /* -1: nobody told */
  double usd;
  bool priced;
} sums;

typedef enum grouping { BY_MODEL, BY_WORKFLOW, BY_UNIT, BY_DAY, GROUPINGS } grouping;
static const char *const words[GROUPINGS] = {"model", "workflow", "unit", "day"};

typedef struct counting {
  grouping by;
  tm_arena arena; /* of the sums */
  tm_map groups;  /* key -> sums */
  sums total;
  char run[64]; /* whose calls are in `seen` */
  tm_map seen;  /* "KEY place": the call is counted in that group; " place": in the total */
  tm_buf name;
} counting;

static void begin(sums *s, const char *key) {
  *s = (sums){.key = key};
  for (size_t i = 0; i < COUNTS; i++)
    s->tokens[i] = -1;
}

static const char *key_of(counting *x, const tm_asked *a) {
  char time[TM_CLOCK_TEXT];
  const char *provider = tm_json_get_str(a->body, "provider");
  const char *model = tm_json_get_str(a->body, "model");
  switch (x->by) {
  case BY_WORKFLOW:
    return a->run->workflow;
  case BY_UNIT:
    return a->unit;
  case BY_DAY:
    tm_clock_format(a->at, time);
    tm_buf_reset(&x->name);
    tm_buf_printf(&x->name, "%.10s", time);
    return tm_buf_str(&x->name);
  default:
    tm_buf_reset(&x->name);
    tm_buf_printf(&x->name, "%s/%s", provider ? provider : "?", model ? model : "?");
    return tm_buf_str(&x->name);
  }
}

static sums *group_of(counting *x, const char *key) {
  sums *s = tm_map_get(&x->groups, key);
  if (!s) {
    s = tm_arena_new(&x->arena, sums);
    begin(s, tm_arena_strdup(&x->arena, key));
    tm_map_set(&x->groups, key, s);
  }
  return s;
}

/* One call is several attempts, perhaps at several models: it counts once for each of them, and
 * once in all. */
static void add_call(counting *x, sums *s, const char *key, const char *place) {
  static const char mark = 0;
  tm_buf name = TM_BUF_INIT;
  tm_buf_printf(&name, "%s %s", key, place);
  if (!tm_map_set(&x->seen, tm_buf_str(&name), (void *)(uintptr_t)&mark))
    s->calls++;
  tm_buf_free(&name);
}

static void add(sums *s, const tm_json *attempt) {
  const tm_json *usage = tm_json_get(attempt, "usage"), *usd = tm_json_get(attempt, "usd");
  bool told = usage && tm_json_type_of(usage) == TM_JSON_OBJECT;
  bool failed = tm_json_get(attempt, "error") != NULL;
  double n = tm_json_number(usd, -1);
  s->attempts++;
  s->failed += failed;
  s->untold += !told;
  for (size_t i = 0; told && i < COUNTS; i++) {
    int64_t tokens = tm_json_int(tm_json_get(usage, counts[i]), -1);
    if (tokens >= 0)
      s->tokens[i] = (s->tokens[i] < 0 ? 0 : s->tokens[i]) + tokens;
  }
  if (n >= 0) {
    s->usd += n;
    s->priced = true;
  } else if (told || !failed) { /* one that failed without a word of tokens has no price */
    s->unpriced++;
  }
}

static int count(void *ctx, const tm_asked *a) {
  counting *x = ctx;
  if (a->kind != TM_RECORD_ATTEMPT)
    return 0;
  if (strcmp(x->run, a->run->id) != 0) {
    tm_map_free(&x->seen);
    snprintf(x->run, sizeof x->run, "%s", a->run->id);
  }
  const char *key = key_of(x, a);
  sums *s = group_of(x, key);
  add_call(x, s, key, a->place);
  add_call(x, &x->total, "", a->place);
  add(s, a->body);
  add(&x->total, a->body);
  return 0;
}

/* -- the document ---------------------------------------------------------------------- */

static tm_json *sums_json(tm_arena *a, const sums *s, const char *key) {
  tm_json *o = tm_json_new_object(a), *tokens = tm_json_new_object(a);
  if (key)
    tm_json_set_str(a, o, key, s->key);
  tm_json_set_int(a, o, "calls", s->calls);
  tm_json_set_int(a, o, "attempts", s->attempts);
  tm_json_set_int(a, o, "failed", s->failed);
  for (size_t i = 0; i < COUNTS; i++)
    tm_json_set(a, tokens, counts[i],
                s->tokens[i] < 0 ? tm_json_null(a) : tm_json_new_int(a, s->tokens[i]));
  tm_json_set(a, o, "tokens", tokens);
  tm_json_set_int(a, o, "untold", s->untold);
  tm_json_set(a, o, "usd",
              s->priced || !s->attempts ? tm_json_new_double(a, s->usd) : tm_json_null(a));
  tm_json_set_int(a, o, "unpriced", s->unpriced);
  return o;
}

static int by_key(const void *a, const void *b) {
  return strcmp((*(sums *const *)a)->key, (*(sums *const *)b)->key);
}

/* Days in their order, the rest by cost, the dearest first. */
static int by_cost(const void *a, const void *b) {
  const sums *x = *(sums *const *)a, *y = *(sums *const *)b;
  return x->usd != y->usd ? (x->usd < y->usd ? 1 : -1) : by_key(a, b);
}

static tm_json *rows_json(counting *x, tm_arena *a) {
  tm_json *rows = tm_json_new_array(a);
  sums **list = tm_arena_array(a, sums *, x->groups.count + 1);
  size_t n = 0;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&x->groups, &i));)
    list[n++] = e->value;
  qsort(list, n, sizeof *list, x->by == BY_DAY ? by_key : by_cost);
  for (size_t i = 0; i < n; i++)
    tm_json_push(a, rows, sums_json(a, list[i], words[x->by]));
  return rows;
}

/* -- what is asked for ----------------------------------------------------------------- */

/* A day, or a time, of the options; a day counts whole. -1: it is neither. */
static int read_time(int64_t *out, const tm_json *opts, const char *key, bool end,
                     tm_err *err) {
  const tm_json *v = tm_json_get(opts, key);
  const char *text = tm_json_str(v, NULL);
  *out = 0;
  if (!v)
    return 0;
  *out = text ? tm_clock_parse(text) : -1;
  if (*out < 0)
    return tm_err_set(err, TM_USAGE,
                      "%s: expected a day or a time in UTC, such as 2026-11-20 or "
                      "2026-11-20T08:00:00Z, not %.60s",
                      key, text ? text : "something that is no text");
  if (end && strlen(text) == 10)
    *out += INT64_C(86400000);
  return 0;
}

static int read_options(counting *x, tm_asked_filter *f, const tm_json *opts, tm_err *err) {
  static const char *const known[] = {"by", "since", "until", "workflow", NULL};
  const tm_json *by = tm_json_get(opts, "by");
  const char *word = by ? tm_json_str(by, NULL) : "model";
  if (tm_api_members(opts, known, "the options of \"usage\"", err) < 0 ||
      read_time(&f->since, opts, "since", false, err) < 0 ||
      read_time(&f->until, opts, "until", true, err) < 0)
    return -1;
  f->workflow = tm_json_get_str(opts, "workflow");
  for (x->by = 0; x->by < GROUPINGS; x->by++)
    if (word && strcmp(word, words[x->by]) == 0)
      break;
  if (x->by == GROUPINGS)
    return tm_err_set(err, TM_USAGE,
                      "usage is told by model, workflow, unit or day, not by \"%.60s\"",
                      word ? word : "something that is no text");
  if (f->since && f->until && f->since >= f->until)
    return tm_err_set(err, TM_USAGE, "since is not before until: there is no time in between");
  return 0;
}

int tm_api_usage(tm_json **out, tm_arena *a, tidemill *t, const char *run, const tm_json *opts,
                 tm_err *err) {
  static const char *const told[] = {"since", "until", "workflow"};
  counting x = {0};
  tm_asked_filter f = {.run = run};
  if (read_options(&x, &f, opts, err) < 0)
    return -1;
  tm_arena_init(&x.arena, 0);
  begin(&x.total, NULL);
  int rc = tm_asked_each(t->store, &f, count, &x, err);
  tm_json *o = *out = tm_json_new_object(a);
  tm_json_set_str(a, o, "schema", "tidemill.usage/1");
  if (run)
    tm_json_set_str(a, o, "run", run);
  tm_json_set_str(a, o, "by", words[x.by]);
  for (size_t i = 0; i < sizeof told / sizeof *told; i++)
    if (tm_json_get(opts, told[i]))
      tm_json_set(a, o, told[i], tm_json_get(opts, told[i]));
  tm_json_set(a, o, "rows", rows_json(&x, a));
  tm_json_set(a, o, "total", sums_json(a, &x.total, NULL));
  tm_buf_free(&x.name);
  tm_map_free(&x.seen);
  tm_map_free(&x.groups);
  tm_arena_free(&x.arena);
  return rc;
}
