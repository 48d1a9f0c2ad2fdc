/* test_restraint.c - buckets, what headers tell, breakers, and what a process may take out of a
 * meter: with a clock that is only a number.
 */
#include <stdlib.h>

#include "check.h"
#include "llm/meter.h"

#define START INT64_C(1800000000000)

/* -- buckets --------------------------------------------------------------------------- */

static void no_minute_sees_more_than_its_limit_wherever_it_begins(void) {
  static const int limits[] = {1, 2, 7, 59, 60, 61, 500, 6000};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    int64_t *at = tm_new_array(int64_t, 20000), n = 0;
    tm_bucket b = tm_bucket_of_minute(limits[i], START);
    for (int64_t now = START; now < START + 150000;) {
      int64_t wait = tm_bucket_wait(&b, 1, now);
      now += wait;
      tm_bucket_fill(&b, now);
      b.level -= 1;
      at[n++] = now;
    }
    int64_t most = 0;
    for (int64_t from = 0, to = 0; to < n; to++) {
      while (at[to] - at[from] >= 60000)
        from++;
      most = to - from + 1 > most ? to - from + 1 : most;
    }
    if (most > limits[i] || most < limits[i] * 9 / 10)
      check_fail(__FILE__, __LINE__, "%d a minute: %lld were sent in one", limits[i],
                 (long long)most);
    tm_free(at);
  }
}

static void no_second_sees_more_than_twice_the_rate(void) {
  tm_bucket b = tm_bucket_of_minute(600, START);
  int sent = 0;
  for (int64_t now = START; now < START + 1000; now++) {
    tm_bucket_fill(&b, now);
    for (; b.level >= 1; b.level -= 1)
      sent++;
  }
  CHECK(sent >= 19 && sent <= 20);
}

static void a_request_larger_than_the_bucket_goes_when_it_is_full_and_leaves_a_debt(void) {
  tm_bucket b = tm_bucket_of_minute(6000, START); /* 100 at a time */
  CHECK_INT(tm_bucket_wait(&b, 1000, START), 0);
  b.level -= 1000;
  int64_t wait = tm_bucket_wait(&b, 1000, START);
  CHECK(wait >= 10000 && wait <= 10300); /* 1,000 tokens at 100 a second */
  CHECK_INT(tm_bucket_wait(&b, 1000, START + wait), 0);
}

static void a_clock_that_was_set_back_takes_nothing_away(void) {
  tm_bucket b = tm_bucket_of_minute(60, START);
  b.level = 0.5;
  tm_bucket_fill(&b, START - 3600000);
  CHECK(b.level == 0.5);
  CHECK_INT(tm_bucket_wait(&b, 1, START - 3600000), 500);
}

/* -- headers --------------------------------------------------------------------------- */

static void durations_and_times_are_read_as_providers_write_them(void) {
  static const struct {
    const char *text;
    int64_t ms;
  } durations[] = {{"1s", 1000}, {"6m0s", 360000},     {"20ms", 20}, {"1h2m3.5s", 3723500},
                   {"0s", 0},    {"2m59.56s", 179560}, {"", -1},     {"s", -1},
                   {"1", -1},    {"1x", -1},           {"-1s", -1},  {"1e99h", 86400000},
                   {"nans", -1}};
  for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
    CHECK_INT(tm_told_duration(durations[i].text), durations[i].ms);
  CHECK_INT(tm_told_time("1970-01-01T00:00:01Z"), 1000);
  CHECK_INT(tm_told_time("1970-01-01T01:00:01.5+01:00"), 1500);
  CHECK_INT(tm_told_time("1970-01-01T00:00:01"), -1);
  CHECK_INT(tm_told_time("tomorrow"), -1);
}

static bool tell(tm_told *out, const tm_http_header *headers, size_t n) {
  tm_http_res res = {.status = 200, .headers = headers, .header_count = n};
  return tm_told_read(out, &res, START);
}

static void openai_tells_of_requests_and_tokens(void) {
  tm_http_header h[] = {
      {"content-type", "application/json"},       {"x-ratelimit-limit-requests", "60"},
      {"x-ratelimit-limit-tokens", "150000"},     {"x-ratelimit-remaining-requests", "57"},
      {"x-ratelimit-remaining-tokens", "149984"}, {"x-ratelimit-reset-requests", "3s"},
      {"x-ratelimit-reset-tokens", "6ms"}};
  tm_told t;
  REQUIRE(tell(&t, h, 7));
  CHECK(t.requests.size == 60 && t.requests.level == 57 && t.requests.at == START);
  CHECK(t.requests.per_ms == 0.001); /* 3 in 3 s */
  CHECK(t.tokens.size == 150000 && t.tokens.level == 149984);
}

static void anthropic_tells_by_the_time_of_day(void) {
  tm_http_header h[] = {{"date", "Thu, 01 Jan 1970 00:00:00 GMT"},
                        {"anthropic-ratelimit-requests-limit", "50"},
                        {"anthropic-ratelimit-requests-remaining", "0"},
                        {"anthropic-ratelimit-requests-reset", "1970-01-01T00:00:10Z"},
                        {"anthropic-ratelimit-input-tokens-limit", "7"}};
  tm_told t;
  REQUIRE(tell(&t, h, 5));
  CHECK(t.requests.size == 50 && t.requests.level == 0 && t.requests.per_ms == 0.005);
  CHECK_INT(tm_bucket_wait(&t.requests, 1, START), 200);
  CHECK(t.tokens.size == 0);
}

static void half_a_word_or_nonsense_tells_nothing(void) {
  tm_http_header none[] = {{"x-ratelimit-limit-requests", "60"}};
  tm_http_header nonsense[] = {{"x-ratelimit-limit-requests", "many"},
                               {"x-ratelimit-remaining-requests", "-1"},
                               {"x-ratelimit-", "1"},
                               {"anthropic-ratelimit-requests", "1"}};
  tm_http_header odd[] = {{"x-ratelimit-limit-requests", "60"},
                          {"x-ratelimit-remaining-requests", "99"},
                          {"x-ratelimit-reset-requests", "soon"}};
  tm_told t;
  CHECK(!tell(&t, none, 1));
  CHECK(!tell(&t, nonsense, 4));
  REQUIRE(tell(&t, odd, 3));
  CHECK(t.requests.level == 60 && t.requests.per_ms == 0.001);
}

/* -- breakers -------------------------------------------------------------------------- */

/* How many attempts until it opens; 0: never. `fails`: one of so many, in thousandths. */
static int opens_after(int calls, int fails, tm_llm_class class, const char **why) {
  static char text[96];
  tm_breaker_window w = {0};
  tm_breaker_rule rule = TM_BREAKER_DEFAULT;
  tm_dice dice;
  tm_dice_seed(&dice, "x", 1);
  int at = 0;
  for (int i = 1; i <= calls && !at; i++) {
    bool failed = tm_dice_unit(&dice) * 1000 < fails;
    if (tm_breaker_note(&w, &rule, failed ? class : TM_LLM_NONE, text))
      at = i;
  }
  tm_breaker_free(&w);
  *why = text;
  return at;
}

static void a_breaker_opens_on_errors_and_on_broken_schemas(void) {
  const char *why;
  CHECK_INT(opens_after(100, 1000, TM_LLM_SERVER, &why), 40);
  CHECK_STR(why, "40 of the last 40 attempts failed (server_error)");
  CHECK_INT(opens_after(100, 1000, TM_LLM_BAD_OUTPUT, &why), 40);
  CHECK_STR(why, "40 of the last 40 attempts broke their schema (bad_output)");
  CHECK_INT(opens_after(100, 1000, TM_LLM_REFUSED, &why), 0);
  CHECK_INT(opens_after(100, 1000, TM_LLM_AUTH, &why), 0);
  CHECK_INT(opens_after(100, 1000, TM_LLM_RATE_LIMITED, &why), 0);
}

static void three_failures_of_ten_do_not_open_it(void) {
  const char *why;
  CHECK_INT(opens_after(100000, 300, TM_LLM_SERVER, &why), 0);
  CHECK(opens_after(100000, 900, TM_LLM_SERVER, &why) > 0);
}

static void old_outcomes_leave_the_window(void) {
  tm_breaker_window w = {0};
  tm_breaker_rule rule = {0.5, 1, 4, 1000};
  static const struct {
    tm_llm_class class;
    bool opens;
  } steps[] = {{TM_LLM_SERVER, false}, {TM_LLM_NONE, false}, {TM_LLM_NONE, false},
               {TM_LLM_NONE, false},   {TM_LLM_NONE, false}, {TM_LLM_TIMEOUT, false},
               {TM_LLM_NETWORK, true}};
  char why[96];
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
    CHECK_INT(tm_breaker_note(&w, &rule, steps[i].class, why), steps[i].opens);
  tm_breaker_forget(&w);
  CHECK(!tm_breaker_note(&w, &rule, TM_LLM_NETWORK, why));
  tm_breaker_free(&w);
}

/* -- limits ---------------------------------------------------------------------------- */

static const char *read_limits(tm_arena *a, tm_limits *out, const char *text) {
  tm_json *table = NULL;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&table, a, text, strlen(text), NULL, &err) < 0 ||
      tm_limits_read(out, a, table, &err) < 0)
    return tm_arena_strdup(a, err.msg);
  return "";
}

static void limits_are_read_and_what_is_wrong_is_named(void) {
  static const char *const wrong[][2] = {
      {"{\"openai\":{\"rpm\":5}}", "limits: openai: \"rpm\" is not a setting"},
      {"{\"openai\":{\"concurrent\":0}}", "\"concurrent\" is not"},
      {"{\"openai\":{\"concurrent\":1.5}}", "\"concurrent\" is not"},
      {"{\"openai\":{\"requests_per_minute\":\"5\"}}", "\"requests_per_minute\" is not"},
      {"{\"openai\":5}", "limits: openai: here stands"},
      {"{\"openai\":{}}", "limits: openai: here stands"},
      {"{\"breaker\":{\"errors\":1.5}}", "limits: breaker: \"errors\" is not"},
      {"{\"breaker\":{\"calls\":0}}", "\"calls\" is not"},
      {"{\"breaker\":{\"cool_down\":\"soon\"}}", "\"cool_down\" is not"},
      {"{\"breaker\":{\"cooldown\":\"5s\"}}", "\"cooldown\" is not"},
      {"{\"breaker\":true}", "breaker is false, or"}};
  tm_arena a;
  tm_limits l;
  tm_arena_init(&a, 0);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const char *said = read_limits(&a, &l, wrong[i][0]);
    if (!strstr(said, wrong[i][1]))
      check_fail(__FILE__, __LINE__, "%s: \"%s\"", wrong[i][0], said);
  }
  CHECK_STR(read_limits(&a, &l,
                        "{\"openai\":{\"requests_per_minute\":500,\"tokens_per_minute\":9},"
                        "\"openai/m\":{\"concurrent\":4},\"breaker\":{\"errors\":0.5,"
                        "\"calls\":20,\"cool_down\":\"2m\"}}"),
            "");
  CHECK_INT(tm_limits_of(&l, "openai")->requests, 500);
  CHECK_INT(tm_limits_of(&l, "openai")->tokens, 9);
  CHECK_INT(tm_limits_of(&l, "openai/m")->concurrent, 4);
  CHECK(!tm_limits_of(&l, "openai/x"));
  CHECK(l.breaker.errors == 0.5 && l.breaker.bad_outputs == 0.75);
  CHECK_INT(l.breaker.calls, 20);
  CHECK_INT(l.breaker.cool_down_ms, 120000);
  CHECK_STR(read_limits(&a, &l, "{\"breaker\":false}"), "");
  CHECK_INT(l.breaker.calls, 0);
  tm_arena_free(&a);
}

/* -- meters: as text, and two processes at one ----------------------------------------- */

static void a_meter_is_the_same_after_writing_and_reading(void) {
  tm_arena a;
  tm_meter m;
  tm_arena_init(&a, 0);
  const char *text =
      "{\"requests\":{\"size\":9.0,\"per_ms\":0.25,\"level\":-3.5,\"at\":7},"
      "\"told\":{\"tokens\":{\"size\":60.0,\"per_ms\":0.5,\"level\":1.0,\"at\":8}},"
      "\"hold\":9,\"hold_ms\":5,"
      "\"breaker\":{\"word\":\"half-open\",\"until\":6,\"owner\":\"me\",\"why\":\"so\"},"
      "\"slots\":{\"me\":{\"n\":2,\"wants\":1,\"until\":4}}}";
  tm_meter_read(&m, &a, text);
  CHECK_INT(m.breaker.word, TM_BREAKER_HALF);
  CHECK_INT(m.slots[0].n, 2);
  CHECK_STR(tm_meter_text(&a, &m), text);
  static const char *const damaged[] = {"",
                                        "[]",
                                        "7",
                                        "{",
                                        "{\"requests\":7,\"slots\":[1]}",
                                        "{\"breaker\":\"x\",\"hold\":\"y\"}"};
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
    tm_meter_read(&m, &a, damaged[i]);
    CHECK_STR(tm_meter_text(&a, &m), "{}");
  }
  tm_arena_free(&a);
}

/* A process at a meter: it takes what it is given and uses it at once. */
typedef struct process {
  const char *owner;
  double left;
  int64_t until; /* of the share */
  int64_t slots;
  int inside, waiting;
} process;

static tm_grant claim(tm_meter *m, const tm_limit *l, process *p, int64_t now) {
  tm_grant g;
  tm_claim c = {.owner = p->owner,
                .now = now,
                .waiting = p->waiting,
                .left = now < p->until ? p->left : 0,
                .inside = p->inside,
                .slots = p->slots};
  tm_meter_claim(m, l, &c, &g);
  p->left = c.left + g.requests;
  p->until = g.requests > 0 ? now + TM_METER_SHARE_MS : p->until;
  p->slots = g.slots;
  return g;
}

static void two_processes_together_stay_under_the_limit(void) {
  tm_limit l = {.name = "x", .requests = 300};
  tm_meter m = {0};
  process p[2] = {{.owner = "a", .waiting = 1000}, {.owner = "b", .waiting = 1000}};
  int64_t *at = tm_new_array(int64_t, 10000);
  int n = 0, of[2] = {0, 0}, most = 0;
  tm_dice dice;
  tm_dice_seed(&dice, "x", 1);
  for (int64_t now = START; now < START + 180000; now += 10)
    for (int k = 0; k < 2; k++) {
      int i = (int)((tm_dice_next(&dice) + (uint64_t)k) % 2); /* who is faster */
      if (p[i].left < 1 || now >= p[i].until)
        claim(&m, &l, &p[i], now);
      for (; p[i].left >= 1 && now < p[i].until; p[i].left -= 1, of[i]++)
        at[n++] = now;
    }
  for (int from = 0, to = 0; to < n; to++) {
    while (at[to] - at[from] >= 60000)
      from++;
    most = to - from + 1 > most ? to - from + 1 : most;
  }
  CHECK(most <= 300 + 2 * 5); /* a share for each process, of a second's worth at most */
  CHECK(n >= 3 * 290);
  CHECK(of[0] > n / 4 && of[1] > n / 4);
  tm_free(at);
}

static void a_share_that_is_not_used_is_lost(void) {
  tm_limit l = {.name = "x", .requests = 600};
  tm_meter m = {0};
  process p = {.owner = "a", .waiting = 1};
  tm_grant g = claim(&m, &l, &p, START);
  CHECK(g.requests == 2 && g.changed); /* one in line: a quarter of the bucket of 10 */
  p.left -= 1;
  g = claim(&m, &l, &p, START + 10); /* there is one left: nothing to take */
  CHECK(g.requests == 0 && !g.changed);
  g = claim(&m, &l, &p, START + 10 + TM_METER_SHARE_MS);
  CHECK(g.requests == 2);
}

static void tokens_are_settled_when_they_are_known(void) {
  tm_limit l = {.name = "x", .tokens = 6000}; /* 100 a second */
  tm_meter m = {0};
  tm_grant g;
  tm_claim c = {.owner = "a", .now = START, .waiting = 1, .need = 500, .needs = 500};
  tm_meter_claim(&m, &l, &c, &g);
  CHECK(g.tokens == 500 && m.tokens.level == -400);
  c.back = 450; /* only 50 were used */
  c.now += 1;
  c.need = c.needs = 20;
  tm_meter_claim(&m, &l, &c, &g);
  CHECK(g.tokens >= 20 && m.tokens.level < 51);
  c.back = -600;
  c.now += 1;
  tm_meter_claim(&m, &l, &c, &g);
  CHECK(g.tokens == 0 && g.wait_ms > 4000 && g.changed);
}

static void slots_are_shared_fairly_and_come_back_from_the_dead(void) {
  tm_limit l = {.name = "x", .concurrent = 4};
  tm_arena mem;
  tm_meter m;
  tm_arena_init(&mem, 0);
  tm_meter_read(&m, &mem, NULL);
  m.slots = tm_arena_array(&mem, tm_slots, 4);
  process a = {.owner = "a", .waiting = 9}, b = {.owner = "b", .waiting = 9};
  CHECK_INT(claim(&m, &l, &a, START).slots, 4);
  a.inside = 4;
  CHECK_INT(claim(&m, &l, &b, START).slots,
            0); /* all are taken; but it is known that it waits */
  CHECK_INT(tm_meter_fair(&m, &l, "a", START), 2);
  a.inside = 3; /* one has ended */
  CHECK_INT(claim(&m, &l, &a, START + 1).slots, 3);
  CHECK_INT(claim(&m, &l, &b, START + 2).slots, 1);
  a.inside = 1;
  CHECK_INT(claim(&m, &l, &a, START + 3).slots, 2); /* its fair half, though it wants more */
  CHECK_INT(claim(&m, &l, &b, START + 4).slots, 2);
  CHECK_INT(tm_meter_inside(&m, START + 4), 4);
  /* a dies */
  CHECK_INT(claim(&m, &l, &b, START + 4 + TM_METER_LEASE_MS).slots, 4);
  b.inside = b.waiting = 0;
  CHECK_INT(claim(&m, &l, &b, START + 5 + TM_METER_LEASE_MS).slots, 0);
  CHECK_STR(tm_meter_text(&mem, &m), "{}");
  tm_arena_free(&mem);
}

static void a_share_is_not_taken_while_there_is_no_slot(void) {
  tm_limit l = {.name = "x", .requests = 60, .concurrent = 1};
  tm_arena mem;
  tm_meter m;
  tm_arena_init(&mem, 0);
  tm_meter_read(&m, &mem, NULL);
  m.slots = tm_arena_array(&mem, tm_slots, 4);
  process a = {.owner = "a", .waiting = 1, .inside = 1, .slots = 1};
  CHECK(claim(&m, &l, &a, START).requests == 0);
  a.inside = 0;
  CHECK(claim(&m, &l, &a, START + 1).requests == 1);
  tm_arena_free(&mem);
}

CHECK_SUITE(restraint) {
  CHECK_RUN(no_minute_sees_more_than_its_limit_wherever_it_begins);
  CHECK_RUN(no_second_sees_more_than_twice_the_rate);
  CHECK_RUN(a_request_larger_than_the_bucket_goes_when_it_is_full_and_leaves_a_debt);
  CHECK_RUN(a_clock_that_was_set_back_takes_nothing_away);
  CHECK_RUN(durations_and_times_are_read_as_providers_write_them);
  CHECK_RUN(openai_tells_of_requests_and_tokens);
  CHECK_RUN(anthropic_tells_by_the_time_of_day);
  CHECK_RUN(half_a_word_or_nonsense_tells_nothing);
  CHECK_RUN(a_breaker_opens_on_errors_and_on_broken_schemas);
  CHECK_RUN(three_failures_of_ten_do_not_open_it);
  CHECK_RUN(old_outcomes_leave_the_window);
  CHECK_RUN(limits_are_read_and_what_is_wrong_is_named);
  CHECK_RUN(a_meter_is_the_same_after_writing_and_reading);
  CHECK_RUN(two_processes_together_stay_under_the_limit);
  CHECK_RUN(a_share_that_is_not_used_is_lost);
  CHECK_RUN(tokens_are_settled_when_they_are_known);
  CHECK_RUN(slots_are_shared_fairly_and_come_back_from_the_dead);
  CHECK_RUN(a_share_is_not_taken_while_there_is_no_slot);
}
