/* test_embed.c - texts to vectors, of every provider that has them. */
#include "mock_box.h"

static void embed(llm_box *b, const char *request) {
  tm_llm_events ev = {.attempt = box_attempt, .done = box_done, .ctx = b};
  tm_err err = TM_ERR_INIT;
  b->attempt_count = b->done = 0;
  b->value = b->meta = b->error = NULL;
  if (tm_llm_embed(&b->ask, b->llm, box_json(b, request), NULL, &ev, &err) < 0) {
    check_fail(__FILE__, __LINE__, "%s", err.msg);
    return;
  }
  while (!b->done)
    tm_loop_turn(b->loop, -1);
}

#define TEXTS "\"input\":[\"one\",\"two\",\"one\"]}"

static void vectors_come_in_the_order_of_the_texts(void) {
  static const char *const models[] = {"openai/m", "openai-responses/m", "gemini/m",
                                       "ollama/m"};
  mock_process m;
  if (!mock_start(&m, NULL)) {
    check_skip("mock-server is not beside this program (build it, or set TM_MOCK_SERVER)");
    return;
  }
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
    llm_box b;
    mock_box_open(&b, &m, "");
    embed(&b,
          tm_arena_printf(&b.arena, "{\"model\":\"%s\",\"config\":{\"dimensions\":3}," TEXTS,
                          models[i]));
    if (b.error)
      check_fail(__FILE__, __LINE__, "%s: %s", models[i], box_text(&b, b.error));
    CHECK_INT(tm_json_len(b.value), 3);
    CHECK_INT(tm_json_len(tm_json_at(b.value, 0)), 3);
    CHECK(tm_json_equal(tm_json_at(b.value, 0), tm_json_at(b.value, 2)));
    CHECK(!tm_json_equal(tm_json_at(b.value, 0), tm_json_at(b.value, 1)));
    CHECK_STR(tm_json_get_str(b.attempts[0], "phase"), "embed");
    CHECK(strstr(tm_json_get_str(b.attempts[0], "request"), "imension"));
    box_close(&b);
  }
  mock_stop(&m);
}

static void faults_are_the_same_as_of_any_question(void) {
  static const struct {
    const char *fault, *class;
    int attempts;
  } table[] = {{"500", "server_error", 3},
               {"401", "auth", 1},
               {"reset", "network", 3},
               {"nochoices", "server_error", 3},
               {"garbage", "server_error", 3}};
  mock_process m;
  if (!mock_start(&m, NULL)) {
    check_skip("mock-server is not beside this program (build it, or set TM_MOCK_SERVER)");
    return;
  }
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    llm_box b;
    mock_box_open(&b, &m, table[i].fault);
    embed(&b, "{\"model\":\"openai/m\"," TEXTS);
    CHECK_STR(box_class(&b), table[i].class);
    CHECK_INT(b.attempt_count, table[i].attempts);
    box_close(&b);
  }
  mock_stop(&m);
}

static int vectors(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                   tm_err *err) {
  (void)ctx, (void)model, (void)err;
  CHECK_INT(tm_json_len(tm_json_get(request, "input")), 3);
  tm_buf_puts(answer, "[[1],[2],[0.5]]");
  return 0;
}

static void a_function_answers_with_vectors_as_json(void) {
  llm_box b;
  box_open(&b, NULL);
  tm_llm_register(b.llm, "fn", vectors, NULL);
  embed(&b, "{\"model\":\"fn/x\"," TEXTS);
  CHECK_STR(box_text(&b, b.value), "[[1],[2],[0.5]]");
  box_close(&b);
}

static void what_cannot_be_embedded_is_refused_at_once(void) {
  static const char *const requests[] = {
      "{\"model\":\"anthropic/x\",\"input\":[\"a\"]}", "{\"model\":\"openai/x\",\"input\":[]}",
      "{\"model\":\"openai/x\",\"input\":\"a\"}", "{\"model\":\"openai/x\",\"input\":[1]}",
      "{\"model\":\"openai/x\"}"};
  llm_box b;
  box_open(&b, NULL);
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    tm_err err = TM_ERR_INIT;
    tm_llm_events ev = {.done = box_done, .ctx = &b};
    CHECK_INT(tm_llm_embed(&b.ask, b.llm, box_json(&b, requests[i]), NULL, &ev, &err), -1);
    CHECK_INT(err.code, TM_USAGE);
  }
  box_close(&b);
}

CHECK_SUITE(embed) {
  CHECK_RUN(vectors_come_in_the_order_of_the_texts);
  CHECK_RUN(faults_are_the_same_as_of_any_question);
  CHECK_RUN(a_function_answers_with_vectors_as_json);
  CHECK_RUN(what_cannot_be_embedded_is_refused_at_once);
}
