/* shape.c - an output schema, compiled once, and lowered once for each dialect. */
#include "llm/shape.h"

#define KEPT      64
#define SHAPE_MAX ((size_t)16 << 20)

void tm_shape_drop(tm_shape **shape) {
  tm_shape *s = *shape;
  *shape = NULL;
  if (!s || --s->refs)
    return;
  tm_arena_free(&s->arena);
  tm_free(s);
}

static void forget_all(tm_shapes *shapes) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&shapes->by_text, &i));) {
    tm_shape *s = e->value;
    tm_shape_drop(&s);
  }
  tm_map_free(&shapes->by_text);
}

void tm_shapes_free(tm_shapes *shapes) {
  forget_all(shapes);
  tm_buf_free(&shapes->text);
}

static int compile(tm_shape **out, const tm_json *doc, tm_err *err) {
  tm_shape *s = tm_new(tm_shape);
  s->refs = 1;
  tm_arena_init(&s->arena, SHAPE_MAX);
  s->doc = tm_json_copy(&s->arena, doc);
  if (!s->doc)
    tm_err_set(err, TM_LIMIT, "the schema is larger than %zu bytes", SHAPE_MAX);
  else if (tm_schema_compile(&s->schema, &s->arena, s->doc, NULL, err) == 0) {
    *out = s;
    return 0;
  }
  tm_shape_drop(&s);
  return -1;
}

int tm_shape_get(tm_shape **out, tm_shapes *shapes, const tm_json *doc, tm_err *err) {
  tm_buf *text = &shapes->text;
  tm_buf_reset(text);
  tm_json_print(text, doc);
  tm_shape *s = tm_map_getn(&shapes->by_text, text->data, text->len);
  if (!s) {
    if (compile(&s, doc, err) < 0)
      return -1;
    if (shapes->by_text.count >= KEPT)
      forget_all(shapes);
    tm_map_setn(&shapes->by_text, text->data, text->len, s);
  }
  s->refs++;
  *out = s;
  return 0;
}

/* The lowering says nothing about a wrapper, but its only member "value" is one when the schema
 * as it was written has no such member. */
static bool is_wrapped(const tm_json *doc, const tm_json *lowered) {
  return tm_json_len(tm_json_get(lowered, "properties")) == 1 &&
         tm_json_pointer(lowered, "/properties/value") &&
         !tm_json_pointer(doc, "/properties/value");
}

const tm_lowered *tm_shape_lower(tm_shape *shape, tm_dialect dialect) {
  tm_lowered *l = &shape->lowered[dialect];
  if (l->schema)
    return l;
  tm_json *lost = NULL;
  const tm_json *lowered = tm_schema_lower(&shape->arena, shape->doc, dialect, &lost);
  l->strict = lowered != NULL;
  l->wrapped = lowered && is_wrapped(shape->doc, lowered);
  l->schema = lowered ? lowered : shape->doc;
  return l;
}
