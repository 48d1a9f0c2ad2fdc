/* json_parser.h - the state of a parse, shared by json_parse.c and its helpers only.
 *
 * json_string.c undoes escapes, json_keys.c settles keys that stand twice, json_error.c
 * puts into words what is wrong and where.
 */
#ifndef TM_TEXT_JSON_PARSER_H
#define TM_TEXT_JSON_PARSER_H

#include <stddef.h>
#include <stdint.h>

#include "text/json.h"

typedef struct tm_json_key_cell {
  const char *key;
  uint32_t len, hash;
} tm_json_key_cell;

typedef struct tm_json_frame_cell {
  size_t parent; /* index of the frame around it */
  bool object;
} tm_json_frame_cell;

typedef union tm_json_cell {
  tm_json value;
  tm_json_key_cell key;
  tm_json_frame_cell frame;
} tm_json_cell;

_Static_assert(sizeof(tm_json_cell) == 16, "a cell is as large as a value");
_Static_assert(offsetof(tm_json_member, value) == sizeof(tm_json_cell),
               "key and value are two cells");
_Static_assert(offsetof(tm_json_member, key_len) == offsetof(tm_json_key_cell, len) &&
                   offsetof(tm_json_member, spare) == offsetof(tm_json_key_cell, hash),
               "a key cell is the first half of a member");

typedef struct tm_json_parser {
  tm_json_cell *stack, *first; /* first: where it begins, on the thread's own stack */
  size_t top, cap;
  size_t frame; /* of the innermost open container */
  uint32_t depth, max_depth;
  char *base, *end; /* the copy of the text */
  tm_arena *arena;
  const char *text; /* the original, for positions in errors */
  size_t len;       /* of the text */
  bool last_wins, had_duplicates;
  tm_err *err;
} tm_json_parser;

/* Set the error, with line, column and byte of `at`; always NULL, the end of parsing. */
char *tm_json_fail(tm_json_parser *p, const char *at, tm_code code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), cold));
/* The error of a soft arena that ran out; always NULL. */
char *tm_json_fail_memory(tm_json_parser *p);
/* Something else stands where a value should begin: the usual reasons by name. */
char *tm_json_fail_value(tm_json_parser *p, const char *at);
/* A byte that may not stand in a string. */
char *tm_json_fail_string(tm_json_parser *p, const char *at);

typedef struct tm_json_words {
  char text[80];
} tm_json_words;

/* What stands at a place, in words: 'x', "a line break", "the end of the text". */
tm_json_words tm_json_found(const tm_json_parser *p, const char *at);
/* A key for a message: cut when long, without control characters. */
tm_json_words tm_json_shown(const char *key, size_t len);

/* From the first escape of a string on: what follows moves left. *to is where the unescaped
 * text ends. Returns what follows the closing quote, NULL on an error. */
char *tm_json_unescape(tm_json_parser *p, char *at, char **to);

/* Refuse or merge keys that stand twice among n members; *n is what is left. */
bool tm_json_settle(tm_json_parser *p, tm_json_member *m, uint32_t *n);

#endif
