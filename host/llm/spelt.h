/* spelt.h - a key that comes back otherwise encoded: base64, hex, percent.
 *
 * As an Authorization header of HTTP Basic is quoted, or a URL. In base64 the key may stand anywhere
 * in what was encoded, so it has three spellings there; where it shares a letter with its neighbours
 * that one letter stays.
 */
#ifndef TM_LLM_SPELT_H
#define TM_LLM_SPELT_H

#include "base/buf.h"
#include "base/mem.h"

/* The text with "***" for every such spelling of the secret (NULL, and less than 8 bytes: none); the
 * text itself when there is none. */
const char *tm_llm_mask_spelt(tm_arena *a, const char *text, size_t *len, const char *secret);

/* The same for a stream, whose events say `said` together: a spelling that stands there is looked for in
 * pieces (tm_llm_scrub), which is too dear to be done for each of them without need. */
const char *tm_llm_scrub_spelt(tm_arena *a, const char *bytes, size_t *len, const tm_buf *said,
                               const char *secret);

#endif
