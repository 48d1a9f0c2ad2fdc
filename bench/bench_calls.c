/* bench_calls.c - 10,000 model calls, 1,000 in flight, parsed and validated; no journal. And
 * streamed answers of 200 chunks, every chunk parsed.
 *
 * Prints bench=B3net and bench=B3s .
 *
 *   bench_calls [CALLS [IN_FLIGHT]]     needs mock-server beside it (or TM_MOCK_SERVER)
 *
 * A bare call (`bare_per_s`) is the same request without the ask machine: what the transport
 * alone takes. `chunks_per_s` feeds the bytes of streams from memory, in reads of 16 KiB, to
 * what hears them; `chunks_per_s_net` is the whole way, from the mock's socket to the answer.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "llm/stream.h"
#include "mock.h"

#define RUNS 3

static void die(const char *what, const char *why) {
  fprintf(stderr, "bench_calls: %s: %s\n", what, why);
  exit(1);
}

/* -- the calls ------------------------------------------------------------------------- */

typedef struct crowd {
  tm_loop *loop;
  tm_http *http;
  tm_llm *llm;
  const tm_json *request;
  tm_http_req bare;
  char base[64], url[128];
  int calls, in_flight, started, finished, wrong, attempts;
} crowd;

static const char *setting(void *ctx, const char *name) {
  crowd *c = ctx;
  return strcmp(name, "OPENAI_BASE_URL") == 0  ? c->base
         : strcmp(name, "OPENAI_API_KEY") == 0 ? "sk-bench-0123456789"
                                               : NULL;
}

static void next_ask(crowd *c);

static void attempted(void *ctx, const tm_json *attempt) {
  crowd *c = ctx;
  c->attempts += tm_json_get(attempt, "error") == NULL;
}

static void answered(void *ctx, const tm_json *value, const tm_json *meta,
                     const tm_json *error) {
  (void)meta, (void)error;
  crowd *c = ctx;
  c->finished++;
  c->wrong += tm_json_int(tm_json_get(value, "urgency"), 0) != 3;
  next_ask(c);
}

static void next_ask(crowd *c) {
  tm_llm_events ev = {.attempt = attempted, .done = answered, .ctx = c};
  tm_llm_ask *ask;
  tm_err err = TM_ERR_INIT;
  if (c->started == c->calls)
    return;
  c->started++;
  if (tm_llm_start(&ask, c->llm, c->request, &ev, &err) < 0)
    die("a question", err.msg);
}

static void next_bare(crowd *c);

static void bare_done(void *ctx, const tm_http_res *res) {
  crowd *c = ctx;
  c->finished++;
  c->wrong += res->fault != TM_HTTP_OK || res->status != 200;
  next_bare(c);
}

static void next_bare(crowd *c) {
  tm_http_call *call;
  tm_err err = TM_ERR_INIT;
  if (c->started == c->calls)
    return;
  c->started++;
  if (tm_http_start(&call, c->http, &c->bare, bare_done, c, &err) < 0)
    die("a request", err.msg);
}

/* -- figures --------------------------------------------------------------------------- */

typedef struct figures {
  double per_s[RUNS], cpu[RUNS];
} figures;

static double cpu_s(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void measure(figures *out, crowd *c, void (*next)(crowd *c)) {
  for (int run = 0; run < RUNS; run++) {
    c->started = c->finished = c->wrong = 0;
    int64_t start = tm_clock_ns();
    double cpu = cpu_s();
    for (int i = 0; i < c->in_flight; i++)
      next(c);
    while (c->finished < c->calls)
      tm_loop_turn(c->loop, -1);
    out->per_s[run] = c->calls / ((double)(tm_clock_ns() - start) / 1e9);
    out->cpu[run] = (cpu_s() - cpu) * 1000 / c->calls;
    if (c->wrong)
      die("answers", "some were wrong");
  }
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *values) {
  qsort(values, RUNS, sizeof *values, by_size);
  return values[RUNS / 2];
}

static void tell(const char *bench, const char *metric, double value, const char *unit) {
  printf("bench=%s metric=%s value=%.4g unit=%s\n", bench, metric, value, unit);
}

static void report(const char *metric, double value, const char *unit) {
  tell("B3net", metric, value, unit);
}

static long peak_kb(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_maxrss;
}

/* -- the question ---------------------------------------------------------------------- */

static const char schema[] = "{\"type\":\"object\",\"properties\":{\"category\":{\"enum\":["
                             "\"billing\",\"bug\",\"other\"]},"
                             "\"urgency\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":5},"
                             "\"reply\":{\"type\":\"string\"},"
                             "\"refund\":{\"type\":\"boolean\"}},\"required\":[\"category\","
                             "\"urgency\",\"reply\",\"refund\"],"
                             "\"additionalProperties\":false}";

static const tm_json *question(tm_arena *a) {
  tm_json *q;
  tm_err err = TM_ERR_INIT;
  tm_buf text = TM_BUF_INIT;
  tm_buf_puts(&text,
              "{\"unit\":\"bench\",\"model\":\"openai/mock\",\"config\":{\"temperature\":0},"
              "\"messages\":[{\"role\":\"system\",\"content\":[{\"text\":\"You answer "
              "tickets.\"}]},{\"role\":\"user\",\"content\":[{\"text\":\"");
  for (int i = 0; i < 12; i++)
    tm_buf_puts(&text, "My invoice is wrong again, and nobody answers. ");
  tm_buf_printf(&text, "\"}]}],\"schema\":%s}", schema);
  if (tm_json_parse(&q, a, tm_buf_str(&text), text.len, NULL, &err) < 0)
    die("the question", err.msg);
  tm_buf_free(&text);
  return q;
}

/* -- streams --------------------------------------------------------------------------- */

#define CHUNKS  200
#define STREAMS 5000
#define READ    16384

typedef struct sample {
  const char *metric;
  const tm_provider *provider;
  const char *chunk; /* # stands for its number, @ for its text */
  const char *end;
} sample;

/* As it comes over the wire. In the last, no two events are alike around their text. */
static const sample samples[] = {
    {"chunks_per_s", &tm_openai_chat,
     "data: "
     "{\"id\":\"chatcmpl-9xYz\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
     "\"model\":\"gpt-4.1-mini-2025-04-14\",\"system_fingerprint\":\"fp_1\",\"choices\":[{"
     "\"index\":0,\"delta\":{\"content\":\"@\"},\"logprobs\":null,\"finish_reason\":null}]}"
     "\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n"},
    {"chunks_per_s_anthropic", &tm_anthropic,
     "event: content_block_delta\ndata: "
     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
     "\"type\":\"text_delta\",\"text\":\"@\"}}\n\n",
     "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"
     "data: {\"type\":\"message_stop\"}\n\n"},
    {"chunks_per_s_responses", &tm_openai,
     "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
     "\"sequence_number\":#,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,"
     "\"delta\":\"@\"}\n\n",
     NULL},
};

static void put_chunk(tm_buf *out, const sample *of, int number, const char *text) {
  for (const char *c = of->chunk; *c; c++) {
    if (*c == '#')
      tm_buf_printf(out, "%d", number);
    else if (*c == '@')
      tm_buf_puts(out, text);
    else
      tm_buf_putc(out, *c);
  }
}

static void write_stream(tm_buf *out, const sample *of) {
  static const char *const words[] = {" Thank", " you", " for", " telling", " us", ";", " we"};
  tm_buf text = TM_BUF_INIT;
  for (int i = 0; i < CHUNKS; i++) {
    const char *word = words[(size_t)i % (sizeof words / sizeof *words)];
    tm_buf_puts(&text, word);
    put_chunk(out, of, i, word);
  }
  if (of->end)
    tm_buf_puts(out, of->end);
  else
    tm_buf_printf(
        out,
        "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\","
        "\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"%s\"}]}]}}\n\n",
        tm_buf_str(&text));
  tm_buf_free(&text);
}

static void hear_stream(const tm_provider *p, const tm_buf *bytes, tm_arena *work) {
  tm_llm_stream *s = tm_llm_stream_new(p, work);
  size_t news = 0, len;
  for (size_t at = 0; at < bytes->len; at += READ) {
    tm_llm_stream_feed(s, bytes->data + at, bytes->len - at < READ ? bytes->len - at : READ);
    tm_llm_stream_news(s, &len, NULL);
    news += len;
  }
  if (!s->heard.whole || news < CHUNKS || news != s->heard.text.len)
    die("a stream", "was not heard whole");
  tm_llm_stream_free(&s);
}

static void measure_parser(const sample *of) {
  tm_buf bytes = TM_BUF_INIT;
  tm_arena work;
  double per_s[RUNS];
  tm_arena_init(&work, (size_t)1 << 20);
  write_stream(&bytes, of);
  for (int run = 0; run < RUNS; run++) {
    int64_t start = tm_clock_ns();
    for (int i = 0; i < STREAMS; i++)
      hear_stream(of->provider, &bytes, &work);
    per_s[run] = (double)STREAMS * CHUNKS / ((double)(tm_clock_ns() - start) / 1e9);
  }
  tell("B3s", of->metric, median(per_s), "1/s");
  tm_buf_free(&bytes);
  tm_arena_free(&work);
}

/* The mock cuts its answer, of about 960 bytes, into pieces of six. */
#define CHUNKS_NET 160

static void measure_streams(crowd *c, tm_arena *a) {
  figures asks;
  tm_json *streamed = tm_json_copy(a, c->request);
  tm_json_set_bool(a, streamed, "stream", true);
  c->request = streamed;
  c->calls /= 4;
  c->in_flight = c->in_flight < 100 ? c->in_flight : 100;
  measure(&asks, c, next_ask);
  tell("B3s", "chunks_per_s_net", median(asks.per_s) * CHUNKS_NET, "1/s");
  tell("B3s", "streams_per_s_net", median(asks.per_s), "1/s");
}

int main(int argc, char **argv) {
  static const tm_http_header json = {"Content-Type", "application/json"};
  crowd c = {.calls = argc > 1 ? atoi(argv[1]) : 10000,
             .in_flight = argc > 2 ? atoi(argv[2]) : 1000};
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int port;
  pid_t mock = mock_start(&port);
  snprintf(c.base, sizeof c.base, "http://127.0.0.1:%d/v1", port);
  snprintf(c.url, sizeof c.url, "%s/chat/completions", c.base);
  tm_arena arena;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&arena, 0);
  c.request = question(&arena);
  if (tm_loop_open(&c.loop, &err) < 0 || tm_http_open(&c.http, c.loop, &err) < 0 ||
      tm_llm_open(&c.llm, c.loop, c.http, setting, &c, &err) < 0)
    die("opening", err.msg);

  figures asks, bare;
  measure(&asks, &c, next_ask);
  report("calls_per_s", median(asks.per_s), "1/s");
  report("cpu_s_per_1000", median(asks.cpu), "s");
  report("peak_rss_mb", (double)peak_kb() / 1024, "MB");
  c.bare = (tm_http_req){.method = "POST", .url = c.url, .headers = &json, .header_count = 1};
  c.bare.body = tm_json_text(&arena, c.request, &c.bare.body_len);
  measure(&bare, &c, next_bare);
  report("bare_per_s", median(bare.per_s), "1/s");
  report("bare_cpu_s_per_1000", median(bare.cpu), "s");
  for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
    measure_parser(&samples[i]);
  measure_streams(&c, &arena);

  tm_llm_close(&c.llm);
  tm_http_close(&c.http);
  tm_loop_close(&c.loop);
  tm_arena_free(&arena);
  kill(mock, SIGTERM);
  waitpid(mock, NULL, 0);
  return 0;
}
