/* test_stream.c - streamed answers: of every provider, in every legal shape, and cut anywhere.
 */
#include "base/id.h"
#include "llm/stream.h"
#include "mock_box.h"

#define TEXT "Gr\\u00fc\\u00dfe, \\ud83d\\ude00! A \\\"quoted\\\" line\\nand a \\\\ tab\\t."
#define ASK                                                                           \
  "{\"model\":\"%s\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":[{" \
  "\"text\":\"Hi\"}]}]}"

static const char text[] = "Gr\xc3\xbc\xc3\x9f"
                           "e, \xf0\x9f\x98\x80! A \"quoted\" line\nand a \\ tab\t.";

static bool start(mock_process *m) {
  char rules[] = "/tmp/test_stream.XXXXXX";
  int fd = mkstemp(rules);
  FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
  if (!f)
    return false;
  fprintf(
      f, "[{\"match\":\"use a tool\",\"answer\":\"Let me see.\",\"tool\":{\"name\":\"look_up\","
         "\"arguments\":{\"id\":\"A-7\",\"deep\":true}}},{\"answer\":\"" TEXT "\"}]");
  fclose(f);
  bool up = mock_start(m, rules);
  unlink(rules);
  if (!up)
    check_skip("mock-server is not beside this program (build it, or set TM_MOCK_SERVER)");
  return up;
}

static void ask(llm_box *b, const char *model, const char *format) {
  box_ask(b, tm_arena_printf(&b->arena, format, model));
}

/* -- whole streams --------------------------------------------------------------------- */

static void every_provider_streams_the_same_text_in_every_legal_shape(void) {
  static const char *const shapes[] = {"",      "cr",     "crlf",  "nospace", "comments",
                                       "split", "ssebom", "bytes", "linger"};
  mock_process m;
  if (!start(&m))
    return;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    for (size_t d = 0; d < MOCK_DIALECTS; d++) {
      llm_box b;
      mock_box_open(&b, &m, shapes[s]);
      ask(&b, mock_dialects[d].model, ASK);
      const char *value = tm_json_str(b.value, NULL);
      const tm_json *usage = tm_json_get(b.meta, "usage");
      if (!value || strcmp(value, text) != 0 || strcmp(tm_buf_str(&b.heard), text) != 0)
        check_fail(__FILE__, __LINE__, "%s %s: %s", shapes[s], mock_dialects[d].name,
                   value ? value : box_text(&b, b.error));
      CHECK_INT(b.attempt_count, 1);
      CHECK(tm_json_bool(tm_json_get(b.attempts[0], "streamed"), false));
      CHECK_STR(tm_json_get_str(b.meta, "model_answered"), "mock-1");
      CHECK(tm_json_int(tm_json_get(usage, "input"), -1) > 0 &&
            tm_json_int(tm_json_get(usage, "output"), -1) > 0);
      box_close(&b);
    }
  }
  mock_stop(&m);
}

static void a_plain_answer_has_the_same_text_and_usage_as_a_streamed_one(void) {
  mock_process m;
  if (!start(&m))
    return;
  for (size_t d = 0; d < MOCK_DIALECTS; d++) {
    llm_box b;
    mock_box_open(&b, &m, "");
    ask(&b, mock_dialects[d].model, ASK);
    const tm_json *streamed = tm_json_get(b.meta, "usage");
    const char *finish = tm_json_get_str(b.meta, "finish");
    box_ask(&b, tm_arena_printf(&b.arena,
                                "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\","
                                "\"content\":[{\"text\":\"Hi\"}]}]}",
                                mock_dialects[d].model));
    CHECK_STR(tm_json_str(b.value, NULL), text);
    CHECK_INT(b.deltas, 0);
    CHECK_STR(tm_json_get_str(b.meta, "finish"), finish);
    CHECK_INT(tm_json_int(tm_json_pointer(b.meta, "/usage/output"), -1),
              tm_json_int(tm_json_get(streamed, "output"), -2));
    CHECK(!tm_json_get(b.attempts[0], "streamed"));
    box_close(&b);
  }
  mock_stop(&m);
}

static void a_long_answer_is_streamed_without_being_asked_for(void) {
  mock_process m;
  if (!start(&m))
    return;
  llm_box b;
  mock_box_open(&b, &m, "");
  box_ask(&b,
          "{\"model\":\"anthropic/m\",\"config\":{\"maxOutputTokens\":16001},\"messages\":[{"
          "\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]}");
  CHECK(tm_json_bool(tm_json_get(b.attempts[0], "streamed"), false));
  CHECK_STR(tm_json_str(b.value, NULL), text);
  box_close(&b);
  mock_stop(&m);
}

#define TOOL                                                                             \
  ",\"tools\":[{\"name\":\"look_up\",\"description\":\"Looks up\",\"schema\":{\"type\":" \
  "\"object\",\"properties\":{\"id\":{\"type\":\"string\"},\"deep\":{\"type\":"          \
  "\"boolean\"}},\"required\":[\"id\",\"deep\"]}}]"

static void tool_calls_come_back_the_same_from_every_provider(void) {
  mock_process m;
  if (!start(&m))
    return;
  for (size_t d = 0; d < MOCK_DIALECTS * 2; d++) {
    llm_box b;
    mock_box_open(&b, &m, "");
    box_ask(&b, tm_arena_printf(&b.arena,
                                "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":"
                                "\"user\",\"content\":[{\"text\":\"use a tool\"}]}]" TOOL "}",
                                mock_dialects[d / 2].model, d % 2 ? "true" : "false"));
    const tm_json *call = tm_json_pointer(b.meta, "/tool_calls/0");
    CHECK_STR(tm_json_str(b.value, NULL), "Let me see.");
    CHECK_STR(tm_json_get_str(call, "name"), "look_up");
    CHECK_STR(box_text(&b, tm_json_get(call, "arguments")), "{\"id\":\"A-7\",\"deep\":true}");
    CHECK(tm_json_get_str(call, "id") && *tm_json_get_str(call, "id"));
    if (b.error)
      check_fail(__FILE__, __LINE__, "%s: %s", mock_dialects[d / 2].name,
                 box_text(&b, b.error));
    box_close(&b);
  }
  mock_stop(&m);
}

static void a_tool_that_there_is_not_is_no_answer(void) {
  mock_process m;
  if (!start(&m))
    return;
  llm_box b;
  mock_box_open(&b, &m, "");
  box_ask(&b,
          "{\"model\":\"openai/m\",\"repair\":1,\"messages\":[{\"role\":\"user\",\"content\":"
          "[{\"text\":\"use a tool\"}]}],\"tools\":[{\"name\":\"other\"}]}");
  CHECK_STR(box_class(&b), "bad_output");
  CHECK_INT(b.attempt_count, 2);
  CHECK(strstr(tm_json_get_str(b.error, "message"), "look_up"));
  box_close(&b);
  mock_stop(&m);
}

static void a_listener_may_cancel_from_a_delta(void) {
  mock_process m;
  if (!start(&m))
    return;
  for (size_t d = 0; d < MOCK_DIALECTS; d++) {
    llm_box b;
    tm_err err = TM_ERR_INIT;
    mock_box_open(&b, &m, "bytes");
    b.cancel_at_delta = 1;
    CHECK_INT(box_start(&b, tm_arena_printf(&b.arena, ASK, mock_dialects[d].model), &err), 0);
    while (b.ask)
      tm_loop_turn(b.loop, -1);
    for (int i = 0; i < 3; i++)
      tm_loop_turn(b.loop, 2);
    CHECK_INT(b.done + b.attempt_count, 0);
    CHECK_INT(b.deltas, 1);
    box_close(&b);
  }
  mock_stop(&m);
}

/* -- the same bytes, cut everywhere ---------------------------------------------------- */

typedef struct sample {
  const tm_provider *provider;
  const char *bytes;
} sample;

static const sample samples[] = {
    {&tm_openai_chat,
     "data: {\"choices\":[{\"delta\":{\"content\":\"one \"}}]}\n\n"
     "data: {\"choices\":[{\"delta\":{\"content\":\"two \"}}]}\n\n"
     "data: {\"choices\":[{\"delta\":{\"content\":\"th\\u0072ee\"},\"finish_reason\":"
     "\"stop\"}]}\n\ndata: [DONE]\n\n"},
    {&tm_openai_responses,
     "event: response.output_text.delta\ndata: "
     "{\"type\":\"response.output_text.delta\",\"delta\":"
     "\"one two \"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":"
     "\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\","
     "\"text\":\"one two three\"}]}]}}\n\n"},
    {&tm_anthropic,
     "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n"
     "data: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":"
     "\"\"}}\n\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
     "\"text\":\"one two \"}}\n\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":"
     "\"text_delta\",\"text\":\"three\"}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{"
     "\"stop_reason\":\"end_turn\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n"},
    {&tm_gemini,
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"one two \"}]}}]}\n\n"
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"three\"}]},\"finishReason\":"
     "\"STOP\"}]}\n\n"},
    {&tm_ollama,
     "{\"message\":{\"content\":\"one two \"},\"done\":false}\n"
     "{\"message\":{\"content\":\"three\"},\"done\":true,\"done_reason\":\"stop\"}\n"},
};
#define SAMPLES (sizeof samples / sizeof *samples)

static void hear(tm_llm_answer *out, tm_arena *a, const sample *s, size_t len, size_t step) {
  tm_arena work;
  tm_arena_init(&work, (size_t)1 << 20);
  tm_llm_stream *stream = tm_llm_stream_new(s->provider, &work);
  tm_http_res res = {.status = 200, .body = s->bytes, .body_len = len};
  for (size_t at = 0; at < len; at += step)
    tm_llm_stream_feed(stream, s->bytes + at, len - at < step ? len - at : step);
  tm_llm_stream_end(out, a, stream, &res, NULL);
  tm_llm_stream_free(&stream);
  tm_arena_free(&work);
}

static void however_the_bytes_are_cut_into_reads_the_text_is_the_same(void) {
  for (size_t i = 0; i < SAMPLES; i++) {
    size_t len = strlen(samples[i].bytes);
    for (size_t step = 1; step <= len; step++) {
      tm_arena a;
      tm_llm_answer answer;
      tm_arena_init(&a, 0);
      hear(&answer, &a, &samples[i], len, step);
      CHECK_INT(answer.class, TM_LLM_NONE);
      CHECK_STR(answer.text, "one two three");
      tm_arena_free(&a);
    }
  }
}

/* Without its last line ends a stream has still been told whole, but for SSE's blank line. */
static void a_stream_that_ends_anywhere_before_its_end_is_never_an_answer(void) {
  for (size_t i = 0; i < SAMPLES; i++) {
    size_t len = strlen(samples[i].bytes);
    for (size_t cut = 0; cut + 2 < len; cut++) {
      tm_arena a;
      tm_llm_answer answer;
      tm_arena_init(&a, 0);
      hear(&answer, &a, &samples[i], cut, 64);
      if (answer.class != TM_LLM_NETWORK && answer.class != TM_LLM_SERVER)
        check_fail(__FILE__, __LINE__, "%s cut at %zu is of class %s",
                   samples[i].provider->name, cut, tm_llm_class_word(answer.class));
      tm_arena_free(&a);
    }
  }
}

/* The frame of an event must not be mistaken: each of these is heard as the parser says. */
static void events_that_look_alike_are_not_taken_for_each_other(void) {
  static const struct {
    const char *second, *heard;
  } table[] = {
      {"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"b\"}}]}", "ab"},
      {"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"\\u0062\"}}]}", "ab"},
      {"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"\",\"refusal\":\"\"}}]}", "a"},
      {"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"b\",\"content\":\"c\"}}]}", "ac"},
      {"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"b}}]}", NULL},
      {"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"b\\\"}}]}", NULL},
      {"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}", NULL},
      {"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"\x01\"}}]}", NULL},
      {"{\"id\":\"y\",\"choices\":[{\"delta\":{\"content\":\"b\"}}]}", "ab"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_arena a;
    tm_llm_answer answer;
    tm_arena_init(&a, 0);
    const char *bytes = tm_arena_printf(
        &a,
        "data: {\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: %s\n\n"
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        table[i].second);
    hear(&answer, &a, &(sample){&tm_openai_chat, bytes}, strlen(bytes), 4096);
    if (table[i].heard)
      CHECK_STR(answer.text, table[i].heard);
    else
      CHECK_INT(answer.class, TM_LLM_SERVER);
    tm_arena_free(&a);
  }
}

/* A number that only counts is no difference; anything else in its place is one. */
static void events_that_are_counted_are_heard_whatever_their_number(void) {
  static const struct {
    const char *second;
    tm_llm_class class;
  } table[] = {
      {"{\"type\":\"response.output_text.delta\",\"sequence_number\":9,\"delta\":\"b\"}",
       TM_LLM_NONE},
      {"{\"type\":\"response.output_text.delta\",\"sequence_number\":123456,\"delta\":\"b\"}",
       TM_LLM_NONE},
      {"{\"type\":\"response.output_text.delta\",\"delta\":\"b\",\"sequence_number\":10}",
       TM_LLM_NONE},
      {"{\"type\":\"response.output_text.delta\",\"sequence_number\":09,\"delta\":\"b\"}",
       TM_LLM_SERVER},
      {"{\"type\":\"response.output_text.delta\",\"sequence_number\":,\"delta\":\"b\"}",
       TM_LLM_SERVER},
      {"{\"type\":\"response.output_text.delta\",\"sequence_number\":1x,\"delta\":\"b\"}",
       TM_LLM_SERVER},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    for (int behind = 0; behind < 2; behind++) {
      tm_arena a, work;
      tm_arena_init(&a, 0);
      tm_arena_init(&work, (size_t)1 << 20);
      tm_llm_stream *s = tm_llm_stream_new(&tm_openai, &work);
      const char *first = behind ? "{\"type\":\"response.output_text.delta\",\"delta\":\"a\","
                                   "\"sequence_number\":8}"
                                 : "{\"type\":\"response.output_text.delta\",\"sequence_"
                                   "number\":8,\"delta\":\"a\"}";
      const char *bytes =
          tm_arena_printf(&a, "data: %s\n\ndata: %s\n\n", first, table[i].second);
      bool whole = tm_llm_stream_feed(s, bytes, strlen(bytes)) == 0;
      CHECK(whole == (table[i].class == TM_LLM_NONE));
      CHECK_STR(tm_buf_str(&s->heard.text), whole ? "ab" : "a");
      tm_llm_stream_free(&s);
      tm_arena_free(&work);
      tm_arena_free(&a);
    }
  }
}

/* -- by chance ------------------------------------------------------------------------- */

/* An event with one byte changed, most of the time. */
static const char *next_event(tm_arena *a, tm_dice *dice, const sample *s, const char *said) {
  static const char *const shapes[] = {
      "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"}}]}",
      "{\"type\":\"response.output_text.delta\",\"sequence_number\":7,\"delta\":\"%s\",\"o\":"
      "1}",
      "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}",
      "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%s\"}]},\"index\":0}]}",
      "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"done\":"
      "false}"};
  static const char bytes[] = "\"\\{}[]:,0189abx \x01\xc3\xbc\xff";
  char *out = tm_arena_printf(a, shapes[s - samples], said);
  if (tm_dice_next(dice) % 3 == 0)
    out[tm_dice_next(dice) % strlen(out)] = bytes[tm_dice_next(dice) % (sizeof bytes - 1)];
  return out;
}

/* Whatever comes, a frame hears what the parser would have heard. */
static void frames_change_nothing_about_what_is_heard(void) {
  static const char *const texts[] = {"a", " you", "\\n", "\xc3\xbc", "", "x", "content"};
  tm_dice dice;
  tm_dice_seed(&dice, "frames", 6);
  for (int round = 0; round < 4000; round++) {
    const sample *of = &samples[(size_t)round % SAMPLES];
    tm_arena a, work;
    tm_arena_init(&a, 0);
    tm_arena_init(&work, (size_t)1 << 20);
    tm_llm_stream *with = tm_llm_stream_new(of->provider, &work);
    tm_llm_stream *without = tm_llm_stream_new(of->provider, &work);
    int first = 0, second = 0;
    for (int i = 0; i < 8 && first == second; i++) {
      const char *event = next_event(&a, &dice, of, texts[tm_dice_next(&dice) % 7]);
      const char *line =
          tm_arena_printf(&a, of->provider->lines ? "%s\n" : "data: %s\n\n", event);
      first = tm_llm_stream_feed(with, line, strlen(line));
      tm_buf_reset(&without->frame);
      second = tm_llm_stream_feed(without, line, strlen(line));
      if (first != second ||
          strcmp(tm_buf_str(&with->heard.text), tm_buf_str(&without->heard.text)) != 0)
        check_fail(__FILE__, __LINE__, "round %d: after %s: \"%s\", without frames \"%s\"",
                   round, event, tm_buf_str(&with->heard.text),
                   tm_buf_str(&without->heard.text));
    }
    tm_llm_stream_free(&with);
    tm_llm_stream_free(&without);
    tm_arena_free(&work);
    tm_arena_free(&a);
  }
}

/* What a cut answer has cost is known as far as it was told. */
static void the_tokens_of_a_cut_stream_are_counted(void) {
  static const sample cut = {
      &tm_anthropic, "data: {\"type\":\"message_start\",\"message\":{\"usage\":{"
                     "\"input_tokens\":10,\"cache_read_input_tokens\":90,\"output_tokens\":1}}}"
                     "\n\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{"
                     "\"cache_read_input_tokens\":95,\"output_tokens\":7}}\n\n"};
  tm_arena a;
  tm_llm_answer answer;
  tm_arena_init(&a, 0);
  hear(&answer, &a, &cut, strlen(cut.bytes), 64);
  CHECK_INT(answer.class, TM_LLM_NETWORK);
  CHECK_INT(tm_llm_count(answer.usage, "/input"), 105);
  CHECK_INT(tm_llm_count(answer.usage, "/output"), 7);
  tm_arena_free(&a);
}

CHECK_SUITE(stream) {
  CHECK_RUN(every_provider_streams_the_same_text_in_every_legal_shape);
  CHECK_RUN(a_plain_answer_has_the_same_text_and_usage_as_a_streamed_one);
  CHECK_RUN(a_long_answer_is_streamed_without_being_asked_for);
  CHECK_RUN(tool_calls_come_back_the_same_from_every_provider);
  CHECK_RUN(a_tool_that_there_is_not_is_no_answer);
  CHECK_RUN(a_listener_may_cancel_from_a_delta);
  CHECK_RUN(however_the_bytes_are_cut_into_reads_the_text_is_the_same);
  CHECK_RUN(a_stream_that_ends_anywhere_before_its_end_is_never_an_answer);
  CHECK_RUN(events_that_look_alike_are_not_taken_for_each_other);
  CHECK_RUN(events_that_are_counted_are_heard_whatever_their_number);
  CHECK_RUN(frames_change_nothing_about_what_is_heard);
  CHECK_RUN(the_tokens_of_a_cut_stream_are_counted);
}
