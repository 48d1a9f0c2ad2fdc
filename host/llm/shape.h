/* shape.h - an output schema, compiled once, and lowered once for each dialect.
 *
 * The same few schemas come with every call of a unit. A shape is shared by all asks that are
 * under way with it; the registry keeps the last ones used.
 */
#ifndef TM_LLM_SHAPE_H
#define TM_LLM_SHAPE_H

#include "base/map.h"
#include "text/schema.h"

#define TM_DIALECTS 4

typedef struct tm_lowered {
  const tm_json *schema; /* NULL: not asked for yet */
  bool strict;           /* it could be lowered; else it is the schema as it was written */
  bool wrapped;          /* under "value", because the dialect wants an object at the root */
} tm_lowered;

typedef struct tm_shape {
  tm_arena arena;
  size_t refs;
  const tm_json *doc;
  tm_schema *schema;
  tm_lowered lowered[TM_DIALECTS];
} tm_shape;

typedef struct tm_shapes {
  tm_map by_text;
  tm_buf text; /* scratch */
} tm_shapes;

/* The shape of a schema, with a reference that tm_shape_drop gives back. */
int tm_shape_get(tm_shape **out, tm_shapes *shapes, const tm_json *doc, tm_err *err);
void tm_shape_drop(tm_shape **shape);
const tm_lowered *tm_shape_lower(tm_shape *shape, tm_dialect dialect);
void tm_shapes_free(tm_shapes *shapes);

#endif
