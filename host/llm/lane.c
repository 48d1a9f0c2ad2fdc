/* lane.c - the line in front of a model. */
#include "llm/lane.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "llm/tally.h"

#define NAP_MS    250  /* the clock may be moved meanwhile, or another process write */
#define LANES_MAX 1024 /* a script may name models without end; more are not held up */

struct tm_lane {
  tm_tally *tallies[2]; /* the model's, and the provider's or NULL */
  tm_list line;         /* passes, oldest first */
  tm_breaker_window window;
  bool probing, primed;
  bool blocked; /* in this round of the pump */
  int limited;  /* refusals for the rate in a row */
  tm_tally *held_by;
  const char *what; /* "the rate limit of" */
  int64_t wait_ms;  /* at least; -1: not known */
};

static void pump(void *ctx);

static int64_t now_of(const tm_lanes *l) {
  return tm_clock_wall(l->clock);
}

/* Come round in so many ms, or earlier when that was agreed on before. */
static void schedule(tm_lanes *l, int64_t ms) {
  int64_t at = tm_clock_ns() + ms * 1000000;
  if (l->timer && l->timer_ns <= at)
    return;
  tm_timer_cancel(&l->timer);
  l->timer_ns = at;
  l->timer = tm_timer_start(l->loop, ms, pump, l);
}

static void woken(void *ctx) {
  schedule(ctx, 0);
}

/* -- who there is ---------------------------------------------------------------------- */

static tm_tally *tally_of(tm_lanes *l, const char *cell, const tm_limit *limit) {
  tm_tally *t = tm_map_get(&l->tallies, cell);
  if (!t) {
    t = tm_tally_new(l, cell, limit, woken);
    tm_map_set(&l->tallies, cell, t);
  }
  return t;
}

/* "https://host:port" of a URL. */
static size_t origin_len(const char *url) {
  const char *host = strstr(url, "://");
  return host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
}

static tm_lane *lane_new(tm_lanes *l, const char *cell, const tm_lane_to *to, const char *key,
                         const tm_limit *of_model, const tm_limit *of_provider) {
  char shared[256];
  tm_lane *lane = tm_new(tm_lane);
  tm_list_init(&lane->line);
  lane->tallies[0] = tally_of(l, cell, of_model);
  if (of_provider) {
    snprintf(shared, sizeof shared, TM_TALLY_CELLS "%s#%.8s", to->provider, key);
    lane->tallies[1] = tally_of(l, shared, of_provider);
  }
  tm_map_set(&l->lanes, cell, lane);
  return lane;
}

/* NULL: nothing holds it up. */
static tm_lane *look_up(tm_lanes *l, const tm_lane_to *to) {
  char name[192], cell[256];
  const char *secret = to->secret ? to->secret : "", *url = to->url ? to->url : "";
  int len = snprintf(name, sizeof name, "%s/%s", to->provider, to->model);
  if (len < 0 || (size_t)len >= sizeof name)
    return NULL;
  const tm_limit *of_model = l->limits.count ? tm_limits_of(&l->limits, name) : NULL;
  const tm_limit *of_provider = l->limits.count ? tm_limits_of(&l->limits, to->provider) : NULL;
  if (to->exempt && !of_model && !of_provider)
    return NULL;
  tm_span who[] = {{secret, strlen(secret)}, {url, origin_len(url)}};
  tm_hash key = tm_hash_spans(who, 2);
  snprintf(cell, sizeof cell, TM_TALLY_CELLS "%s#%.8s", name, key.hex);
  tm_lane *lane = tm_map_get(&l->lanes, cell);
  if (lane || l->lanes.count >= LANES_MAX)
    return lane;
  return lane_new(l, cell, to, key.hex, of_model, of_provider);
}

/* Its words, each with its NUL. */
static size_t who_of(char out[512], const tm_lane_to *to) {
  const char *url = to->url ? to->url : "";
  const char *words[] = {to->provider, to->model, to->secret ? to->secret : "", url};
  size_t n = 0;
  for (size_t i = 0; i < 4; i++) {
    size_t len = words[i] == url ? origin_len(url) : strlen(words[i]);
    if (len >= 512 - n)
      return 0;
    memcpy(out + n, words[i], len);
    out[n + len] = '\0';
    n += len + 1;
  }
  return n;
}

static tm_lane *lane_of(tm_lanes *l, const tm_lane_to *to) {
  char who[512];
  size_t n = to->exempt ? 0 : who_of(who, to);
  if (n && l->last && l->last_who.len == n && memcmp(l->last_who.data, who, n) == 0)
    return l->last;
  tm_lane *lane = look_up(l, to);
  if (n && lane) {
    l->last = lane;
    tm_buf_reset(&l->last_who);
    tm_buf_put(&l->last_who, who, n);
  }
  return lane;
}

/* -- may it go? ------------------------------------------------------------------------ */

/* Of the breaker alone. *probe: it would be the one that tries. */
static tm_lane_word ask_breaker(tm_lanes *l, tm_lane *lane, int64_t now, bool *probe) {
  tm_tally *t = lane->tallies[0];
  const tm_breaker *b = &t->seen.breaker;
  *probe = false;
  if (b->word == TM_BREAKER_CLOSED || !l->limits.breaker.calls)
    return TM_LANE_GO;
  if (b->word == TM_BREAKER_HALF && strcmp(b->owner, l->owner) == 0) {
    *probe = !lane->probing;
    return *probe ? TM_LANE_GO : TM_LANE_SHUT;
  }
  if (now < b->until)
    return TM_LANE_SHUT;
  t->news = TM_NEWS_PROBE;
  return TM_LANE_WAIT;
}

static tm_lane_word try_lane(tm_lanes *l, tm_lane *lane, tm_pass *pass, int64_t now) {
  bool probe;
  for (int i = 0; i < 2; i++)
    if (lane->tallies[i])
      tm_tally_look(lane->tallies[i], now);
  tm_lane_word word = ask_breaker(l, lane, now, &probe);
  lane->held_by = lane->tallies[0];
  lane->what = "the probe of";
  lane->wait_ms = -1;
  for (int i = 0; i < 2 && word == TM_LANE_GO; i++) {
    tm_tally *t = lane->tallies[i];
    int64_t wait = t ? tm_tally_wait(t, pass->need, now, &lane->what) : 0;
    if (wait == 0)
      continue;
    lane->held_by = t;
    lane->wait_ms = wait;
    return TM_LANE_WAIT;
  }
  if (word == TM_LANE_GO && probe)
    pass->probe = lane->probing = true;
  return word;
}

static void go(tm_lane *lane, tm_pass *pass, int64_t now) {
  pass->inside = true;
  for (int i = 0; i < 2; i++)
    if (lane->tallies[i])
      tm_tally_take(lane->tallies[i], pass->need, now);
}

static void count_line(const tm_pass *pass, int n) {
  for (int i = 0; i < 2; i++) {
    tm_tally *t = pass->lane->tallies[i];
    if (!t)
      continue;
    t->waiting += n;
    t->waiting_tokens = t->waiting ? t->waiting_tokens + n * pass->need : 0;
  }
}

/* By age: a question that comes again stands before those that came after it. */
static void join_line(tm_lane *lane, tm_pass *pass) {
  tm_list *behind = lane->line.prev;
  while (behind != &lane->line && TM_LIST_OF(behind, tm_pass, link)->ticket > pass->ticket)
    behind = behind->prev;
  tm_list_append(behind->next, &pass->link);
  pass->in_line = true;
  count_line(pass, 1);
}

static void leave_line(tm_pass *pass) {
  count_line(pass, -1);
  tm_list_remove(&pass->link);
  pass->in_line = false;
}

static bool others_wait(const tm_lane *lane) {
  return lane->tallies[0]->waiting || (lane->tallies[1] && lane->tallies[1]->waiting);
}

tm_lane_word tm_lane_enter(tm_lanes *l, tm_pass *pass, const tm_lane_to *to) {
  int64_t now = now_of(l);
  tm_lane *lane = pass->lane = lane_of(l, to);
  if (!lane)
    return TM_LANE_GO;
  if (!pass->ticket)
    pass->ticket = ++l->tickets;
  tm_lane_word word = others_wait(lane) ? TM_LANE_WAIT : try_lane(l, lane, pass, now);
  if (word == TM_LANE_GO)
    go(lane, pass, now);
  if (word == TM_LANE_WAIT) {
    join_line(lane, pass);
    schedule(l, 0);
  }
  return word;
}

/* -- the line -------------------------------------------------------------------------- */

/* The lane whose first in line has waited longest; NULL: none that could move. */
static tm_lane *oldest(const tm_lanes *l) {
  tm_map_entry *e;
  tm_lane *best = NULL;
  uint64_t ticket = UINT64_MAX;
  for (size_t i = 0; (e = tm_map_next(&l->lanes, &i));) {
    tm_lane *lane = e->value;
    bool stuck = lane->blocked || tm_list_empty(&lane->line) || lane->tallies[0]->blocked ||
                 (lane->tallies[1] && lane->tallies[1]->blocked);
    const tm_pass *first = stuck ? NULL : TM_LIST_OF(lane->line.next, tm_pass, link);
    if (!first || first->ticket > ticket)
      continue;
    best = lane;
    ticket = first->ticket;
  }
  return best;
}

static void begin_round(tm_lanes *l, int64_t now) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&l->lanes, &i));)
    ((tm_lane *)e->value)->blocked = false;
  for (size_t i = 0; (e = tm_map_next(&l->tallies, &i));)
    tm_tally_round(e->value, now);
}

/* Whoever is called may come back in here: nothing is remembered over the call. */
static void let_go(tm_lanes *l, int64_t now) {
  tm_lane *lane;
  while ((lane = oldest(l))) {
    tm_pass *pass = TM_LIST_OF(lane->line.next, tm_pass, link);
    tm_lane_word word = try_lane(l, lane, pass, now);
    if (word == TM_LANE_WAIT) {
      lane->blocked = true;
      tm_tally_block(lane->held_by, pass->need, lane->wait_ms);
      continue;
    }
    leave_line(pass);
    if (word == TM_LANE_GO)
      go(lane, pass, now);
    pass->called(pass->ctx, word);
  }
}

static void pump(void *ctx) {
  tm_lanes *l = ctx;
  int64_t now = now_of(l), next = -1;
  bool hurry = false; /* somebody waits for what others may do */
  tm_map_entry *e;
  l->timer = NULL;
  begin_round(l, now);
  let_go(l, now);
  for (size_t i = 0; (e = tm_map_next(&l->tallies, &i));) {
    const tm_tally *t = e->value;
    int64_t ms = tm_tally_sync(e->value, now);
    hurry = hurry || t->waiting || t->slots;
    next = ms >= 0 && (next < 0 || ms < next) ? ms : next;
  }
  if (next >= 0)
    schedule(l, next < NAP_MS || !hurry ? next : NAP_MS);
}

/* -- what came of it ------------------------------------------------------------------- */

static bool note(tm_lanes *l, tm_lane *lane, tm_llm_class class, char why[96], int64_t now) {
  tm_tally *t = lane->tallies[0];
  const tm_breaker_rule *rule = &l->limits.breaker;
  if (!rule->calls)
    return false;
  if (!lane->primed)
    tm_breaker_prime(&lane->window, rule, t->seen.recent, now);
  lane->primed = true;
  int64_t ms = tm_tally_mark(t, tm_breaker_mark_of(class), now);
  if (ms >= 0)
    schedule(l, ms);
  return tm_breaker_note(&lane->window, rule, class, why);
}

static void judge(tm_lanes *l, tm_lane *lane, tm_pass *pass, tm_llm_class class, int64_t now) {
  tm_tally *t = lane->tallies[0];
  const tm_breaker_rule *rule = &l->limits.breaker;
  tm_breaker *b = &t->seen.breaker;
  char why[sizeof b->why];
  if (pass->probe) {
    bool mended = tm_breaker_mark_of(class) == TM_MARK_OK;
    lane->probing = false;
    t->news = mended ? TM_NEWS_CLOSE : TM_NEWS_REOPEN;
    b->word = mended ? TM_BREAKER_CLOSED : TM_BREAKER_OPEN;
    b->until = now + rule->cool_down_ms;
    schedule(l, 0);
  } else if (b->word == TM_BREAKER_CLOSED && note(l, lane, class, why, now)) {
    tm_breaker_forget(&lane->window);
    tm_tally_forget(t);
    t->news = TM_NEWS_OPEN;
    *b = (tm_breaker){.word = TM_BREAKER_OPEN, .until = now + rule->cool_down_ms};
    memcpy(b->why, why, sizeof why);
    schedule(l, 0);
  }
}

/* The same answer three times in a row is no accident: nobody asks before the time is over. */
#define LIMITED_IN_A_ROW 3

static void obey(tm_lanes *l, tm_lane *lane, tm_llm_class class, int64_t asked_ms,
                 int64_t now) {
  lane->limited = class == TM_LLM_RATE_LIMITED ? lane->limited + 1 : 0;
  if (lane->limited < LIMITED_IN_A_ROW || asked_ms <= 0)
    return;
  tm_tally_hold(lane->tallies[0], asked_ms, now);
  schedule(l, 0);
}

static void out(tm_lanes *l, tm_pass *pass, double used, int64_t now) {
  tm_lane *lane = pass->lane;
  pass->inside = false;
  for (int i = 0; i < 2; i++) {
    tm_tally *t = lane->tallies[i];
    int64_t ms = t ? tm_tally_give(t, pass->need, used, now) : -1;
    if (ms >= 0)
      schedule(l, ms);
  }
}

void tm_lane_leave(tm_lanes *l, tm_pass *pass, tm_llm_class class, const tm_http_res *res,
                   double used, int64_t asked_ms) {
  int64_t now = now_of(l);
  tm_lane *lane = pass->lane;
  tm_told told;
  if (!lane || !pass->inside)
    return;
  out(l, pass, used, now);
  if (res && tm_told_read(&told, res, now) && tm_tally_told(lane->tallies[0], &told, now))
    schedule(l, 0);
  obey(l, lane, class, asked_ms, now);
  judge(l, lane, pass, class, now);
  pass->probe = false;
}

void tm_lane_drop(tm_lanes *l, tm_pass *pass) {
  if (pass->in_line)
    leave_line(pass);
  if (pass->inside)
    out(l, pass, -1, now_of(l));
  if (pass->probe)
    pass->lane->probing = false; /* still ours to try: the next one does */
  pass->probe = false;
}

/* -- for people ------------------------------------------------------------------------ */

const char *tm_lane_waits_for(const tm_pass *pass, int64_t *ms) {
  const tm_lane *lane = pass->lane;
  const tm_tally *t = lane->held_by ? lane->held_by : lane->tallies[0];
  *ms = lane->wait_ms;
  return tm_tally_what(t, lane->what ? lane->what : "the turn at");
}

int64_t tm_lane_pause(const tm_lanes *l, const tm_pass *pass) {
  int64_t ms = pass->lane->tallies[0]->seen.hold - now_of(l);
  return ms > 0 ? ms : 0;
}

const char *tm_lane_shut(tm_arena *a, const tm_lanes *l, const tm_pass *pass) {
  const tm_tally *t = pass->lane->tallies[0];
  const tm_breaker *b = &t->seen.breaker;
  double s = fmax(0, ceil((double)(b->until - now_of(l)) / 1000));
  const char *text =
      b->word == TM_BREAKER_HALF
          ? tm_arena_printf(a,
                            "%s is not asked now: %s; one request is trying it at this moment",
                            t->label, b->why)
          : tm_arena_printf(a, "%s is not asked now: %s; it is tried again in %.0f s", t->label,
                            b->why, s);
  return text ? text : "not asked now";
}

typedef struct describing {
  tm_arena *a;
  tm_json *list;
  int64_t now;
} describing;

static void describe(void *ctx, const char *cell, const char *text) {
  describing *d = ctx;
  tm_json *o = text ? tm_tally_describe(d->a, cell, text, d->now) : NULL;
  if (o)
    tm_json_push(d->a, d->list, o);
}

tm_json *tm_lanes_describe(tm_lanes *l, tm_arena *a) {
  describing d = {a, tm_json_new_array(a), now_of(l)};
  tm_map_entry *e;
  if (l->cells.each)
    l->cells.each(l->cells.ctx, TM_TALLY_CELLS, describe, &d);
  for (size_t i = 0; !l->cells.each && (e = tm_map_next(&l->tallies, &i));)
    describe(&d, e->key, tm_meter_text(a, &((tm_tally *)e->value)->seen));
  return d.list;
}

/* -- life ------------------------------------------------------------------------------ */

void tm_lanes_open(tm_lanes *l, tm_loop *loop) {
  tm_err none = TM_ERR_INIT;
  *l = (tm_lanes){.loop = loop, .clock = &tm_clock_system};
  tm_arena_init(&l->arena, 0);
  tm_arena_init(&l->scratch, 0);
  tm_id_new(l->owner);
  tm_limits_read(&l->limits, &l->arena, NULL, &none);
}

int tm_lanes_restrain(tm_lanes *l, const tm_json *limits, const tm_llm_cells *cells,
                      const tm_clock *clock, tm_err *err) {
  l->last = NULL;
  l->clock = clock ? clock : &tm_clock_system;
  l->cells = cells ? *cells : (tm_llm_cells){0};
  return tm_limits_read(&l->limits, &l->arena, limits, err);
}

/* Another process may write in between: a few tries, then the leases run out by themselves. */
static void give_all_back(tm_lanes *l) {
  tm_map_entry *e;
  bool any = true;
  if (l->cells.settle)
    l->cells.settle(l->cells.ctx);
  for (int tries = 0; any && tries < 5; tries++) {
    any = false;
    for (size_t i = 0; (e = tm_map_next(&l->tallies, &i));)
      any |= tm_tally_close(e->value, now_of(l));
    if (any && l->cells.settle)
      l->cells.settle(l->cells.ctx);
  }
}

void tm_lanes_close(tm_lanes *l) {
  tm_map_entry *e;
  give_all_back(l);
  tm_timer_cancel(&l->timer);
  for (size_t i = 0; (e = tm_map_next(&l->lanes, &i));) {
    tm_lane *lane = e->value;
    tm_breaker_free(&lane->window);
    tm_free(lane);
  }
  for (size_t i = 0; (e = tm_map_next(&l->tallies, &i));)
    tm_tally_free(e->value);
  tm_buf_free(&l->last_who);
  tm_map_free(&l->lanes);
  tm_map_free(&l->tallies);
  tm_arena_free(&l->arena);
  tm_arena_free(&l->scratch);
}
