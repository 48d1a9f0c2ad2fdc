/* schema.h - JSON Schema 2020-12 (and draft-07 by $schema), compiled and checked.
 *
 * A compiled schema lives in the arena it was compiled into, is read-only
 * afterwards and may be shared. Validation allocates nothing on success.
 */
#ifndef TM_TEXT_SCHEMA_H
#define TM_TEXT_SCHEMA_H

#include "text/json.h"

typedef struct tm_schema tm_schema;

/* Finds a document by absolute URI for $ref across documents; NULL when there is none.
 * Never the network. */
typedef const tm_json *(*tm_schema_resolve)(void *ctx, const char *uri);

typedef struct tm_schema_opts {
  tm_schema_resolve resolve; /* may be NULL */
  void *ctx;
  const char *base_uri; /* may be NULL */
  bool assert_format;   /* `format` asserts instead of annotating */
  bool draft7;          /* default draft when $schema is absent */
} tm_schema_opts;

/* Compile `doc`; the program keeps pointers into it and into what resolve() gave, so they must
 * live as long. NULL opts: none. Errors (TM_USAGE; TM_LIMIT for memory and depth) name the
 * schema pointer that is wrong. */
int tm_schema_compile(tm_schema **out, tm_arena *a, const tm_json *doc,
                      const tm_schema_opts *opts, tm_err *err);

/* One thing that is wrong. Strings live in the report's arena. */
typedef struct tm_schema_error {
  const char *instance; /* JSON pointer into the value, "" for the whole */
  const char *schema;   /* JSON pointer into the schema, with the keyword */
  const char *keyword;
  const char
      *message; /* for a person: "/categories/0 must be one of billing, bug; it is \"rant\"" */
  const char *advice; /* fit to be fed back to a model */
} tm_schema_error;

typedef struct tm_schema_report {
  tm_arena *arena; /* set by the caller */
  size_t max;      /* stop after so many; 0: 20 */
  tm_schema_error *errors;
  size_t count;
} tm_schema_report;

/* 0 valid, 1 invalid, -1 could not be decided (a limit was hit; err says which).
 * report may be NULL: then the first violation ends the check. */
int tm_schema_check(const tm_schema *s, const tm_json *value, tm_schema_report *report,
                    tm_err *err);

/* The report as a JSON array of {instance, schema, keyword, message}, in arena `a`. */
tm_json *tm_schema_report_json(tm_arena *a, const tm_schema_report *r);

/* Fill absent members from `default`; returns a new tree in `a` (opt-in, never automatic). */
tm_json *tm_schema_fill(tm_arena *a, const tm_schema *s, const tm_json *value);

/* A document given as Picoschema (a YAML/JSON object or a one-line string), or as JSON Schema
 * already, to JSON Schema. `named` finds a schema by name for bare names; may be NULL. */
typedef const tm_json *(*tm_schema_named)(void *ctx, const char *name);
int tm_picoschema_expand(tm_json **out, tm_arena *a, const tm_json *doc, tm_schema_named named,
                         void *ctx, tm_err *err);

/* Lowering for a provider's structured-output dialect: a schema to a schema that the provider
 * takes, and a report (array of strings) of what could not be said. Pure. */
typedef enum tm_dialect {
  TM_DIALECT_OPENAI,
  TM_DIALECT_ANTHROPIC,
  TM_DIALECT_GEMINI,
  TM_DIALECT_GRAMMAR
} tm_dialect;
tm_json *tm_schema_lower(tm_arena *a, const tm_json *schema, tm_dialect dialect,
                         tm_json **lost);

#endif
