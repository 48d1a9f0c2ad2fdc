/* test_sse.c - event streams and JSON lines: fields, line ends, every chunking, limits. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "check.h"
#include "text/sse.h"

/* Each event as "event|data|id;" in one text. */
static int note(void *ctx, const tm_sse_event *e, tm_err *err) {
  tm_buf *out = ctx;
  (void)err;
  tm_buf_printf(out, "%s|", e->event);
  tm_buf_put(out, e->data, e->len);
  tm_buf_printf(out, "|%s;", e->id);
  CHECK_INT(e->data[e->len], 0);
  return 0;
}

/* Feed in chunks of `size` bytes; 0: all at once. */
static int feed(tm_buf *out, const char *text, size_t len, size_t size, bool ndjson,
                tm_err *err) {
  tm_sse s;
  int rc = 0;
  tm_sse_init(&s, ndjson);
  for (size_t at = 0; at < len && rc == 0;) {
    size_t n = size && size < len - at ? size : len - at;
    char *chunk = tm_strndup(text + at, n); /* its own block, so a read past it is seen */
    rc = tm_sse_feed(&s, chunk, n, note, out, err);
    tm_free(chunk);
    at += n;
  }
  if (rc == 0)
    rc = tm_sse_end(&s, note, out, err);
  tm_sse_free(&s);
  return rc;
}

typedef struct pair {
  const char *text, *want;
} pair;

/* Every case, whole and in chunks of 1 to 7 bytes and cut in two at every place. */
static void check_all(const pair *cases, size_t n, bool ndjson) {
  for (size_t i = 0; i < n; i++)
    for (size_t size = 0; size <= 7; size++) {
      tm_buf out = TM_BUF_INIT;
      tm_err err = TM_ERR_INIT;
      CHECK_INT(feed(&out, cases[i].text, strlen(cases[i].text), size, ndjson, &err), 0);
      if (strcmp(tm_buf_str(&out), cases[i].want) != 0)
        check_fail(__FILE__, __LINE__, "case %zu, chunks of %zu\n      got  %s\n      want %s",
                   i, size, tm_buf_str(&out), cases[i].want);
      tm_buf_free(&out);
    }
}

#define CHECK_ALL(cases, ndjson) check_all((cases), sizeof(cases) / sizeof(cases)[0], (ndjson))

static void events_are_split_at_blank_lines(void) {
  static const pair cases[] = {
      {"data: a\n\ndata: b\n\n", "message|a|;message|b|;"},
      {"data:a\n\n", "message|a|;"},
      {"data:  a\n\n", "message| a|;"},
      {"data: a\ndata: b\n\n", "message|a\nb|;"},
      {"data: a\ndata\ndata: b\n\n", "message|a\n\nb|;"},
      {"data\n\n", "message||;"},
      {"data:\n\n", "message||;"},
      {"event: delta\ndata: x\n\ndata: y\n\n", "delta|x|;message|y|;"},
      {"event: only\n\ndata: y\n\n", "message|y|;"},
      {"id: 7\ndata: x\n\ndata: y\n\nid\ndata: z\n\n", "message|x|7;message|y|7;message|z|;"},
      {": comment\ndata: x\n:\n\n", "message|x|;"},
      {"retry: 10\nfoo: bar\n data: no\ndata: x\n\n", "message|x|;"},
      {"data: {\"a\": \"b: c\"}\n\n", "message|{\"a\": \"b: c\"}|;"},
      {"data: [DONE]\n\n", "message|[DONE]|;"},
      {"\n\n\ndata: x\n\n\n\n", "message|x|;"},
      {"Data: x\ndata : y\ndatax: z\n\n", ""},
      {"", ""},
  };
  CHECK_ALL(cases, false);
}

static void any_line_end_will_do_wherever_it_is_cut(void) {
  static const pair cases[] = {
      {"data: a\r\n\r\ndata: b\r\n\r\n", "message|a|;message|b|;"},
      {"data: a\r\rdata: b\r\r", "message|a|;message|b|;"},
      {"data: a\r\n\ndata: b\n\r\n", "message|a|;message|b|;"},
      {"data: a\n\rdata: b\r\n\r", "message|a|;message|b|;"},
      {"data: a\rdata: b\ndata: c\r\n\n", "message|a\nb\nc|;"},
      {"\xEF\xBB\xBF"
       "data: a\n\n",
       "message|a|;"},
      {"data: \xEF\xBB\xBF\n\n", "message|\xEF\xBB\xBF|;"},
      {"\xEF\xBB\xBF\n\n\xEF\xBB\xBF"
       "data: a\n\n",
       ""},
  };
  CHECK_ALL(cases, false);
}

static void an_event_without_its_blank_line_is_dropped(void) {
  static const pair cases[] = {
      {"data: a\n\ndata: b\n", "message|a|;"},
      {"data: a\n\ndata: b", "message|a|;"},
      {"data: a", ""},
  };
  CHECK_ALL(cases, false);
}

static void json_lines_are_events(void) {
  static const pair cases[] = {
      {"{\"a\":1}\n{\"b\":2}\n", "message|{\"a\":1}|;message|{\"b\":2}|;"},
      {"{\"a\":1}\r\n\r\n  \n{\"b\":2}", "message|{\"a\":1}|;message|{\"b\":2}|;"},
      {"\xEF\xBB\xBF{}\n", "message|{}|;"},
      {"data: x\n", "message|data: x|;"},
      {"{\r\"a\":1}\n", "message|{\r\"a\":1}|;"},
      {"\n\n", ""},
  };
  CHECK_ALL(cases, true);
}

static void a_nul_in_data_is_kept_and_in_an_id_ignored(void) {
  static const char text[] = "id: a\0b\ndata: x\0y\n\n";
  tm_buf out = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(feed(&out, text, sizeof text - 1, 3, false, &err), 0);
  CHECK_INT(out.len, 13);
  CHECK(out.len == 13 && memcmp(out.data, "message|x\0y|;", 13) == 0);
  tm_buf_free(&out);
}

static int stop(void *ctx, const tm_sse_event *e, tm_err *err) {
  ++*(int *)ctx;
  return tm_err_set(err, TM_FAILED, "stopped at %s", e->data);
}

static void the_callback_can_stop_the_stream(void) {
  tm_sse s;
  tm_err err = TM_ERR_INIT;
  int calls = 0;
  tm_sse_init(&s, false);
  CHECK_INT(tm_sse_feed(&s, "data: 1\n\ndata: 2\n\n", 18, stop, &calls, &err), -1);
  CHECK_INT(calls, 1);
  CHECK_STR(err.msg, "stopped at 1");
  tm_sse_free(&s);
}

static void long_lines_and_events_are_refused(void) {
  static const struct {
    const char *text, *want;
  } cases[] = {
      {"data: 0123456789\n\n", "message|0123456789|;"},
      {"data: 01234567890\n\n", "a line of the stream is longer than 16 bytes"},
      {"data: 0123456789\ndata: 0123456789\n\n",
       "an event of the stream is longer than 20 bytes"},
      {"data: 012345678\ndata: 0123456789\n\n", "message|012345678\n0123456789|;"},
      {": 0123456789abcdef", "a line of the stream is longer than 16 bytes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (size_t size = 1; size < 40; size += 6) {
      tm_sse s;
      tm_buf out = TM_BUF_INIT;
      tm_err err = TM_ERR_INIT;
      tm_sse_init(&s, false);
      s.max_line = 16;
      s.max_event = 20;
      int rc = 0;
      size_t len = strlen(cases[i].text);
      for (size_t at = 0; at < len && rc == 0; at += size)
        rc = tm_sse_feed(&s, cases[i].text + at, len - at < size ? len - at : size, note, &out,
                         &err);
      CHECK_STR(rc == 0 ? tm_buf_str(&out) : err.msg, cases[i].want);
      CHECK_INT(err.code, rc == 0 ? TM_OK : TM_LIMIT);
      tm_buf_free(&out);
      tm_sse_free(&s);
    }
}

static void running_out_of_memory_is_an_error(void) {
  const char *text = "event: x\nid: 1\ndata: a\ndata: b\n\n";
  size_t fail = 1;
  for (;; fail++) {
    tm_buf out = TM_BUF_INIT;
    tm_err err = TM_ERR_INIT;
    tm_mem_fail_at(fail);
    int rc = feed(&out, text, strlen(text), 5, false, &err);
    tm_mem_fail_at(0);
    CHECK_INT(err.code, rc == 0 ? TM_OK : TM_LIMIT);
    CHECK_STR(tm_buf_str(&out), rc == 0 ? "x|a\nb|1;" : "");
    tm_buf_free(&out);
    if (rc == 0)
      break;
  }
  CHECK(fail > 4);
}

/* Streams made of the bytes that matter, cut at random: the same events as uncut. */
static void random_streams_do_not_depend_on_the_chunking(void) {
  static const char *const bits[] = {"data", ":",     " ",  "\n", "\r",
                                     "\r\n", "event", "id", "x",  "\n\n"};
  uint32_t dice = 12345;
  for (int round = 0; round < 3000; round++) {
    tm_buf text = TM_BUF_INIT, whole = TM_BUF_INIT, cut = TM_BUF_INIT;
    tm_err err = TM_ERR_INIT;
    for (int i = 0; i < 24; i++) {
      dice = dice * 1664525u + 1013904223u;
      tm_buf_puts(&text, bits[(dice >> 16) % (sizeof bits / sizeof bits[0])]);
    }
    feed(&whole, text.data, text.len, 0, false, &err);
    feed(&cut, text.data, text.len, 1 + (dice >> 20) % 5, false, &err);
    CHECK_STR(tm_buf_str(&cut), tm_buf_str(&whole));
    tm_buf_free(&text);
    tm_buf_free(&whole);
    tm_buf_free(&cut);
  }
}

CHECK_SUITE(sse) {
  CHECK_RUN(events_are_split_at_blank_lines);
  CHECK_RUN(any_line_end_will_do_wherever_it_is_cut);
  CHECK_RUN(an_event_without_its_blank_line_is_dropped);
  CHECK_RUN(json_lines_are_events);
  CHECK_RUN(a_nul_in_data_is_kept_and_in_an_id_ignored);
  CHECK_RUN(the_callback_can_stop_the_stream);
  CHECK_RUN(long_lines_and_events_are_refused);
  CHECK_RUN(running_out_of_memory_is_an_error);
  CHECK_RUN(random_streams_do_not_depend_on_the_chunking);
}
