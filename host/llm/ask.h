/* ask.h - what llm.c and ask.c share: the registry and its open asks.
 */
#ifndef TM_LLM_ASK_H
#define TM_LLM_ASK_H

#include "base/id.h"
#include "base/list.h"
#include "llm/provider.h"

#define TM_LLM_WORK_MAX ((size_t)32 << 20)

struct tm_llm {
  tm_loop *loop;
  tm_http *http;
  tm_llm_settings settings;
  tm_provider **functions; /* owned */
  size_t function_count;
  tm_list asks;
  tm_dice dice; /* of the jitter, which is nobody's record */
  tm_shapes shapes;
  /* For what begins and ends in one callback of the loop: building a request, reading an answer
   * (work, soft), what is told of it (told, firm). No such callback runs inside another. */
  tm_arena work, told;
};

/* The provider of a name, NULL when there is none. A function hides a built-in. */
const tm_provider *tm_llm_provider(const tm_llm *l, const char *name, size_t len);
/* All of them, by number; NULL past the end. */
const tm_provider *tm_llm_provider_at(const tm_llm *l, size_t i);

/* Fill provider, model, request and messages of a question, and return who answers it. NULL:
 * TM_USAGE, the model is not written as PROVIDER/MODEL; TM_CONFIG, nobody has that name. */
const tm_provider *tm_llm_question_of(tm_llm_question *q, tm_arena *a, const tm_llm *l,
                                      const tm_json *request, tm_err *err);

/* Silently, all that is open. In ask.c. */
void tm_llm_cancel_all(tm_llm *l);

#endif
