/* test_wire.c - the exact bytes for each provider, and how its answers are read. */
#include "llm/stream.h"
#include "llm_box.h"

#define USER ",\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Hi\"}]}]"

static tm_json *preview(llm_box *b, const char *request) {
  tm_err err = TM_ERR_INIT;
  tm_json *out = NULL;
  if (tm_llm_preview(&out, &b->arena, b->llm, box_json(b, request), &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", request, err.msg);
  return out;
}

static const char *body(llm_box *b, const char *request) {
  const char *text = tm_json_get_str(preview(b, request), "body");
  return text ? text : "(none)";
}

static void with_keys(llm_box *b) {
  box_open(b, NULL);
  box_set(b, "OPENAI_API_KEY", "sk-0123456789abcdefghij");
  box_set(b, "ANTHROPIC_API_KEY", "sk-ant-key");
}

static void chat_completions_are_asked_as_documented(void) {
  llm_box b;
  with_keys(&b);
  box_set(&b, "OPENAI_ORG_ID", "org");
  box_set(&b, "OPENAI_PROJECT_ID", "proj");
  const tm_json *p = preview(
      &b, "{\"model\":\"openai-chat/"
          "gpt-4.1\",\"messages\":[{\"role\":\"system\",\"content\":[{\"text\":"
          "\"Be brief\"}]},{\"role\":\"user\",\"content\":[{\"text\":\"a\"},{\"metadata\":{}},"
          "{\"text\":\"b\"}]},{\"role\":\"model\",\"content\":[{\"text\":\"c\"}]}],"
          "\"config\":{\"temperature\":0,\"maxOutputTokens\":9,\"topP\":0.5,\"topK\":3,"
          "\"stopSequences\":[\"x\"],\"seed\":7,\"mystery\":1}}");
  CHECK_STR(tm_json_get_str(p, "method"), "POST");
  CHECK_STR(tm_json_get_str(p, "url"), "https://api.openai.com/v1/chat/completions");
  CHECK_STR(
      box_text(&b, tm_json_get(p, "headers")),
      "{\"Content-Type\":\"application/json\",\"Accept\":\"application/json\","
      "\"Authorization\":\"***\",\"OpenAI-Organization\":\"org\",\"OpenAI-Project\":\"proj\"}");
  CHECK_STR(
      tm_json_get_str(p, "body"),
      "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief\"},"
      "{\"role\":\"user\",\"content\":\"ab\"},{\"role\":\"assistant\",\"content\":\"c\"}],"
      "\"temperature\":0,\"max_completion_tokens\":9,\"top_p\":0.5,\"stop\":[\"x\"],"
      "\"seed\":7}");
  box_close(&b);
}

static void a_schema_becomes_a_strict_response_format(void) {
  llm_box b;
  with_keys(&b);
  const tm_json *sent = box_json(
      &b,
      body(&b,
           "{\"unit\":\"refund.v2\",\"model\":\"openai-chat/gpt-4.1\"" USER
           ",\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}}"));
  const tm_json *format = tm_json_get(sent, "response_format");
  CHECK_STR(tm_json_get_str(format, "type"), "json_schema");
  const tm_json *inner = tm_json_get(format, "json_schema");
  CHECK_STR(tm_json_get_str(inner, "name"), "refund_v2");
  CHECK(tm_json_bool(tm_json_get(inner, "strict"), false));
  CHECK(!tm_json_bool(tm_json_pointer(inner, "/schema/additionalProperties"), true));
  CHECK_STR(box_text(&b, tm_json_pointer(inner, "/schema/required")), "[\"a\"]");
  box_close(&b);
}

static void images_are_parts_and_other_media_are_refused(void) {
  llm_box b;
  with_keys(&b);
#define MEDIA(model, url, type)                                             \
  "{\"model\":\"" model                                                     \
  "\",\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"What?\"},{" \
  "\"media\":{\"url\":\"" url "\",\"contentType\":\"" type "\"}}]}]}"
  CHECK(strstr(body(&b, MEDIA("openai-chat/gpt-4.1", "https://x/y.png", "image/png")),
               "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\"}}"));
  CHECK(
      strstr(body(&b, MEDIA("anthropic/claude-x", "data:image/png;base64,QUJD", "image/png")),
             "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\","
             "\"data\":\"QUJD\"}}"));
  CHECK(strstr(
      body(&b, MEDIA("anthropic/claude-x", "https://x/y.pdf", "application/pdf")),
      "{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://x/y.pdf\"}}"));
  tm_err err = TM_ERR_INIT;
  tm_json *out;
  CHECK_INT(
      tm_llm_preview(&out, &b.arena, b.llm,
                     box_json(&b, MEDIA("openai-chat/gpt-4.1", "https://x/y.mp3", "audio/mp3")),
                     &err),
      -1);
  CHECK_INT(err.code, TM_USAGE);
  CHECK(strstr(err.msg, "audio/mp3"));
  box_close(&b);
}

static void parameters_that_a_model_does_not_take_are_dropped(void) {
  static const struct {
    const char *model, *config, *has, *has_not;
  } table[] = {
      {"openai-chat/o3-mini", "{\"temperature\":0,\"stopSequences\":[\"x\"]}", "messages",
       "temperature"},
      {"openai-chat/o3-mini", "{\"temperature\":0,\"stopSequences\":[\"x\"]}", "messages",
       "stop"},
      {"openai-chat/gpt-5", "{\"temperature\":0,\"seed\":1}", "\"seed\":1", "temperature"},
      {"openai-chat/gpt-5-chat-latest", "{\"temperature\":0}", "\"temperature\":0", "seed"},
      {"openai-chat/gpt-5.2", "{\"temperature\":0}", "messages", "temperature"},
      {"openai-chat/gpt-5.2", "{\"temperature\":0,\"reasoningEffort\":\"none\"}",
       "\"temperature\":0", "seed"},
      {"openai-chat/gpt-6-sol", "{\"topP\":1,\"reasoningEffort\":\"low\"}",
       "\"reasoning_effort\":\"low\"", "top_p"},
      {"openai-chat/gpt-4o", "{\"topK\":1,\"temperature\":null}", "messages", "top"},
      {"anthropic/claude-opus-5-5", "{\"temperature\":0,\"topK\":4}", "\"max_tokens\":4096",
       "temperature"},
      {"anthropic/claude-sonnet-4-5", "{\"temperature\":0}", "\"temperature\":0", "seed"},
      {"anthropic/claude-opus-5-5", "{\"seed\":1,\"maxOutputTokens\":7}", "\"max_tokens\":7",
       "seed"},
      {"anthropic/claude-opus-5-5", "{\"reasoningEffort\":\"high\"}",
       "\"output_config\":{\"effort\":\"high\"}", "reasoning"},
      {"anthropic/claude-opus-5-5", "{\"reasoningEffort\":\"minimal\"}", "messages", "effort"},
  };
  llm_box b;
  with_keys(&b);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    const char *sent =
        body(&b, tm_arena_printf(&b.arena, "{\"model\":\"%s\",\"config\":%s" USER "}",
                                 table[i].model, table[i].config));
    if (!strstr(sent, table[i].has) || strstr(sent, table[i].has_not))
      check_fail(__FILE__, __LINE__, "%s %s: %s", table[i].model, table[i].config, sent);
  }
  box_close(&b);
}

static void another_base_url_needs_no_key_and_keeps_its_query(void) {
  llm_box b;
  box_open(&b, NULL);
  box_set(&b, "OPENAI_BASE_URL", "http://localhost:8000/v1/?api-version=3");
  const tm_json *p =
      preview(&b, "{\"model\":\"openai/org/llama:8b\",\"config\":{\"topK\":5}" USER "}");
  CHECK_STR(tm_json_get_str(p, "url"),
            "http://localhost:8000/v1/chat/completions?api-version=3");
  CHECK(!tm_json_get(tm_json_get(p, "headers"), "Authorization"));
  CHECK(strstr(tm_json_get_str(p, "body"), "\"model\":\"org/llama:8b\""));
  CHECK(strstr(tm_json_get_str(p, "body"), "\"top_k\":5"));
  box_close(&b);
}

static void a_sketch_needs_no_key_and_shows_the_same(void) {
  llm_box b;
  tm_json *out;
  tm_err err = TM_ERR_INIT;
  box_open(&b, NULL);
  tm_json *request = box_json(&b, "{\"model\":\"openai/gpt-4.1\"" USER "}");
  CHECK_INT(tm_llm_sketch(&out, &b.arena, b.llm, request, &err), 0);
  const char *bare = tm_json_get_str(out, "body");
  CHECK_STR(tm_json_str(tm_json_pointer(out, "/headers/Authorization"), NULL), "***");
  box_set(&b, "OPENAI_API_KEY", "sk-real");
  CHECK_INT(tm_llm_preview(&out, &b.arena, b.llm, request, &err), 0);
  CHECK_STR(tm_json_get_str(out, "body"), bare);
  box_close(&b);
}

static void a_missing_key_is_an_error_of_configuration(void) {
  llm_box b;
  tm_err err = TM_ERR_INIT;
  tm_json *out;
  box_open(&b, NULL);
  CHECK_INT(tm_llm_preview(&out, &b.arena, b.llm,
                           box_json(&b, "{\"model\":\"openai/gpt-4.1\"" USER "}"), &err),
            -1);
  CHECK_INT(err.code, TM_CONFIG);
  CHECK(strstr(err.msg, "OPENAI_API_KEY") && strstr(err.msg, "scripted/demo"));
  box_close(&b);
}

static void messages_are_asked_as_documented(void) {
  llm_box b;
  with_keys(&b);
  const tm_json *p = preview(
      &b,
      "{\"model\":\"anthropic/claude-opus-5-5\",\"messages\":[{\"role\":\"system\",\"content\":"
      "[{\"text\":\"One\"}]},{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]},{\"role\":"
      "\"model\",\"content\":[{\"text\":\"b\"}]},{\"role\":\"system\",\"content\":[{\"text\":"
      "\"Two\"}]}],\"config\":{\"stopSequences\":[\"x\"]},\"schema\":{\"type\":\"object\","
      "\"properties\":{\"a\":{\"type\":\"string\"}},\"required\":[\"a\"]}}");
  CHECK_STR(tm_json_get_str(p, "url"), "https://api.anthropic.com/v1/messages");
  CHECK_STR(box_text(&b, tm_json_get(p, "headers")),
            "{\"Content-Type\":\"application/json\",\"Accept\":\"application/json\","
            "\"x-api-key\":\"***\",\"anthropic-version\":\"2026-10-21\"}");
  CHECK_STR(tm_json_get_str(p, "body"),
            "{\"model\":\"claude-opus-5-5\",\"max_tokens\":4096,\"system\":\"One\\n\\nTwo\","
            "\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
            "\"content\":\"b\"}],\"stop_sequences\":[\"x\"],\"output_config\":{\"format\":{"
            "\"type\":\"json_schema\",\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{"
            "\"type\":\"string\"}},\"required\":[\"a\"],\"additionalProperties\":false}}}}");
  p = preview(
      &b, "{\"model\":\"anthropic/claude-haiku-4-5\",\"config\":{\"temperature\":1}" USER "}");
  CHECK_STR(tm_json_str(tm_json_pointer(p, "/headers/anthropic-version"), NULL), "2023-06-01");
  box_set(&b, "ANTHROPIC_API_KEY", "");
  box_set(&b, "ANTHROPIC_AUTH_TOKEN", "token");
  p = preview(&b, "{\"model\":\"anthropic/claude-haiku-4-5\"" USER "}");
  CHECK_STR(tm_json_str(tm_json_pointer(p, "/headers/Authorization"), NULL), "***");
  CHECK(!tm_json_pointer(p, "/headers/x-api-key"));
  box_close(&b);
}

static peer_then claude(peer *p, int n, const char *request, tm_buf *reply) {
  static const char *const bodies[] = {
      "{\"type\":\"message\",\"model\":\"claude-2026\",\"content\":[{\"type\":\"thinking\","
      "\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"one \"},{\"type\":\"text\",\"text\":"
      "\"two\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":10,"
      "\"cache_read_input_tokens\":30,\"cache_creation_input_tokens\":5,\"output_tokens\":7}}",
      "{\"content\":[],\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":\"refusal\","
      "\"category\":\"cyber\",\"explanation\":\"not that\"}}",
      "{\"content\":[{\"type\":\"text\",\"text\":\"ha\"}],\"stop_reason\":\"max_tokens\"}",
      "{\"content\":[],\"stop_reason\":\"model_context_window_exceeded\"}",
      "{\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":-4,"
      "\"output_tokens\":99999999999999}}",
      "{\"completion\":\"old\"}",
  };
  box_keep(p, n, request);
  return peer_reply(reply, 200, "request-id: req_a\r\n", bodies[n - 1]);
}

static void messages_are_read_with_the_cache_counted_in(void) {
  static const char *const classes[] = {"refused", "truncated", "context_overflow"};
  llm_box b;
  box_open(&b, claude);
  box_ask(&b, "{\"model\":\"anthropic/claude-x\"" USER "}");
  CHECK_STR(tm_json_str(b.value, NULL), "one two");
  CHECK_STR(tm_json_get_str(b.meta, "request_id"), "req_a");
  CHECK_STR(tm_json_get_str(b.meta, "model_answered"), "claude-2026");
  CHECK_STR(box_text(&b, tm_json_get(b.meta, "usage")),
            "{\"input\":45,\"cached_input\":30,\"cache_write\":5,\"output\":7,\"reasoning\":"
            "null,\"total\":52}");
  CHECK(strstr(b.requests[0], "x-api-key: sk-ant-secret-of-anthropic\r\n"));
  for (int i = 0; i < 3; i++) {
    box_ask(&b, "{\"model\":\"anthropic/claude-x\"" USER "}");
    CHECK_STR(box_class(&b), classes[i]);
    CHECK_INT(b.attempt_count, 1);
  }
  box_ask(&b, "{\"model\":\"anthropic/claude-x\"" USER "}");
  CHECK_STR(tm_json_str(b.value, NULL), "");
  CHECK_STR(box_text(&b, tm_json_get(b.meta, "usage")),
            "{\"input\":null,\"cached_input\":null,\"cache_write\":null,\"output\":null,"
            "\"reasoning\":null,"
            "\"total\":null}");
  box_ask(&b, "{\"model\":\"anthropic/claude-x\"" USER ",\"retries\":0}");
  CHECK_STR(box_class(&b), "server_error");
  box_close(&b);
}

static void dropped_parameters_are_listed_in_meta(void) {
  llm_box b;
  box_open(&b, claude);
  box_ask(&b, "{\"model\":\"anthropic/claude-x\",\"config\":{\"temperature\":0,\"seed\":1,"
              "\"maxOutputTokens\":5,\"reasoningEffort\":\"none\"}" USER "}");
  CHECK_STR(box_text(&b, tm_json_get(b.meta, "dropped")),
            "[\"temperature\",\"seed\",\"reasoningEffort\"]");
  box_close(&b);
}

static peer_then wrapped(peer *p, int n, const char *request, tm_buf *reply) {
  box_keep(p, n, request);
  return openai_says(reply, n == 1 ? "{\"value\":[\"a\"]}" : "[\"b\"]", "stop");
}

static void an_answer_that_is_no_object_is_wrapped_on_the_wire_alone(void) {
  static const char ask[] = "{\"model\":\"openai/m\"" USER
                            ",\"schema\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}}";
  llm_box b;
  box_open(&b, wrapped);
  box_ask(&b, ask);
  CHECK_STR(box_text(&b, b.value), "[\"a\"]");
  CHECK(strstr(b.requests[0], "\"value\":{\"type\":\"array\""));
  box_ask(&b, ask); /* a server that does not hold to the format */
  CHECK_STR(box_text(&b, b.value), "[\"b\"]");
  CHECK_INT(b.attempt_count, 1);
  box_close(&b);
}

static const tm_json *described(llm_box *b, const char *provider) {
  const tm_json *list = tm_llm_describe(b->llm, &b->arena);
  for (size_t i = 0; i < tm_json_len(list); i++)
    if (strcmp(tm_json_get_str(tm_json_at(list, i), "provider"), provider) == 0)
      return tm_json_at(list, i);
  return NULL;
}

static void providers_are_described_with_keys_masked(void) {
  llm_box b;
  with_keys(&b);
  box_set(&b, "ANTHROPIC_API_KEY", "");
  box_set(&b, "GEMINI_API_KEY", "short-key");
  CHECK_STR(box_text(&b, described(&b, "openai")),
            "{\"provider\":\"openai\",\"key_env\":\"OPENAI_API_KEY\",\"key\":\"sk-...ghij\","
            "\"base_env\":\"OPENAI_BASE_URL\",\"base_url\":\"https://api.openai.com/v1\","
            "\"in_process\":false,\"streams\":true,\"embeds\":true,\"ready\":true}");
  CHECK(!tm_json_bool(tm_json_get(described(&b, "anthropic"), "ready"), true));
  CHECK_STR(tm_json_get_str(described(&b, "gemini"), "key"), "***");
  CHECK(tm_json_bool(tm_json_get(described(&b, "ollama"), "ready"), false));
  CHECK(tm_json_bool(tm_json_get(described(&b, "cassette"), "in_process"), false));
  box_close(&b);
}

/* -- the golden files: spec/cases/wire/PROVIDER.json ----------------------------------- */

static const struct golden {
  const char *file;
  const tm_provider *provider;
} goldens[] = {{"openai-chat", &tm_openai_chat},
               {"openai-responses", &tm_openai},
               {"anthropic", &tm_anthropic},
               {"gemini", &tm_gemini},
               {"ollama", &tm_ollama}};
#define GOLDENS (sizeof goldens / sizeof *goldens)

static const tm_json *golden_file(llm_box *b, const char *name) {
  tm_buf text = TM_BUF_INIT;
  char chunk[8192];
  FILE *f = fopen(tm_arena_printf(&b->arena, "spec/cases/wire/%s.json", name), "r");
  for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f));)
    tm_buf_put(&text, chunk, n);
  if (f)
    fclose(f);
  const tm_json *doc = box_json(b, tm_buf_str(&text));
  const tm_json *env = tm_json_get(doc, "env");
  for (size_t i = 0; i < tm_json_len(env); i++) {
    const tm_json_member *m = tm_json_member_at(env, i);
    box_set(b, m->key, tm_json_str(&m->value, NULL));
  }
  tm_buf_free(&text);
  return doc;
}

/* Every member that the file names has to be the same, in the same order. */
static void check_sent(llm_box *b, const char *file, const tm_json *golden,
                       const tm_json *shown) {
  const tm_json *sent = tm_json_get(golden, "sent");
  for (size_t i = 0; i < tm_json_len(sent); i++) {
    const tm_json_member *m = tm_json_member_at(sent, i);
    const tm_json *got = tm_json_get(shown, m->key);
    if (strcmp(m->key, "body") == 0)
      got = box_json(b, tm_json_str(got, NULL));
    const char *is = box_text(b, got), *want = box_text(b, &m->value);
    if (strcmp(is, want) != 0)
      check_fail(__FILE__, __LINE__, "%s, %s, %s:\n      got  %s\n      want %s", file,
                 tm_json_get_str(golden, "name"), m->key, is, want);
  }
}

static void each_request_is_sent_as_the_golden_file_says(void) {
  for (size_t i = 0; i < GOLDENS; i++) {
    llm_box b;
    box_open(&b, NULL);
    const tm_json *list = tm_json_get(golden_file(&b, goldens[i].file), "requests");
    CHECK(tm_json_len(list) >= 4);
    for (size_t k = 0; k < tm_json_len(list); k++)
      check_sent(&b, goldens[i].file, tm_json_at(list, k),
                 preview(&b, box_text(&b, tm_json_get(tm_json_at(list, k), "request"))));
    box_close(&b);
  }
}

static const tm_json *answer_json(tm_arena *a, const tm_llm_answer *answer) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "class", tm_llm_class_word(answer->class));
  tm_json_set(a, o, "text",
              tm_json_new_strn(a, answer->text ? answer->text : "", answer->text_len));
  tm_json_set_str(a, o, "message", answer->message);
  tm_json_set_str(a, o, "finish", answer->finish);
  tm_json_set_str(a, o, "model", answer->model);
  tm_json_set_str(a, o, "request_id", answer->request_id);
  tm_json_set_str(a, o, "fingerprint", answer->fingerprint);
  tm_json_set_int(a, o, "wait_ms", answer->wait_ms);
  if (answer->usage)
    tm_json_set(a, o, "usage", answer->usage);
  if (answer->tool_calls)
    tm_json_set(a, o, "tool_calls", answer->tool_calls);
  if (answer->vectors)
    tm_json_set(a, o, "vectors", answer->vectors);
  return o;
}

static void check_answer(llm_box *b, const char *file, const tm_json *golden, const char *way,
                         const tm_llm_answer *answer) {
  const tm_json *want = tm_json_get(golden, "answer"), *is = answer_json(&b->arena, answer);
  if (!tm_json_get(want, "class"))
    CHECK_STR(tm_llm_class_word(answer->class), "none");
  for (size_t i = 0; i < tm_json_len(want); i++) {
    const tm_json_member *m = tm_json_member_at(want, i);
    const tm_json *got = tm_json_get(is, m->key);
    bool part = strcmp(m->key, "message") == 0;
    const char *words = tm_json_str(&m->value, NULL), *text = tm_json_str(got, NULL);
    bool same = part ? text && strstr(text, words) : got && tm_json_equal(got, &m->value);
    if (!same)
      check_fail(__FILE__, __LINE__, "%s, %s, %s, %s:\n      got  %s\n      want %s", file,
                 tm_json_get_str(golden, "name"), way, m->key, box_text(b, got),
                 box_text(b, &m->value));
  }
}

static void hear_golden(llm_box *b, const struct golden *g, const tm_json *golden) {
  const tm_json *body = tm_json_get(golden, "body"), *lines = tm_json_get(golden, "stream");
  tm_http_res res = {.status = (int)tm_json_int(tm_json_get(golden, "status"), 200)};
  tm_llm_answer answer;
  if (body) {
    res.body = tm_json_text(&b->arena, body, &res.body_len);
    tm_llm_receive(&answer, &b->arena, g->provider, &res, false);
    check_answer(b, g->file, golden, "plain", &answer);
  }
  if (!lines)
    return;
  tm_arena work;
  tm_buf text = TM_BUF_INIT;
  tm_arena_init(&work, (size_t)1 << 20);
  for (size_t i = 0; i < tm_json_len(lines); i++)
    tm_buf_printf(&text, "%s%s", i ? "\n" : "", tm_json_str(tm_json_at(lines, i), NULL));
  tm_llm_stream *s = tm_llm_stream_new(g->provider, &work);
  tm_llm_stream_feed(s, tm_buf_str(&text), text.len);
  tm_llm_stream_end(&answer, &b->arena, s, &res, NULL);
  check_answer(b, g->file, golden, "streamed", &answer);
  tm_llm_stream_free(&s);
  tm_buf_free(&text);
  tm_arena_free(&work);
}

static void each_answer_is_read_as_the_golden_file_says(void) {
  for (size_t i = 0; i < GOLDENS; i++) {
    llm_box b;
    box_open(&b, NULL);
    const tm_json *list = tm_json_get(golden_file(&b, goldens[i].file), "answers");
    CHECK(tm_json_len(list) >= 6);
    for (size_t k = 0; k < tm_json_len(list); k++)
      hear_golden(&b, &goldens[i], tm_json_at(list, k));
    box_close(&b);
  }
}

/* What a golden file has to have, unless its provider does not take it. */
static void each_golden_file_shows_all_that_can_be_said(void) {
  static const struct {
    const char *list, *says, *without;
  } table[] = {{"requests", "\"text\"", ""},
               {"requests", "data:image/", ""},
               {"requests", "data:application/pdf", "ollama"},
               {"requests", "https://files.example/a.png", "ollama"},
               {"requests", "\"toolRequest\"", ""},
               {"requests", "\"toolResponse\"", ""},
               {"requests", "\"tool_choice\":\"required\"", "ollama"},
               {"requests", "\"schema\"", ""},
               {"requests", "\"stream\":true", ""},
               {"answers", "\"stream\"", ""},
               {"answers", "\"tool_calls\"", ""},
               {"answers", "\"class\":\"truncated\"", ""},
               {"embeddings", "\"vectors\"", "anthropic"}};
  for (size_t i = 0; i < GOLDENS; i++) {
    llm_box b;
    box_open(&b, NULL);
    const tm_json *doc = golden_file(&b, goldens[i].file);
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
      const char *text = box_text(&b, tm_json_get(doc, table[k].list));
      if (!strstr(text, table[k].says) && strcmp(table[k].without, goldens[i].file) != 0)
        check_fail(__FILE__, __LINE__, "%s: %s without %s", goldens[i].file, table[k].list,
                   table[k].says);
    }
    box_close(&b);
  }
}

/* Embeddings have no preview: what would be sent, as one shows it. */
static const tm_json *embedding_sent(llm_box *b, const struct golden *g,
                                     const tm_json *request) {
  const tm_llm_settings settings = {.env = box_env, .ctx = b};
  const char *model = tm_json_get_str(request, "model");
  tm_llm_question q = {.provider = g->provider->name,
                       .model = strchr(model, '/') + 1,
                       .request = request,
                       .config = tm_json_get(request, "config"),
                       .input = tm_json_get(request, "input")};
  tm_llm_wire wire;
  tm_err err = TM_ERR_INIT;
  if (g->provider->build(&wire, &b->arena, &q, &settings, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", g->file, err.msg);
  tm_json *o = tm_json_new_object(&b->arena);
  tm_json_set_str(&b->arena, o, "method", wire.method);
  tm_json_set_str(&b->arena, o, "url", wire.url);
  tm_json_set_str(&b->arena, o, "body", wire.body);
  return o;
}

static void embeddings_are_asked_and_read_as_the_golden_file_says(void) {
  int files = 0;
  for (size_t i = 0; i < GOLDENS; i++) {
    const struct golden *g = &goldens[i];
    llm_box b;
    box_open(&b, NULL);
    const tm_json *list = tm_json_get(golden_file(&b, g->file), "embeddings");
    CHECK_INT(tm_json_len(list) > 0, g->provider->vectors != NULL);
    files += list != NULL;
    for (size_t k = 0; k < tm_json_len(list); k++) {
      const tm_json *golden = tm_json_at(list, k);
      tm_http_res res = {.status = 200};
      tm_llm_answer answer;
      check_sent(&b, g->file, golden, embedding_sent(&b, g, tm_json_get(golden, "request")));
      res.body = tm_json_text(&b.arena, tm_json_get(golden, "body"), &res.body_len);
      tm_llm_receive(&answer, &b.arena, g->provider, &res, true);
      check_answer(&b, g->file, golden, "embedding", &answer);
    }
    box_close(&b);
  }
  CHECK_INT(files, 4);
}

CHECK_SUITE(wire) {
  CHECK_RUN(each_golden_file_shows_all_that_can_be_said);
  CHECK_RUN(embeddings_are_asked_and_read_as_the_golden_file_says);
  CHECK_RUN(each_request_is_sent_as_the_golden_file_says);
  CHECK_RUN(each_answer_is_read_as_the_golden_file_says);
  CHECK_RUN(chat_completions_are_asked_as_documented);
  CHECK_RUN(a_schema_becomes_a_strict_response_format);
  CHECK_RUN(images_are_parts_and_other_media_are_refused);
  CHECK_RUN(parameters_that_a_model_does_not_take_are_dropped);
  CHECK_RUN(another_base_url_needs_no_key_and_keeps_its_query);
  CHECK_RUN(a_sketch_needs_no_key_and_shows_the_same);
  CHECK_RUN(a_missing_key_is_an_error_of_configuration);
  CHECK_RUN(messages_are_asked_as_documented);
  CHECK_RUN(messages_are_read_with_the_cache_counted_in);
  CHECK_RUN(dropped_parameters_are_listed_in_meta);
  CHECK_RUN(an_answer_that_is_no_object_is_wrapped_on_the_wire_alone);
  CHECK_RUN(providers_are_described_with_keys_masked);
}
