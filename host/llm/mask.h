/* mask.h - a key that comes back in an answer, taken out before anybody is told of it.
 *
 * A secret is a text of a request; NULL, and less than 4 bytes, are none.
 */
#ifndef TM_LLM_MASK_H
#define TM_LLM_MASK_H

#include "base/mem.h"
#include "net/http.h"

/* The text with "***" for every occurrence of the secret; the text itself when there is none. */
const char *tm_llm_mask(tm_arena *a, const char *text, size_t *len, const char *secret);
/* The same for JSON, or a stream of it: also spelt with escapes, in pieces, or encoded (spelt.h). */
const char *tm_llm_scrub(tm_arena *a, const char *bytes, size_t *len, const char *secret);
/* Body and headers of an answer, before it is read. */
void tm_llm_scrub_answer(tm_http_res *res, tm_arena *a, const char *secret);
/* How many bytes at the end of a text may be the beginning of the secret, and have to wait. */
size_t tm_llm_held(const char *text, size_t len, const char *secret);

#endif
