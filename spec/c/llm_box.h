/* llm_box.h - one ask and all that it told, against a peer that plays the provider.
 */
#ifndef TM_SPEC_LLM_BOX_H
#define TM_SPEC_LLM_BOX_H

#include "check.h"
#include "llm/llm.h"
#include "peer.h"

#define BOX_ATTEMPTS 32

typedef struct llm_box {
  tm_loop *loop;
  tm_http *http;
  tm_llm *llm;
  peer *peer;
  tm_arena arena;      /* everything told is copied into it */
  const char *env[32]; /* name, value, ..., NULL */
  tm_llm_ask *ask;
  const tm_json *attempts[BOX_ATTEMPTS];
  int attempt_count, done;
  const tm_json *value, *meta, *error;
  char *requests[BOX_ATTEMPTS]; /* as the peer got them; the peer's until it stops */
  tm_buf heard;                 /* deltas, since the last attempt */
  int deltas;
  int cancel_at; /* the attempt at which the listener cancels; 0: never */
  int cancel_at_delta;
  bool outlasts; /* it takes waits that are put off, and goes on with them at once */
  int put_off;
  int64_t wait_ms;               /* of the last one */
  const tm_json *state, *so_far; /* so_far: the meta that came along */
} llm_box;

__attribute__((unused)) static const char *box_env(void *ctx, const char *name) {
  llm_box *b = ctx;
  for (size_t i = 0; b->env[i]; i += 2)
    if (strcmp(b->env[i], name) == 0)
      return b->env[i + 1];
  return NULL;
}

__attribute__((unused)) static void box_set(llm_box *b, const char *name, const char *value) {
  size_t i = 0;
  while (b->env[i] && strcmp(b->env[i], name) != 0)
    i += 2;
  b->env[i] = name;
  b->env[i + 1] = value;
}

/* The project's own table of what models do not take. */
static void box_models(llm_box *b) {
  char text[16384];
  tm_err err = TM_ERR_INIT;
  tm_json *table;
  FILE *f = fopen("lua/models.json", "rb");
  size_t len = f ? fread(text, 1, sizeof text, f) : 0;
  if (f)
    fclose(f);
  if (tm_json_parse(&table, &b->arena, text, len, NULL, &err) < 0 ||
      tm_llm_set_models(b->llm, table, &err) < 0)
    check_fail(__FILE__, __LINE__, "lua/models.json: %s", err.msg);
}

/* The peer speaks as both providers; waits between retries are of 1 ms at most. */
__attribute__((unused)) static void box_open(llm_box *b, peer_fn fn) {
  tm_err err = TM_ERR_INIT;
  memset(b, 0, sizeof *b);
  tm_arena_init(&b->arena, 0);
  if (tm_loop_open(&b->loop, &err) < 0 || tm_http_open(&b->http, b->loop, &err) < 0 ||
      tm_llm_open(&b->llm, b->loop, b->http, box_env, b, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s", err.msg);
  box_models(b);
  box_set(b, "TIDEMILL_RETRY_BASE_MS", "1");
  if (!fn)
    return;
  b->peer = peer_start(fn, b);
  const char *url = tm_arena_strdup(&b->arena, b->peer->url); /* outlives the peer */
  box_set(b, "OPENAI_BASE_URL", url);
  box_set(b, "OPENAI_API_KEY", "sk-secret-of-openai");
  box_set(b, "ANTHROPIC_BASE_URL", url);
  box_set(b, "ANTHROPIC_API_KEY", "sk-ant-secret-of-anthropic");
}

__attribute__((unused)) static void box_close(llm_box *b) {
  tm_llm_close(&b->llm);
  tm_http_close(&b->http);
  tm_loop_close(&b->loop);
  if (b->peer)
    peer_stop(&b->peer);
  for (int i = 0; i < BOX_ATTEMPTS; i++)
    tm_free(b->requests[i]);
  tm_buf_free(&b->heard);
  tm_arena_free(&b->arena);
}

static void box_delta(void *ctx, const char *text, size_t len) {
  llm_box *b = ctx;
  CHECK_INT(tm_json_utf8_valid(text, len), len);
  CHECK_INT(b->done, 0);
  tm_buf_put(&b->heard, text, len);
  b->deltas++;
  if (b->cancel_at_delta && b->deltas == b->cancel_at_delta)
    tm_llm_cancel(&b->ask);
}

static void box_attempt(void *ctx, const tm_json *attempt) {
  llm_box *b = ctx;
  if (tm_json_get(attempt, "error"))
    tm_buf_reset(&b->heard);
  CHECK_INT(b->done, 0);
  if (b->attempt_count < BOX_ATTEMPTS)
    b->attempts[b->attempt_count++] = tm_json_copy(&b->arena, attempt);
  if (b->cancel_at && b->attempt_count == b->cancel_at)
    tm_llm_cancel(&b->ask);
}

static void box_done(void *ctx, const tm_json *value, const tm_json *meta,
                     const tm_json *error) {
  llm_box *b = ctx;
  b->done++;
  b->ask = NULL;
  b->value = value ? tm_json_copy(&b->arena, value) : NULL;
  b->meta = meta ? tm_json_copy(&b->arena, meta) : NULL;
  b->error = error ? tm_json_copy(&b->arena, error) : NULL;
}

__attribute__((unused)) static tm_json *box_json(llm_box *b, const char *text) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&v, &b->arena, text, strlen(text), NULL, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
  return v;
}

static void box_later(void *ctx, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                      const tm_json *error) {
  llm_box *b = ctx;
  b->put_off++;
  b->ask = NULL;
  b->wait_ms = wait_ms;
  b->state = box_json(b, tm_json_text(&b->arena, state, NULL)); /* as a journal keeps it */
  b->so_far = tm_json_copy(&b->arena, meta);
  b->error = tm_json_copy(&b->arena, error);
}

static tm_llm_events box_events(llm_box *b) {
  return (tm_llm_events){.delta = box_delta,
                         .attempt = box_attempt,
                         .done = box_done,
                         .later = b->outlasts ? box_later : NULL,
                         .ctx = b};
}

/* As the next process would, and not after wait_ms. */
__attribute__((unused)) static void box_go_on(llm_box *b, const char *request) {
  tm_llm_events ev = box_events(b);
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_llm_resume(&b->ask, b->llm, box_json(b, request), b->state, &ev, &err), 0);
  CHECK_STR(err.msg, "");
}

static int box_start(llm_box *b, const char *request, tm_err *err) {
  tm_llm_events ev = box_events(b);
  b->attempt_count = b->done = b->deltas = b->put_off = 0;
  tm_buf_reset(&b->heard);
  b->value = b->meta = b->error = NULL;
  int rc = tm_llm_start(&b->ask, b->llm, box_json(b, request), &ev, err);
  CHECK_INT(b->done + b->attempt_count, 0);
  return rc;
}

/* Ask and wait for the end. */
__attribute__((unused)) static void box_ask(llm_box *b, const char *request) {
  tm_err err = TM_ERR_INIT;
  if (box_start(b, request, &err) < 0) {
    check_fail(__FILE__, __LINE__, "%s", err.msg);
    return;
  }
  while (!b->done && b->ask) {
    tm_loop_turn(b->loop, -1);
    if (!b->done && !b->ask && b->put_off)
      box_go_on(b, request);
  }
  CHECK_INT(b->done, 1);
}

__attribute__((unused)) static const char *box_text(llm_box *b, const tm_json *v) {
  return v ? tm_json_text(&b->arena, v, NULL) : "(none)";
}

__attribute__((unused)) static const char *box_class(const llm_box *b) {
  const char *c = tm_json_get_str(b->error, "class");
  return c ? c : "(no error)";
}

/* For peers: keep the request, answer in the words of Chat Completions. */
__attribute__((unused)) static void box_keep(peer *p, int n, const char *request) {
  llm_box *b = p->ctx;
  if (n <= BOX_ATTEMPTS)
    b->requests[n - 1] = tm_strdup(request);
}

__attribute__((unused)) static peer_then openai_says(tm_buf *reply, const char *content,
                                                     const char *finish) {
  tm_arena a;
  tm_buf body = TM_BUF_INIT;
  tm_arena_init(&a, 0);
  tm_buf_puts(&body,
              "{\"id\":\"x\",\"model\":\"gpt-mock-2026\",\"system_fingerprint\":\"fp\","
              "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
  tm_json_print(&body, tm_json_new_str(&a, content));
  tm_buf_printf(&body,
                "},\"finish_reason\":\"%s\"}],\"usage\":{\"prompt_tokens\":10,"
                "\"completion_tokens\":5,\"total_tokens\":15,\"prompt_tokens_details\":{"
                "\"cached_tokens\":4}}}",
                finish);
  peer_reply(reply, 200, "Content-Type: application/json\r\nX-Request-Id: req_1\r\n",
             tm_buf_str(&body));
  tm_buf_free(&body);
  tm_arena_free(&a);
  return PEER_KEEP;
}

#endif
