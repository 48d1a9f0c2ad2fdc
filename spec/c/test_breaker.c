/* test_breaker.c - what processes tell each other of the last attempts: counts that fade. */
#include "check.h"
#include "llm/breaker.h"

#define HOUR INT64_C(3600000)

static const tm_breaker_rule ten = {.errors = 0.9, .bad_outputs = 0.9, .calls = 10};

static tm_breaker_recent recent(double ok, double failed, double bad) {
  return (tm_breaker_recent){.marks = {ok, failed, bad}, .at = HOUR};
}

#define CHECK_MARKS(r, ok, failed, bad) \
  CHECK((r).marks[0] == (ok) && (r).marks[1] == (failed) && (r).marks[2] == (bad))

static void an_hour_halves_them_until_nothing_is_left(void) {
  tm_breaker_recent r = recent(8, 4, 0);
  tm_breaker_fade(&r, HOUR);
  CHECK_MARKS(r, 8, 4, 0);
  tm_breaker_fade(&r, 2 * HOUR);
  CHECK_MARKS(r, 4, 2, 0);
  tm_breaker_fade(&r, HOUR); /* the clock was put back */
  CHECK_MARKS(r, 4, 2, 0);
  tm_breaker_fade(&r, 4 * HOUR); /* a quarter of a failure is none */
  CHECK_MARKS(r, 0, 0, 0);
  CHECK_INT(r.at, 0);
}

static void what_is_new_pushes_out_what_is_old(void) {
  static const int64_t three[] = {0, 3, 0}, many[] = {100, 0, 300}, one[] = {1, 0, 0};
  tm_breaker_recent r = recent(2, 0, 2);
  tm_breaker_fold(&r, &ten, three, HOUR);
  CHECK_MARKS(r, 2, 3, 2);
  r = recent(5, 5, 0);
  tm_breaker_fold(&r, &ten, three, HOUR);
  CHECK_MARKS(r, 3.5, 6.5, 0);
  tm_breaker_fold(&r, &ten, many, HOUR);
  CHECK_MARKS(r, 2.5, 0, 7.5);
  r = recent(0, 0, 0);
  tm_breaker_fold(&r, &ten, one, HOUR);
  CHECK_MARKS(r, 1, 0, 0);
}

static void a_process_begins_with_what_others_saw(void) {
  char why[96];
  tm_breaker_window w = {0}, fresh = {0}, old = {0};
  tm_breaker_prime(&w, &ten, recent(0, 9, 0), HOUR);
  CHECK(tm_breaker_note(&w, &ten, TM_LLM_TIMEOUT, why));
  CHECK_STR(why, "10 of the last 10 attempts failed (timeout)");
  CHECK(!tm_breaker_note(&fresh, &ten, TM_LLM_TIMEOUT, why));
  tm_breaker_prime(&fresh, &ten, recent(0, 9, 0), HOUR); /* it has its own already */
  CHECK(!tm_breaker_note(&fresh, &ten, TM_LLM_TIMEOUT, why));
  tm_breaker_prime(&old, &ten, recent(0, 9, 0), 3 * HOUR);
  CHECK_INT(old.count, 2);
  tm_breaker_free(&w);
  tm_breaker_free(&fresh);
  tm_breaker_free(&old);
}

static void failures_of_before_are_the_first_to_go(void) {
  char why[96];
  tm_breaker_window w = {0};
  tm_breaker_prime(&w, &ten, recent(1, 9, 0), HOUR);
  CHECK(!tm_breaker_note(&w, &ten, TM_LLM_NONE, why));
  CHECK_INT(w.marks[TM_MARK_ERROR], 8);
  CHECK(!tm_breaker_note(&w, &ten, TM_LLM_SERVER, why));
  tm_breaker_free(&w);
}

CHECK_SUITE(breaker) {
  CHECK_RUN(an_hour_halves_them_until_nothing_is_left);
  CHECK_RUN(what_is_new_pushes_out_what_is_old);
  CHECK_RUN(a_process_begins_with_what_others_saw);
  CHECK_RUN(failures_of_before_are_the_first_to_go);
}
