/* bench_json.c - megabytes of JSON parsed and printed in a second, on the invoice (B4).
 *
 * A round parses (or prints) the same text over and over for a fixed time, with an arena
 * (or a buffer) that is reset each time, as a run does; the median of the rounds counts.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "documents.h"
#include "text/json.h"

#define ROUNDS   5
#define ROUND_NS INT64_C(300000000)
#define BATCH    64 /* repetitions between two looks at the clock */

static const tm_json *parse_once(const bench_document *d, tm_arena *a) {
  tm_err err = TM_ERR_INIT;
  tm_json *v = NULL;
  tm_arena_reset(a);
  if (tm_json_parse(&v, a, d->text, d->len, NULL, &err) < 0) {
    fprintf(stderr, "bench_json: %s: %s\n", d->name, err.msg);
    exit(1);
  }
  return v;
}

/* Returns the bytes printed; fewer than were parsed, for 12.50 prints as 12.5. */
static double print_once(const tm_json *v, tm_buf *b) {
  tm_buf_reset(b);
  tm_json_print(b, v);
  return (double)b->len;
}

static double parse_round(const bench_document *d) {
  tm_arena a;
  tm_arena_init(&a, 0);
  int64_t start = tm_clock_ns(), spent;
  double bytes = 0;
  do {
    for (int i = 0; i < BATCH; i++)
      parse_once(d, &a);
    bytes += (double)d->len * BATCH;
  } while ((spent = tm_clock_ns() - start) < ROUND_NS);
  tm_arena_free(&a);
  return bytes / (double)spent * 1e3;
}

static double print_round(const bench_document *d) {
  tm_arena a;
  tm_arena_init(&a, 0);
  tm_buf b = TM_BUF_INIT;
  double bytes = 0;
  const tm_json *v = parse_once(d, &a);
  int64_t start = tm_clock_ns(), spent;
  do {
    for (int i = 0; i < BATCH; i++)
      bytes += print_once(v, &b);
  } while ((spent = tm_clock_ns() - start) < ROUND_NS);
  tm_buf_free(&b);
  tm_arena_free(&a);
  return bytes / (double)spent * 1e3;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double (*round)(const bench_document *), const bench_document *d) {
  double all[ROUNDS];
  for (int i = 0; i < ROUNDS; i++)
    all[i] = round(d);
  qsort(all, ROUNDS, sizeof all[0], by_value);
  return all[ROUNDS / 2];
}

int main(void) {
  bench_document d;
  bench_document_make(&d, BENCH_INVOICE);
  printf("bench=B4 metric=json_parse_mb_per_s value=%.0f unit=MB/s\n", median(parse_round, &d));
  printf("bench=B4 metric=json_print_mb_per_s value=%.0f unit=MB/s\n", median(print_round, &d));
  bench_document_free(&d);
  return 0;
}
