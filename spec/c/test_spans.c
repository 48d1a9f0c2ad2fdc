/* test_spans.c - the times of spans, of a journal whose clocks do not quite agree. */
#include "check.h"

#include <stdlib.h>

#include "face/spans.h"

typedef struct said {
  tm_record_kind kind;
  const char *place, *body;
} said;

static int64_t time_of(const tm_json *span, const char *key) {
  return strtoll(tm_json_get_str(span, key), NULL, 10) / 1000000;
}

/* An attempt's length is measured by the monotonic clock, all else by the wall's. */
static void what_a_span_holds_ends_in_it(void) {
  static const said journal[] = {
      {TM_RECORD_START, "0", "{\"workflow\":\"w\",\"at\":1000}"},
      {TM_RECORD_ATTEMPT, "1",
       "{\"k\":\"llm\",\"a\":{\"provider\":\"p\",\"at\":1005,\"latency_ms\":4}}"},
      {TM_RECORD_DONE, "1", "{\"k\":\"llm\",\"v\":1,\"ms\":2,\"at\":1008}"},
      {TM_RECORD_END, "end", "{\"state\":\"done\",\"v\":1,\"at\":1008}"},
  };
  tm_arena a;
  tm_buf out = TM_BUF_INIT;
  tm_json *body, *list;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  tm_spans *s = tm_spans_begin(&(tm_spans_of){.run = "r", .out = &out});
  tm_buf_puts(&out, "[");
  for (size_t i = 0; i < sizeof journal / sizeof *journal; i++) {
    tm_record r = {.seq = (int64_t)i,
                   .kind = (int)journal[i].kind,
                   .place = journal[i].place,
                   .name = "ask",
                   .chain = journal[i].place};
    CHECK_INT(tm_json_parse(&body, &a, journal[i].body, strlen(journal[i].body), NULL, &err),
              0);
    tm_spans_record(s, &r, body);
  }
  tm_spans_free(&s);
  char *text = strdup(tm_buf_str(&out) + 1); /* behind "[" stands a comma */
  text[0] = '[';
  tm_buf_reset(&out);
  tm_buf_printf(&out, "%s]", text);
  free(text);
  CHECK_INT(tm_json_parse(&list, &a, out.data, out.len, NULL, &err), 0);
  CHECK_INT(tm_json_len(list), 3);
  for (size_t i = 0; i < tm_json_len(list); i++) {
    const tm_json *span = tm_json_at(list, i);
    CHECK(time_of(span, "startTimeUnixNano") >= 1000);
    CHECK_INT(time_of(span, "endTimeUnixNano"), 1009);
  }
  tm_buf_free(&out);
  tm_arena_free(&a);
}

CHECK_SUITE(spans) {
  CHECK_RUN(what_a_span_holds_ends_in_it);
}
