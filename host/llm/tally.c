/* tally.c - a meter, and what this process holds of it. */
#include "llm/tally.h"

#include <math.h>
#include <string.h>

#define LOOK_MS    1000
#define CROWD_MS   200 /* looks and polls, where places are scarce */
#define POLL_MS    50
#define IDLE_MS    200 /* a slot is kept so long for the next request */
#define TELL_MS    1000
#define TELL_BELOW 0.25  /* of a told limit: less than this is worth telling */
#define TOLD_MAX   60000 /* who would wait longer asks, and hears it from the provider */
#define HOLD_TOLD  1000  /* ms; a shorter pause is over before others have read of it */
#define FOLD_MS    30000 /* what a process that dies at once leaves untold, at most */

tm_tally *tm_tally_new(tm_lanes *l, const char *cell, const tm_limit *limit,
                       void (*wake)(void *lanes)) {
  tm_tally *t = tm_new(tm_tally);
  const char *name = cell + strlen(TM_TALLY_CELLS), *hash = strrchr(name, '#');
  t->lanes = l;
  t->wake = wake;
  t->cell = tm_strdup(cell);
  t->label = tm_strndup(name, hash ? (size_t)(hash - name) : strlen(name));
  if (limit)
    t->limit = *limit;
  tm_arena_init(&t->seen_arena, 0);
  tm_arena_init(&t->next_arena, 0);
  return t;
}

void tm_tally_free(tm_tally *t) {
  tm_arena_free(&t->seen_arena);
  tm_arena_free(&t->next_arena);
  tm_free(t->cell);
  tm_free(t->label);
  tm_free(t);
}

/* -- the cell -------------------------------------------------------------------------- */

static bool shared(const tm_tally *t) {
  return t->lanes->cells.read != NULL;
}

/* As it stands in the store now; -1: it cannot be read. */
static int read_cell(tm_tally *t, tm_meter *out, tm_arena *a, int64_t *version) {
  const tm_llm_cells *c = &t->lanes->cells;
  tm_arena *scratch = &t->lanes->scratch;
  const char *text = NULL;
  tm_arena_reset(scratch);
  *version = 0;
  if (c->read(c->ctx, t->cell, scratch, &text, version) < 0)
    return -1;
  tm_arena_reset(a);
  tm_meter_read(out, a, text);
  return 0;
}

static void newer(tm_bucket *mine, const tm_bucket *theirs) {
  if (theirs->at > mine->at)
    *mine = *theirs;
}

/* What others wrote becomes what is seen; what they have not heard of yet stays. */
static void see(tm_tally *t, const tm_meter *m, int64_t version) {
  tm_meter before = t->seen;
  t->seen = *m;
  t->version = version;
  if (t->news != TM_NEWS_NONE && t->news != TM_NEWS_PROBE)
    t->seen.breaker = before.breaker;
  if (t->news_hold && before.hold > m->hold) {
    t->seen.hold = before.hold;
    t->seen.hold_ms = before.hold_ms;
  }
  newer(&t->told.requests, &m->told.requests);
  newer(&t->told.tokens, &m->told.tokens);
}

void tm_tally_look(tm_tally *t, int64_t now) {
  int64_t each = t->slots ? CROWD_MS : LOOK_MS, since = now - t->looked_at;
  int64_t version;
  tm_meter m;
  if (!shared(t) || t->writing || (t->looked_at && since >= 0 && since < each))
    return;
  t->looked_at = now;
  if (read_cell(t, &m, &t->next_arena, &version) < 0)
    return;
  tm_arena old = t->seen_arena;
  t->seen_arena = t->next_arena;
  t->next_arena = old;
  see(t, &m, version);
}

/* -- what a request needs -------------------------------------------------------------- */

static void expire(tm_tally *t, int64_t now) {
  if (now < t->share_until && now >= t->share_until - TM_METER_SHARE_MS)
    return;
  t->left = fmin(t->left, 0);
  t->left_tokens = fmin(t->left_tokens, 0);
}

/* Slots that may be used now: not more than is fair while others want some. */
static int64_t usable(const tm_tally *t, int64_t now) {
  int64_t fair = tm_meter_fair(&t->seen, &t->limit, t->lanes->owner, now);
  if (fair == 0) /* more processes than places: they take turns */
    fair = now < t->yield_until ? 0 : 1;
  return fair < t->slots ? fair : t->slots;
}

static int64_t longer(int64_t a, int64_t b) {
  return a > b ? a : b;
}

int64_t tm_tally_wait(tm_tally *t, double need, int64_t now, const char **what) {
  *what = "the pause that was asked for by";
  if (now < t->seen.hold) {
    t->held = true;
    return t->seen.hold - now;
  }
  if (t->pace_ms > 0 && now < t->pace_at)
    return t->pace_at - now;
  *what = "the rate limit of";
  int64_t told = longer(tm_bucket_wait(&t->told.requests, 1, now),
                        tm_bucket_wait(&t->told.tokens, need, now));
  if (told > 0 && told <= TOLD_MAX)
    return told;
  expire(t, now);
  if ((t->limit.requests && t->left < 1) || (t->limit.tokens && t->left_tokens < need))
    return -1;
  *what = "a free place at";
  return t->limit.concurrent && t->inside >= usable(t, now) ? -1 : 0;
}

static void spend(tm_bucket *b, double n, int64_t now) {
  if (b->size <= 0)
    return;
  tm_bucket_fill(b, now);
  b->level -= n;
}

void tm_tally_take(tm_tally *t, double need, int64_t now) {
  t->inside++;
  t->inside_tokens += need;
  if (t->limit.requests)
    t->left -= 1;
  if (t->limit.tokens)
    t->left_tokens -= need;
  spend(&t->told.requests, 1, now);
  spend(&t->told.tokens, need, now);
  if (t->pace_ms > 0)
    t->pace_at = now + (int64_t)t->pace_ms;
}

int64_t tm_tally_give(tm_tally *t, double need, double used, int64_t now) {
  t->inside--;
  t->inside_tokens = t->inside ? t->inside_tokens - need : 0;
  t->left_at = now;
  if (t->limit.tokens && used >= 0)
    t->back += need - used;
  if (t->limit.concurrent && tm_meter_fair(&t->seen, &t->limit, t->lanes->owner, now) == 0)
    t->yield_until = now + 3 * POLL_MS;
  return t->waiting ? 0 : t->slots ? IDLE_MS : -1;
}

/* -- what the provider says ------------------------------------------------------------ */

/* What is under way may have been counted by then, or not: as if it had not. */
static bool learn(tm_bucket *b, const tm_bucket *told, double under_way) {
  if (told->size <= 0)
    return false;
  *b = *told;
  b->level -= under_way;
  return b->level < b->size * TELL_BELOW;
}

bool tm_tally_told(tm_tally *t, const tm_told *told, int64_t now) {
  bool low = learn(&t->told.requests, &told->requests, t->inside);
  low = learn(&t->told.tokens, &told->tokens, t->inside_tokens) || low;
  if (!low || now - t->told_at < TELL_MS)
    return t->waiting > 0;
  t->told_at = now;
  t->news_told = true;
  return true;
}

/* As long as all is well there is nothing to tell. */
static bool to_fold(const tm_tally *t, int64_t now) {
  tm_breaker_recent r = t->seen.recent;
  tm_breaker_fade(&r, now);
  bool failed = t->own[TM_MARK_ERROR] || t->own[TM_MARK_BAD];
  return failed || (t->own[TM_MARK_OK] && r.at);
}

/* ms; 0: now; -1: there is nothing to tell. */
static int64_t fold_in(const tm_tally *t, int64_t now) {
  int64_t since = now - t->folded_at;
  return !to_fold(t, now) ? -1 : since < 0 || since >= FOLD_MS ? 0 : FOLD_MS - since;
}

void tm_tally_hold(tm_tally *t, int64_t ms, int64_t now) {
  if (now + ms <= t->seen.hold)
    return;
  t->seen.hold = now + ms;
  t->seen.hold_ms = ms;
  t->news_hold = t->news_hold || ms >= HOLD_TOLD;
}

/* -- what came of it ------------------------------------------------------------------- */

int64_t tm_tally_mark(tm_tally *t, tm_breaker_mark mark, int64_t now) {
  if (!shared(t))
    return -1;
  if (!t->own[0] && !t->own[1] && !t->own[2])
    t->folded_at = now;
  t->own[mark]++;
  return fold_in(t, now);
}

void tm_tally_forget(tm_tally *t) {
  memset(t->own, 0, sizeof t->own);
  memset(t->next_own, 0, sizeof t->next_own);
}

/* -- writing --------------------------------------------------------------------------- */

static bool told_is_news(const tm_tally *t, const tm_meter *m) {
  return t->told.requests.at > m->told.requests.at || t->told.tokens.at > m->told.tokens.at;
}

/* The breaker's next state, if this process is still the one to say so. */
static bool turn_breaker(const tm_tally *t, tm_breaker *b, int64_t now) {
  bool mine = b->word == TM_BREAKER_HALF && strcmp(b->owner, t->lanes->owner) == 0;
  switch (t->news) {
  case TM_NEWS_OPEN:
    if (b->word != TM_BREAKER_CLOSED)
      return false;
    *b = t->seen.breaker;
    return true;
  case TM_NEWS_PROBE:
    if (b->word == TM_BREAKER_CLOSED || now < b->until)
      return false;
    b->word = TM_BREAKER_HALF;
    b->until = now + TM_BREAKER_PROBE_MS;
    memcpy(b->owner, t->lanes->owner, sizeof b->owner);
    return true;
  case TM_NEWS_CLOSE:
    if (mine)
      *b = (tm_breaker){0};
    return mine;
  case TM_NEWS_REOPEN:
    if (!mine)
      return false;
    b->word = TM_BREAKER_OPEN;
    b->until = t->seen.breaker.until;
    b->owner[0] = '\0';
    return true;
  default:
    return false;
  }
}

static bool put_news(tm_tally *t, tm_meter *m, int64_t now) {
  bool changed = turn_breaker(t, &m->breaker, now);
  if (changed)
    m->recent = (tm_breaker_recent){0};
  if (t->news_hold && t->seen.hold > m->hold) {
    m->hold = t->seen.hold;
    m->hold_ms = t->seen.hold_ms;
    changed = true;
  }
  if (t->news_told && told_is_news(t, m)) {
    m->told = t->told;
    changed = true;
  }
  return changed;
}

/* What this process saw goes with whatever is written, and by itself when it is time to. What was seen
 * before the breaker opened is part of why it did. */
static bool put_recent(tm_tally *t, tm_meter *m, bool changed, int64_t now) {
  memset(t->next_own, 0, sizeof t->next_own);
  if (m->breaker.word != TM_BREAKER_CLOSED)
    tm_tally_forget(t);
  if (!to_fold(t, now) || !(changed || t->closing || fold_in(t, now) == 0))
    return changed;
  tm_breaker_fold(&m->recent, &t->lanes->limits.breaker, t->own, now);
  memcpy(t->next_own, t->own, sizeof t->own);
  return true;
}

static void told_own(tm_tally *t, int64_t now) {
  for (int i = 0; i < 3; i++) {
    t->own[i] -= t->next_own[i];
    if (t->next_own[i])
      t->folded_at = now;
    t->next_own[i] = 0;
  }
}

/* What is in `next` is so. */
static void adopt(tm_tally *t, int64_t now) {
  tm_arena old = t->seen_arena;
  t->seen_arena = t->next_arena;
  t->next_arena = old;
  if (t->news == t->next_news)
    t->news = TM_NEWS_NONE;
  t->news_hold = t->news_hold && t->seen.hold > t->next.hold;
  t->news_told = t->news_told && told_is_news(t, &t->next);
  see(t, &t->next, t->version);
  t->looked_at = now;
  t->left += t->granted.requests;
  t->left_tokens += t->granted.tokens;
  if (t->granted.requests > 0 || t->granted.tokens > 0)
    t->share_until = now + TM_METER_SHARE_MS;
  t->slots = t->granted.slots;
  t->back -= t->next_back;
  told_own(t, now);
}

static void written(void *arg, bool ok) {
  tm_tally *t = arg;
  t->writing = false;
  if (ok) {
    t->version++;
    adopt(t, tm_clock_wall(t->lanes->clock));
  }
  t->wake(t->lanes);
}

/* The state to start from, in `next`; -1: it cannot be had now. */
static int fresh(tm_tally *t) {
  if (shared(t))
    return read_cell(t, &t->next, &t->next_arena, &t->version);
  tm_arena_reset(&t->next_arena);
  t->next = t->seen;
  t->next.slots = tm_arena_array(&t->next_arena, tm_slots, t->seen.slot_count + 1);
  if (t->seen.slot_count)
    memcpy(t->next.slots, t->seen.slots, t->seen.slot_count * sizeof(tm_slots));
  return 0;
}

static void claim(tm_tally *t, int64_t now) {
  expire(t, now);
  tm_claim c = {.owner = t->lanes->owner,
                .now = now,
                .waiting = t->waiting,
                .need = t->need,
                .needs = t->waiting_tokens,
                .left = t->left,
                .left_tokens = t->left_tokens,
                .back = t->back,
                .inside = t->inside,
                .slots = t->slots,
                .yield = now < t->yield_until};
  tm_meter_claim(&t->next, &t->limit, &c, &t->granted);
}

/* Claim, tell the news, and write what changed. When to come round: ms, or -1. */
static int64_t write_cell(tm_tally *t, int64_t now) {
  const tm_llm_cells *cells = &t->lanes->cells;
  if (fresh(t) < 0)
    return LOOK_MS;
  bool changed = put_news(t, &t->next, now);
  t->next_news = t->news;
  claim(t, now);
  t->next_back = t->granted.changed ? t->back : 0;
  int64_t wait = t->granted.wait_ms < 0 ? POLL_MS : t->granted.wait_ms;
  if (!put_recent(t, &t->next, changed || t->granted.changed, now)) {
    adopt(t, now);
    return t->waiting ? longer(wait, 1) : -1;
  }
  if (shared(t)) {
    const char *text = tm_meter_text(&t->next_arena, &t->next);
    t->writing = true;
    cells->write(cells->ctx, t->cell, t->version, text, written, t);
    return -1;
  }
  adopt(t, now);
  return wait;
}

/* -- rounds ---------------------------------------------------------------------------- */

void tm_tally_round(tm_tally *t, int64_t now) {
  t->blocked = t->claims = false;
  t->wait_ms = -1;
  if (t->held && now >= t->seen.hold) {
    t->held = false;
    t->pace_ms = t->waiting > 1 ? (double)t->seen.hold_ms / t->waiting : 0;
    t->pace_at = now;
  }
  if (!t->waiting)
    t->pace_ms = 0;
}

void tm_tally_block(tm_tally *t, double need, int64_t wait_ms) {
  t->blocked = true;
  t->need = need;
  t->wait_ms = wait_ms;
  t->claims = wait_ms < 0;
}

/* Slots that nobody here needs, or whose lease wants to be renewed. */
static bool slots_due(const tm_tally *t, int64_t now) {
  if (!t->slots)
    return false;
  bool idle = t->slots > t->inside + t->waiting && now - t->left_at >= IDLE_MS;
  for (size_t i = 0; i < t->seen.slot_count; i++)
    if (strcmp(t->seen.slots[i].owner, t->lanes->owner) == 0)
      return idle || t->seen.slots[i].until - now <= TM_METER_LEASE_MS / 2;
  return idle;
}

/* Until who is in line may go, or something about the slots is due; -1: others wake us. */
static int64_t rest(const tm_tally *t, int64_t now) {
  int64_t ms = t->waiting ? t->wait_ms : -1;
  int64_t again = t->slots > t->inside + t->waiting ? IDLE_MS : TM_METER_LEASE_MS / 3;
  int64_t fold = fold_in(t, now);
  ms = fold >= 0 && (ms < 0 || fold < ms) ? fold : ms;
  return t->slots && (ms < 0 || again < ms) ? again : ms;
}

int64_t tm_tally_sync(tm_tally *t, int64_t now) {
  bool news = t->news != TM_NEWS_NONE || t->news_told || t->news_hold;
  if (t->writing)
    return -1;
  if (t->claims || news || slots_due(t, now) || fold_in(t, now) == 0) {
    int64_t wait = write_cell(t, now);
    if (wait >= 0 || t->writing)
      return wait;
  }
  return rest(t, now);
}

bool tm_tally_close(tm_tally *t, int64_t now) {
  bool news = t->news != TM_NEWS_NONE && t->news != TM_NEWS_PROBE;
  bool untold = shared(t) && (to_fold(t, now) || news);
  if ((!t->slots && !untold) || t->writing)
    return false;
  t->closing = true;
  t->inside = t->waiting = 0;
  t->left_at = now - IDLE_MS;
  write_cell(t, now);
  return true;
}

/* -- for people ------------------------------------------------------------------------ */

const char *tm_tally_what(const tm_tally *t, const char *what) {
  tm_arena *a = &t->lanes->scratch;
  tm_arena_reset(a);
  return tm_arena_printf(a, "%s %s", what, t->label);
}

static void put_told(tm_arena *a, tm_json *o, const char *key, tm_bucket b, int64_t now) {
  if (b.size <= 0)
    return;
  tm_bucket_fill(&b, now);
  tm_json *v = tm_json_new_object(a);
  tm_json_set_int(a, v, "limit", (int64_t)b.size);
  tm_json_set_int(a, v, "left", b.level > 0 ? (int64_t)b.level : 0);
  tm_json_set(a, o, key, v);
}

static void put_breaker(tm_arena *a, tm_json *o, const tm_breaker *b) {
  tm_json *v = tm_json_new_object(a);
  tm_json_set_str(a, v, "state", tm_breaker_text(b->word));
  tm_json_set_int(a, v, "until", b->until);
  tm_json_set_str(a, v, "why", b->why);
  tm_json_set(a, o, "breaker", v);
}

static void put_recent_of(tm_arena *a, tm_json *o, tm_breaker_recent r, int64_t now) {
  static const char *const names[] = {"answered", "failed", "broken"};
  tm_json *v = tm_json_new_object(a);
  tm_breaker_fade(&r, now);
  for (int i = 0; r.at && i < 3; i++)
    tm_json_set_int(a, v, names[i], lround(r.marks[i]));
  if (r.at)
    tm_json_set(a, o, "recent", v);
}

tm_json *tm_tally_describe(tm_arena *a, const char *cell, const char *text, int64_t now) {
  const char *name = cell + strlen(TM_TALLY_CELLS), *hash = strrchr(name, '#');
  tm_meter m;
  tm_json *o = tm_json_new_object(a), *told = tm_json_new_object(a);
  tm_meter_read(&m, a, text);
  if (!hash)
    return NULL;
  tm_json_set(a, o, "model", tm_json_new_strn(a, name, (size_t)(hash - name)));
  tm_json_set_str(a, o, "key", hash + 1);
  if (m.breaker.word != TM_BREAKER_CLOSED)
    put_breaker(a, o, &m.breaker);
  put_recent_of(a, o, m.recent, now);
  if (m.hold > now)
    tm_json_set_int(a, o, "hold_until", m.hold);
  put_told(a, told, "requests", m.told.requests, now);
  put_told(a, told, "tokens", m.told.tokens, now);
  if (tm_json_len(told))
    tm_json_set(a, o, "told", told);
  if (tm_meter_inside(&m, now))
    tm_json_set_int(a, o, "concurrent", tm_meter_inside(&m, now));
  return o;
}
