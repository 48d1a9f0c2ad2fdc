/* cassette.h - real answers on file: recorded while they are given, replayed without a network.
 *
 * A cassette is a file of lines, one for each attempt that settled something:
 *
 *   {"key", "model", "api", "streamed", "status", "request_id", "request", "response"}
 *
 * `key` is the hash of what was asked (messages, schema, tools, configuration), not of whom: so
 * "cassette/FILE" as a model answers with what is on file, through the same reading of the same
 * bytes as when they came. A key that was recorded more than once answers in that order, the
 * last again and again; but a vector is its model's, so of several the one is taken that the
 * request's `as` names. Keys of providers are masked before anything is written.
 */
#ifndef TM_LLM_CASSETTE_H
#define TM_LLM_CASSETTE_H

#include "llm/provider.h"

typedef struct tm_recorder tm_recorder;

/* Opens (and makes) the file to append to. TM_CONFIG: it cannot be written. */
int tm_recorder_open(tm_recorder **out, const char *path, tm_err *err);
void tm_recorder_close(tm_recorder **r);
/* One attempt. `response` is masked already; what is no UTF-8 is left out. */
void tm_recorder_put(tm_recorder *r, tm_arena *a, const tm_provider *p,
                     const tm_llm_question *q, const tm_llm_wire *wire,
                     const tm_llm_answer *answer, int status, const char *response, size_t len);

/* The provider "cassette". `find` gives the reader of a recorded "api". */
tm_provider *tm_cassette_new(const tm_provider *(*find)(void *ctx, const char *api), void *ctx);
void tm_cassette_free(tm_provider **p);

#endif
