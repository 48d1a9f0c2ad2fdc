/* checks.h - what a schema cannot say about an answer: rules for its text.
 *
 *   must_match       "regex" or a list of them: each matches somewhere in the text
 *   must_not_match   "regex" or a list: none matches anywhere
 *   max_chars        a number of characters, of all the text together
 *   min_chars
 *   grounded_in      "variable" or a list: what the text puts in quotation marks stands there
 *   similar_to       "variable", or {variable | text, at_least: 0.5}: shares words with it
 *   of               "member" or "/json/pointer": only the text there; else the whole answer
 *
 * A set of checks is an object of these, or a list of such objects. The text of an answer is
 * the answer, if it is a string; else all the strings in it, each a text of its own. A check
 * `of` a place where there is nothing passes: whether something must be there is for the
 * schema.
 *
 * "Stands there" means letter for letter, but for case (A to Z), runs of white space, straight
 * or curly quotation marks, and punctuation at the end of the quotation. Similarity counts
 * words: 2 * shared / (words here + words there), each different word once, 0 to 1. It knows
 * nothing of meaning, inflection or order, and takes text without spaces between words for one
 * word.
 *
 * Compiled checks live in the arena they were compiled into, keep pointers into `spec`, are
 * read-only afterwards and may be shared. Nothing here keeps state or reaches outside.
 */
#ifndef TM_TEXT_CHECKS_H
#define TM_TEXT_CHECKS_H

#include "text/schema.h"

typedef struct tm_checks tm_checks;

#define TM_CHECKS_MAX 64 /* objects in a list, and patterns or variables in one */

/* Errors (TM_USAGE) name the check that is wrong and say what it takes. */
int tm_checks_compile(tm_checks **out, tm_arena *a, const tm_json *spec, tm_err *err);

/* Hold an answer to the checks; `vars` is the object of the prompt's variables, or NULL.
 * 0 passed; 1 not, and `report` (may be NULL) has what is wrong added, up to its `max`; -1
 * could not be decided (TM_LIMIT: a pattern took too long, or memory ran out). In the report,
 * `schema` is a pointer into the spec. */
int tm_checks_run(const tm_checks *c, const tm_json *answer, const tm_json *vars,
                  tm_schema_report *report, tm_err *err);

#endif
