/* breaker.c - when a model is not asked any more. */
#include "llm/breaker.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const char *tm_breaker_text(tm_breaker_word w) {
  static const char *const words[] = {"closed", "open", "half-open"};
  return words[w];
}

tm_breaker_mark tm_breaker_mark_of(tm_llm_class class) {
  switch (class) {
  case TM_LLM_NETWORK:
  case TM_LLM_TIMEOUT:
  case TM_LLM_OVERLOADED:
  case TM_LLM_SERVER:
    return TM_MARK_ERROR;
  case TM_LLM_BAD_OUTPUT:
    return TM_MARK_BAD;
  default: /* an answer, or a refusal that is the request's own fault: somebody is there */
    return TM_MARK_OK;
  }
}

/* -- what all processes saw ------------------------------------------------------------ */

#define HALF_MS 3600000.0

static double sum(const double marks[3]) {
  return marks[TM_MARK_OK] + marks[TM_MARK_ERROR] + marks[TM_MARK_BAD];
}

void tm_breaker_fade(tm_breaker_recent *r, int64_t now) {
  double part = now > r->at ? exp2(-(double)(now - r->at) / HALF_MS) : 1;
  for (int i = 0; i < 3; i++)
    r->marks[i] *= part;
  r->at = now;
  if (r->marks[TM_MARK_ERROR] + r->marks[TM_MARK_BAD] < 0.5)
    *r = (tm_breaker_recent){0};
}

void tm_breaker_fold(tm_breaker_recent *r, const tm_breaker_rule *rule, const int64_t own[3],
                     int64_t now) {
  tm_breaker_fade(r, now);
  const double mine[3] = {(double)own[0], (double)own[1], (double)own[2]};
  double most = rule->calls, news = sum(mine), old = sum(r->marks);
  double part = news > most ? most / news : 1, room = most - part * news;
  double rest = old > room ? room / old : 1;
  for (int i = 0; i < 3; i++)
    r->marks[i] = rest * r->marks[i] + part * mine[i];
  r->at = now;
}

static void put(tm_breaker_window *w, const tm_breaker_rule *rule, tm_breaker_mark mark) {
  if (!w->last)
    w->last = tm_new_array(unsigned char, (size_t)rule->calls);
  if (w->count == rule->calls)
    w->marks[w->last[w->at]]--;
  else
    w->count++;
  w->last[w->at] = (unsigned char)mark;
  w->marks[mark]++;
  w->at = (w->at + 1) % rule->calls;
}

void tm_breaker_prime(tm_breaker_window *w, const tm_breaker_rule *rule, tm_breaker_recent r,
                      int64_t now) {
  static const tm_breaker_mark order[] = {TM_MARK_BAD, TM_MARK_ERROR, TM_MARK_OK};
  if (!rule->calls || w->count)
    return;
  tm_breaker_fade(&r, now);
  for (int i = 0; i < 3; i++)
    for (long n = lround(r.marks[order[i]]); n > 0; n--)
      put(w, rule, order[i]);
}

/* -- what this one sees ---------------------------------------------------------------- */

bool tm_breaker_note(tm_breaker_window *w, const tm_breaker_rule *rule, tm_llm_class class,
                     char why[96]) {
  tm_breaker_mark mark = tm_breaker_mark_of(class);
  if (!rule->calls)
    return false;
  put(w, rule, mark);
  if (mark == TM_MARK_OK || w->count < rule->calls)
    return false;
  double most = mark == TM_MARK_BAD ? rule->bad_outputs : rule->errors;
  if (w->marks[mark] < most * rule->calls)
    return false;
  snprintf(why, 96, "%d of the last %d attempts %s (%s)", w->marks[mark], rule->calls,
           mark == TM_MARK_BAD ? "broke their schema" : "failed", tm_llm_class_word(class));
  return true;
}

void tm_breaker_forget(tm_breaker_window *w) {
  w->count = w->at = 0;
  memset(w->marks, 0, sizeof w->marks);
}

void tm_breaker_free(tm_breaker_window *w) {
  tm_free(w->last);
  w->last = NULL;
}
