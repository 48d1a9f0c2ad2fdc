/* test_function.c - a function as a model that asks for tools, live and from a cassette. */
#include <unistd.h>

#include "llm_box.h"

#define USER "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Where is it?\"}]}]"
#define TOOLS \
  "\"tools\":[{\"name\":\"find\",\"schema\":{\"type\":\"object\",\"required\":[\"id\"]}}],"
#define WISH "{\"text\":\"Hm.\",\"tool_calls\":[{\"name\":\"find\",\"arguments\":{\"id\":7}}]}"

/* Says the model's name as it is, but for "wish". */
static int say(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
               tm_err *err) {
  (void)ctx;
  (void)request;
  (void)err;
  tm_buf_puts(answer, strcmp(model, "wish") == 0 ? WISH : model);
  return 0;
}

static void open_box(llm_box *b) {
  box_open(b, NULL);
  tm_llm_register(b->llm, "fn", say, b);
}

static void check_wish(llm_box *b) {
  const tm_json *call = tm_json_at(tm_json_get(b->meta, "tool_calls"), 0);
  CHECK_STR(box_text(b, b->value), "\"Hm.\"");
  CHECK_STR(tm_json_get_str(call, "name"), "find");
  CHECK_STR(tm_json_get_str(call, "id"), "call_1");
  CHECK_STR(box_text(b, tm_json_get(call, "arguments")), "{\"id\":7}");
}

static void a_wish_for_tools_is_one_of_a_function_too(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b, "{\"model\":\"fn/wish\"," TOOLS USER "}");
  check_wish(&b);
  CHECK_STR(tm_json_get_str(b.attempts[0], "response"), WISH); /* as it was said */
  box_close(&b);
}

static void it_is_text_where_no_tools_are_offered(void) {
  llm_box b;
  open_box(&b);
  box_ask(&b, "{\"model\":\"fn/wish\"," USER "}");
  CHECK_STR(tm_json_str(b.value, NULL), WISH);
  CHECK(!tm_json_get(b.meta, "tool_calls"));
  box_close(&b);
}

static void what_only_looks_like_one_is_an_answer(void) {
  static const char *const answers[] = {"{\"tool_calls\":[]}", "{\"tool_calls\":7}",
                                        "{\"tool_calls\":[{\"name\":\"find\"}],\"more\":1}",
                                        "[\"tool_calls\"]", "find"};
  llm_box b;
  open_box(&b);
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    tm_json *request = tm_json_new_object(&b.arena),
            *model = tm_json_new_str(&b.arena, tm_arena_printf(&b.arena, "fn/%s", answers[i]));
    tm_json *rest = box_json(&b, "{" TOOLS USER "}");
    tm_json_set(&b.arena, request, "model", model);
    tm_json_set(&b.arena, request, "tools", tm_json_get(rest, "tools"));
    tm_json_set(&b.arena, request, "messages", tm_json_get(rest, "messages"));
    box_ask(&b, box_text(&b, request));
    CHECK_STR(tm_json_str(b.value, NULL), answers[i]);
    CHECK(!tm_json_get(b.meta, "tool_calls"));
  }
  box_close(&b);
}

static void a_cassette_plays_it_again(void) {
  char path[64];
  llm_box b;
  tm_err err = TM_ERR_INIT;
  open_box(&b);
  snprintf(path, sizeof path, "/tmp/test_function_%d.jsonl", (int)getpid());
  unlink(path);
  CHECK_INT(tm_llm_record(b.llm, path, &err), 0);
  box_ask(&b, "{\"model\":\"fn/wish\"," TOOLS USER "}");
  CHECK_INT(tm_llm_record(b.llm, NULL, &err), 0);
  box_ask(&b, tm_arena_printf(&b.arena, "{\"model\":\"cassette/%s\"," TOOLS USER "}", path));
  check_wish(&b);
  unlink(path);
  box_close(&b);
}

CHECK_SUITE(function) {
  CHECK_RUN(a_wish_for_tools_is_one_of_a_function_too);
  CHECK_RUN(it_is_text_where_no_tools_are_offered);
  CHECK_RUN(what_only_looks_like_one_is_an_answer);
  CHECK_RUN(a_cassette_plays_it_again);
}
