/* speak.c - one answer in the words of each provider: whole, or as the events of a stream.
 *
 * A stream is first a list of JSON events, one a line; frame.c puts them on the wire.
 */
#include <stdio.h>

#include "mock.h"

/* -- what is asked for ----------------------------------------------------------------- */

mock_dialect mock_dialect_of(const mock_request *r) {
  static const struct {
    const char *in_path;
    mock_dialect dialect;
  } table[] = {{"/chat/completions", MOCK_CHAT},
               {"/responses", MOCK_RESPONSES},
               {"/messages", MOCK_ANTHROPIC},
               {":generateContent", MOCK_GEMINI},
               {":streamGenerateContent", MOCK_GEMINI},
               {"/api/chat", MOCK_OLLAMA},
               {"/embeddings", MOCK_VECTORS},
               {":batchEmbedContents", MOCK_VECTORS},
               {"/api/embed", MOCK_VECTORS}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strstr(r->path, table[i].in_path))
      return table[i].dialect;
  return MOCK_NO_MODEL;
}

bool mock_streams(const mock_request *r, const tm_json *body) {
  return strstr(r->path, ":streamGenerateContent") ||
         tm_json_bool(tm_json_get(body, "stream"), false);
}

/* -- parts ----------------------------------------------------------------------------- */

typedef struct speech {
  tm_buf *out;
  const char *text; /* as JSON, with its quotes */
  size_t piece;     /* bytes of text in an event, give or take a character */
  const char *tool, *arguments, *arguments_text; /* arguments: JSON; and JSON in a string */
  long long in, tokens;
} speech;

static void usage_chat(const speech *s) {
  tm_buf_printf(s->out,
                "\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,"
                "\"total_tokens\":%lld}",
                s->in, s->tokens, s->in + s->tokens);
}

/* -- whole ----------------------------------------------------------------------------- */

static void chat(const speech *s) {
  tm_buf_printf(s->out,
                "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":"
                "\"mock-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                "\"refusal\":null,\"content\":%s",
                s->text);
  if (s->tool)
    tm_buf_printf(s->out,
                  ",\"tool_calls\":[{\"id\":\"call_a\",\"type\":\"function\",\"function\":{"
                  "\"name\":\"%s\",\"arguments\":%s}}]",
                  s->tool, s->arguments_text);
  tm_buf_printf(s->out, "},\"finish_reason\":\"%s\"}],", s->tool ? "tool_calls" : "stop");
  usage_chat(s);
  tm_buf_puts(s->out, "}");
}

static void responses(const speech *s) {
  tm_buf_puts(s->out, "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\","
                      "\"model\":\"mock-1\",\"error\":null,\"incomplete_details\":null,"
                      "\"output\":[");
  if (s->tool)
    tm_buf_printf(s->out,
                  "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],"
                  "\"encrypted_content\":\"gAAA\"},{\"type\":\"function_call\",\"call_id\":"
                  "\"call_a\",\"name\":\"%s\",\"arguments\":%s},",
                  s->tool, s->arguments_text);
  tm_buf_printf(s->out,
                "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[{"
                "\"type\":\"output_text\",\"text\":%s,\"annotations\":[]}]}],\"usage\":{"
                "\"input_tokens\":%lld,\"output_tokens\":%lld,\"total_tokens\":%lld}}",
                s->text, s->in, s->tokens, s->in + s->tokens);
}

static void anthropic(const speech *s) {
  tm_buf_printf(s->out,
                "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
                "\"mock-1\",\"content\":[{\"type\":\"text\",\"text\":%s}",
                s->text);
  if (s->tool)
    tm_buf_printf(s->out,
                  ",{\"type\":\"tool_use\",\"id\":\"call_a\",\"name\":\"%s\",\"input\":%s}",
                  s->tool, s->arguments);
  tm_buf_printf(s->out,
                "],\"stop_reason\":\"%s\",\"usage\":{\"input_tokens\":%lld,"
                "\"output_tokens\":%lld}}",
                s->tool ? "tool_use" : "end_turn", s->in, s->tokens);
}

static void gemini(const speech *s) {
  tm_buf_printf(s->out,
                "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":%s}",
                s->text);
  if (s->tool)
    tm_buf_printf(
        s->out,
        ",{\"functionCall\":{\"name\":\"%s\",\"args\":%s},\"thoughtSignature\":\"c2ln\"}",
        s->tool, s->arguments);
  tm_buf_printf(s->out,
                "]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{"
                "\"promptTokenCount\":%lld,\"candidatesTokenCount\":%lld,\"totalTokenCount\":"
                "%lld},\"modelVersion\":\"mock-1\",\"responseId\":\"resp_1\"}",
                s->in, s->tokens, s->in + s->tokens);
}

static void ollama(const speech *s) {
  tm_buf_printf(s->out,
                "{\"model\":\"mock-1\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{"
                "\"role\":\"assistant\",\"content\":%s",
                s->text);
  if (s->tool)
    tm_buf_printf(s->out, ",\"tool_calls\":[{\"function\":{\"name\":\"%s\",\"arguments\":%s}}]",
                  s->tool, s->arguments);
  tm_buf_printf(s->out,
                "},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":%lld,"
                "\"eval_count\":%lld}",
                s->in, s->tokens);
}

/* -- in pieces ------------------------------------------------------------------------- */

/* The text cut up: calls `say` with each piece as JSON. */
static void pieces(const speech *s, const tm_buf *text,
                   void (*say)(const speech *s, const char *piece)) {
  tm_arena a;
  tm_arena_init(&a, 0);
  for (size_t at = 0; at < text->len;) {
    size_t len = text->len - at < s->piece ? text->len - at : s->piece;
    while (at + len < text->len && (text->data[at + len] & 0xc0) == 0x80)
      len++;
    say(s, tm_json_text(&a, tm_json_new_strn(&a, text->data + at, len), NULL));
    tm_buf_putc(s->out, '\n');
    at += len;
  }
  tm_arena_free(&a);
}

#define CHUNK                                                                            \
  "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":" \
  "\"mock-1\",\"choices\":[{\"index\":0,\"delta\":{"

static void chat_piece(const speech *s, const char *piece) {
  tm_buf_printf(s->out, CHUNK "\"content\":%s},\"finish_reason\":null}]}", piece);
}

static void chat_stream(const speech *s, const tm_buf *text) {
  tm_buf_puts(s->out,
              CHUNK "\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n");
  pieces(s, text, chat_piece);
  if (s->tool)
    tm_buf_printf(s->out,
                  CHUNK "\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\","
                        "\"function\":{\"name\":\"%s\",\"arguments\":\"\"}}]},"
                        "\"finish_reason\":null}]}\n" CHUNK
                        "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":%s}}]},"
                        "\"finish_reason\":null}]}\n",
                  s->tool, s->arguments_text);
  tm_buf_printf(s->out, CHUNK "},\"finish_reason\":\"%s\"}]}\n",
                s->tool ? "tool_calls" : "stop");
  tm_buf_puts(s->out,
              "{\"object\":\"chat.completion.chunk\",\"model\":\"mock-1\",\"choices\":[],");
  usage_chat(s);
  tm_buf_puts(s->out, "}\n[DONE]\n");
}

static void responses_piece(const speech *s, const char *piece) {
  tm_buf_printf(s->out,
                "{\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\","
                "\"output_index\":0,\"content_index\":0,\"delta\":%s}",
                piece);
}

static void responses_stream(const speech *s, const tm_buf *text) {
  tm_buf_puts(s->out,
              "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":"
              "\"resp_1\",\"status\":\"in_progress\",\"error\":null,\"output\":[]}}\n");
  pieces(s, text, responses_piece);
  tm_buf_puts(s->out, "{\"type\":\"response.completed\",\"response\":");
  responses(s);
  tm_buf_puts(s->out, "}\n");
}

static void anthropic_piece(const speech *s, const char *piece) {
  tm_buf_printf(s->out,
                "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
                "\"text_delta\",\"text\":%s}}",
                piece);
}

static void anthropic_stream(const speech *s, const tm_buf *text) {
  tm_buf_printf(
      s->out,
      "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","
      "\"role\":\"assistant\",\"model\":\"mock-1\",\"content\":[],\"stop_reason\":null,"
      "\"usage\":{\"input_tokens\":%lld,\"output_tokens\":1}}}\n"
      "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
      "\"text\",\"text\":\"\"}}\n{\"type\":\"ping\"}\n",
      s->in);
  pieces(s, text, anthropic_piece);
  tm_buf_puts(s->out, "{\"type\":\"content_block_stop\",\"index\":0}\n");
  if (s->tool)
    tm_buf_printf(s->out,
                  "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
                  "\"tool_use\",\"id\":\"call_a\",\"name\":\"%s\",\"input\":{}}}\n"
                  "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
                  "\"input_json_delta\",\"partial_json\":%s}}\n"
                  "{\"type\":\"content_block_stop\",\"index\":1}\n",
                  s->tool, s->arguments_text);
  tm_buf_printf(s->out,
                "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\"},\"usage\":{"
                "\"output_tokens\":%lld}}\n{\"type\":\"message_stop\"}\n",
                s->tool ? "tool_use" : "end_turn", s->tokens);
}

static void gemini_piece(const speech *s, const char *piece) {
  tm_buf_printf(s->out,
                "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":%s}]},"
                "\"index\":0}],\"modelVersion\":\"mock-1\",\"responseId\":\"resp_1\"}",
                piece);
}

static void gemini_stream(const speech *s, const tm_buf *text) {
  pieces(s, text, gemini_piece);
  speech last = *s;
  last.text = "\"\"";
  gemini(&last);
  tm_buf_puts(s->out, "\n");
}

static void ollama_piece(const speech *s, const char *piece) {
  tm_buf_printf(s->out,
                "{\"model\":\"mock-1\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{"
                "\"role\":\"assistant\",\"content\":%s},\"done\":false}",
                piece);
}

static void ollama_stream(const speech *s, const tm_buf *text) {
  pieces(s, text, ollama_piece);
  speech last = *s;
  last.text = "\"\"";
  ollama(&last);
  tm_buf_puts(s->out, "\n");
}

/* -- embeddings ------------------------------------------------------------------------ */

/* Three numbers that depend on the text alone. */
static void vector(tm_buf *out, const tm_json *text) {
  size_t len = 0;
  const char *s = tm_json_str(text, &len);
  uint64_t h = s ? tm_hash_fast(s, len) : 0;
  tm_buf_printf(out, "[0.%03d,0.%03d,0.%03d]", (int)(h % 1000), (int)(h / 1000 % 1000),
                (int)(h / 1000000 % 1000));
}

static void vectors(tm_buf *out, const mock_request *r, const tm_json *body) {
  const tm_json *requests = tm_json_get(body, "requests"), *input = tm_json_get(body, "input");
  bool openai = strstr(r->path, "/embeddings") != NULL;
  size_t count = tm_json_len(requests ? requests : input);
  tm_buf_puts(out, openai ? "{\"model\":\"mock-1\",\"data\":[" : "{\"embeddings\":[");
  for (size_t i = 0; i < count; i++) {
    const tm_json *text =
        requests ? tm_json_pointer(tm_json_at(requests, i), "/content/parts/0/text")
                 : tm_json_at(input, i);
    tm_buf_puts(out, i ? "," : "");
    if (openai)
      tm_buf_printf(out, "{\"index\":%zu,\"embedding\":", i);
    else if (requests)
      tm_buf_puts(out, "{\"values\":");
    vector(out, text);
    tm_buf_puts(out, openai || requests ? "}" : "");
  }
  tm_buf_printf(out,
                "],\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu},"
                "\"prompt_eval_count\":%zu}",
                count, count, count);
}

/* -- all of it ------------------------------------------------------------------------- */

static void (*const whole[])(const speech *s) = {[MOCK_CHAT] = chat,
                                                 [MOCK_RESPONSES] = responses,
                                                 [MOCK_ANTHROPIC] = anthropic,
                                                 [MOCK_GEMINI] = gemini,
                                                 [MOCK_OLLAMA] = ollama};
static void (*const stream[])(const speech *s,
                              const tm_buf *text) = {[MOCK_CHAT] = chat_stream,
                                                     [MOCK_RESPONSES] = responses_stream,
                                                     [MOCK_ANTHROPIC] = anthropic_stream,
                                                     [MOCK_GEMINI] = gemini_stream,
                                                     [MOCK_OLLAMA] = ollama_stream};

void mock_speak(tm_buf *out, const mock_request *r, const tm_json *body, const tm_buf *text,
                const tm_json *tool, bool streamed, size_t piece) {
  mock_dialect d = mock_dialect_of(r);
  if (d == MOCK_VECTORS) {
    vectors(out, r, body);
    return;
  }
  tm_arena a;
  tm_arena_init(&a, 0);
  const tm_json *arguments = tm_json_get(tool, "arguments");
  speech s = {.out = out,
              .piece = piece,
              .text = tm_json_text(&a, tm_json_new_strn(&a, tm_buf_str(text), text->len), NULL),
              .tool = tm_json_get_str(tool, "name"),
              .arguments = arguments ? tm_json_text(&a, arguments, NULL) : "{}",
              .in = (long long)r->body_len / 4,
              .tokens = (long long)text->len / 4 + 1};
  s.arguments_text = tm_json_text(&a, tm_json_new_str(&a, s.arguments), NULL);
  if (streamed)
    stream[d](&s, text);
  else
    whole[d](&s);
  tm_arena_free(&a);
}
