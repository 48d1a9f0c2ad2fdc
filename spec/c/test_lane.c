/* test_lane.c - asks in line: limits, what a provider tells of its own, breakers; alone and with
 * another process, by a clock that stands still until it is moved.
 */
#include "base/map.h"
#include "llm_box.h"

#define ASK(model) \
  "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}]"
#define ONCE   ",\"retries\":0,\"repair\":0}"
#define SCHEMA ",\"schema\":{\"enum\":[\"yes\"]}"

/* -- what two processes share ---------------------------------------------------------- */

typedef struct slip {
  char *text;
  int64_t version;
} slip;

typedef struct telling {
  void (*done)(void *arg, bool written);
  void *arg;
  bool ok;
  struct board *board;
} telling;

typedef struct board {
  tm_loop *loop;
  tm_map slips;
  int reads, writes, under_way;
} board;

static int board_read(void *ctx, const char *name, tm_arena *a, const char **text,
                      int64_t *version) {
  board *b = ctx;
  const slip *s = tm_map_get(&b->slips, name);
  b->reads++;
  *version = s ? s->version : 0;
  *text = s ? tm_arena_strdup(a, s->text) : NULL;
  return s != NULL;
}

static void board_tell(void *arg) {
  telling t = *(telling *)arg;
  tm_free(arg);
  t.board->under_way--;
  t.done(t.arg, t.ok);
}

static void board_write(void *ctx, const char *name, int64_t version, const char *text,
                        void (*done)(void *arg, bool written), void *arg) {
  board *b = ctx;
  slip *s = tm_map_get(&b->slips, name);
  telling *t = tm_new(telling);
  *t = (telling){done, arg, (s ? s->version : 0) == version, b};
  if (t->ok) {
    if (!s)
      tm_map_set(&b->slips, name, s = tm_new(slip));
    tm_free(s->text);
    s->text = tm_strdup(text);
    s->version++;
    b->writes++;
  }
  b->under_way++;
  tm_loop_post(b->loop, board_tell, t);
}

static void board_settle(void *ctx) {
  board *b = ctx;
  while (b->under_way)
    tm_loop_turn(b->loop, 10);
}

static void board_each(void *ctx, const char *prefix,
                       void (*fn)(void *arg, const char *name, const char *text), void *arg) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&((board *)ctx)->slips, &i));)
    if (strncmp(e->key, prefix, strlen(prefix)) == 0)
      fn(arg, e->key, ((slip *)e->value)->text);
}

static int64_t standing(void *ctx) {
  return *(int64_t *)ctx;
}

/* A box, its board and its clock, and another process at the same board. */
typedef struct hall {
  llm_box b;
  tm_llm *mine, *other;
  board board;
  int64_t now;
  tm_clock clock;
} hall;

static void restrain(hall *h, tm_llm *l, const char *limits) {
  tm_err err = TM_ERR_INIT;
  tm_llm_cells cells = {board_read, board_write, board_settle, board_each, &h->board};
  if (tm_llm_restrain(l, box_json(&h->b, limits), &cells, &h->clock, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s", err.msg);
}

static int answer_ok(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                     tm_err *err) {
  (void)ctx, (void)model, (void)request, (void)err;
  tm_buf_puts(answer, "\"yes\"");
  return 0;
}

static void open_hall(hall *h, peer_fn fn, const char *limits) {
  tm_err err = TM_ERR_INIT;
  memset(h, 0, sizeof *h);
  h->now = INT64_C(1800000000000);
  h->clock = (tm_clock){standing, standing, &h->now};
  box_open(&h->b, fn);
  h->board.loop = h->b.loop;
  h->mine = h->b.llm;
  REQUIRE(tm_llm_open(&h->other, h->b.loop, h->b.http, box_env, &h->b, &err) == 0);
  tm_llm_register(h->mine, "local", answer_ok, h);
  tm_llm_register(h->other, "local", answer_ok, h);
  restrain(h, h->mine, limits);
  restrain(h, h->other, limits);
}

static void close_hall(hall *h) {
  tm_map_entry *e;
  tm_llm_close(&h->other);
  tm_llm_close(&h->b.llm);
  for (size_t i = 0; (e = tm_map_next(&h->board.slips, &i));) {
    tm_free(((slip *)e->value)->text);
    tm_free(e->value);
  }
  tm_map_free(&h->board.slips);
  box_close(&h->b);
}

/* Ask as the other process. */
static void other_asks(hall *h, const char *request) {
  h->b.llm = h->other;
  box_ask(&h->b, request);
  h->b.llm = h->mine;
}

/* Everything that can happen while the clock stands still has happened. */
static void let_time_stand(hall *h) {
  for (int i = 0; i < 8; i++)
    tm_loop_turn(h->b.loop, 10);
}

static int sent(hall *h) {
  return atomic_load(&h->b.peer->requests);
}

static const char *on_board(hall *h, const char *prefix) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&h->board.slips, &i));)
    if (strncmp(e->key, prefix, strlen(prefix)) == 0)
      return ((slip *)e->value)->text;
  return "(nothing)";
}

/* -- many asks at once ----------------------------------------------------------------- */

#define CROWD 64

typedef struct crowd {
  tm_llm_ask *asks[CROWD];
  int order[CROWD], count; /* who was answered, in order */
  int told;                /* waits */
  char told_for[96];
} crowd;

typedef struct member {
  crowd *crowd;
  int n;
} member;

static void member_done(void *ctx, const tm_json *value, const tm_json *meta,
                        const tm_json *error) {
  (void)value, (void)meta, (void)error;
  member *m = ctx;
  m->crowd->order[m->crowd->count++] = m->n;
  m->crowd->asks[m->n] = NULL;
}

static void member_waits(void *ctx, const tm_json *why) {
  member *m = ctx;
  m->crowd->told++;
  snprintf(m->crowd->told_for, sizeof m->crowd->told_for, "%s", tm_json_get_str(why, "for"));
}

static void start_one(hall *h, crowd *c, member *m, const char *request) {
  tm_llm_events ev = {.done = member_done, .waiting = member_waits, .ctx = m};
  tm_err err = TM_ERR_INIT;
  m->crowd = c;
  if (tm_llm_start(&c->asks[m->n], h->b.llm, box_json(&h->b, request), &ev, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s", err.msg);
}

static void start_all(hall *h, crowd *c, member members[], int n, const char *request) {
  *c = (crowd){0};
  for (int i = 0; i < n; i++) {
    members[i] = (member){c, i};
    start_one(h, c, &members[i], request);
  }
}

/* -- limits ---------------------------------------------------------------------------- */

static peer_then answers(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  return openai_says(reply, "\"yes\"", "stop");
}

static void a_rate_is_kept_while_the_clock_stands_and_goes_on_with_it(void) {
  hall h;
  crowd c;
  member m[CROWD];
  open_hall(&h, answers, "{\"openai\":{\"requests_per_minute\":300}}");
  start_all(&h, &c, m, 12, ASK("openai/m") ONCE);
  let_time_stand(&h);
  CHECK_INT(sent(&h), 5); /* a second's worth */
  h.now += 1000;
  while (c.count < 9)
    tm_loop_turn(h.b.loop, 50);
  let_time_stand(&h);
  CHECK_INT(sent(&h), 9); /* the minute has 296 more, not 300 */
  h.now += 1000;
  while (c.count < 12)
    tm_loop_turn(h.b.loop, 50);
  for (int i = 0; i < 12; i++)
    CHECK_INT((c.order[i] >= 5) + (c.order[i] >= 9),
              (i >= 5) + (i >= 9)); /* first come, first */
  close_hall(&h);
}

static void two_processes_share_one_rate(void) {
  hall h;
  crowd c, d;
  member m[CROWD], k[CROWD];
  open_hall(&h, answers, "{\"openai\":{\"requests_per_minute\":300}}");
  start_all(&h, &c, m, 12, ASK("openai/m") ONCE);
  h.b.llm = h.other;
  start_all(&h, &d, k, 12, ASK("openai/m2") ONCE); /* of the provider: whatever the model */
  h.b.llm = h.mine;
  let_time_stand(&h);
  CHECK_INT(sent(&h), 5);
  h.now += 10000;
  while (c.count + d.count < 10)
    tm_loop_turn(h.b.loop, 50);
  let_time_stand(&h);
  CHECK_INT(sent(&h), 10); /* a pause saves nothing up beyond a second's worth */
  close_hall(&h);
}

static void a_limit_of_tokens_counts_what_was_really_used(void) {
  hall h;
  crowd c;
  member m[CROWD];
  open_hall(&h, answers, "{\"openai/m\":{\"tokens_per_minute\":6000}}");
  /* 10,000 may be answered: it goes, and leaves a debt until it is known that 15 were used */
  start_all(&h, &c, m, 1, ASK("openai/m") ",\"config\":{\"maxOutputTokens\":10000}" ONCE);
  while (c.count < 1)
    tm_loop_turn(h.b.loop, 50);
  start_all(&h, &c, m, 1, ASK("openai/m") ONCE);
  while (c.count < 1)
    tm_loop_turn(h.b.loop, 50);
  CHECK_INT(sent(&h), 2);
  close_hall(&h);
}

static void what_is_in_this_process_is_held_up_by_its_own_name_alone(void) {
  hall h;
  crowd c;
  member m[CROWD];
  open_hall(&h, answers, "{\"local/slow\":{\"requests_per_minute\":60}}");
  start_all(&h, &c, m, 20, ASK("local/fast") ONCE);
  let_time_stand(&h);
  CHECK_INT(c.count, 20);
  CHECK_INT(h.board.reads, 0);
  start_all(&h, &c, m, 20, ASK("local/slow") ONCE);
  let_time_stand(&h);
  CHECK_INT(c.count, 1);
  close_hall(&h);
}

static peer_then hangs(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request, (void)reply;
  return PEER_KEEP;
}

static void no_more_than_may_are_under_way_and_a_cancelled_one_makes_room(void) {
  hall h;
  crowd c;
  member m[CROWD];
  open_hall(&h, hangs, "{\"openai\":{\"concurrent\":3}}");
  start_all(&h, &c, m, 10, ASK("openai/m") ONCE);
  let_time_stand(&h);
  CHECK_INT(sent(&h), 3);
  CHECK(strstr(on_board(&h, "llm/openai#"), "\"n\":3,\"wants\":1"));
  tm_llm_cancel(&c.asks[0]);
  tm_llm_cancel(&c.asks[5]); /* in line */
  let_time_stand(&h);
  CHECK_INT(sent(&h), 4);
  for (int i = 0; i < 10; i++)
    tm_llm_cancel(&c.asks[i]);
  h.now += 500; /* slots are kept for a moment, for the next */
  for (int i = 0; i < 100 && strstr(on_board(&h, "llm/openai#"), "\"n\":"); i++)
    tm_loop_turn(h.b.loop, 10);
  CHECK_STR(on_board(&h, "llm/openai#"), "{}");
  close_hall(&h);
}

static void a_process_that_ends_gives_its_slots_back(void) {
  hall h;
  crowd c;
  member m[CROWD];
  open_hall(&h, hangs, "{\"openai\":{\"concurrent\":3}}");
  h.b.llm = h.other;
  start_all(&h, &c, m, 5, ASK("openai/m") ONCE);
  let_time_stand(&h);
  CHECK(strstr(on_board(&h, "llm/openai#"), "\"n\":3"));
  h.b.llm = h.mine;
  tm_llm_close(&h.other);
  CHECK_STR(on_board(&h, "llm/openai#"), "{}");
  close_hall(&h);
}

static void who_waits_longer_is_told_what_for(void) {
  hall h;
  crowd c;
  member m[CROWD];
  open_hall(&h, answers, "{\"openai/m\":{\"requests_per_minute\":60}}");
  start_all(&h, &c, m, 2, ASK("openai/m") ONCE);
  while (!c.told)
    tm_loop_turn(h.b.loop, -1);
  CHECK_INT(c.told, 1);
  CHECK_STR(c.told_for, "the rate limit of openai/m");
  CHECK_INT(c.count, 1);
  close_hall(&h);
}

static void a_limit_of_nobody_is_refused(void) {
  hall h;
  tm_err err = TM_ERR_INIT;
  open_hall(&h, NULL, "{}");
  CHECK(tm_llm_restrain(h.mine, box_json(&h.b, "{\"opnai\":{\"concurrent\":1}}"), NULL, NULL,
                        &err) < 0);
  CHECK_INT(err.code, TM_CONFIG);
  CHECK(strstr(err.msg, "limits: no provider is called \"opnai\""));
  close_hall(&h);
}

/* -- what the provider tells ----------------------------------------------------------- */

static peer_then nothing_left(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)request;
  tm_buf whole = TM_BUF_INIT;
  openai_says(&whole, "\"yes\"", "stop");
  const char *body = strstr(tm_buf_str(&whole), "\r\n\r\n") + 4;
  peer_reply(reply, 200,
             n == 1 ? "Content-Type: application/json\r\nX-RateLimit-Limit-Requests: 10\r\n"
                      "X-RateLimit-Remaining-Requests: 0\r\nX-RateLimit-Reset-Requests: 1s\r\n"
                    : "Content-Type: application/json\r\n",
             body);
  tm_buf_free(&whole);
  return PEER_KEEP;
}

static void a_limit_that_was_told_is_kept_also_by_the_others(void) {
  hall h;
  crowd c;
  member m[CROWD];
  open_hall(&h, nothing_left, "{}");
  box_ask(&h.b, ASK("openai/m") ONCE);
  let_time_stand(&h);
  CHECK(strstr(on_board(&h, "llm/openai/m#"), "\"told\":{\"requests\":{\"size\":10.0"));
  h.b.llm = h.other;
  start_all(&h, &c, m, 3, ASK("openai/m") ONCE);
  h.b.llm = h.mine;
  let_time_stand(&h);
  CHECK_INT(sent(&h), 1);
  h.now += 100; /* ten in a second */
  while (!c.count)
    tm_loop_turn(h.b.loop, 50);
  let_time_stand(&h);
  CHECK_INT(sent(&h), 2);
  close_hall(&h);
}

static peer_then nothing_left_today(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  tm_buf whole = TM_BUF_INIT;
  openai_says(&whole, "\"yes\"", "stop");
  peer_reply(reply, 200,
             "Content-Type: application/json\r\nX-RateLimit-Limit-Requests: 10\r\n"
             "X-RateLimit-Remaining-Requests: 0\r\nX-RateLimit-Reset-Requests: 20h\r\n",
             strstr(tm_buf_str(&whole), "\r\n\r\n") + 4);
  tm_buf_free(&whole);
  return PEER_KEEP;
}

static void nobody_waits_for_hours_on_what_was_told(void) {
  hall h;
  open_hall(&h, nothing_left_today, "{}");
  box_ask(&h.b, ASK("openai/m") ONCE);
  box_ask(&h.b, ASK("openai/m") ONCE);
  CHECK_INT(sent(&h), 2);
  close_hall(&h);
}

static peer_then too_many(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)request;
  if (n > 3)
    return openai_says(reply, "\"yes\"", "stop");
  peer_reply(reply, 429, "Retry-After: 5\r\nContent-Type: application/json\r\n",
             "{\"error\":{\"message\":\"slow down\"}}");
  return PEER_KEEP;
}

static void the_third_refusal_in_a_row_stops_everybody_for_as_long_as_was_asked(void) {
  hall h;
  crowd c, d;
  member m[CROWD], k[CROWD];
  open_hall(&h, too_many, "{}");
  start_all(&h, &c, m, 3, ASK("openai/m") ONCE);
  while (c.count < 3)
    tm_loop_turn(h.b.loop, 50);
  let_time_stand(&h);
  CHECK(strstr(on_board(&h, "llm/openai/m#"), "\"hold_ms\":5000"));
  h.b.llm = h.other;
  start_all(&h, &d, k, 4, ASK("openai/m") ONCE);
  h.b.llm = h.mine;
  let_time_stand(&h);
  CHECK_INT(sent(&h), 3);
  h.now += 5000; /* then one by one, over as long again */
  while (!d.count)
    tm_loop_turn(h.b.loop, 50);
  let_time_stand(&h);
  CHECK_INT(sent(&h), 4);
  h.now += 1250;
  while (d.count < 2)
    tm_loop_turn(h.b.loop, 50);
  let_time_stand(&h);
  CHECK_INT(sent(&h), 5);
  close_hall(&h);
}

static peer_then far_too_many(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)request;
  if (n > 3)
    return openai_says(reply, "\"yes\"", "stop");
  peer_reply(reply, 429, "Retry-After: 40\r\nContent-Type: application/json\r\n",
             "{\"error\":{\"message\":\"slow down\"}}");
  return PEER_KEEP;
}

typedef struct parting {
  tm_arena *a;
  int64_t wait_ms;
  const tm_json *state, *error;
} parting;

static void parted(void *ctx, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                   const tm_json *error) {
  (void)meta;
  parting *p = ctx;
  *p = (parting){p->a, wait_ms, tm_json_copy(p->a, state), tm_json_copy(p->a, error)};
}

static void a_long_pause_is_put_off_or_somebody_else_is_asked(void) {
  hall h;
  crowd c;
  member m[CROWD];
  tm_err err = TM_ERR_INIT;
  tm_llm_ask *ask;
  open_hall(&h, far_too_many, "{}");
  start_all(&h, &c, m, 3, ASK("openai/m") ONCE);
  while (c.count < 3)
    tm_loop_turn(h.b.loop, 50);
  parting p = {.a = &h.b.arena};
  tm_llm_events ev = {.later = parted, .done = box_done, .ctx = &p};
  const tm_json *question = box_json(&h.b, ASK("openai/m") ONCE);
  REQUIRE(tm_llm_start(&ask, h.mine, question, &ev, &err) == 0);
  while (!p.state)
    tm_loop_turn(h.b.loop, 50);
  CHECK(p.wait_ms >= 40000 && p.wait_ms <= 80000);
  CHECK_STR(tm_json_get_str(p.error, "class"), "rate_limited");
  CHECK_STR(tm_json_get_str(p.error, "message"), "openai/m wants a pause, for 40 s from now");
  box_ask(&h.b, ASK("openai/m") ",\"fallback\":[\"local/ok\"]" ONCE);
  CHECK(h.b.value != NULL);
  CHECK_INT(sent(&h), 3);
  h.now += p.wait_ms;
  ev = (tm_llm_events){.done = box_done, .ctx = &h.b};
  h.b.done = 0;
  REQUIRE(tm_llm_resume(&h.b.ask, h.mine, question, p.state, &ev, &err) == 0);
  while (!h.b.done)
    tm_loop_turn(h.b.loop, 50);
  CHECK(h.b.value != NULL);
  CHECK_INT(tm_json_int(tm_json_get(h.b.meta, "attempts"), 0), 1);
  CHECK_INT(sent(&h), 4);
  close_hall(&h);
}

/* -- breakers -------------------------------------------------------------------------- */

#define BREAKER \
  "{\"breaker\":{\"errors\":0.5,\"bad_outputs\":0.5,\"calls\":4,\"cool_down\":\"30s\"}}"

static atomic_int mended; /* 1: it answers, 2: it hangs */

static peer_then breaks(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  if (atomic_load(&mended) == 1)
    return openai_says(reply, "\"yes\"", "stop");
  if (atomic_load(&mended) == 2)
    return PEER_KEEP;
  peer_reply(reply, 500, "Content-Type: application/json\r\n",
             "{\"error\":{\"message\":\"broken\"}}");
  return PEER_KEEP;
}

static void break_it(hall *h, peer_fn fn, const char *ask, const char *class) {
  atomic_store(&mended, 0);
  open_hall(h, fn, BREAKER);
  for (int i = 0; i < 4; i++) {
    box_ask(&h->b, ask);
    CHECK_STR(box_class(&h->b), class);
  }
  let_time_stand(h);
}

static void errors_open_the_breaker_for_all_processes(void) {
  hall h;
  break_it(&h, breaks, ASK("openai/m") ONCE, "server_error");
  box_ask(&h.b, ASK("openai/m") ONCE);
  CHECK_STR(box_class(&h.b), "unavailable");
  CHECK_STR(tm_json_get_str(h.b.error, "message"),
            "openai/m is not asked now: 4 of the last 4 attempts failed (server_error); it is "
            "tried again in 30 s");
  CHECK(tm_json_bool(tm_json_get(h.b.error, "retryable"), false));
  CHECK_INT(h.b.attempt_count, 0);
  CHECK_INT(tm_json_int(tm_json_get(h.b.meta, "attempts"), -1), 0);
  other_asks(&h, ASK("openai/m") ONCE);
  CHECK_STR(box_class(&h.b), "unavailable");
  CHECK_INT(sent(&h), 4);
  CHECK_INT(h.board.writes, 1);
  box_ask(&h.b, ASK("openai/other") ONCE); /* another model has its own */
  CHECK_STR(box_class(&h.b), "server_error");
  close_hall(&h);
}

static void a_fallback_is_asked_while_the_breaker_is_open(void) {
  hall h;
  break_it(&h, breaks, ASK("openai/m") ONCE, "server_error");
  box_ask(&h.b, ASK("openai/m") ",\"fallback\":[\"local/ok\"]" ONCE);
  CHECK_STR(box_text(&h.b, h.b.value), "\"\\\"yes\\\"\"");
  CHECK_STR(tm_json_get_str(h.b.meta, "model_first"), "openai/m");
  CHECK_INT(h.b.attempt_count, 1);
  CHECK_INT(sent(&h), 4);
  close_hall(&h);
}

static void after_the_cool_down_one_probe_closes_it(void) {
  hall h;
  crowd c;
  member m[CROWD];
  break_it(&h, breaks, ASK("openai/m") ONCE, "server_error");
  h.now += 30000;
  atomic_store(&mended, 1);
  start_all(&h, &c, m, 5, ASK("openai/m") ONCE);
  while (c.count < 5)
    tm_loop_turn(h.b.loop, 50);
  CHECK_INT(sent(&h), 5); /* the oldest was the probe, the others were turned away */
  CHECK_INT(c.order[4], 0);
  let_time_stand(&h);
  CHECK_STR(on_board(&h, "llm/openai/m#"), "{}");
  box_ask(&h.b, ASK("openai/m") ONCE);
  CHECK(h.b.value != NULL);
  h.now += 1000;
  other_asks(&h, ASK("openai/m") ONCE);
  CHECK(h.b.value != NULL);
  close_hall(&h);
}

static void a_probe_that_fails_opens_it_again(void) {
  hall h;
  break_it(&h, breaks, ASK("openai/m") ONCE, "server_error");
  h.now += 30000;
  other_asks(&h, ASK("openai/m") ONCE); /* any process may try */
  CHECK_STR(box_class(&h.b), "server_error");
  let_time_stand(&h);
  other_asks(&h, ASK("openai/m") ONCE);
  CHECK_STR(box_class(&h.b), "unavailable");
  h.now += 29000;
  box_ask(&h.b, ASK("openai/m") ONCE);
  CHECK_STR(box_class(&h.b), "unavailable");
  CHECK_INT(sent(&h), 5);
  close_hall(&h);
}

static void a_probe_that_is_cancelled_leaves_the_try_to_the_next(void) {
  hall h;
  crowd c;
  member m[CROWD];
  break_it(&h, breaks, ASK("openai/m") ONCE, "server_error");
  h.now += 30000;
  atomic_store(&mended, 2);
  start_all(&h, &c, m, 1, ASK("openai/m") ONCE);
  while (sent(&h) < 5)
    tm_loop_turn(h.b.loop, 10);
  tm_llm_cancel(&c.asks[0]);
  atomic_store(&mended, 1);
  box_ask(&h.b, ASK("openai/m") ONCE);
  CHECK(h.b.value != NULL);
  close_hall(&h);
}

static void broken_schemas_open_it_too(void) {
  hall h;
  const char *ask = ASK("openai/m") SCHEMA ONCE;
  atomic_store(&mended, 0);
  break_it(&h, answers, ASK("openai/m") ",\"schema\":{\"enum\":[\"no\"]}" ONCE, "bad_output");
  box_ask(&h.b, ask);
  CHECK_STR(box_class(&h.b), "unavailable");
  CHECK(strstr(tm_json_get_str(h.b.error, "message"),
               "4 of the last 4 attempts broke their schema"));
  h.now += 30000;
  box_ask(&h.b, ask);
  CHECK(h.b.value != NULL);
  close_hall(&h);
}

static void the_state_can_be_seen(void) {
  hall h;
  break_it(&h, breaks, ASK("openai/m") ONCE, "server_error");
  const tm_json *list = tm_llm_restraint(h.other, &h.b.arena), *one = tm_json_at(list, 0);
  CHECK_INT(tm_json_len(list), 1);
  CHECK_STR(tm_json_get_str(one, "model"), "openai/m");
  CHECK_INT(strlen(tm_json_get_str(one, "key")), 8);
  CHECK_STR(tm_json_get_str(tm_json_get(one, "breaker"), "state"), "open");
  CHECK(!strstr(on_board(&h, "llm/"), "secret"));
  close_hall(&h);
}

static void what_fails_is_told_twice_a_minute_and_at_the_end(void) {
  hall h;
  atomic_store(&mended, 0);
  open_hall(&h, breaks, "{\"breaker\":{\"errors\":0.9,\"calls\":40}}");
  for (int i = 0; i < 20; i++)
    box_ask(&h.b, ASK("openai/m") ONCE);
  let_time_stand(&h);
  CHECK_INT(h.board.writes, 0);
  h.now += 30000;
  box_ask(&h.b, ASK("openai/m") ONCE);
  let_time_stand(&h);
  CHECK_INT(h.board.writes, 1);
  for (int i = 0; i < 10; i++)
    box_ask(&h.b, ASK("openai/m") ONCE);
  CHECK_INT(h.board.writes, 1);
  tm_llm_close(&h.b.llm);
  h.mine = NULL;
  CHECK_INT(h.board.writes, 2);
  for (int i = 0; i < 9; i++)
    other_asks(&h, ASK("openai/m") ONCE);
  CHECK_STR(box_class(&h.b), "server_error");
  other_asks(&h, ASK("openai/m") ONCE); /* 31 + 9 have failed */
  CHECK_STR(box_class(&h.b), "unavailable");
  CHECK_INT(sent(&h), 40);
  close_hall(&h);
}

static void it_stays_shut_for_nobody_who_switched_it_off(void) {
  hall h;
  atomic_store(&mended, 0);
  open_hall(&h, breaks, "{\"breaker\":false}");
  for (int i = 0; i < 60; i++)
    box_ask(&h.b, ASK("openai/m") ONCE);
  CHECK_STR(box_class(&h.b), "server_error");
  CHECK_INT(h.board.writes, 0);
  close_hall(&h);
}

static void without_anything_to_obey_nothing_is_written(void) {
  hall h;
  open_hall(&h, answers, "{}");
  for (int i = 0; i < 100; i++)
    box_ask(&h.b, ASK("openai/m") ONCE);
  CHECK_INT(h.board.writes, 0);
  CHECK_INT(h.board.reads, 1);
  close_hall(&h);
}

CHECK_SUITE(lane) {
  CHECK_RUN(a_rate_is_kept_while_the_clock_stands_and_goes_on_with_it);
  CHECK_RUN(two_processes_share_one_rate);
  CHECK_RUN(a_limit_of_tokens_counts_what_was_really_used);
  CHECK_RUN(what_is_in_this_process_is_held_up_by_its_own_name_alone);
  CHECK_RUN(no_more_than_may_are_under_way_and_a_cancelled_one_makes_room);
  CHECK_RUN(a_process_that_ends_gives_its_slots_back);
  CHECK_RUN(who_waits_longer_is_told_what_for);
  CHECK_RUN(a_limit_of_nobody_is_refused);
  CHECK_RUN(a_limit_that_was_told_is_kept_also_by_the_others);
  CHECK_RUN(nobody_waits_for_hours_on_what_was_told);
  CHECK_RUN(the_third_refusal_in_a_row_stops_everybody_for_as_long_as_was_asked);
  CHECK_RUN(a_long_pause_is_put_off_or_somebody_else_is_asked);
  CHECK_RUN(errors_open_the_breaker_for_all_processes);
  CHECK_RUN(a_fallback_is_asked_while_the_breaker_is_open);
  CHECK_RUN(after_the_cool_down_one_probe_closes_it);
  CHECK_RUN(a_probe_that_fails_opens_it_again);
  CHECK_RUN(a_probe_that_is_cancelled_leaves_the_try_to_the_next);
  CHECK_RUN(broken_schemas_open_it_too);
  CHECK_RUN(the_state_can_be_seen);
  CHECK_RUN(what_fails_is_told_twice_a_minute_and_at_the_end);
  CHECK_RUN(it_stays_shut_for_nobody_who_switched_it_off);
  CHECK_RUN(without_anything_to_obey_nothing_is_written);
}
