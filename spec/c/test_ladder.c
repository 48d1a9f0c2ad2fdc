/* test_ladder.c - tries and fallback: who is asked next, and that it ends. */
#include "llm_box.h"

#define USER "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"What is it?\"}]}]"
#define SCHEMA                                                                            \
  ",\"schema\":{\"type\":\"object\",\"properties\":{\"category\":{\"enum\":[\"billing\"," \
  "\"bug\"]}},\"required\":[\"category\"]}"

/* "good" answers, "bad" never does, "cold" only at temperature 0, "busy" is overloaded,
 * "broken" refuses the request, "sure" and "unsure" say how sure they are, "0.8" says so too. */
static int play(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                tm_err *err) {
  const tm_json *config = tm_json_get(request, "config");
  bool cold = tm_json_number(tm_json_get(config, "temperature"), 1) == 0;
  (void)ctx;
  if (strcmp(model, "busy") == 0)
    return tm_err_set(err, TM_TEMP, "too busy");
  if (strcmp(model, "broken") == 0)
    return tm_err_set(err, TM_FAILED, "no such thing");
  if (strcmp(model, "sure") == 0 || strcmp(model, "unsure") == 0 || *model == '0') {
    const char *how = strcmp(model, "sure") == 0 ? "0.9" : *model == '0' ? model : "0.5";
    tm_buf_printf(answer, "{\"category\":\"bug\",\"confidence\":%s}", how);
    return 0;
  }
  bool good = strcmp(model, "good") == 0 || (strcmp(model, "cold") == 0 && cold);
  tm_buf_puts(answer, good ? "{\"category\":\"bug\"}" : "no idea");
  return 0;
}

static void open_box(llm_box *b) {
  box_open(b, NULL);
  tm_llm_register(b->llm, "one", play, b);
  tm_llm_register(b->llm, "two", play, b);
}

static int64_t rung(const tm_json *o) {
  return tm_json_int(tm_json_get(o, "rung"), 0);
}

static void an_answer_that_is_no_good_goes_to_the_next_of_tries(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b,
          "{\"model\":\"one/cold\",\"repair\":1,\"config\":{\"temperature\":1},\"tries\":[{},"
          "{\"temperature\":0},{\"model\":\"two/good\"}]," USER SCHEMA "}");
  CHECK_STR(box_text(&b, b.value), "{\"category\":\"bug\"}");
  CHECK_INT(b.attempt_count, 3); /* one, its repair, one at temperature 0 */
  CHECK_INT(rung(b.attempts[1]), 0);
  CHECK_INT(rung(b.attempts[2]), 1);
  CHECK_INT(rung(b.meta), 1);
  CHECK_INT(tm_json_int(tm_json_get(b.attempts[2], "round"), -1), 0);
  CHECK_INT(tm_json_int(tm_json_get(b.meta, "rounds"), -1), 1);
  CHECK(strstr(tm_json_get_str(b.attempts[2], "request"), "\"temperature\":0"));
  CHECK(!strstr(tm_json_get_str(b.attempts[2], "request"), "no idea"));
  CHECK(!tm_json_get(b.meta, "model_first"));
  box_close(&b);
}

static void a_higher_rung_may_be_another_model(void) {
  llm_box b;
  open_box(&b);
  box_ask(
      &b,
      "{\"model\":\"one/bad\",\"repair\":0,\"tries\":[{},{\"model\":\"two/good\"}]," USER SCHEMA
      "}");
  CHECK(b.value != NULL);
  CHECK_INT(b.attempt_count, 2);
  CHECK_STR(tm_json_get_str(b.meta, "model"), "two/good");
  CHECK_STR(tm_json_get_str(b.meta, "model_first"), "one/bad");
  CHECK_STR(tm_json_get_str(b.meta, "provider"), "two");
  box_close(&b);
}

static void tries_end_with_the_error_of_the_last(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b, "{\"model\":\"one/bad\",\"repair\":2,\"tries\":[{},{},{}]," USER SCHEMA "}");
  CHECK_STR(box_class(&b), "bad_output");
  CHECK_INT(b.attempt_count, 9);
  box_close(&b);
}

static void a_provider_that_does_not_answer_is_replaced_by_the_next(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b,
          "{\"model\":\"one/busy\",\"retries\":1,\"fallback\":[\"two/busy\",\"two/good\"]," USER
              SCHEMA "}");
  CHECK(b.value != NULL);
  CHECK_INT(b.attempt_count, 5); /* two, two, one */
  CHECK_STR(tm_json_get_str(b.meta, "model"), "two/good");
  CHECK_STR(tm_json_get_str(b.attempts[2], "provider"), "two");
  box_ask(&b, "{\"model\":\"one/busy\",\"retries\":0,\"fallback\":[\"two/busy\"]," USER "}");
  CHECK_STR(box_class(&b), "overloaded");
  CHECK_INT(b.attempt_count, 2);
  box_close(&b);
}

static void a_provider_that_fell_out_stays_out_on_higher_rungs(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b, "{\"model\":\"one/busy\",\"retries\":0,\"repair\":0,\"fallback\":[\"two/cold\"],"
              "\"tries\":[{},{\"temperature\":0,\"model\":\"one/good\"}]," USER SCHEMA "}");
  CHECK(b.value != NULL);
  CHECK_INT(b.attempt_count, 3);
  CHECK_STR(tm_json_get_str(b.attempts[2], "model"), "cold");
  box_close(&b);
}

#define CONFIDENT "\"confidence\":{\"of\":\"confidence\",\"at_least\":0.8},"

static bool unsure(const tm_json *o) {
  return tm_json_bool(tm_json_get(o, "unsure"), false);
}

static void an_answer_that_is_unsure_goes_to_the_next_of_tries(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b,
          "{\"model\":\"one/unsure\"," CONFIDENT
          "\"tries\":[{},{\"model\":\"two/sure\"},{\"model\":\"two/bad\"}]," USER SCHEMA "}");
  CHECK(b.value != NULL);
  CHECK_INT(b.attempt_count, 2);
  CHECK(unsure(b.attempts[0]) && !unsure(b.attempts[1]));
  CHECK(!tm_json_get(b.attempts[0], "error"));
  CHECK_STR(tm_json_get_str(b.meta, "model"), "two/sure");
  CHECK(!unsure(b.meta));
  box_close(&b);
}

static void an_answer_that_stays_unsure_says_so(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b, "{\"model\":\"one/unsure\"," CONFIDENT
              "\"tries\":[{},{\"temperature\":0}]," USER SCHEMA "}");
  CHECK(b.value != NULL);
  CHECK_INT(b.attempt_count, 2);
  CHECK(unsure(b.meta));
  box_ask(&b, "{\"model\":\"one/unsure\"," CONFIDENT USER SCHEMA "}");
  CHECK(b.value != NULL && unsure(b.meta));
  CHECK_INT(b.attempt_count, 1);
  box_close(&b);
}

static void confidence_is_below_the_number_or_not_said(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b, "{\"model\":\"one/0.8\"," CONFIDENT USER SCHEMA "}");
  CHECK(b.value != NULL && !unsure(b.meta));
  box_ask(&b, "{\"model\":\"one/0.799\"," CONFIDENT USER SCHEMA "}");
  CHECK(b.value != NULL && unsure(b.meta));
  box_ask(&b, "{\"model\":\"one/good\"," CONFIDENT USER SCHEMA "}");
  CHECK(b.value != NULL && unsure(b.meta));
  box_ask(
      &b,
      "{\"model\":\"one/0.7\",\"confidence\":{\"of\":\"/confidence\",\"at_least\":0.6}," USER
          SCHEMA "}");
  CHECK(b.value != NULL && !unsure(b.meta));
  box_close(&b);
}

/* Asking somebody else would hide them. */
static void a_wrong_request_is_not_asked_again_of_anybody(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b,
          "{\"model\":\"one/broken\",\"fallback\":[\"two/good\"],\"tries\":[{},{}]," USER "}");
  CHECK_STR(box_class(&b), "invalid_request");
  CHECK_INT(b.attempt_count, 1);
  box_ask(&b, "{\"model\":\"openai/m\",\"fallback\":[\"two/good\"]," USER "}"); /* no key */
  CHECK_STR(box_class(&b), "auth");
  CHECK_INT(b.attempt_count, 0);
  box_close(&b);
}

static void a_ladder_that_cannot_be_climbed_is_refused_at_once(void) {
  static const struct {
    const char *more, *says;
    tm_code code;
  } table[] = {
      {"\"tries\":[7],", "tries must be a list", TM_USAGE},
      {"\"tries\":{\"a\":1},", "tries must be a list", TM_USAGE},
      {"\"tries\":[{\"model\":7}],", "tries must be a list", TM_USAGE},
      {"\"tries\":[{\"model\":\"nobody/x\"}],", "nobody", TM_CONFIG},
      {"\"fallback\":[{}],", "fallback must be a list", TM_USAGE},
      {"\"fallback\":[\"good\"],", "PROVIDER/MODEL", TM_USAGE},
      {"\"fallback\":[\"nobody/x\"],", "nobody", TM_CONFIG},
      {"\"fallback\":[\"one/x\",\"one/x\",\"one/x\",\"one/x\",\"one/x\",\"one/x\",\"one/x\","
       "\"one/x\",\"one/x\",\"one/x\",\"one/x\",\"one/x\",\"one/x\",\"one/x\",\"one/x\","
       "\"one/x\",\"one/x\"],",
       "at most 16", TM_USAGE},
  };
  llm_box b;
  open_box(&b);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_err err = TM_ERR_INIT;
    int rc = box_start(
        &b, tm_arena_printf(&b.arena, "{\"model\":\"one/good\",%s" USER "}", table[i].more),
        &err);
    if (rc == 0 || err.code != table[i].code || !strstr(err.msg, table[i].says))
      check_fail(__FILE__, __LINE__, "case %zu: %s: %s", i, tm_err_word(err.code), err.msg);
  }
  box_close(&b);
}

static void the_first_of_tries_is_what_a_preview_shows(void) {
  llm_box b;
  tm_err err = TM_ERR_INIT;
  tm_json *out = NULL;
  open_box(&b);
  CHECK_INT(tm_llm_preview(&out, &b.arena, b.llm,
                           box_json(&b, "{\"model\":\"one/good\",\"tries\":[{\"model\":"
                                        "\"two/good\",\"temperature\":0.5}]," USER "}"),
                           &err),
            0);
  CHECK_STR(tm_json_get_str(out, "url"), "function:two");
  CHECK(strstr(tm_json_get_str(out, "body"), "0.5"));
  box_close(&b);
}

CHECK_SUITE(ladder) {
  CHECK_RUN(an_answer_that_is_no_good_goes_to_the_next_of_tries);
  CHECK_RUN(a_higher_rung_may_be_another_model);
  CHECK_RUN(tries_end_with_the_error_of_the_last);
  CHECK_RUN(a_provider_that_does_not_answer_is_replaced_by_the_next);
  CHECK_RUN(an_answer_that_is_unsure_goes_to_the_next_of_tries);
  CHECK_RUN(an_answer_that_stays_unsure_says_so);
  CHECK_RUN(confidence_is_below_the_number_or_not_said);
  CHECK_RUN(a_provider_that_fell_out_stays_out_on_higher_rungs);
  CHECK_RUN(a_wrong_request_is_not_asked_again_of_anybody);
  CHECK_RUN(a_ladder_that_cannot_be_climbed_is_refused_at_once);
  CHECK_RUN(the_first_of_tries_is_what_a_preview_shows);
}
