/* api_drift.c - did the model answer that was asked, and still the same one?
 *
 *   unit, model asked ─┬─ gpt-4.1-2025-04-14, fp_1   first … last, calls     a variant
 *                      └─ gpt-4.1-2026-09-30, fp_2   first … last, calls     a second one: drift
 *
 * A name without a date is the provider's to move; what a journal says of who answered is the
 * only trace. Read off the metas of calls (law 6), of a bounded number of runs. The names are
 * compared as texts: a date, a revision or ":latest" behind the name asked is that model.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "engine/asked.h"
#include "face/api.h"

#define NEWEST_OF_ALL 1000 /* runs that are looked at */
#define NEWEST_BESIDE 10   /* runs of the same workflow that one run is held against */
#define TOLD          4    /* variants in a sentence, the latest */

typedef struct variant {
  struct variant *next;
  const char *answered, *fingerprint; /* fingerprint NULL: not told */
  int64_t calls, first, last;
} variant;

typedef struct pair {
  const char *unit, *model;
  variant *variants;
  size_t count;
  bool here; /* asked in the run that is looked at */
} pair;

typedef struct looking {
  tm_arena arena;
  tm_map pairs;    /* "UNIT MODEL" -> pair */
  const char *run; /* or NULL: all */
  bool beside;     /* its own calls are in already */
  tm_buf name;
} looking;

/* -- whose answer it is ------------------------------------------------------------------ */

static const char *bare(const char *name) {
  return strncmp(name, "models/", 7) == 0 ? name + 7 : name;
}

/* Is the name that answered that of the model asked, perhaps with its date or revision? */
static bool same_model(const char *asked, const char *answered) {
  asked = bare(asked);
  answered = bare(answered);
  size_t n = strlen(asked), latest = strlen("-latest");
  if (n > latest && strcmp(asked + n - latest, "-latest") == 0)
    n -= latest;
  if (strncmp(asked, answered, n) != 0)
    return false;
  const char *rest = answered + n;
  if (!*rest || strcmp(rest, ":latest") == 0)
    return true;
  return strchr("-@", *rest) && isdigit((unsigned char)rest[1]) &&
         rest[1 + strspn(rest + 1, "0123456789-")] == '\0';
}

/* -- gathering --------------------------------------------------------------------------- */

static pair *pair_of(looking *x, const char *unit, const char *model) {
  tm_buf_reset(&x->name);
  tm_buf_printf(&x->name, "%s %s", unit, model);
  pair *p = tm_map_get(&x->pairs, tm_buf_str(&x->name));
  if (!p) {
    p = tm_arena_new(&x->arena, pair);
    p->unit = tm_arena_strdup(&x->arena, unit);
    p->model = tm_arena_strdup(&x->arena, model);
    tm_map_set(&x->pairs, tm_buf_str(&x->name), p);
  }
  return p;
}

static bool same(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static variant *variant_of(looking *x, pair *p, const char *answered, const char *fingerprint) {
  for (variant *v = p->variants; v; v = v->next)
    if (same(v->answered, answered) && same(v->fingerprint, fingerprint))
      return v;
  variant *v = tm_arena_new(&x->arena, variant);
  v->answered = tm_arena_strdup(&x->arena, answered);
  v->fingerprint = tm_arena_strdup(&x->arena, fingerprint);
  v->first = INT64_MAX;
  v->next = p->variants;
  p->variants = v;
  p->count++;
  return v;
}

static int gather(void *ctx, const tm_asked *a) {
  looking *x = ctx;
  const char *model = tm_json_get_str(a->body, "model");
  const char *answered = tm_json_get_str(a->body, "model_answered");
  const char *provider = tm_json_get_str(a->body, "provider");
  bool cassette =
      provider && strcmp(provider, "cassette") == 0; /* plays another one's answers */
  if (a->kind == TM_RECORD_ATTEMPT || !model || !answered || cassette ||
      (x->beside && strcmp(a->run->id, x->run) == 0))
    return 0;
  pair *p = pair_of(x, a->unit, model);
  variant *v = variant_of(x, p, answered, tm_json_get_str(a->body, "fingerprint"));
  p->here = p->here || !x->beside;
  v->calls++;
  v->first = a->at < v->first ? a->at : v->first;
  v->last = a->at > v->last ? a->at : v->last;
  return 0;
}

/* The run's own calls; or, without one, everybody's. Then those of the runs beside it. */
static int read_journals(looking *x, tm_store *s, const tm_run_row *row, tm_err *err) {
  tm_asked_filter own = {.run = x->run, .newest = x->run ? 0 : NEWEST_OF_ALL};
  if (tm_asked_each(s, &own, gather, x, err) < 0 || !row)
    return err->code == TM_OK ? 0 : -1;
  tm_asked_filter others = {.workflow = row->workflow, .newest = NEWEST_BESIDE};
  x->beside = true;
  return tm_asked_each(s, &others, gather, x, err);
}

/* -- telling ----------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b) {
  const variant *x = *(variant *const *)a, *y = *(variant *const *)b;
  return x->first != y->first ? (x->first < y->first ? -1 : 1)
                              : strcmp(x->answered, y->answered);
}

/* "2026-10-02", or with the time when all of it was on one day. */
static void put_time(tm_buf *b, int64_t ms, bool one_day) {
  char text[TM_CLOCK_TEXT];
  tm_clock_format(ms, text);
  if (one_day)
    tm_buf_printf(b, "%.10s %.5s", text, text + 11);
  else
    tm_buf_printf(b, "%.10s", text);
}

static void put_variant(tm_buf *b, const variant *v) {
  tm_buf_printf(b, "as %s", v->answered);
  if (v->fingerprint)
    tm_buf_printf(b, " (%s)", v->fingerprint);
}

/* "as A until 2026-10-02, as B since 2026-10-02"; of those that overlap, "as A and as B by turns". */
static void put_story(tm_buf *b, variant **list, size_t n) {
  const int64_t day = 86400000;
  bool one_day = list[0]->first / day == list[n - 1]->last / day, turns = false;
  size_t from = n > TOLD ? n - TOLD : 0;
  for (size_t i = 0; i + 1 < n; i++)
    turns = turns || list[i]->last > list[i + 1]->first;
  if (from)
    tm_buf_printf(b, "in %zu ways, lately ", n);
  for (size_t i = from; i < n; i++) {
    bool last = i + 1 == n;
    tm_buf_puts(b, i == from ? "" : turns && last ? " and " : ", ");
    put_variant(b, list[i]);
    if (!turns && (last || n > 1)) {
      tm_buf_puts(b, last ? " since " : " until ");
      put_time(b, last ? list[i]->first : list[i]->last, one_day);
    }
  }
  if (turns)
    tm_buf_puts(b, " by turns");
}

static tm_json *answers_json(tm_arena *a, variant **list, size_t n) {
  tm_json *answers = tm_json_new_array(a);
  char text[TM_CLOCK_TEXT];
  for (size_t i = 0; i < n; i++) {
    tm_json *o = tm_json_new_object(a);
    tm_json_set_str(a, o, "answered", list[i]->answered);
    tm_json_set_str(a, o, "fingerprint", list[i]->fingerprint);
    tm_json_set_int(a, o, "calls", list[i]->calls);
    tm_clock_format(list[i]->first, text);
    tm_json_set_str(a, o, "first", text);
    tm_clock_format(list[i]->last, text);
    tm_json_set_str(a, o, "last", text);
    tm_json_push(a, answers, o);
  }
  return answers;
}

/* The pair as a finding; NULL: one model answered, and it is the one that was asked. */
static tm_json *finding_of(tm_arena *a, const pair *p) {
  variant **list = tm_arena_array(a, variant *, p->count);
  const char *name = strchr(p->model, '/');
  bool other = false;
  size_t n = 0;
  for (variant *v = p->variants; v; v = v->next) {
    list[n++] = v;
    other = other || !same_model(name ? name + 1 : p->model, v->answered);
  }
  if (!other && n < 2)
    return NULL;
  qsort(list, n, sizeof *list, by_time);
  tm_buf b = TM_BUF_INIT;
  tm_json *o = tm_json_new_object(a);
  tm_buf_printf(&b, "%s: %s answered ", p->unit, p->model);
  put_story(&b, list, n);
  if (other)
    tm_buf_puts(&b, ", which is another model");
  tm_json_set_str(a, o, "unit", p->unit);
  tm_json_set_str(a, o, "model", p->model);
  tm_json_set_bool(a, o, "other", other);
  tm_json_set_bool(a, o, "drift", n > 1);
  tm_json_set_str(a, o, "message", tm_buf_str(&b));
  tm_json_set(a, o, "answers", answers_json(a, list, n));
  tm_buf_free(&b);
  return o;
}

int tm_api_drift(tm_json **out, tm_arena *a, tidemill *t, const tm_run_row *row, tm_err *err) {
  looking x = {.run = row ? row->id : NULL};
  tm_json *findings = tm_json_new_array(a);
  tm_map_entry *e;
  tm_arena_init(&x.arena, 0);
  int rc = read_journals(&x, t->store, row, err);
  for (size_t i = 0; rc == 0 && (e = tm_map_next(&x.pairs, &i));) {
    const pair *p = e->value;
    tm_json *finding = p->here ? finding_of(a, p) : NULL;
    if (finding)
      tm_json_push(a, findings, finding);
  }
  *out = tm_json_new_object(a);
  tm_json_set_str(a, *out, "schema", "tidemill.drift/1");
  if (x.run)
    tm_json_set_str(a, *out, "run", x.run);
  tm_json_set(a, *out, "findings", findings);
  tm_buf_free(&x.name);
  tm_map_free(&x.pairs);
  tm_arena_free(&x.arena);
  return rc;
}
