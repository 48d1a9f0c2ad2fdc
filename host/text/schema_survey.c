/* schema_survey.c - finds every subschema of a document and gives each its node, its
 * resource ($id) and its names ($anchor), and follows references between them.
 *
 * The survey walks only where the dialect has subschemas, so an $id inside an enum
 * names nothing. A reference may still point anywhere: what it hits is surveyed then.
 * Documents come from three places only: the one given, the built-in metaschemas,
 * and the caller's resolve().
 */
#include <stdlib.h>

#include "text/schema_program.h"

#define DRAFT_2020      "https://json-schema.org/draft/2020-12/schema"
#define METASCHEMA_HOPS 8

/* -- errors ---------------------------------------------------------------------------- */

int tm_schema_no_memory(const compiler *c) {
  return tm_err_set(c->err, TM_LIMIT, "schema: out of memory while compiling");
}

int tm_schema_bad(const compiler *c, const node *n, const char *keyword, const char *fmt, ...) {
  tm_buf where;
  tm_buf_init(&where, 64 * 1024);
  tm_schema_node_print(&where, n, keyword);
  tm_schema_pointer_clip(&where);
  va_list args;
  va_start(args, fmt);
  tm_err_setv(c->err, TM_USAGE, fmt, args);
  va_end(args);
  tm_err_wrap(c->err, "schema %s", where.len ? tm_buf_str(&where) : "(root)");
  tm_buf_free(&where);
  return -1;
}

/* -- dialects -------------------------------------------------------------------------- */

static bool same_uri(const char *a, const char *b) {
  size_t la = strlen(a), lb = strlen(b);
  la -= la && a[la - 1] == '#';
  lb -= lb && b[lb - 1] == '#';
  return la == lb && memcmp(a, b, la) == 0;
}

static bool is_draft7(const char *uri) {
  return same_uri(uri, "http://json-schema.org/draft-07/schema") ||
         same_uri(uri, "https://json-schema.org/draft-07/schema");
}

static const struct {
  const char *name;
  uint32_t bit;
} vocabularies[] = {
    {"core", VOCABULARY_CORE},
    {"applicator", VOCABULARY_APPLICATOR},
    {"unevaluated", VOCABULARY_UNEVALUATED},
    {"validation", VOCABULARY_VALIDATION},
    {"format-annotation", VOCABULARY_FORMAT},
    {"format-assertion", VOCABULARY_FORMAT},
    {"content", VOCABULARY_OTHER},
    {"meta-data", VOCABULARY_OTHER},
};

/* What a metaschema's $vocabulary switches on. */
static int read_vocabularies(const compiler *c, const node *n, resource *r, const char *uri,
                             const tm_json *list) {
  static const char prefix[] = "https://json-schema.org/draft/2020-12/vocab/";
  uint32_t bits = VOCABULARY_CORE;
  for (size_t i = 0; i < tm_json_len(list); i++) {
    const tm_json_member *m = tm_json_member_at(list, i);
    uint32_t bit = 0;
    for (size_t v = 0; v < sizeof vocabularies / sizeof *vocabularies; v++)
      if (strncmp(m->key, prefix, sizeof prefix - 1) == 0 &&
          strcmp(m->key + sizeof prefix - 1, vocabularies[v].name) == 0)
        bit = vocabularies[v].bit;
    if (!bit && tm_json_bool(&m->value, false))
      return tm_schema_bad(c, n, "$schema", "%s requires the vocabulary %s, which is not known",
                           uri, m->key);
    if (strstr(m->key, "/vocab/format-assertion"))
      r->assert_format = true;
    bits |= bit;
  }
  r->vocabularies = bits;
  return 0;
}

/* The metaschema named by $schema decides about draft and vocabularies. */
static int read_dialect(const compiler *c, const node *n, resource *r, const char *uri) {
  bool vocabularies_read = false;
  r->assert_format = c->opts && c->opts->assert_format;
  r->vocabularies = VOCABULARY_ALL;
  for (int hop = 0; hop < METASCHEMA_HOPS; hop++) {
    r->draft7 = is_draft7(uri);
    if (r->draft7 || same_uri(uri, DRAFT_2020))
      return 0;
    size_t len = strcspn(uri, "#");
    char *plain = tm_arena_strndup(c->a, uri, len);
    if (!plain)
      return tm_schema_no_memory(c);
    const tm_json *meta =
        c->opts && c->opts->resolve ? c->opts->resolve(c->opts->ctx, plain) : NULL;
    if (!meta)
      return tm_schema_bad(c, n, "$schema",
                           "\"%s\" is not a known metaschema; known are %s and "
                           "http://json-schema.org/draft-07/schema#",
                           uri, DRAFT_2020);
    const tm_json *list = tm_json_get(meta, "$vocabulary");
    if (list && !vocabularies_read) {
      if (read_vocabularies(c, n, r, uri, list) < 0)
        return -1;
      vocabularies_read = true;
    }
    const char *next = tm_json_get_str(meta, "$schema");
    uri = next ? next : DRAFT_2020;
  }
  return tm_schema_bad(c, n, "$schema", "the metaschemas lead in a circle");
}

/* -- the survey ------------------------------------------------------------------------ */

static node *survey(compiler *c, const tm_json *schema, resource *home, const node *way,
                    unsigned depth);

node *tm_schema_node_at(const compiler *c, const tm_json *schema) {
  return tm_schema_names_get(&c->places, &schema, sizeof schema);
}

static node *new_node(compiler *c, const tm_json *schema, resource *home, const node *way) {
  node *n = tm_arena_new(c->a, node);
  if (!n)
    return NULL;
  n->up = way->up;
  n->keyword = way->keyword;
  n->key = way->key;
  n->key_len = way->key_len;
  n->index = way->index;
  n->source = schema;
  n->home = home;
  if (tm_schema_names_put(&c->places, c->a, &n->source, sizeof n->source, n) < 0)
    return NULL;
  if (c->last)
    c->last->next = n;
  else
    c->first = n;
  c->last = n;
  return n;
}

/* "uri#name" */
static char *anchor_key(const compiler *c, const resource *r, const char *name, size_t len) {
  return tm_arena_printf(c->a, "%s#%.*s", r->uri, (int)len, name);
}

static int add_anchor(compiler *c, node *n, const char *keyword, const char *name,
                      bool dynamic) {
  char *key = anchor_key(c, n->home, name, strlen(name));
  if (!key)
    return tm_schema_no_memory(c);
  const node *other = tm_schema_names_get(&c->uris, key, strlen(key));
  if (other && other != n)
    return tm_schema_bad(c, n, keyword, "the name \"%s\" is taken by another schema", name);
  if (tm_schema_names_put(&c->uris, c->a, key, strlen(key), n) < 0)
    return tm_schema_no_memory(c);
  if (!dynamic)
    return 0;
  anchor *entry = tm_arena_new(c->a, anchor);
  if (!entry)
    return tm_schema_no_memory(c);
  *entry = (anchor){.name = name, .node = n, .next = n->home->dynamic};
  n->home->dynamic = entry;
  return 0;
}

static int register_resource(compiler *c, resource *r, const char *uri) {
  if (tm_schema_names_put(&c->uris, c->a, uri, strlen(uri), r) < 0)
    return tm_schema_no_memory(c);
  return 0;
}

/* n has an $id: from here on the base URI is another. */
static int enter_resource(compiler *c, node *n, const char *id) {
  char *uri = tm_schema_uri_join(c->a, n->home->uri, id, strlen(id));
  if (!uri)
    return tm_schema_no_memory(c);
  const resource *taken = tm_schema_names_get(&c->uris, uri, strlen(uri));
  if (taken && taken->root != n->source)
    return tm_schema_bad(c, n, "$id", "\"%s\" is the name of another schema already", uri);
  resource *r = tm_arena_new(c->a, resource);
  if (!r)
    return tm_schema_no_memory(c);
  *r = *n->home;
  r->uri = uri;
  r->root = n->source;
  r->node = n;
  r->dynamic = NULL;
  n->home = r;
  return register_resource(c, r, uri);
}

static int read_names(compiler *c, node *n) {
  const tm_json *s = n->source;
  const char *id = tm_json_get_str(s, "$id");
  const char *dialect = tm_json_get_str(s, "$schema");
  bool document = n == n->home->node;
  if (dialect && document && read_dialect(c, n, n->home, dialect) < 0)
    return -1;
  bool draft7 = n->home->draft7;
  if (draft7 && tm_json_get(s, "$ref"))
    id = NULL; /* draft-07: the siblings of $ref do not exist */
  if (id && draft7 && id[0] == '#')
    return add_anchor(c, n, "$id", id + 1, false);
  if (id && strcspn(id, "#") + 1 < strlen(id) && !draft7)
    return tm_schema_bad(c, n, "$id", "\"%s\" must not have a fragment; use $anchor", id);
  if (id && enter_resource(c, n, id) < 0)
    return -1;
  if (dialect && id && !document && read_dialect(c, n, n->home, dialect) < 0)
    return -1;
  if (n->home->draft7)
    return 0;
  const char *name = tm_json_get_str(s, "$anchor");
  if (name && add_anchor(c, n, "$anchor", name, false) < 0)
    return -1;
  name = tm_json_get_str(s, "$dynamicAnchor");
  return name ? add_anchor(c, n, "$dynamicAnchor", name, true) : 0;
}

static int survey_list(compiler *c, node *n, node *way, const tm_json *list, unsigned depth) {
  if (list->type != TM_JSON_ARRAY)
    return tm_schema_bad(c, n, way->keyword, "must be an array of schemas, not %s",
                         tm_json_type_name(list));
  for (uint32_t i = 0; i < list->len; i++) {
    way->index = i;
    if (!survey(c, &list->u.items[i], n->home, way, depth))
      return -1;
  }
  return 0;
}

static int survey_map(compiler *c, node *n, node *way, const tm_json *map, bool arrays,
                      unsigned depth) {
  if (map->type != TM_JSON_OBJECT)
    return tm_schema_bad(c, n, way->keyword, "must be an object of schemas, not %s",
                         tm_json_type_name(map));
  for (uint32_t i = 0; i < map->len; i++) {
    const tm_json_member *m = &map->u.members[i];
    if (arrays && m->value.type == TM_JSON_ARRAY)
      continue;
    way->key = m->key;
    way->key_len = m->key_len;
    if (!survey(c, &m->value, n->home, way, depth))
      return -1;
  }
  return 0;
}

static int survey_keyword(compiler *c, node *n, const keyword_rule *k, const tm_json *value,
                          unsigned depth) {
  node way = {.up = n, .keyword = k->name, .index = -1};
  switch ((keyword_shape)k->shape) {
  case SHAPE_PLAIN:
    return 0;
  case SHAPE_EITHER:
    if (value->type == TM_JSON_ARRAY)
      return survey_list(c, n, &way, value, depth);
    return survey(c, value, n->home, &way, depth) ? 0 : -1;
  case SHAPE_SCHEMA:
    return survey(c, value, n->home, &way, depth) ? 0 : -1;
  case SHAPE_LIST:
    return survey_list(c, n, &way, value, depth);
  case SHAPE_MAP:
    return survey_map(c, n, &way, value, false, depth);
  case SHAPE_DEPENDENCIES:
    return survey_map(c, n, &way, value, true, depth);
  }
  return 0;
}

static node *survey(compiler *c, const tm_json *schema, resource *home, const node *way,
                    unsigned depth) {
  node *n = tm_schema_node_at(c, schema);
  if (n)
    return n;
  n = new_node(c, schema, home, way);
  if (!n) {
    tm_schema_no_memory(c);
    return NULL;
  }
  if (!home->node)
    home->node = n;
  if (schema->type != TM_JSON_OBJECT && schema->type != TM_JSON_BOOL) {
    tm_schema_bad(c, n, NULL, "a schema is an object or a boolean, not %s",
                  tm_json_type_name(schema));
    return NULL;
  }
  if (depth == SCHEMA_NESTING) {
    tm_schema_bad(c, n, NULL, "nested deeper than %d schemas", SCHEMA_NESTING);
    c->err->code = TM_LIMIT;
    return NULL;
  }
  if (schema->type == TM_JSON_BOOL)
    return n;
  if (read_names(c, n) < 0)
    return NULL;
  for (uint32_t i = 0; i < schema->len; i++) {
    const tm_json_member *m = &schema->u.members[i];
    const keyword_rule *k = tm_schema_keyword(n->home, m->key, m->key_len);
    if (k && survey_keyword(c, n, k, &m->value, depth + 1) < 0)
      return NULL;
  }
  return n;
}

resource *tm_schema_survey(compiler *c, const tm_json *doc, const char *uri,
                           const resource *from) {
  resource *r = tm_arena_new(c->a, resource);
  if (!r) {
    tm_schema_no_memory(c);
    return NULL;
  }
  if (from)
    *r = *from;
  else
    *r = (resource){.draft7 = c->opts && c->opts->draft7,
                    .assert_format = c->opts && c->opts->assert_format,
                    .vocabularies = VOCABULARY_ALL};
  r->outside = from != NULL;
  r->uri = uri;
  r->root = doc;
  r->node = NULL;
  r->dynamic = NULL;
  if (register_resource(c, r, uri) < 0)
    return NULL;
  node way = {.index = -1};
  node *n = survey(c, doc, r, &way, 0);
  if (!n)
    return NULL;
  /* Its own $id may have given it another name: then that resource is the one. */
  return register_resource(c, n->home, uri) < 0 ? NULL : n->home;
}

/* -- references ------------------------------------------------------------------------ */

/* A document nobody has mentioned yet. *out stays NULL when nobody knows it. */
static int load(compiler *c, resource **out, const resource *from, const char *uri) {
  const char *text = tm_schema_meta_text(uri);
  const tm_json *doc = NULL;
  if (text) {
    tm_json *parsed;
    if (tm_json_parse(&parsed, c->a, text, strlen(text), NULL, c->err) < 0)
      return tm_err_wrap(c->err, "built-in metaschema %s", uri);
    doc = parsed;
  } else if (c->opts && c->opts->resolve) {
    doc = c->opts->resolve(c->opts->ctx, uri);
  }
  if (!doc)
    return 0;
  const node *known = tm_schema_node_at(c, doc);
  if (known) {
    *out = known->home;
    return register_resource(c, *out, uri);
  }
  *out = tm_schema_survey(c, doc, uri, from);
  return *out ? 0 : -1;
}

static int hex(char ch) {
  if (ch >= '0' && ch <= '9')
    return ch - '0';
  ch = (char)(ch | 0x20);
  return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Percent-decode a fragment into the arena. */
static char *decode(const compiler *c, const char *s, size_t len) {
  char *out = tm_arena_strndup(c->a, s, len);
  if (!out)
    return NULL;
  size_t to = 0;
  for (size_t i = 0; i < len; i++) {
    if (s[i] == '%' && i + 2 < len && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0) {
      out[to++] = (char)(hex(s[i + 1]) * 16 + hex(s[i + 2]));
      i += 2;
    } else {
      out[to++] = s[i];
    }
  }
  out[to] = 0;
  return out;
}

/* One step of a JSON pointer: `token` is still escaped. */
static const tm_json *step(const tm_json *at, const char *token, size_t len) {
  if (at->type == TM_JSON_ARRAY) {
    char *end;
    if (len == 0 || (token[0] == '0' && len > 1) || token[0] < '0' || token[0] > '9')
      return NULL;
    unsigned long i = strtoul(token, &end, 10);
    return end == token + len ? tm_json_at(at, i) : NULL;
  }
  if (at->type != TM_JSON_OBJECT)
    return NULL;
  for (uint32_t i = 0; i < at->len; i++) {
    const tm_json_member *m = &at->u.members[i];
    size_t t = 0, k = 0;
    for (; t < len && k < m->key_len; k++) {
      char ch = token[t++];
      if (ch == '~' && t < len)
        ch = token[t++] == '0' ? '~' : '/';
      if (ch != m->key[k])
        break;
    }
    if (t == len && k == m->key_len)
      return &m->value;
  }
  return NULL;
}

/* `pointer` starts with a slash. NULL without an error set when there is nothing. */
static node *follow_pointer(compiler *c, resource *r, const char *pointer) {
  const tm_json *at = r->root;
  const char *token = pointer;
  const node *top = r->node;
  while (*token && at) {
    token++;
    size_t len = strcspn(token, "/");
    at = step(at, token, len);
    token += len;
    const node *n = at ? tm_schema_node_at(c, at) : NULL;
    if (n)
      r = n->home;
  }
  if (!at)
    return NULL;
  node way = {.up = top, .keyword = pointer + 1, .index = -1};
  return survey(c, at, r, &way, 1);
}

static node *not_found(const compiler *c, const node *n, const char *keyword, const char *ref,
                       size_t len, const char *why) {
  if (c->err->code == TM_OK)
    tm_schema_bad(c, n, keyword, "\"%.*s\" leads nowhere: %s", (int)len, ref, why);
  return NULL;
}

node *tm_schema_resolve_ref(compiler *c, const node *n, const char *keyword, const char *ref,
                            size_t len, bool *dynamic_anchor) {
  const char *hash = memchr(ref, '#', len);
  size_t plain = hash ? (size_t)(hash - ref) : len;
  resource *r = n->home;
  tm_err_clear(c->err);
  *dynamic_anchor = false;
  if (plain > 0) {
    char *uri = tm_schema_uri_join(c->a, r->uri, ref, plain);
    if (!uri) {
      tm_schema_no_memory(c);
      return NULL;
    }
    r = tm_schema_names_get(&c->uris, uri, strlen(uri));
    if (!r && load(c, &r, n->home, uri) < 0)
      return NULL;
    if (!r)
      return not_found(c, n, keyword, ref, len,
                       "no such document here, and references are never fetched");
  }
  if (!hash || (size_t)(hash - ref) + 1 == len)
    return r->node;
  char *fragment = decode(c, hash + 1, len - plain - 1);
  if (!fragment) {
    tm_schema_no_memory(c);
    return NULL;
  }
  node *found;
  if (fragment[0] == '/') {
    found = follow_pointer(c, r, fragment);
    return found ? found : not_found(c, n, keyword, ref, len, "nothing is at that pointer");
  }
  char *key = anchor_key(c, r, fragment, strlen(fragment));
  if (!key) {
    tm_schema_no_memory(c);
    return NULL;
  }
  found = tm_schema_names_get(&c->uris, key, strlen(key));
  if (!found)
    return not_found(c, n, keyword, ref, len, "no schema has that $anchor");
  for (const anchor *d = r->dynamic; d; d = d->next)
    if (strcmp(d->name, fragment) == 0)
      *dynamic_anchor = true;
  return found;
}
