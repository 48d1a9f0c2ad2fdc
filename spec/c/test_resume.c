/* test_resume.c - an ask that is put off, and goes on somewhere else as if it had waited. */
#include "llm_box.h"

#define USER                                                                              \
  "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"What is it?\"}]}],\"unit\":" \
  "\"classify\""
#define SCHEMA                                                                            \
  ",\"schema\":{\"type\":\"object\",\"properties\":{\"category\":{\"enum\":[\"billing\"," \
  "\"bug\"]}},\"required\":[\"category\"]}"
#define BUSY "retry-after-ms: 40\r\n"

/* The n-th answer: prose, a wrong answer, another one, the right one; between them refusals. */
static peer_then makes_it_hard(peer *p, int n, const char *request, tm_buf *reply) {
  static const char *const says[] = {NULL,
                                     "It must be a bug.",
                                     NULL,
                                     NULL,
                                     "{\"category\":\"rant\"}",
                                     NULL,
                                     "{\"category\":1}",
                                     "{\"category\":\"bug\"}"};
  const char *text = says[(n - 1) % 8];
  box_keep(p, n, request);
  if (text)
    return openai_says(reply, text, "stop");
  return peer_reply(reply, n % 2 ? 429 : 503, BUSY, "");
}

static void open_box(llm_box *b, peer_fn fn, bool outlasts) {
  box_open(b, fn);
  box_set(b, "TIDEMILL_LONG_WAIT_MS", "20");
  b->outlasts = outlasts;
}

/* What went over the wire behind the headers, of all requests. */
static const char *bodies(llm_box *b) {
  tm_buf all = TM_BUF_INIT;
  for (int i = 0; i < BOX_ATTEMPTS && b->requests[i]; i++)
    tm_buf_printf(&all, "%s\n", strstr(b->requests[i], "\r\n\r\n") + 4);
  const char *text = tm_arena_strdup(&b->arena, tm_buf_str(&all));
  tm_buf_free(&all);
  return text;
}

static void check_number(llm_box *x, llm_box *y, const char *pointer) {
  const tm_json *a = tm_json_pointer(x->meta, pointer), *b = tm_json_pointer(y->meta, pointer);
  CHECK(a != NULL);
  CHECK_STR(box_text(y, b), box_text(x, a));
}

static void the_same(const char *request, peer_fn fn, int put_off) {
  static const char *const facts[] = {"/attempts", "/rounds", "/usage", "/usd", "/model"};
  llm_box plain, wide;
  open_box(&plain, fn, false);
  box_ask(&plain, request);
  open_box(&wide, fn, true);
  box_ask(&wide, request);
  CHECK_INT(plain.put_off, 0);
  CHECK_INT(wide.put_off, put_off);
  CHECK_STR(bodies(&wide), bodies(&plain));
  CHECK_STR(box_text(&wide, wide.value), box_text(&plain, plain.value));
  CHECK_INT(wide.attempt_count, plain.attempt_count);
  for (int i = 0; i < wide.attempt_count && i < BOX_ATTEMPTS; i++)
    CHECK_INT(tm_json_int(tm_json_get(wide.attempts[i], "n"), 0), i + 1);
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
    check_number(&plain, &wide, facts[i]);
  box_close(&plain);
  box_close(&wide);
}

static void an_ask_that_was_put_off_ends_as_one_that_waited(void) {
  the_same("{\"model\":\"openai/gpt-4.1\",\"mode\":\"reason_then_extract\"," USER SCHEMA "}",
           makes_it_hard, 4);
}

static peer_then is_wrong_then_busy(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  if (n == 2 || n == 4)
    return peer_reply(reply, 429, BUSY, "");
  return openai_says(reply, n < 5 ? "{\"category\":\"rant\"}" : "{\"category\":\"bug\"}",
                     "stop");
}

static void its_step_of_the_ladder_is_kept(void) {
  the_same(
      "{\"model\":\"openai/gpt-4.1\",\"repair\":0,\"config\":{\"temperature\":1},\"tries\":["
      "{},{\"temperature\":0},{\"model\":\"openai/gpt-4.1-mini\"}]," USER SCHEMA "}",
      is_wrong_then_busy, 2);
}

static peer_then is_busy(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return peer_reply(reply, 429, BUSY, "");
}

static void its_tries_are_counted_on_to_the_same_end(void) {
  llm_box b;
  open_box(&b, is_busy, true);
  box_ask(&b, "{\"model\":\"openai/m\"," USER "}");
  CHECK_STR(box_class(&b), "rate_limited");
  CHECK_INT(b.attempt_count, 3);
  CHECK_INT(b.put_off, 2);
  CHECK_INT(tm_json_int(tm_json_get(b.meta, "attempts"), 0), 3);
  CHECK(!tm_json_get(b.attempts[2], "retry_in_ms"));
  box_close(&b);
}

static peer_then is_wrong_for_ever(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  if (n % 2 == 0)
    return peer_reply(reply, 429, BUSY, "");
  return openai_says(reply, "{\"category\":\"rant\"}", "stop");
}

static void its_repairs_are_counted_on_to_the_same_end(void) {
  llm_box b;
  open_box(&b, is_wrong_for_ever, true);
  box_ask(&b, "{\"model\":\"openai/m\",\"repair\":1," USER SCHEMA "}");
  CHECK_STR(box_class(&b), "bad_output");
  CHECK_INT(b.attempt_count, 3);
  CHECK_INT(tm_json_int(tm_json_get(b.attempts[2], "round"), 0), 1);
  box_close(&b);
}

static void what_is_told_of_it_says_how_long_and_why(void) {
  llm_box b;
  tm_err err = TM_ERR_INIT;
  open_box(&b, is_busy, true);
  CHECK_INT(box_start(&b, "{\"model\":\"openai/m\"," USER "}", &err), 0);
  while (!b.put_off)
    tm_loop_turn(b.loop, -1);
  CHECK(b.wait_ms >= 40 && b.wait_ms <= 44);
  CHECK_STR(box_class(&b), "rate_limited");
  CHECK_INT(tm_json_int(tm_json_get(b.so_far, "attempts"), 0), 1);
  CHECK_INT(tm_json_int(tm_json_get(b.attempts[0], "retry_in_ms"), 0), b.wait_ms);
  CHECK(!strstr(box_text(&b, b.state), "sk-secret"));
  CHECK_INT(b.done, 0);
  box_close(&b);
}

static void a_wait_that_is_not_long_is_waited_here(void) {
  llm_box b;
  open_box(&b, is_busy, true);
  box_set(&b, "TIDEMILL_LONG_WAIT_MS", "500");
  box_ask(&b, "{\"model\":\"openai/m\"," USER "}");
  CHECK_INT(b.put_off, 0);
  CHECK_INT(b.attempt_count, 3);
  box_close(&b);
}

static peer_then is_busy_at_openai(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return strstr(request, "POST /chat") ? peer_reply(reply, 429, "Retry-After: 3600\r\n", "")
                                       : peer_reply(reply, 400, "", "{}");
}

static void somebody_who_stands_ready_is_asked_instead_of_a_long_wait(void) {
  llm_box b;
  open_box(&b, is_busy_at_openai, true);
  box_ask(&b, "{\"model\":\"openai/m\",\"fallback\":[\"anthropic/m\"]," USER "}");
  CHECK_INT(b.put_off, 0);
  CHECK_INT(b.attempt_count, 2);
  CHECK_STR(tm_json_get_str(b.attempts[1], "provider"), "anthropic");
  box_close(&b);
}

static peer_then wants_two_days(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return peer_reply(reply, 429, "Retry-After: 172800\r\n", "");
}

static void more_than_a_day_is_not_waited_for(void) {
  llm_box b;
  open_box(&b, wants_two_days, true);
  box_ask(&b, "{\"model\":\"openai/m\"," USER "}");
  CHECK_STR(box_class(&b), "rate_limited");
  CHECK_INT(b.attempt_count, 1);
  CHECK_INT(b.put_off, 0);
  CHECK(strstr(tm_json_get_str(b.error, "message"), "more than a day"));
  box_close(&b);
}

static peer_then is_out_of_money(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return n == 1 ? peer_reply(reply, 429, "Retry-After: 40\r\n",
                             "{\"error\":{\"message\":\"no\",\"code\":\"insufficient_quota\"}}")
                : peer_reply(reply, 401, "Retry-After: 40\r\n", "");
}

static void no_money_and_a_wrong_key_are_never_waited_for(void) {
  static const char *const classes[] = {"quota", "auth"};
  llm_box b;
  open_box(&b, is_out_of_money, true);
  for (int i = 0; i < 2; i++) {
    box_ask(&b, "{\"model\":\"openai/m\"," USER "}");
    CHECK_STR(box_class(&b), classes[i]);
    CHECK_INT(b.attempt_count, 1);
    CHECK_INT(b.put_off, 0);
  }
  box_close(&b);
}

static void what_is_no_state_is_refused(void) {
  static const char *const states[] = {
      "{}",
      "[]",
      "{\"n\":1}",
      "{\"n\":-1,\"tries\":0,\"round\":0,\"rounds\":0,\"rung\":0,"
      "\"fall\":0,\"ms\":0}",
      "{\"n\":1,\"tries\":0,\"round\":0,\"rounds\":0,\"rung\":1,"
      "\"fall\":0,\"ms\":0}",
      "{\"n\":1,\"tries\":0,\"round\":0,\"rounds\":0,\"rung\":0,"
      "\"fall\":1,\"ms\":0}",
      "{\"n\":1,\"tries\":0,\"round\":99,\"rounds\":0,\"rung\":0,"
      "\"fall\":0,\"ms\":0}"};
  llm_box b;
  open_box(&b, is_busy, true);
  tm_llm_events ev = box_events(&b);
  for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
    tm_err err = TM_ERR_INIT;
    tm_json *request = box_json(&b, "{\"model\":\"openai/m\"," USER "}");
    CHECK_INT(tm_llm_resume(&b.ask, b.llm, request, box_json(&b, states[i]), &ev, &err), -1);
    CHECK_INT(err.code, TM_INTERNAL);
    CHECK(b.ask == NULL);
  }
  CHECK_INT(atomic_load(&b.peer->requests), 0);
  box_close(&b);
}

/* Put off behind a repair, and then taken up with too little memory. */
static void no_allocation_that_fails_on_the_way_back_does_harm(void) {
  static const char request[] =
      "{\"model\":\"openai/m\",\"repair\":1,\"retries\":1," USER SCHEMA "}";
  bool whole = false;
  for (size_t n = 1; n < 500 && !whole; n++) {
    llm_box b;
    tm_err err = TM_ERR_INIT;
    open_box(&b, is_wrong_for_ever, true);
    CHECK_INT(box_start(&b, request, &err), 0);
    while (!b.put_off)
      tm_loop_turn(b.loop, -1);
    b.outlasts = false;
    tm_llm_events ev = box_events(&b);
    tm_json *again = box_json(&b, request);
    tm_mem_fail_at(n);
    int rc = tm_llm_resume(&b.ask, b.llm, again, b.state, &ev, &err);
    while (rc == 0 && !b.done)
      tm_loop_turn(b.loop, -1);
    whole = tm_mem_fail_at(0) < n;
    CHECK(rc < 0 ? err.code != TM_OK : b.error != NULL);
    if (rc == 0 &&
        atomic_load(&b.peer->requests) > 2) /* what was said is in it, or nothing is */
      CHECK(strstr(b.requests[2], "rant") != NULL);
    box_close(&b);
  }
  CHECK(whole);
}

static void who_cannot_outlast_it_waits_for_a_minute(void) {
  llm_box b;
  tm_err err = TM_ERR_INIT;
  open_box(&b, is_busy_at_openai, false);
  CHECK_INT(box_start(&b, "{\"model\":\"openai/m\"," USER "}", &err), 0);
  while (!b.attempt_count)
    tm_loop_turn(b.loop, -1);
  CHECK_INT(tm_json_int(tm_json_get(b.attempts[0], "retry_in_ms"), 0), 60000);
  tm_llm_cancel(&b.ask);
  box_close(&b);
}

CHECK_SUITE(resume) {
  CHECK_RUN(an_ask_that_was_put_off_ends_as_one_that_waited);
  CHECK_RUN(its_step_of_the_ladder_is_kept);
  CHECK_RUN(its_tries_are_counted_on_to_the_same_end);
  CHECK_RUN(its_repairs_are_counted_on_to_the_same_end);
  CHECK_RUN(what_is_told_of_it_says_how_long_and_why);
  CHECK_RUN(a_wait_that_is_not_long_is_waited_here);
  CHECK_RUN(somebody_who_stands_ready_is_asked_instead_of_a_long_wait);
  CHECK_RUN(who_cannot_outlast_it_waits_for_a_minute);
  CHECK_RUN(more_than_a_day_is_not_waited_for);
  CHECK_RUN(no_money_and_a_wrong_key_are_never_waited_for);
  CHECK_RUN(what_is_no_state_is_refused);
  CHECK_RUN(no_allocation_that_fails_on_the_way_back_does_harm);
}
