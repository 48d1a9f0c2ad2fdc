/* schema_lower.h - between schema_lower.c, which walks a schema, and schema_dialect.c, which
 * knows what each provider takes. Private to those two.
 */
#ifndef TM_TEXT_SCHEMA_LOWER_H
#define TM_TEXT_SCHEMA_LOWER_H

#include "text/schema.h"

/* What becomes of a keyword. */
typedef enum lower_how {
  LOWER_DROP, /* a word about the schema: not missed */
  LOWER_KEEP,
  LOWER_SCHEMA, /* keep, with the schema in it lowered */
  LOWER_LIST,   /* ... with each schema in the array */
  LOWER_MAP,    /* ... with each schema in the object */
  LOWER_SAY,    /* the provider refuses it: it goes into the description */
  LOWER_OWN     /* schema_lower.c has a function for it */
} lower_how;

lower_how tm_dialect_keyword(tm_dialect d, const char *keyword, const tm_json *schema,
                             const tm_json *value);
/* May this value stand in an enum? */
bool tm_dialect_takes_choice(tm_dialect d, const tm_json *value);
/* A constraint in words: "at least 3 characters". */
void tm_dialect_say(tm_buf *out, const char *keyword, const tm_json *value);

/* All objects closed; every member required (absent ones are null); an object at the root;
 * no recursion; allOf merged into its parent; oneOf written as anyOf. */
bool tm_dialect_closes_objects(tm_dialect d);
bool tm_dialect_requires_all(tm_dialect d);
bool tm_dialect_needs_object(tm_dialect d);
bool tm_dialect_recurses(tm_dialect d);
bool tm_dialect_merges_all(tm_dialect d);
bool tm_dialect_has_one_of(tm_dialect d);
/* Wants a type on each schema, also on an enum. */
bool tm_dialect_needs_types(tm_dialect d);
/* Wants the order of members said in propertyOrdering. */
bool tm_dialect_orders_members(tm_dialect d);

#endif
