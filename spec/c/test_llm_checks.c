/* test_llm_checks.c - content checks in the ask machine: a failed one is repaired like a failed
 * schema, and what fails to the end is bad output with the reasons.
 */
#include "llm_box.h"

#define ASK(checks)                                                                        \
  "{\"unit\":\"reply\",\"model\":\"test/m\",\"messages\":[{\"role\":\"user\",\"content\":" \
  "[{\"text\":\"Answer it.\"}]}],\"vars\":{\"text\":\"charged twice\"},\"checks\":" checks

#define SCHEMA                                                                         \
  ",\"schema\":{\"type\":\"object\",\"properties\":{\"reply\":{\"type\":\"string\"}}," \
  "\"required\":[\"reply\"]}"

/* Says what it is given, one text after the other, and keeps the last request. */
typedef struct speaker {
  const char *const *says;
  int n;
  llm_box *box;
  const tm_json *request;
} speaker;

static int speak(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                 tm_err *err) {
  speaker *s = ctx;
  (void)model;
  (void)err;
  s->request = tm_json_copy(&s->box->arena, request);
  tm_buf_puts(answer, s->says[s->n++]);
  return 0;
}

static void converse(llm_box *b, speaker *s, const char *const *says, const char *request) {
  *s = (speaker){.says = says, .box = b};
  box_open(b, NULL);
  tm_llm_register(b->llm, "test", speak, s);
  box_ask(b, request);
}

/* The last message that the model was sent. */
static const char *last_message(const speaker *s) {
  const tm_json *messages = tm_json_get(s->request, "messages");
  const tm_json *last = tm_json_at(messages, tm_json_len(messages) - 1);
  const char *text = tm_json_str(tm_json_pointer(last, "/content/0/text"), NULL);
  return text ? text : "";
}

static void a_text_that_fails_a_check_is_asked_for_again(void) {
  static const char *const says[] = {"You wrote “charged thrice”.", "“Charged twice”: sorry."};
  llm_box b;
  speaker s;
  converse(&b, &s, says, ASK("{\"grounded_in\":\"text\",\"max_chars\":40}}"));
  CHECK_STR(box_text(&b, b.value), "\"“Charged twice”: sorry.\"");
  CHECK_INT(tm_json_int(tm_json_get(b.meta, "rounds"), 0), 1);
  CHECK_STR(tm_json_get_str(tm_json_get(b.attempts[0], "error"), "message"),
            "the answer fails a check: the answer quotes \"charged thrice\", which does not "
            "stand in \"text\"");
  CHECK_STR(last_message(&s),
            "Your last answer cannot be used:\n"
            "- Quote only what stands in the source, word for word: \"charged thrice\" in the "
            "answer does not. Correct the quotation or leave it out.\n"
            "Write the whole answer again, corrected, and nothing else.");
  box_close(&b);
}

static void the_schema_comes_before_the_checks(void) {
  static const char *const says[] = {"{\"answer\":\"sorry\"}", "{\"reply\":\"sorry\"}",
                                     "{\"reply\":\"done\"}"};
  llm_box b;
  speaker s;
  converse(&b, &s, says, ASK("[{\"of\":\"reply\",\"must_not_match\":\"sorry\"}]") SCHEMA "}");
  CHECK_STR(box_text(&b, b.value), "{\"reply\":\"done\"}");
  CHECK_INT(b.attempt_count, 3);
  CHECK(strstr(tm_json_get_str(tm_json_get(b.attempts[0], "error"), "message"), "schema"));
  CHECK(strstr(last_message(&s), "corrected, as one JSON value and nothing else."));
  box_close(&b);
}

static void what_fails_to_the_end_is_bad_output_with_the_reasons(void) {
  static const char *const says[] = {"no", "no"};
  llm_box b;
  speaker s;
  converse(&b, &s, says, ASK("{\"min_chars\":5}") ",\"repair\":1}");
  CHECK(b.value == NULL);
  CHECK_STR(box_class(&b), "bad_output");
  CHECK_STR(box_text(&b, tm_json_get(b.error, "errors")),
            "[{\"instance\":\"\",\"schema\":\"/min_chars\",\"keyword\":\"min_chars\","
            "\"message\":\"the answer must have at least 5 characters; it has 2\"}]");
  box_close(&b);
}

static void the_prose_that_is_extracted_from_is_free(void) {
  static const char *const says[] = {"sorry, a long chain of thought", "{\"reply\":\"ok\"}"};
  llm_box b;
  speaker s;
  converse(&b, &s, says,
           ASK("{\"must_not_match\":\"sorry\",\"max_chars\":5}") SCHEMA
           ",\"mode\":\"reason_then_extract\"}");
  CHECK_STR(box_text(&b, b.value), "{\"reply\":\"ok\"}");
  CHECK_INT(b.attempt_count, 2);
  box_close(&b);
}

static void checks_that_are_none_are_refused_before_anything_is_sent(void) {
  llm_box b;
  tm_err err = TM_ERR_INIT;
  box_open(&b, NULL);
  tm_llm_register(b.llm, "test", speak, NULL);
  CHECK_INT(box_start(&b, ASK("{\"max_chars\":\"x\"}}"), &err), -1);
  CHECK_STR(err.msg,
            "the checks of reply: the check max_chars takes a whole number of characters");
  box_close(&b);
}

CHECK_SUITE(llm_checks) {
  CHECK_RUN(a_text_that_fails_a_check_is_asked_for_again);
  CHECK_RUN(the_schema_comes_before_the_checks);
  CHECK_RUN(what_fails_to_the_end_is_bad_output_with_the_reasons);
  CHECK_RUN(the_prose_that_is_extracted_from_is_free);
  CHECK_RUN(checks_that_are_none_are_refused_before_anything_is_sent);
}
