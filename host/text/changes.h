/* changes.h - what differs between two values, and between two texts.
 */
#ifndef TM_TEXT_CHANGES_H
#define TM_TEXT_CHANGES_H

#include "text/json.h"

/* The places where the values differ, in order, at most `max`: [{at: JSON pointer, was, is}];
 * `was` or `is` is absent when nothing stands there. Both live in arenas that outlive `a`. */
tm_json *tm_changes_of(tm_arena *a, const tm_json *was, const tm_json *is, size_t max);

/* Append the unified diff of two texts, with three lines around each change; nothing when they
 * are equal. The names stand behind --- and +++; NULL is /dev/null. Texts that are no UTF-8, or
 * so different that a diff would take long, are told as "Files differ". */
void tm_changes_text(tm_buf *out, const char *was_name, const char *was, size_t was_len,
                     const char *is_name, const char *is, size_t is_len);

#endif
