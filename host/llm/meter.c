/* meter.c - what all processes know of one provider or model. */
#include "llm/meter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- as text --------------------------------------------------------------------------- */

static double finite_or(const tm_json *o, const char *key, double otherwise) {
  double n = tm_json_number(tm_json_get(o, key), otherwise);
  return isfinite(n) ? n : otherwise;
}

static tm_bucket read_bucket(const tm_json *o) {
  tm_bucket b = {.size = finite_or(o, "size", 0),
                 .per_ms = finite_or(o, "per_ms", 0),
                 .level = finite_or(o, "level", 0),
                 .at = tm_json_int(tm_json_get(o, "at"), 0)};
  bool sound = b.size > 0 && b.size < 1e15 && b.per_ms >= 0 && fabs(b.level) < 1e15;
  return sound ? b : (tm_bucket){0};
}

static void put_bucket(tm_arena *a, tm_json *o, const char *key, const tm_bucket *b) {
  if (b->size <= 0)
    return;
  tm_json *v = tm_json_new_object(a);
  tm_json_set(a, v, "size", tm_json_new_double(a, b->size));
  tm_json_set(a, v, "per_ms", tm_json_new_double(a, b->per_ms));
  tm_json_set(a, v, "level", tm_json_new_double(a, b->level));
  tm_json_set_int(a, v, "at", b->at);
  tm_json_set(a, o, key, v);
}

static void copy_text(char *out, size_t size, const char *text) {
  snprintf(out, size, "%s", text ? text : "");
}

static void read_breaker(tm_breaker *out, const tm_json *o) {
  const char *word = tm_json_get_str(o, "word");
  *out = (tm_breaker){.until = tm_json_int(tm_json_get(o, "until"), 0)};
  for (int w = TM_BREAKER_OPEN; word && w <= TM_BREAKER_HALF; w++)
    if (strcmp(word, tm_breaker_text((tm_breaker_word)w)) == 0)
      out->word = (tm_breaker_word)w;
  copy_text(out->owner, sizeof out->owner, tm_json_get_str(o, "owner"));
  copy_text(out->why, sizeof out->why, tm_json_get_str(o, "why"));
}

static void put_breaker(tm_arena *a, tm_json *o, const tm_breaker *b) {
  if (b->word == TM_BREAKER_CLOSED)
    return;
  tm_json *v = tm_json_new_object(a);
  tm_json_set_str(a, v, "word", tm_breaker_text(b->word));
  tm_json_set_int(a, v, "until", b->until);
  if (*b->owner)
    tm_json_set_str(a, v, "owner", b->owner);
  tm_json_set_str(a, v, "why", b->why);
  tm_json_set(a, o, "breaker", v);
}

static const char *const mark_names[] = {
    [TM_MARK_OK] = "answered", [TM_MARK_ERROR] = "failed", [TM_MARK_BAD] = "broken"};

static void read_recent(tm_breaker_recent *out, const tm_json *o) {
  *out = (tm_breaker_recent){.at = tm_json_int(tm_json_get(o, "at"), 0)};
  for (int i = 0; i < 3; i++)
    out->marks[i] = fmin(fmax(finite_or(o, mark_names[i], 0), 0), TM_BREAKER_CALLS_MAX);
}

static void put_recent(tm_arena *a, tm_json *o, const tm_breaker_recent *r) {
  if (!r->at)
    return;
  tm_json *v = tm_json_new_object(a);
  for (int i = 0; i < 3; i++)
    tm_json_set(a, v, mark_names[i], tm_json_new_double(a, r->marks[i]));
  tm_json_set_int(a, v, "at", r->at);
  tm_json_set(a, o, "recent", v);
}

static void read_slots(tm_meter *out, tm_arena *a, const tm_json *list) {
  size_t n = list && tm_json_type_of(list) == TM_JSON_OBJECT ? tm_json_len(list) : 0;
  n = n < TM_METER_SLOTS ? n : TM_METER_SLOTS;
  out->slots = tm_arena_array(a, tm_slots, n + 1);
  for (size_t i = 0; i < n; i++) {
    const tm_json_member *m = tm_json_member_at(list, i);
    tm_slots *s = &out->slots[out->slot_count];
    *s = (tm_slots){.n = tm_json_int(tm_json_get(&m->value, "n"), 0),
                    .wants = tm_json_int(tm_json_get(&m->value, "wants"), 0),
                    .until = tm_json_int(tm_json_get(&m->value, "until"), 0)};
    copy_text(s->owner, sizeof s->owner, m->key);
    out->slot_count += s->n >= 0 && s->wants >= 0 && s->n + s->wants > 0;
  }
}

static void put_slots(tm_arena *a, tm_json *o, const tm_meter *m) {
  tm_json *list = tm_json_new_object(a);
  for (size_t i = 0; i < m->slot_count; i++) {
    tm_json *s = tm_json_new_object(a);
    tm_json_set_int(a, s, "n", m->slots[i].n);
    tm_json_set_int(a, s, "wants", m->slots[i].wants);
    tm_json_set_int(a, s, "until", m->slots[i].until);
    tm_json_set(a, list, m->slots[i].owner, s);
  }
  if (m->slot_count)
    tm_json_set(a, o, "slots", list);
}

void tm_meter_read(tm_meter *out, tm_arena *a, const char *text) {
  tm_json *o = NULL;
  tm_err ignored = TM_ERR_INIT;
  *out = (tm_meter){0};
  if (text && tm_json_parse(&o, a, text, strlen(text), NULL, &ignored) < 0)
    o = NULL;
  const tm_json *told = tm_json_get(o, "told");
  out->requests = read_bucket(tm_json_get(o, "requests"));
  out->tokens = read_bucket(tm_json_get(o, "tokens"));
  out->told.requests = read_bucket(tm_json_get(told, "requests"));
  out->told.tokens = read_bucket(tm_json_get(told, "tokens"));
  out->hold = tm_json_int(tm_json_get(o, "hold"), 0);
  out->hold_ms = tm_json_int(tm_json_get(o, "hold_ms"), 0);
  read_breaker(&out->breaker, tm_json_get(o, "breaker"));
  read_recent(&out->recent, tm_json_get(o, "recent"));
  read_slots(out, a, tm_json_get(o, "slots"));
}

char *tm_meter_text(tm_arena *a, const tm_meter *m) {
  tm_json *o = tm_json_new_object(a), *told = tm_json_new_object(a);
  put_bucket(a, o, "requests", &m->requests);
  put_bucket(a, o, "tokens", &m->tokens);
  put_bucket(a, told, "requests", &m->told.requests);
  put_bucket(a, told, "tokens", &m->told.tokens);
  if (tm_json_len(told))
    tm_json_set(a, o, "told", told);
  if (m->hold) {
    tm_json_set_int(a, o, "hold", m->hold);
    tm_json_set_int(a, o, "hold_ms", m->hold_ms);
  }
  put_breaker(a, o, &m->breaker);
  put_recent(a, o, &m->recent);
  put_slots(a, o, m);
  return tm_json_text(a, o, NULL);
}

/* -- the rate -------------------------------------------------------------------------- */

/* The shared bucket at its configured size, whatever another configuration left in it. */
static void fill(tm_bucket *b, int64_t per_minute, int64_t now) {
  tm_bucket full = tm_bucket_of_minute(per_minute, now);
  if (!per_minute || b->size <= 0) {
    *b = per_minute ? full : *b;
    return;
  }
  b->size = full.size;
  b->per_ms = full.per_ms;
  b->level = fmin(b->level, b->size);
  tm_bucket_fill(b, now);
}

/* A share for those in line: a quarter of the bucket at least, so that a few that come one by one need
 * not each go to the store. */
static double share(const tm_bucket *b, double wanted) {
  return fmin(b->level, fmax(wanted, floor(b->size / 4)));
}

static void claim_rate(tm_meter *m, const tm_limit *l, const tm_claim *c, tm_grant *out) {
  tm_bucket *r = &m->requests, *t = &m->tokens;
  fill(r, l->requests, c->now);
  fill(t, l->tokens, c->now);
  if (l->tokens && c->back != 0) {
    t->level = fmin(t->size, t->level + c->back);
    out->changed = true;
  }
  double need_r = l->requests && c->left < 1 ? 1 : 0;
  double need_t = l->tokens ? fmax(0, c->need - c->left_tokens) : 0;
  if (!c->waiting || (need_r == 0 && need_t == 0))
    return;
  int64_t wait_r = need_r > 0 ? tm_bucket_wait(r, need_r, c->now) : 0;
  int64_t wait_t = need_t > 0 ? tm_bucket_wait(t, need_t, c->now) : 0;
  out->wait_ms = wait_r > wait_t ? wait_r : wait_t;
  if (out->wait_ms > 0)
    return;
  if (need_r > 0)
    out->requests = fmax(1, floor(share(r, c->waiting - c->left)));
  if (need_t > 0)
    out->tokens = fmax(need_t, share(t, c->needs - c->left_tokens));
  r->level -= out->requests;
  t->level -= out->tokens;
  out->changed = true;
}

/* -- slots ----------------------------------------------------------------------------- */

static bool alive(const tm_slots *s, int64_t now) {
  return s->until > now;
}

/* Those of processes that are gone, out. */
static void sweep(tm_meter *m, int64_t now) {
  size_t kept = 0;
  for (size_t i = 0; i < m->slot_count; i++)
    if (alive(&m->slots[i], now))
      m->slots[kept++] = m->slots[i];
  m->slot_count = kept;
}

static tm_slots *slots_of(const tm_meter *m, const char *owner) {
  for (size_t i = 0; i < m->slot_count; i++)
    if (strcmp(m->slots[i].owner, owner) == 0)
      return &m->slots[i];
  return NULL;
}

typedef struct others {
  int64_t held, claimants;
  bool want;
} others;

static others others_of(const tm_meter *m, const char *owner, int64_t now) {
  others o = {0};
  for (size_t i = 0; i < m->slot_count; i++) {
    const tm_slots *s = &m->slots[i];
    if (strcmp(s->owner, owner) == 0 || !alive(s, now))
      continue;
    o.held += s->n;
    o.claimants++;
    o.want |= s->wants > 0;
  }
  return o;
}

int64_t tm_meter_fair(const tm_meter *m, const tm_limit *limit, const char *owner,
                      int64_t now) {
  others o = others_of(m, owner, now);
  return o.want ? limit->concurrent / (o.claimants + 1) : limit->concurrent;
}

int64_t tm_meter_inside(const tm_meter *m, int64_t now) {
  return others_of(m, "", now).held;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static void claim_slots(tm_meter *m, const tm_limit *l, const tm_claim *c, tm_grant *out) {
  sweep(m, c->now);
  others o = others_of(m, c->owner, c->now);
  tm_slots *mine = slots_of(m, c->owner);
  int64_t demand = c->inside + c->waiting, fair = tm_meter_fair(m, l, c->owner, c->now);
  int64_t n = least(demand, l->concurrent - o.held);
  if (o.want)
    n = least(n, c->yield ? c->inside : most(fair, 1));
  if (!mine && m->slot_count == TM_METER_SLOTS)
    n = 0;
  n = most(n, c->inside); /* what is under way is under way */
  out->slots = n;
  if (n <= c->inside && c->waiting)
    out->wait_ms = -1;
  tm_slots now = {.n = n, .wants = demand > n, .until = c->now + TM_METER_LEASE_MS};
  bool fresh = mine && mine->n == now.n && mine->wants == now.wants &&
               mine->until - c->now > TM_METER_LEASE_MS / 2;
  if (fresh || (!mine && !demand) || (!mine && m->slot_count == TM_METER_SLOTS))
    return;
  out->changed = true;
  copy_text(now.owner, sizeof now.owner, c->owner);
  if (!mine)
    mine = &m->slots[m->slot_count++];
  *mine = now;
  if (!demand)
    *mine = m->slots[--m->slot_count];
}

void tm_meter_claim(tm_meter *m, const tm_limit *limit, const tm_claim *c, tm_grant *out) {
  *out = (tm_grant){.slots = c->slots};
  if (limit->concurrent)
    claim_slots(m, limit, c, out);
  bool room = !limit->concurrent || out->slots > c->inside; /* else a share would only expire */
  if (room && (limit->requests || limit->tokens))
    claim_rate(m, limit, c, out);
}
