/* breaker.c - when a model is not asked any more. */
#include "llm/breaker.h"

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

bool tm_breaker_note(tm_breaker_window *w, const tm_breaker_rule *rule, tm_llm_class class,
                     char why[96]) {
  tm_breaker_mark mark = tm_breaker_mark_of(class);
  if (!rule->calls)
    return false;
  if (!w->last)
    w->last = tm_new_array(unsigned char, (size_t)rule->calls);
  if (w->count == rule->calls)
    w->marks[w->last[w->at]]--;
  else
    w->count++;
  w->last[w->at] = (unsigned char)mark;
  w->marks[mark]++;
  w->at = (w->at + 1) % rule->calls;
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
