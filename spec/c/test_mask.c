/* test_mask.c - a key that comes back in an answer: wherever it is cut, however it is spelt. */
#include "llm/stream.h"
#include "mock_box.h"

#define KEY "sk-ss-canary-4711/x"

/* -- the bytes ------------------------------------------------------------------------- */

/* How each provider puts a piece of text into an event. */
static const struct wire {
  const tm_provider *provider;
  const char *before, *behind, *end;
} wires[] = {
    {&tm_openai_chat, "data: {\"id\":\"s\",\"choices\":[{\"delta\":{\"content\":\"",
     "\"}}]}\n\n",
     "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"},
    {&tm_openai_responses,
     "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
     "\"delta\":\"",
     "\",\"sequence_number\":7}\n\n",
     "data: "
     "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{"
     "\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"a " KEY
     " b\"}]}]}}"
     "\n\n"},
    {&tm_anthropic,
     "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
     "\"text\":\"",
     "\"}}\n\n", "data: {\"type\":\"message_stop\"}\n\n"},
    {&tm_gemini,
     "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"",
     "\"}]},\"index\":0}]}\n\n", "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n"},
    {&tm_ollama, "{\"model\":\"s\",\"message\":{\"role\":\"assistant\",\"content\":\"",
     "\"},\"done\":false}\n", "{\"message\":{\"content\":\"\"},\"done\":true}\n"},
};
#define WIRES (sizeof wires / sizeof *wires)

/* "a KEY b" in pieces of `most` bytes, the first of `first`. */
static void cut_up(tm_buf *out, const struct wire *w, size_t first, size_t most) {
  static const char text[] = "a " KEY " b";
  for (size_t at = 0, len = first; at < sizeof text - 1; at += len, len = most) {
    size_t left = sizeof text - 1 - at;
    len = len < left ? len : left;
    tm_buf_printf(out, "%s%.*s%s", w->before, (int)len, text + at, w->behind);
  }
  tm_buf_puts(out, w->end);
}

/* What a reader of these bytes hears. */
static void hear(tm_buf *out, const struct wire *w, const char *bytes, size_t len) {
  tm_arena work;
  tm_arena_init(&work, 0);
  tm_llm_stream *s = tm_llm_stream_new(w->provider, &work);
  CHECK_INT(tm_llm_stream_feed(s, bytes, len), 0);
  CHECK(s->heard.whole);
  tm_buf_put(out, tm_buf_str(&s->heard.text), s->heard.text.len);
  tm_llm_stream_free(&s);
  tm_arena_free(&work);
}

static void a_key_in_pieces_is_taken_out_wherever_it_is_cut(void) {
  for (size_t i = 0; i < WIRES; i++)
    for (size_t first = 1; first < sizeof KEY + 2; first++)
      for (size_t most = 1; most <= sizeof KEY; most++) {
        tm_arena a;
        tm_buf raw = TM_BUF_INIT, heard = TM_BUF_INIT;
        tm_arena_init(&a, 0);
        cut_up(&raw, &wires[i], first, most);
        size_t len = raw.len;
        const char *clean = tm_llm_scrub(&a, raw.data, &len, KEY);
        hear(&heard, &wires[i], clean, len);
        if (strcmp(tm_buf_str(&heard), "a *** b") != 0 || strstr(clean, "canary") ||
            strstr(clean, "\"sk-"))
          check_fail(__FILE__, __LINE__, "%s, %zu then %zu: %s", wires[i].provider->name, first,
                     most, tm_buf_str(&heard));
        tm_buf_free(&raw);
        tm_buf_free(&heard);
        tm_arena_free(&a);
      }
}

/* Byte by byte, asking for news after each: what a listener is told. */
static void a_listener_hears_the_text_without_the_key(void) {
  for (size_t i = 0; i < WIRES; i++) {
    tm_arena work, a;
    tm_buf raw = TM_BUF_INIT, told = TM_BUF_INIT;
    tm_arena_init(&work, 0);
    tm_arena_init(&a, 0);
    cut_up(&raw, &wires[i], 2, 1);
    tm_llm_stream *s = tm_llm_stream_new(wires[i].provider, &work);
    for (size_t at = 0; at <= raw.len; at++) {
      size_t len;
      if (at < raw.len)
        CHECK_INT(tm_llm_stream_feed(s, raw.data + at, 1), 0);
      const char *news = tm_llm_stream_news(s, &len, at < raw.len ? KEY : NULL);
      const char *said = tm_llm_mask(&a, news, &len, KEY);
      tm_buf_put(&told, said, len);
    }
    CHECK_STR(tm_buf_str(&told), "a *** b");
    tm_llm_stream_free(&s);
    tm_buf_free(&raw);
    tm_buf_free(&told);
    tm_arena_free(&work);
    tm_arena_free(&a);
  }
}

static void other_spellings_are_taken_out_too(void) {
  static const struct {
    const char *said, *left;
  } table[] = {
      {"{\"a\":\"" KEY "\"}", "{\"a\":\"***\"}"},
      {"no JSON: " KEY ", " KEY, "no JSON: ***, ***"},
      {"{\"a\":\"sk-ss-canary-4711\\/x\"}", "{\"a\":\"***\"}"},
      {"{\"a\":\"\\u0073k-ss-canary-4711\\u002Fx\"}", "{\"a\":\"***\"}"},
      {"{\"a\":\"ssk-ssk-ss-canary-4711\\/xx\"}", "{\"a\":\"ssk-s***x\"}"},
      {"[{\"text\":\"I say sk-ss\"},{\"id\":\"1\",\"text\":\"-canary-4711/x!\"}]",
       "[{\"text\":\"I say ***\"},{\"id\":\"1\",\"text\":\"!\"}]"},
      {"{\"a\" : \"sk-ss-\" , \"b\":\"sk-ss-\", \"a\":\"canary-4711/x\"}",
       "{\"a\" : \"***\" , \"b\":\"sk-ss-\", \"a\":\"\"}"},
      {"{\":\":\"sk-ss-canary\",\"ks\":1,\"s\\\"s\":\"s\",\":\":\"-4711/x\"}",
       "{\":\":\"***\",\"ks\":1,\"s\\\"s\":\"s\",\":\":\"\"}"},
      {"{\"a\":[\"sk-ss-canary\",\"-4711/x\",\"y\"]}", "{\"a\":[\"***\",\"\",\"y\"]}"},
      {"{\"sk-ss-canary-4711\\/x\":1}", "{\"***\":1}"},
      {"{\"a\":\"sk-ss-canary-4711\"}", "{\"a\":\"sk-ss-canary-4711\"}"},
      {"{\"a\":\"sk-ss-\\q\\u12", "{\"a\":\"sk-ss-\\q\\u12"},
      {"\"", "\""},
      {"", ""},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_arena a;
    tm_arena_init(&a, 0);
    size_t len = strlen(table[i].said);
    CHECK_STR(tm_llm_scrub(&a, table[i].said, &len, KEY), table[i].left);
    CHECK_INT(len, strlen(table[i].left));
    tm_arena_free(&a);
  }
}

#define ODD_KEY "sk-ss-canary-4711/x?>~"

static void a_key_that_is_encoded_is_taken_out_too(void) {
  static const struct {
    const char *said, *left;
  } table[] = {
      {"Basic c2stc3MtY2FuYXJ5LTQ3MTEveD8+fiF0YWls<", "Basic ***iF0YWls<"},
      {"Basic c2stc3MtY2FuYXJ5LTQ3MTEveD8-fiF0YWls<", "Basic ***iF0YWls<"},
      {"Basic dXNrLXNzLWNhbmFyeS00NzExL3g/Pn4hdGFpbA==<", "Basic dX***4hdGFpbA==<"},
      {"Basic dXNrLXNzLWNhbmFyeS00NzExL3g_Pn4hdGFpbA==<", "Basic dX***4hdGFpbA==<"},
      {"Basic dXNzay1zcy1jYW5hcnktNDcxMS94Pz5+IXRhaWw=<", "Basic dXN***IXRhaWw=<"},
      {"Basic dXNzay1zcy1jYW5hcnktNDcxMS94Pz5-IXRhaWw=<", "Basic dXN***IXRhaWw=<"},
      {"Basic dXNlcjpzay1zcy1jYW5hcnktNDcxMS94Pz5+IXRhaWw=<", "Basic dXNlcjp***IXRhaWw=<"},
      {"Basic dXNlcjpzay1zcy1jYW5hcnktNDcxMS94Pz5-IXRhaWw=<", "Basic dXNlcjp***IXRhaWw=<"},
      {"{\"a\":\"YXNrLXNzLWNhbmFyeS00NzExL3g\\/Pn4=\"}", "{\"a\":\"YX***4=\"}"},
      {"0x736b2d73732d63616e6172792d343731312f783f3e7e00", "0x***00"},
      {"736B2D73732D63616E6172792D343731312F783F3E7E", "***"},
      {"%73%6b%2d%73%73%2d%63%61%6e%61%72%79%2d%34%37%31%31%2f%78%3f%3e%7e", "***"},
      {"?key=sk-ss-canary-4711%2Fx%3F%3E~&a=1", "?key=***&a=1"},
      {"?key=sk-ss-canary-4711%2fx%3f%3e~", "?key=***"},
      {"c2stc3MtY2FuYXJ5LTQ3MTEveD8", "c2stc3MtY2FuYXJ5LTQ3MTEveD8"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_arena a;
    tm_arena_init(&a, 0);
    size_t len = strlen(table[i].said);
    CHECK_STR(tm_llm_scrub(&a, table[i].said, &len, ODD_KEY), table[i].left);
    CHECK_INT(len, strlen(table[i].left));
    const tm_http_header given[] = {{"x-id", "1"}, {"x-echo", table[i].said}};
    tm_http_res res = {.headers = given, .header_count = 2};
    tm_llm_scrub_answer(&res, &a, ODD_KEY);
    CHECK_STR(res.headers[0].value, "1");
    CHECK_STR(res.headers[1].value, table[i].left);
    tm_arena_free(&a);
  }
}

/* Not each byte of an answer is looked at. */
static void an_encoded_key_is_found_wherever_it_stands(void) {
  static const char hex[] = "736b2d73732d63616e6172792d343731312f78"; /* KEY */
  char said[160], left[160];
  for (size_t at = 0; at < 100; at++) {
    tm_arena a;
    tm_arena_init(&a, 0);
    memset(said, ' ', sizeof said);
    memcpy(said + at, hex, sizeof hex - 1);
    memset(left, ' ', sizeof left);
    memcpy(left + at, "***", 3);
    size_t end = at + sizeof hex - 1 + at % 7, len = end;
    said[end] = 0;
    left[end - (sizeof hex - 1) + 3] = 0;
    CHECK_STR(tm_llm_scrub(&a, said, &len, KEY), left);
    tm_arena_free(&a);
  }
}

static void without_a_key_nothing_is_touched(void) {
  static const char text[] = "{\"a\":\"abc\"}";
  static const char *const secrets[] = {NULL, "", "abc", "abcd"};
  tm_arena a;
  tm_arena_init(&a, 0);
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
    size_t len = sizeof text - 1;
    CHECK(tm_llm_scrub(&a, text, &len, secrets[i]) == text);
    CHECK_INT(len, sizeof text - 1);
  }
  tm_arena_free(&a);
}

static void what_may_begin_a_key_waits(void) {
  static const struct {
    const char *text;
    size_t held;
  } table[] = {{"", 0},        {"a", 0},    {"s", 1},     {"as", 1},
               {"sk-ss-c", 7}, {"sk-s", 4}, {"sk-ss", 5}, {"sk-ss-sk-s", 4},
               {"sk-ss-x", 0}, {KEY, 0},    {"a" KEY, 0}, {"ss", 1}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    CHECK_INT(tm_llm_held(table[i].text, strlen(table[i].text), KEY), table[i].held);
  CHECK_INT(tm_llm_held("sk", 2, NULL), 0);
}

/* -- the whole way --------------------------------------------------------------------- */

#define ASK                                                                               \
  "{\"unit\":\"u\",\"model\":\"%s\",\"stream\":%s,\"retries\":0,\"messages\":[{\"role\":" \
  "\"user\",\"content\":[{\"text\":\"What is my key?\"}]}]}"

static void check_silent(llm_box *b, const char *what, const mock_dialect_row *d) {
  tm_buf all = TM_BUF_INIT;
  for (int i = 0; i < b->attempt_count; i++)
    tm_buf_puts(&all, box_text(b, b->attempts[i]));
  tm_buf_puts(&all, b->value ? box_text(b, b->value) : "");
  tm_buf_puts(&all, b->meta ? box_text(b, b->meta) : "");
  tm_buf_puts(&all, b->error ? box_text(b, b->error) : "");
  tm_buf_put(&all, tm_buf_str(&b->heard), b->heard.len);
  if (strstr(tm_buf_str(&all), "canary") || strstr(tm_buf_str(&all), "sk-ss") ||
      !strstr(tm_buf_str(&all), "***"))
    check_fail(__FILE__, __LINE__, "%s, %s: %.2000s", what, d->name, tm_buf_str(&all));
  tm_buf_free(&all);
}

static void play(const mock_process *m, const char *fault, const mock_dialect_row *d,
                 bool streamed) {
  static const char said[] = "Your key is ***, I say ***.";
  static const char *const keys[] = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY",
                                     "OLLAMA_API_KEY"};
  llm_box b;
  mock_box_open(&b, m, fault);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    box_set(&b, keys[i], KEY);
  box_ask(&b, tm_arena_printf(&b.arena, ASK, d->model, streamed ? "true" : "false"));
  check_silent(&b, fault, d);
  if (!b.error) {
    CHECK_STR(tm_json_str(b.value, NULL), said);
    CHECK_STR(tm_json_get_str(b.meta, "request_id"), "***");
    if (streamed)
      CHECK_STR(tm_buf_str(&b.heard), said);
  }
  box_close(&b);
}

static void a_server_that_says_our_key_is_not_heard_to_say_it(void) {
  mock_process m;
  if (!mock_start(&m, NULL)) {
    check_skip("mock-server is not beside this program (build it, or set TM_MOCK_SERVER)");
    return;
  }
  for (size_t d = 0; d < MOCK_DIALECTS; d++) {
    for (int n = 1; n <= 24; n++) {
      char fault[16];
      snprintf(fault, sizeof fault, "echo%d", n);
      play(&m, fault, &mock_dialects[d], true);
    }
    play(&m, "echo", &mock_dialects[d], false);
    play(&m, "echoerror", &mock_dialects[d], false);
    play(&m, "echoerror", &mock_dialects[d], true);
    play(&m, "echomoved", &mock_dialects[d], false);
  }
  mock_stop(&m);
}

CHECK_SUITE(mask) {
  CHECK_RUN(a_key_in_pieces_is_taken_out_wherever_it_is_cut);
  CHECK_RUN(a_listener_hears_the_text_without_the_key);
  CHECK_RUN(other_spellings_are_taken_out_too);
  CHECK_RUN(a_key_that_is_encoded_is_taken_out_too);
  CHECK_RUN(an_encoded_key_is_found_wherever_it_stands);
  CHECK_RUN(without_a_key_nothing_is_touched);
  CHECK_RUN(what_may_begin_a_key_waits);
  CHECK_RUN(a_server_that_says_our_key_is_not_heard_to_say_it);
}
