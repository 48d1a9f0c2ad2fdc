/* fuzz_stream.c - a streamed answer of any provider is heard the same in one piece, in many, and
 * without the frames that spare parsing; and what comes of it is an answer or explained. The
 * first byte chooses: the provider, and how large the pieces are.
 */
#include "fuzz.h"
#include "llm/stream.h"

static const tm_provider *const providers[] = {&tm_openai_chat, &tm_openai, &tm_anthropic,
                                               &tm_gemini, &tm_ollama};
#define PROVIDERS (sizeof providers / sizeof *providers)

typedef struct ear {
  tm_llm_stream *stream;
  tm_arena work;
  int rc;
} ear;

/* In pieces of at most `most` bytes, each in memory of its own; 0: all at once. */
static void hear(ear *e, const tm_provider *p, const uint8_t *bytes, size_t len, size_t most,
                 bool frames) {
  tm_arena_init(&e->work, (size_t)1 << 20);
  e->stream = tm_llm_stream_new(p, &e->work);
  e->rc = 0;
  for (size_t at = 0, n = 0; at < len && e->rc == 0; at += n) {
    n = most && most < len - at ? most : len - at;
    char *piece = fuzz_text(bytes + at, n);
    if (!frames)
      tm_buf_reset(&e->stream->frame);
    e->rc = tm_llm_stream_feed(e->stream, piece, n);
    free(piece);
  }
}

static void must_be_settled(ear *e, const uint8_t *bytes, size_t len) {
  tm_arena a;
  tm_llm_answer answer;
  tm_arena_init(&a, (size_t)8 << 20);
  tm_http_res res = {.status = 200, .body = (const char *)bytes, .body_len = len};
  tm_llm_stream_end(&answer, &a, e->stream, &res, "secret");
  MUST(answer.class != TM_LLM_NONE ? answer.message != NULL : answer.text != NULL);
  tm_arena_free(&a);
}

static void done(ear *e) {
  tm_llm_stream_free(&e->stream);
  tm_arena_free(&e->work);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  ear whole, pieces, slow;
  if (len == 0)
    return 0;
  const tm_provider *p = providers[bytes[0] % PROVIDERS];
  hear(&whole, p, bytes + 1, len - 1, 0, true);
  hear(&pieces, p, bytes + 1, len - 1, 1 + bytes[0] / PROVIDERS, true);
  hear(&slow, p, bytes + 1, len - 1, 1, false);
  MUST(whole.rc == pieces.rc && whole.rc == slow.rc);
  MUST(fuzz_same(&whole.stream->heard.text, &pieces.stream->heard.text));
  MUST(fuzz_same(&whole.stream->heard.text, &slow.stream->heard.text));
  MUST(whole.stream->heard.whole == slow.stream->heard.whole);
  MUST(whole.stream->heard.tool_count == slow.stream->heard.tool_count);
  must_be_settled(&whole, bytes + 1, len - 1);
  done(&whole);
  done(&pieces);
  done(&slow);
  return 0;
}
