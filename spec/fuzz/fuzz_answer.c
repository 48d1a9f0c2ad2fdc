/* fuzz_answer.c - a plain answer of any provider, to a question or to texts, is an answer or
 * explained; and whatever it says, a key in it is taken out and nothing else is.
 *
 * The first byte chooses: the provider, the status, and what was asked.
 */
#include "fuzz.h"
#include "llm/provider.h"

static const tm_provider *const providers[] = {&tm_openai_chat, &tm_openai, &tm_anthropic,
                                               &tm_gemini, &tm_ollama};
#define PROVIDERS (sizeof providers / sizeof *providers)

static const int statuses[] = {200, 200, 200, 200, 201, 307, 400, 401, 429, 503};
#define STATUSES (sizeof statuses / sizeof *statuses)

#define KEY "sk-key"

static void must_be_explained(const tm_provider *p, int status, bool embedding,
                              const char *body, size_t len) {
  tm_arena a;
  tm_llm_answer answer;
  tm_http_res res = {.status = status, .body = body, .body_len = len};
  tm_arena_init(&a, (size_t)8 << 20);
  tm_llm_receive(&answer, &a, p, &res, embedding);
  MUST(answer.class != TM_LLM_NONE ? answer.message != NULL : answer.text != NULL);
  MUST(answer.class != TM_LLM_NONE || (status >= 200 && status < 300));
  MUST(!embedding || answer.class != TM_LLM_NONE || tm_json_len(answer.vectors));
  MUST(!answer.text || answer.text[answer.text_len] == '\0');
  tm_arena_free(&a);
}

/* No string of the value says the key, and no name. */
static bool is_silent(const tm_json *v) {
  size_t len;
  const char *text = tm_json_str(v, &len);
  bool silent = !text || !memmem(text, len, KEY, sizeof KEY - 1);
  for (size_t i = 0; silent && i < tm_json_len(v); i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    silent = !m || !memmem(m->key, m->key_len, KEY, sizeof KEY - 1);
    silent = silent && is_silent(m ? &m->value : tm_json_at(v, i));
  }
  return silent;
}

/* What is left has no key and is no longer; where it is JSON, no reader finds a key in it. */
static const char *must_be_clean(tm_arena *a, const char *body, size_t *len) {
  tm_err err = TM_ERR_INIT;
  tm_json *v;
  size_t was = *len;
  const char *clean = tm_llm_scrub(a, body, len, KEY);
  MUST(clean != body || *len == was);
  MUST(*len <= was);
  MUST(!memmem(clean, *len, KEY, sizeof KEY - 1));
  if (tm_json_parse(&v, a, clean, *len, &(tm_json_opts){.last_wins = true}, &err) == 0)
    MUST(is_silent(v));
  return clean;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  tm_arena a;
  if (len == 0)
    return 0;
  const tm_provider *p = providers[bytes[0] % PROVIDERS];
  int status = statuses[bytes[0] / PROVIDERS % STATUSES];
  bool embedding = bytes[0] >= PROVIDERS * STATUSES * 2 && p->vectors;
  char *body = fuzz_text(bytes + 1, len - 1);
  size_t clean_len = len - 1;
  tm_arena_init(&a, 0);
  must_be_explained(p, status, embedding, body, len - 1);
  const char *clean = must_be_clean(&a, body, &clean_len);
  if (clean != body)
    must_be_explained(p, status, embedding, clean, clean_len);
  tm_arena_free(&a);
  free(body);
  return 0;
}
