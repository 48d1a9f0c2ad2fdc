/* bench_schema.c - documents parsed and validated in a second, validated alone, and the time
 * to compile a schema (B4, B4c). The median of the rounds counts; every answer is checked.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "documents.h"
#include "text/schema.h"

#define ROUNDS       5
#define ROUND_NS     INT64_C(200000000)
#define BATCH        16 /* repetitions between two looks at the clock */
#define SCHEMA_LIMIT ((size_t)16 << 20)

typedef struct subject {
  bench_document d;
  tm_arena schema_arena, value_arena;
  tm_json *schema_doc;
  tm_schema *schema;
  tm_json *value;
} subject;

static void must(int answer, const char *name, const tm_err *err) {
  if (answer == 0)
    return;
  fprintf(stderr, "bench_schema: %s: %s\n", name, answer < 0 ? err->msg : "found invalid");
  exit(1);
}

static void open_subject(subject *s, bench_kind kind) {
  tm_err err = TM_ERR_INIT;
  bench_document_make(&s->d, kind);
  tm_arena_init(&s->schema_arena, 0);
  tm_arena_init(&s->value_arena, 0);
  must(
      tm_json_parse(&s->schema_doc, &s->schema_arena, s->d.schema, s->d.schema_len, NULL, &err),
      s->d.name, &err);
  must(tm_schema_compile(&s->schema, &s->schema_arena, s->schema_doc, NULL, &err), s->d.name,
       &err);
  must(tm_json_parse(&s->value, &s->value_arena, s->d.text, s->d.len, NULL, &err), s->d.name,
       &err);
}

static void close_subject(subject *s) {
  tm_arena_free(&s->schema_arena);
  tm_arena_free(&s->value_arena);
  bench_document_free(&s->d);
}

static void validate(subject *s, tm_arena *a) {
  tm_err err = TM_ERR_INIT;
  (void)a;
  must(tm_schema_check(s->schema, s->value, NULL, &err), s->d.name, &err);
}

static void parse_and_validate(subject *s, tm_arena *a) {
  tm_err err = TM_ERR_INIT;
  tm_json *value;
  tm_arena_reset(a);
  must(tm_json_parse(&value, a, s->d.text, s->d.len, NULL, &err), s->d.name, &err);
  must(tm_schema_check(s->schema, value, NULL, &err), s->d.name, &err);
}

/* A soft arena, as for a schema that comes from outside. */
static void compile(subject *s, tm_arena *a) {
  tm_err err = TM_ERR_INIT;
  tm_schema *schema;
  tm_arena_reset(a);
  must(tm_schema_compile(&schema, a, s->schema_doc, NULL, &err), s->d.name, &err);
}

static double round_of(subject *s, void (*work)(subject *, tm_arena *)) {
  tm_arena a;
  tm_arena_init(&a, SCHEMA_LIMIT);
  int64_t start = tm_clock_ns(), spent;
  double times = 0;
  do {
    for (int i = 0; i < BATCH; i++)
      work(s, &a);
    times += BATCH;
  } while ((spent = tm_clock_ns() - start) < ROUND_NS);
  tm_arena_free(&a);
  return times / (double)spent * 1e9;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(subject *s, void (*work)(subject *, tm_arena *)) {
  double all[ROUNDS];
  for (int i = 0; i < ROUNDS; i++)
    all[i] = round_of(s, work);
  qsort(all, ROUNDS, sizeof all[0], by_value);
  return all[ROUNDS / 2];
}

int main(void) {
  double slowest = 0;
  for (int kind = 0; kind < BENCH_KINDS; kind++) {
    subject s;
    open_subject(&s, (bench_kind)kind);
    printf("bench=B4 metric=%s_parse_validate_per_s value=%.0f unit=/s\n", s.d.name,
           median(&s, parse_and_validate));
    printf("bench=B4 metric=%s_validate_per_s value=%.0f unit=/s\n", s.d.name,
           median(&s, validate));
    double ms = 1e3 / median(&s, compile);
    printf("bench=B4c metric=%s_compile_ms value=%.3f unit=ms\n", s.d.name, ms);
    slowest = ms > slowest ? ms : slowest;
    close_subject(&s);
  }
  printf("bench=B4c metric=compile_ms value=%.3f unit=ms\n", slowest);
  return 0;
}
