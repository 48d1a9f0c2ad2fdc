/* test_llm.c - the ask machine: answers, retries, repairs, two phases, cancelling, secrets. */
#include "llm_box.h"

#include "llm/retry.h"

#define ASK(model)                                                                   \
  "{\"unit\":\"classify\",\"model\":\"" model "\",\"messages\":[{\"role\":\"user\"," \
  "\"content\":[{\"text\":\"What is it?\"}]}]"
#define SCHEMA                                                                            \
  ",\"schema\":{\"type\":\"object\",\"properties\":{\"category\":{\"enum\":[\"billing\"," \
  "\"bug\"]},\"note\":{\"type\":\"string\"}},\"required\":[\"category\"],"                \
  "\"additionalProperties\":false}"

/* -- answers --------------------------------------------------------------------------- */

static peer_then answers_billing(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return openai_says(reply, "{\"category\":\"billing\",\"note\":null}", "stop");
}

static void an_answer_that_fits_comes_with_meta_and_one_attempt(void) {
  llm_box b;
  box_open(&b, answers_billing);
  box_ask(&b, ASK("openai/gpt-4.1") SCHEMA "}");
  CHECK_STR(box_text(&b, b.value), "{\"category\":\"billing\"}");
  CHECK(b.error == NULL);
  CHECK_STR(tm_json_get_str(b.meta, "model"), "openai/gpt-4.1");
  CHECK_STR(tm_json_get_str(b.meta, "model_answered"), "gpt-mock-2026");
  CHECK_STR(tm_json_get_str(b.meta, "provider"), "openai");
  CHECK_STR(tm_json_get_str(b.meta, "request_id"), "req_1");
  CHECK_STR(tm_json_get_str(b.meta, "fingerprint"), "fp");
  CHECK_STR(tm_json_get_str(b.meta, "finish"), "stop");
  CHECK_INT(tm_json_int(tm_json_get(b.meta, "attempts"), 0), 1);
  CHECK_INT(tm_json_int(tm_json_get(b.meta, "rounds"), -1), 0);
  CHECK_STR(box_text(&b, tm_json_get(b.meta, "usage")),
            "{\"input\":10,\"cached_input\":4,\"cache_write\":null,\"output\":5,\"reasoning\":"
            "null,\"total\":15}");
  CHECK_INT(b.attempt_count, 1);
  const tm_json *at = b.attempts[0];
  CHECK_INT(tm_json_int(tm_json_get(at, "n"), 0), 1);
  CHECK_INT(tm_json_int(tm_json_get(at, "round"), -1), 0);
  CHECK_INT(tm_json_int(tm_json_get(at, "status"), 0), 200);
  CHECK_STR(tm_json_get_str(at, "phase"), "answer");
  CHECK_STR(tm_json_get_str(at, "model"), "gpt-4.1");
  CHECK_STR(tm_json_get_str(at, "method"), "POST");
  CHECK(tm_json_get(at, "error") == NULL && tm_json_get(at, "retry_in_ms") == NULL);
  CHECK(tm_json_int(tm_json_get(at, "at"), 0) > INT64_C(1600000000000));
  const char *sent = strstr(b.requests[0], "\r\n\r\n") + 4;
  CHECK_STR(tm_json_get_str(at, "request"), sent);
  CHECK(strstr(tm_json_get_str(at, "response"), "gpt-mock-2026"));
  box_close(&b);
}

static void without_a_schema_the_answer_is_the_text(void) {
  llm_box b;
  box_open(&b, answers_billing);
  box_ask(&b, ASK("openai/gpt-4.1") "}");
  CHECK_STR(tm_json_str(b.value, NULL), "{\"category\":\"billing\",\"note\":null}");
  CHECK(!strstr(b.requests[0], "response_format"));
  box_close(&b);
}

/* -- retries --------------------------------------------------------------------------- */

typedef struct fault_case {
  const char *name, *raw; /* raw: the whole answer; NULL: reset */
  const char *class;
  int attempts;
  const char *says; /* in the message; or NULL */
} fault_case;

#define BODY(status, type, body) \
  "HTTP/1.1 " status " X\r\nContent-Type: " type "\r\nConnection: close\r\n\r\n" body
#define ERROR_BODY(status, code) \
  BODY(status, "application/json", "{\"error\":{\"message\":\"no\",\"code\":\"" code "\"}}")

static const fault_case faults[] = {
    {"reset", NULL, "network", 3, "cut before"},
    {"closed", "", "network", 3, NULL},
    {"cut body", "HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{\"choices\"", "network", 3,
     NULL},
    {"408", ERROR_BODY("408", ""), "timeout", 3, "408"},
    {"409", ERROR_BODY("409", ""), "server_error", 3, NULL},
    {"429", ERROR_BODY("429", ""), "rate_limited", 3, NULL},
    {"500", ERROR_BODY("500", ""), "server_error", 3, NULL},
    {"502 page", BODY("502", "text/html", "<html>\x01"), "server_error", 3, "<html>\\x01"},
    {"503", ERROR_BODY("503", ""), "overloaded", 3, NULL},
    {"504", ERROR_BODY("504", ""), "timeout", 3, NULL},
    {"529", ERROR_BODY("529", ""), "overloaded", 3, NULL},
    {"999", ERROR_BODY("999", ""), "server_error", 3, NULL},
    {"quota", ERROR_BODY("429", "insufficient_quota"), "quota", 1, NULL},
    {"402", ERROR_BODY("402", ""), "quota", 1, NULL},
    {"400", ERROR_BODY("400", ""), "invalid_request", 1, NULL},
    {"401", ERROR_BODY("401", ""), "auth", 1, NULL},
    {"403", ERROR_BODY("403", ""), "auth", 1, NULL},
    {"404", ERROR_BODY("404", ""), "invalid_request", 1, NULL},
    {"413", ERROR_BODY("413", ""), "invalid_request", 1, NULL},
    {"422", ERROR_BODY("422", ""), "invalid_request", 1, NULL},
    {"context", ERROR_BODY("400", "context_length_exceeded"), "context_overflow", 1, NULL},
    {"filter", ERROR_BODY("400", "content_filter"), "filtered", 1, NULL},
    {"redirect", "HTTP/1.1 307 X\r\nLocation: http://evil/\r\nContent-Length: 0\r\n\r\n",
     "invalid_request", 1, "OPENAI_BASE_URL"},
    {"page", BODY("200", "text/html", "<html>hello</html>"), "server_error", 3, "<html>hello"},
    {"empty", BODY("200", "application/json", ""), "server_error", 3, NULL},
    {"204", "HTTP/1.1 204 X\r\n\r\n", "server_error", 3, NULL},
    {"list", BODY("200", "application/json", "[]"), "server_error", 3, NULL},
    {"no choices", BODY("200", "application/json", "{\"choices\":[]}"), "server_error", 3,
     "no choices"},
    {"no message", BODY("200", "application/json", "{\"choices\":[{}]}"), "server_error", 3,
     NULL},
    {"wrong types",
     BODY("200", "application/json", "{\"choices\":[{\"message\":{\"content\":7}}]}"),
     "server_error", 3, NULL},
    {"200 error", ERROR_BODY("200", "server_error"), "server_error", 3, NULL},
    {"lone surrogate",
     BODY("200", "application/json",
          "{\"choices\":[{\"message\":{\"content\":"
          "\"\\ud800\"}}]}"),
     "server_error", 3, NULL},
    {"not to be retried",
     "HTTP/1.1 500 X\r\nx-should-retry: false\r\nContent-Length: 0\r\n\r\n", "server_error", 1,
     NULL},
    {"to be retried", "HTTP/1.1 400 X\r\nx-should-retry: true\r\nContent-Length: 0\r\n\r\n",
     "invalid_request", 3, NULL},
    {"refusal",
     BODY("200", "application/json",
          "{\"choices\":[{\"message\":{\"content\":null,"
          "\"refusal\":\"I will not\"},\"finish_reason\":\"stop\"}]}"),
     "refused", 1, "I will not"},
    {"filtered",
     BODY("200", "application/json",
          "{\"choices\":[{\"message\":{\"content\":\"\"},"
          "\"finish_reason\":\"content_filter\"}]}"),
     "filtered", 1, NULL},
    {"truncated",
     BODY("200", "application/json",
          "{\"choices\":[{\"message\":{\"content\":\"{\"},"
          "\"finish_reason\":\"length\"}]}"),
     "truncated", 1, "maxOutputTokens"},
};

static const fault_case *playing;

static peer_then plays_the_fault(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  if (!playing->raw)
    return PEER_RESET;
  tm_buf_puts(reply, playing->raw);
  return PEER_CLOSE;
}

static void each_fault_has_its_class_and_its_number_of_attempts(void) {
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    llm_box b;
    playing = &faults[i];
    box_open(&b, plays_the_fault);
    box_ask(&b, ASK("openai/m") SCHEMA "}");
    const char *message = tm_json_get_str(b.error, "message");
    if (strcmp(box_class(&b), playing->class) != 0 || b.attempt_count != playing->attempts ||
        (playing->says && !strstr(message ? message : "", playing->says)))
      check_fail(__FILE__, __LINE__, "%s: class %s after %d attempts: %s", playing->name,
                 box_class(&b), b.attempt_count, message ? message : "(none)");
    CHECK(b.value == NULL);
    CHECK_STR(tm_json_get_str(b.error, "kind"), "llm");
    for (int k = 0; k < b.attempt_count; k++) {
      bool last = k == b.attempt_count - 1;
      CHECK_STR(tm_json_get_str(tm_json_get(b.attempts[k], "error"), "class"), playing->class);
      CHECK(last == (tm_json_get(b.attempts[k], "retry_in_ms") == NULL));
    }
    box_close(&b);
  }
}

static void nobody_there_is_network_and_a_deadline_is_timeout(void) {
  llm_box b;
  box_open(&b, answers_billing);
  peer_stop(&b.peer);
  box_ask(&b, ASK("openai/m") ",\"retries\":1}");
  CHECK_STR(box_class(&b), "network");
  CHECK_INT(b.attempt_count, 2);
  CHECK(tm_json_bool(tm_json_get(b.error, "retryable"), false));
  box_close(&b);
}

static peer_then hangs(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request, (void)reply;
  return PEER_KEEP;
}

static void a_provider_that_hangs_is_a_timeout(void) {
  llm_box b;
  box_open(&b, hangs);
  box_ask(&b, ASK("openai/m") ",\"retries\":0,\"timeout_ms\":20}");
  CHECK_STR(box_class(&b), "timeout");
  CHECK_INT(b.attempt_count, 1);
  box_close(&b);
}

static peer_then recovers(peer *p, int n, const char *request, tm_buf *reply) {
  if (n < 3)
    return peer_reply(reply, 503, n == 1 ? "retry-after-ms: 7\r\n" : "Retry-After: 0.009\r\n",
                      "");
  return answers_billing(p, n, request, reply);
}

static void a_wait_that_the_server_asks_for_is_kept(void) {
  llm_box b;
  box_open(&b, recovers);
  box_ask(&b, ASK("openai/m") SCHEMA "}");
  CHECK(b.error == NULL && b.value != NULL);
  REQUIRE(b.attempt_count == 3);
  int64_t first = tm_json_int(tm_json_get(b.attempts[0], "retry_in_ms"), -1);
  int64_t second = tm_json_int(tm_json_get(b.attempts[1], "retry_in_ms"), -1);
  CHECK(first == 7 && second == 9); /* plus a tenth at most, which is nothing here */
  int64_t t1 = tm_json_int(tm_json_get(b.attempts[0], "at"), 0);
  CHECK(tm_json_int(tm_json_get(b.attempts[1], "at"), 0) - t1 >= 6);
  CHECK_INT(tm_json_int(tm_json_get(b.meta, "attempts"), 0), 3);
  box_close(&b);
}

static int64_t asked(const char *name, const char *value, const char *date) {
  tm_http_header headers[] = {{name, value}, {"date", date}};
  tm_http_res res = {.headers = headers, .header_count = date ? 2 : 1};
  return tm_retry_asked(&res, INT64_C(784111777000)); /* Sun, 06 Nov 1994 08:49:37 GMT */
}

static void retry_after_is_read_in_all_its_forms(void) {
  CHECK_INT(asked("retry-after-ms", "1500", NULL), 1500);
  CHECK_INT(asked("retry-after", "3", NULL), 3000);
  CHECK_INT(asked("retry-after", "0", NULL), 0);
  CHECK_INT(asked("retry-after", "86400", NULL), TM_RETRY_ASKED_MAX);
  CHECK(asked("retry-after", "86401", NULL) > TM_RETRY_ASKED_MAX);
  CHECK(asked("retry-after", "999999999999999999999", NULL) > TM_RETRY_ASKED_MAX);
  CHECK_INT(asked("retry-after", "-3", NULL), -1);
  CHECK_INT(asked("retry-after", "soon", NULL), -1);
  CHECK_INT(asked("retry-after", "nan", NULL), -1);
  CHECK_INT(asked("retry-after", "", NULL), -1);
  CHECK_INT(asked("x-other", "3", NULL), -1);
  CHECK_INT(asked("retry-after", "Sun, 06 Nov 1994 08:49:42 GMT", NULL), 5000);
  CHECK_INT(
      asked("retry-after", "Sun, 06 Nov 1994 08:49:42 GMT", "Sun, 06 Nov 1994 08:49:40 GMT"),
      2000);
  CHECK_INT(asked("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT", NULL), 0);
  CHECK(asked("retry-after", "Mon, 06 Nov 2094 08:00:00 GMT", NULL) > TM_RETRY_ASKED_MAX);
  CHECK_INT(asked("retry-after", "Sun, 06 Foo 1994 08:49:42 GMT", NULL), -1);
}

static void backoff_is_spread_over_a_doubling_range_with_a_cap(void) {
  tm_dice dice;
  tm_dice_seed(&dice, "tide", 4);
  for (int n = 0; n < 12; n++) {
    int64_t most = n < 4 ? 500 << n : 8000, low = most, high = 0;
    for (int i = 0; i < 400; i++) {
      int64_t ms = tm_retry_backoff(&dice, 500, n);
      low = ms < low ? ms : low;
      high = ms > high ? ms : high;
    }
    CHECK(low >= 0 && low < most / 10 && high <= most && high > most - most / 10);
  }
}

/* -- repair ---------------------------------------------------------------------------- */

static peer_then learns(peer *p, int n, const char *request, tm_buf *reply) {
  static const char *const says[] = {"{\"category\":\"rant\"}", "Sorry: {\"category\":1",
                                     "```json\n{\"category\":\"bug\"}\n```"};
  box_keep(p, n, request);
  return openai_says(reply, says[(n - 1) % 3], "stop");
}

static void a_wrong_answer_is_fed_back_with_its_errors_until_it_fits(void) {
  llm_box b;
  box_open(&b, learns);
  box_ask(&b, ASK("openai/m") SCHEMA "}");
  CHECK_STR(box_text(&b, b.value), "{\"category\":\"bug\"}");
  CHECK_INT(tm_json_int(tm_json_get(b.meta, "rounds"), 0), 2);
  CHECK_INT(tm_json_int(tm_json_get(b.meta, "attempts"), 0), 3);
  CHECK_INT(tm_json_int(tm_json_pointer(b.meta, "/usage/total"), 0), 45);
  REQUIRE(b.attempt_count == 3);
  CHECK_STR(tm_json_get_str(tm_json_get(b.attempts[0], "error"), "class"), "bad_output");
  CHECK_INT(tm_json_int(tm_json_get(b.attempts[2], "round"), 0), 2);
  const tm_json *sent = box_json(&b, strstr(b.requests[1], "\r\n\r\n") + 4);
  const tm_json *messages = tm_json_get(sent, "messages");
  CHECK_INT(tm_json_len(messages), 3);
  CHECK_STR(tm_json_get_str(tm_json_at(messages, 1), "role"), "assistant");
  CHECK_STR(tm_json_get_str(tm_json_at(messages, 1), "content"), "{\"category\":\"rant\"}");
  CHECK_STR(tm_json_get_str(tm_json_at(messages, 2), "role"), "user");
  const char *advice = tm_json_get_str(tm_json_at(messages, 2), "content");
  CHECK(advice && strstr(advice, "category") && strstr(advice, "billing"));
  sent = box_json(&b, strstr(b.requests[2], "\r\n\r\n") + 4);
  CHECK_INT(tm_json_len(tm_json_get(sent, "messages")), 5);
  box_close(&b);
}

static peer_then never_learns(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return openai_says(reply, "{\"category\":\"rant\"}", "stop");
}

static void repair_is_bounded_and_ends_in_bad_output_with_the_errors(void) {
  llm_box b;
  box_open(&b, never_learns);
  box_ask(&b, ASK("openai/m") SCHEMA ",\"repair\":1}");
  CHECK_STR(box_class(&b), "bad_output");
  CHECK_INT(b.attempt_count, 2);
  CHECK_STR(tm_json_str(tm_json_pointer(b.error, "/errors/0/instance"), NULL), "/category");
  CHECK(!tm_json_bool(tm_json_get(b.error, "retryable"), true));
  box_ask(&b, ASK("openai/m") SCHEMA ",\"repair\":0}");
  CHECK_INT(b.attempt_count, 1);
  box_close(&b);
}

static peer_then says_nothing(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return openai_says(reply, n == 1 ? "" : "{\"category\":\"bug\"}", "stop");
}

static void an_empty_answer_is_repaired_without_an_empty_turn(void) {
  llm_box b;
  box_open(&b, says_nothing);
  box_ask(&b, ASK("openai/m") SCHEMA "}");
  CHECK(b.value != NULL);
  CHECK_INT(
      tm_json_len(tm_json_get(box_json(&b, strstr(b.requests[1], "\r\n\r\n") + 4), "messages")),
      2);
  box_close(&b);
}

/* -- reason, then extract -------------------------------------------------------------- */

static peer_then thinks(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return openai_says(reply, n == 1 ? "It must be a bug." : "{\"category\":\"bug\"}", "stop");
}

static void reasoning_comes_first_in_prose_and_the_schema_second(void) {
  llm_box b;
  box_open(&b, thinks);
  box_ask(&b, ASK("openai/m") SCHEMA ",\"mode\":\"reason_then_extract\"}");
  CHECK_STR(box_text(&b, b.value), "{\"category\":\"bug\"}");
  REQUIRE(b.attempt_count == 2);
  CHECK_STR(tm_json_get_str(b.attempts[0], "phase"), "reason");
  CHECK_STR(tm_json_get_str(b.attempts[1], "phase"), "extract");
  CHECK(!strstr(b.requests[0], "response_format"));
  CHECK(strstr(b.requests[1], "response_format"));
  CHECK(strstr(b.requests[1], "{\"role\":\"assistant\",\"content\":\"It must be a bug.\"}"));
  box_close(&b);
}

/* -- secrets --------------------------------------------------------------------------- */

static peer_then echoes_the_key(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  if (n == 1)
    return peer_reply(reply, 401, "x-request-id: for sk-secret-of-openai\r\n",
                      "{\"error\":{\"message\":\"Bad key sk-secret-of-openai, got Bearer "
                      "sk-secret-of-openai.\"}}");
  return openai_says(reply, "your key is sk-secret-of-openai", "stop");
}

static void a_key_is_sent_and_appears_nowhere_else(void) {
  llm_box b;
  box_open(&b, echoes_the_key);
  box_ask(&b, ASK("openai/m") "}");
  CHECK(strstr(b.requests[0], "Authorization: Bearer sk-secret-of-openai\r\n"));
  CHECK_STR(box_class(&b), "auth");
  CHECK_STR(tm_json_get_str(tm_json_get(b.attempts[0], "headers"), "Authorization"), "***");
  const char *told = box_text(&b, b.attempts[0]), *error = box_text(&b, b.error);
  CHECK(!strstr(told, "secret-of") && strstr(told, "Bad key ***, got Bearer ***"));
  CHECK(!strstr(error, "secret-of") && strstr(error, "***"));
  CHECK(!strstr(box_text(&b, b.meta), "secret-of"));
  box_ask(&b, ASK("openai/m") "}");
  CHECK_STR(tm_json_str(b.value, NULL), "your key is ***");
  CHECK(!strstr(box_text(&b, b.attempts[0]), "secret-of"));
  box_close(&b);
}

static void bytes_that_are_no_text_are_kept_as_base64(void) {
  llm_box b;
  playing = &(fault_case){.raw = "HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\n\xff\xfe{}"};
  box_open(&b, plays_the_fault);
  box_ask(&b, ASK("openai/m") ",\"retries\":0}");
  CHECK_STR(tm_json_str(tm_json_pointer(b.attempts[0], "/response/base64"), NULL), "//57fQ==");
  box_close(&b);
}

/* -- what is missing or unknown -------------------------------------------------------- */

static void a_missing_key_names_the_variable_and_the_way_out(void) {
  llm_box b;
  box_open(&b, NULL);
  static const char *const models[][2] = {{ASK("openai/gpt-4.1") "}", "OPENAI_API_KEY"},
                                          {ASK("anthropic/claude-x") "}", "ANTHROPIC_API_KEY"}};
  for (size_t i = 0; i < 2; i++) {
    box_ask(&b, models[i][0]);
    CHECK_STR(box_class(&b), "auth");
    CHECK_STR(tm_json_get_str(b.error, "code"), "config");
    const char *message = tm_json_get_str(b.error, "message");
    CHECK(message && strstr(message, models[i][1]) && strstr(message, "--model scripted/demo"));
    CHECK_INT(b.attempt_count, 0);
    CHECK(!tm_json_bool(tm_json_get(b.error, "retryable"), true));
  }
  box_close(&b);
}

static int echo_function(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                         tm_err *err);

static void a_question_that_cannot_be_asked_is_refused_at_once(void) {
  static const struct {
    const char *request, *says;
    tm_code code;
  } table[] = {
      {ASK("openia/gpt") "}",
       "echo, openai, openai-chat, openai-responses, anthropic, gemini, ollama", TM_CONFIG},
      {ASK("gpt-4.1") "}", "PROVIDER/MODEL", TM_USAGE},
      {ASK("openai/") "}", "PROVIDER/MODEL", TM_USAGE},
      {"{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "PROVIDER/MODEL", TM_USAGE},
      {"{\"model\":\"openai/m\",\"messages\":[]}", "at least one message", TM_USAGE},
      {"{\"model\":\"ollama/m\",\"messages\":[{\"role\":\"user\",\"content\":[]},"
       "{\"role\":\"boss\",\"content\":[]}]}",
       "message 2 has the role \"boss\"; the roles are system", TM_USAGE},
      {"{\"model\":\"openai/m\",\"messages\":[{\"content\":[]}]}", "message 1 has no role;",
       TM_USAGE},
      {ASK("openai/m") ",\"schema\":{\"type\":\"no-type\"}}", "output schema of classify",
       TM_USAGE},
  };
  llm_box b;
  box_open(&b, NULL);
  tm_llm_register(b.llm, "echo", echo_function, &b);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_err err = TM_ERR_INIT;
    CHECK_INT(box_start(&b, table[i].request, &err), -1);
    CHECK(b.ask == NULL);
    if (err.code != table[i].code || !strstr(err.msg, table[i].says))
      check_fail(__FILE__, __LINE__, "case %zu: %s: %s", i, tm_err_word(err.code), err.msg);
  }
  tm_loop_turn(b.loop, 0);
  CHECK_INT(b.done, 0);
  box_close(&b);
}

/* -- providers that are functions ------------------------------------------------------ */

static int echo_function(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                         tm_err *err) {
  llm_box *b = ctx;
  if (strcmp(model, "busy") == 0)
    return tm_err_set(err, TM_TEMP, "too busy");
  if (strcmp(model, "broken") == 0)
    return tm_err_set(err, TM_FAILED, "no rule for this");
  if (strcmp(model, "quits") == 0)
    tm_llm_cancel(&b->ask);
  if (tm_json_get(request, "schema"))
    tm_buf_puts(answer, "{\"category\":\"bug\"}");
  else
    tm_json_print(answer, tm_json_get(request, "vars"));
  return 0;
}

static void a_function_answers_through_the_loop(void) {
  llm_box b;
  box_open(&b, NULL);
  tm_llm_register(b.llm, "echo", echo_function, &b);
  box_ask(&b, ASK("echo/demo") SCHEMA ",\"vars\":{\"x\":1}}");
  CHECK_STR(box_text(&b, b.value), "{\"category\":\"bug\"}");
  const tm_json *at = b.attempts[0];
  CHECK_STR(tm_json_get_str(at, "url"), "function:echo");
  CHECK_STR(tm_json_get_str(at, "provider"), "echo");
  CHECK_STR(tm_json_get_str(at, "response"), "{\"category\":\"bug\"}");
  const tm_json *sent = box_json(&b, tm_json_get_str(at, "request"));
  CHECK_STR(tm_json_get_str(sent, "unit"), "classify");
  CHECK_STR(box_text(&b, tm_json_get(sent, "vars")), "{\"x\":1}");
  CHECK(tm_json_get(sent, "messages") && tm_json_get(sent, "schema"));
  box_ask(&b, ASK("echo/demo") ",\"vars\":{\"x\":1}}");
  CHECK_STR(tm_json_str(b.value, NULL), "{\"x\":1}");
  box_close(&b);
}

static void a_function_that_fails_is_asked_again_only_when_it_may_pass(void) {
  llm_box b;
  box_open(&b, NULL);
  tm_llm_register(b.llm, "echo", echo_function, &b);
  box_ask(&b, ASK("echo/busy") "}");
  CHECK_STR(box_class(&b), "overloaded");
  CHECK_INT(b.attempt_count, 3);
  box_ask(&b, ASK("echo/broken") "}");
  CHECK_STR(box_class(&b), "invalid_request");
  CHECK_INT(b.attempt_count, 1);
  CHECK(strstr(tm_json_get_str(b.error, "message"), "no rule for this"));
  box_close(&b);
}

/* -- cancelling ------------------------------------------------------------------------ */

static void turns(llm_box *b, int n) {
  for (int i = 0; i < n; i++)
    tm_loop_turn(b->loop, 2);
}

static void an_ask_can_be_cancelled_in_every_state_and_is_silent(void) {
  llm_box b;
  tm_err err = TM_ERR_INIT;
  box_open(&b, hangs);
  tm_llm_register(b.llm, "echo", echo_function, &b);
  for (int state = 0; state < 4; state++) {
    CHECK_INT(box_start(&b, ASK("openai/m") SCHEMA "}", &err),
              0); /* started, sending, waiting */
    turns(&b, state);
    tm_llm_cancel(&b.ask);
    CHECK(b.ask == NULL);
    CHECK_INT(box_start(&b, ASK("echo/demo") "}", &err), 0);
    tm_llm_cancel(&b.ask);
  }
  tm_llm_cancel(&b.ask);
  turns(&b, 5);
  CHECK_INT(b.done + b.attempt_count, 0);
  CHECK_INT(box_start(&b, ASK("echo/quits") "}", &err), 0); /* from inside the function */
  turns(&b, 5);
  CHECK_INT(b.done + b.attempt_count, 0);
  CHECK_INT(box_start(&b, ASK("openai/m") "}", &err), 0);
  turns(&b, 2);
  box_close(&b); /* with one open */
  CHECK_INT(b.done, 0);
}

static void a_wait_between_retries_can_be_cancelled(void) {
  llm_box b;
  tm_err err = TM_ERR_INIT;
  playing =
      &(fault_case){.raw = "HTTP/1.1 429 X\r\nRetry-After: 50\r\nContent-Length: 0\r\n\r\n"};
  box_open(&b, plays_the_fault);
  CHECK_INT(box_start(&b, ASK("openai/m") "}", &err), 0);
  while (!b.attempt_count)
    tm_loop_turn(b.loop, -1);
  CHECK(tm_json_int(tm_json_get(b.attempts[0], "retry_in_ms"), 0) >= 50000);
  tm_llm_cancel(&b.ask);
  turns(&b, 3);
  CHECK_INT(b.done, 0);
  CHECK_INT(atomic_load(&b.peer->requests), 1);
  box_close(&b);
}

static void a_listener_may_cancel_from_an_attempt(void) {
  llm_box b;
  tm_err err = TM_ERR_INIT;
  box_open(&b, never_learns);
  b.cancel_at = 2;
  CHECK_INT(box_start(&b, ASK("openai/m") SCHEMA "}", &err), 0);
  while (b.ask)
    tm_loop_turn(b.loop, -1);
  turns(&b, 3);
  CHECK_INT(b.attempt_count, 2);
  CHECK_INT(b.done, 0);
  box_close(&b);
}

/* -- limits ---------------------------------------------------------------------------- */

static peer_then floods(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  size_t size = (size_t)17 << 20;
  tm_buf_puts(reply, "HTTP/1.1 200 OK\r\n\r\n");
  tm_buf_reserve(reply, size);
  memset(reply->data + reply->len, '[', size);
  reply->len += size;
  return PEER_CLOSE;
}

static peer_then nests(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  tm_buf body = TM_BUF_INIT;
  for (int i = 0; i < 100000; i++)
    tm_buf_putc(&body, '[');
  peer_reply(reply, 200, "", tm_buf_str(&body));
  tm_buf_free(&body);
  return PEER_KEEP;
}

static peer_then nests_in_content(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)n, (void)request;
  char body[4001];
  memset(body, '[', 4000);
  body[4000] = '\0';
  return openai_says(reply, body, "stop");
}

static void floods_and_depths_are_errors_and_no_more(void) {
  llm_box b;
  box_open(&b, floods);
  box_ask(&b, ASK("openai/m") "}");
  CHECK_STR(box_class(&b), "server_error");
  CHECK_INT(b.attempt_count, 1);
  box_close(&b);
  box_open(&b, nests);
  box_ask(&b, ASK("openai/m") "}");
  CHECK_STR(box_class(&b), "server_error");
  CHECK_INT(b.attempt_count, 1);
  box_close(&b);
  box_open(&b, nests_in_content);
  box_ask(&b, ASK("openai/m") SCHEMA "}");
  CHECK_STR(box_class(&b), "bad_output");
  box_close(&b);
}

static void no_allocation_that_fails_does_harm(void) {
  static const char *const asks[] = {ASK("openai/m") SCHEMA ",\"config\":{\"topK\":1,\"x\":1}}",
                                     ASK("anthropic/m") SCHEMA ",\"retries\":0}",
                                     ASK("echo/demo") SCHEMA ",\"repair\":1}"};
  for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
    bool whole = false;
    for (size_t n = 1; n < 500 && !whole; n++) {
      llm_box b;
      tm_err err = TM_ERR_INIT;
      box_open(&b, learns);
      tm_llm_register(b.llm, "echo", echo_function, &b);
      tm_mem_fail_at(n);
      int rc = box_start(&b, asks[i], &err);
      while (rc == 0 && !b.done)
        tm_loop_turn(b.loop, -1);
      whole = tm_mem_fail_at(0) < n;
      CHECK(rc < 0 ? err.code != TM_OK : (b.value != NULL) != (b.error != NULL));
      CHECK(!b.value || strcmp(box_text(&b, b.value), "{\"category\":\"bug\"}") == 0);
      box_close(&b);
    }
    CHECK(whole);
  }
}

/* -- many at once ---------------------------------------------------------------------- */

static peer_then is_quick(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)request;
  return n % 10 ? openai_says(reply, "{\"category\":\"bug\"}", "stop")
                : peer_reply(reply, 429, "retry-after-ms: 1\r\n", "");
}

typedef struct tally {
  int right, finished;
} tally;

static void tally_done(void *ctx, const tm_json *value, const tm_json *meta,
                       const tm_json *error) {
  (void)meta, (void)error;
  tally *t = ctx;
  t->finished++;
  t->right += value && strcmp(tm_json_get_str(value, "category"), "bug") == 0;
}

static void hundreds_of_asks_share_one_loop(void) {
  enum { ASKS = 400 };
  llm_box b;
  tally t = {0};
  tm_llm_events ev = {.done = tally_done, .ctx = &t};
  box_open(&b, is_quick);
  const tm_json *request = box_json(&b, ASK("openai/m") SCHEMA ",\"retries\":8}");
  for (int i = 0; i < ASKS; i++) {
    tm_err err = TM_ERR_INIT;
    tm_llm_ask *ask;
    CHECK_INT(tm_llm_start(&ask, b.llm, request, &ev, &err), 0);
  }
  while (t.finished < ASKS)
    tm_loop_turn(b.loop, -1);
  CHECK_INT(t.right, ASKS);
  box_close(&b);
}

CHECK_SUITE(llm) {
  CHECK_RUN(an_answer_that_fits_comes_with_meta_and_one_attempt);
  CHECK_RUN(without_a_schema_the_answer_is_the_text);
  CHECK_RUN(each_fault_has_its_class_and_its_number_of_attempts);
  CHECK_RUN(nobody_there_is_network_and_a_deadline_is_timeout);
  CHECK_RUN(a_provider_that_hangs_is_a_timeout);
  CHECK_RUN(a_wait_that_the_server_asks_for_is_kept);
  CHECK_RUN(retry_after_is_read_in_all_its_forms);
  CHECK_RUN(backoff_is_spread_over_a_doubling_range_with_a_cap);
  CHECK_RUN(a_wrong_answer_is_fed_back_with_its_errors_until_it_fits);
  CHECK_RUN(repair_is_bounded_and_ends_in_bad_output_with_the_errors);
  CHECK_RUN(an_empty_answer_is_repaired_without_an_empty_turn);
  CHECK_RUN(reasoning_comes_first_in_prose_and_the_schema_second);
  CHECK_RUN(a_key_is_sent_and_appears_nowhere_else);
  CHECK_RUN(bytes_that_are_no_text_are_kept_as_base64);
  CHECK_RUN(a_missing_key_names_the_variable_and_the_way_out);
  CHECK_RUN(a_question_that_cannot_be_asked_is_refused_at_once);
  CHECK_RUN(a_function_answers_through_the_loop);
  CHECK_RUN(a_function_that_fails_is_asked_again_only_when_it_may_pass);
  CHECK_RUN(an_ask_can_be_cancelled_in_every_state_and_is_silent);
  CHECK_RUN(a_wait_between_retries_can_be_cancelled);
  CHECK_RUN(a_listener_may_cancel_from_an_attempt);
  CHECK_RUN(floods_and_depths_are_errors_and_no_more);
  CHECK_RUN(no_allocation_that_fails_does_harm);
  CHECK_RUN(hundreds_of_asks_share_one_loop);
}
