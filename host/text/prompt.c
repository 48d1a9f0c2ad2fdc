/* prompt.c - a prompt unit from its file: front matter to fields, schemas and template. */
#include "text/prompt.h"

#include <stdio.h>

#include "text/prompt_file.h"
#include "text/yaml.h"

#define MAX_FAULTS 5 /* of the variables, in one message */

typedef struct reader {
  tm_prompt *unit;
  tm_arena *arena;
  tm_prompt_file file;
  tm_prompt_source src;
  tm_err *err;
} reader;

#define REFUSE(r, key, sub, ...) \
  tm_prompt_fail((r)->err, &(r)->file, (key), (sub), TM_USAGE, __VA_ARGS__)

static int out_of_memory(reader *r) {
  return tm_err_set(r->err, TM_LIMIT, "%s: no memory is left to read this", r->file.path);
}

/* -- keys ------------------------------------------------------------------------------ */

enum { TEXT = 1 << TM_JSON_STRING, LIST = 1 << TM_JSON_ARRAY, OBJECT = 1 << TM_JSON_OBJECT };
enum { NUMBER = 1 << TM_JSON_INT | 1 << TM_JSON_DOUBLE, ANY = ~0 };

static const struct key {
  const char *name, *inner; /* inner: the keys it may have, space separated; NULL: any */
  int types;
  const char *what;
} keys[] = {
    {"config", NULL, OBJECT, "an object of model parameters"},
    {"description", NULL, TEXT, "a text"},
    {"ext", NULL, ANY, ""},
    {"input", "schema default", OBJECT, "an object with schema and default"},
    {"metadata", NULL, OBJECT, "an object"},
    {"model", NULL, TEXT, "the name of a model, as in openai/gpt-4.1-mini"},
    {"name", NULL, TEXT, "a text"},
    {"output", "schema format", OBJECT, "an object with schema and format"},
    {"raw", NULL, ANY, ""},
    {"toolDefs", NULL, LIST, "a list"},
    {"tools", NULL, LIST, "a list of tool names"},
    {"variant", NULL, TEXT, "a text"},
    {"version", NULL, TEXT | NUMBER, "a text or a number"},
};

#define KEYS (sizeof keys / sizeof keys[0])

static const struct key *key_named(const char *name) {
  for (size_t i = 0; i < KEYS; i++)
    if (strcmp(keys[i].name, name) == 0)
      return &keys[i];
  return NULL;
}

static int refuse_key(reader *r, const char *key) {
  static const char *const settings[] = {
#define X(name, what) #name,
      TM_PROMPT_SETTINGS(X)
#undef X
  };
  if (strcmp(key, "tidemill") == 0)
    return REFUSE(r, key, NULL,
                  "settings are not nested; write tidemill.%s: … as a key of its own",
                  settings[0]);
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
    if (strcmp(settings[i], key) == 0)
      return REFUSE(r, key, NULL, "unknown key \"%s\"; do you mean tidemill.%s?", key, key);
  char known[256];
  size_t n = 0;
  for (size_t i = 0; i < KEYS; i++)
    n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", keys[i].name);
  return REFUSE(r, key, NULL,
                "unknown key \"%s\"; the keys are %s, and keys of your own have a dot, as in "
                "my.key",
                key, known);
}

static bool is_word_of(const char *words, const char *word) {
  size_t n = strlen(word);
  for (const char *p = words; (p = strstr(p, word)) != NULL; p += n)
    if ((p == words || p[-1] == ' ') && (p[n] == '\0' || p[n] == ' '))
      return true;
  return false;
}

static int check_key(reader *r, const tm_json_member *m) {
  const struct key *k = key_named(m->key);
  if (!k)
    return r->src.keep_unknown || strchr(m->key, '.') ? 0 : refuse_key(r, m->key);
  tm_json_type type = tm_json_type_of(&m->value);
  if (!(k->types & 1 << type))
    return type == TM_JSON_NULL
               ? REFUSE(r, m->key, NULL, "%s is empty; give it a value or leave the key out",
                        m->key)
               : REFUSE(r, m->key, NULL, "%s must be %s", m->key, k->what);
  for (size_t i = 0; k->inner && i < tm_json_len(&m->value); i++) {
    const char *inner = tm_json_member_at(&m->value, i)->key;
    if (!is_word_of(k->inner, inner) && !r->src.keep_unknown)
      return REFUSE(r, m->key, inner, "there is no %s.%s; %s must be %s", m->key, inner, m->key,
                    k->what);
  }
  return 0;
}

/* Dotprompt's: names, and definitions that name a tool each. Whether the workflow has them is
 * found out when they are offered. */
static int check_tools(reader *r) {
  const tm_json *names = tm_json_get(r->unit->meta, "tools");
  const tm_json *defs = tm_json_get(r->unit->meta, "toolDefs");
  if (r->src.keep_unknown)
    return 0;
  for (size_t i = 0; i < tm_json_len(names); i++)
    if (!tm_json_str(tm_json_at(names, i), NULL))
      return REFUSE(r, "tools", NULL, "tools must be a list of tool names");
  for (size_t i = 0; i < tm_json_len(defs); i++)
    if (!tm_json_get_str(tm_json_at(defs, i), "name"))
      return REFUSE(r, "toolDefs", NULL,
                    "toolDefs must be a list of { name, description, inputSchema }");
  return 0;
}

/* a.b.c: 5 becomes ext["a.b"].c. */
static int add_extension(reader *r, tm_json *ext, const tm_json_member *m) {
  const char *dot = memrchr(m->key, '.', m->key_len);
  if (!dot)
    return 0;
  size_t at = (size_t)(dot - m->key);
  tm_json *space = (tm_json *)tm_json_getn(ext, m->key, at);
  if (!space)
    space = tm_json_setn(r->arena, ext, m->key, at, tm_json_new_object(r->arena));
  if (!space || !tm_json_setn(r->arena, space, dot + 1, m->key_len - at - 1, &m->value))
    return out_of_memory(r);
  return 0;
}

static int read_keys(reader *r) {
  const tm_json *meta = r->unit->meta;
  tm_json *ext = tm_json_new_object(r->arena);
  if (!ext)
    return out_of_memory(r);
  for (size_t i = 0; i < tm_json_len(meta); i++) {
    const tm_json_member *m = tm_json_member_at(meta, i);
    if (check_key(r, m) < 0 || add_extension(r, ext, m) < 0)
      return -1;
  }
  r->unit->ext = ext;
  r->unit->model = tm_json_get_str(meta, "model");
  r->unit->description = tm_json_get_str(meta, "description");
  r->unit->config = tm_json_get(meta, "config");
  if (!r->unit->config)
    r->unit->config = tm_json_new_object(r->arena);
  return r->unit->config ? 0 : out_of_memory(r);
}

/* -- schemas --------------------------------------------------------------------------- */

/* Put the file and line of `key`.schema before what the schema compiler said. */
static int blame_schema(reader *r, const char *key) {
  tm_err cause = *r->err;
  return tm_prompt_fail(r->err, &r->file, key, "schema", cause.code, "%s.schema: %s", key,
                        cause.msg);
}

static int read_schema(reader *r, const char *key, const tm_json **doc, tm_schema **compiled) {
  const tm_json *given = tm_json_get(tm_json_get(r->unit->meta, key), "schema");
  tm_json *expanded = NULL;
  if (!given)
    return 0;
  if (tm_picoschema_expand(&expanded, r->arena, given, r->src.schema, r->src.ctx, r->err) < 0 ||
      tm_schema_compile(compiled, r->arena, expanded, NULL, r->err) < 0)
    return blame_schema(r, key);
  *doc = expanded;
  return 0;
}

/* The variables are an object; a schema that admits none cannot be meant. */
static int check_input(reader *r) {
  const tm_json *schema = r->unit->input_schema;
  const char *type = schema ? tm_json_get_str(schema, "type") : NULL;
  if (type && strcmp(type, "object") != 0) {
    if (!r->src.keep_unknown)
      return REFUSE(r, "input", "schema",
                    "input.schema must describe an object whose properties are the variables; "
                    "it describes a value of type %s",
                    type);
    r->unit->input = NULL; /* another tool's file: there it describes nothing we could check */
  }
  const tm_json *given = tm_json_get(tm_json_get(r->unit->meta, "input"), "default");
  if (given && tm_json_type_of(given) != TM_JSON_OBJECT)
    return REFUSE(r, "input", "default", "input.default must be an object of variables");
  r->unit->input_default = given;
  return 0;
}

static int check_format(reader *r) {
  const tm_json *given = tm_json_get(tm_json_get(r->unit->meta, "output"), "format");
  const char *format = given ? tm_json_str(given, NULL) : NULL;
  bool known = format && (strcmp(format, "json") == 0 || strcmp(format, "text") == 0);
  if (given && !known && !r->src.keep_unknown)
    return REFUSE(r, "output", "format", "output.format must be json or text");
  r->unit->output_format = format;
  return 0;
}

static int read_schemas(reader *r) {
  tm_prompt *u = r->unit;
  if (read_schema(r, "input", &u->input_schema, &u->input) < 0 || check_input(r) < 0)
    return -1;
  return read_schema(r, "output", &u->output_schema, &u->output) < 0 ? -1 : check_format(r);
}

/* The only variables there can be, or NULL when the schema leaves that open. Absent
 * additionalProperties counts as closed: who lists the variables means the list. */
static const tm_json *known_variables(const tm_json *schema) {
  static const char *const open[] = {"allOf",
                                     "anyOf",
                                     "oneOf",
                                     "if",
                                     "then",
                                     "else",
                                     "$ref",
                                     "dependentSchemas",
                                     "$dynamicRef",
                                     "patternProperties",
                                     "unevaluatedProperties"};
  const tm_json *known = schema ? tm_json_get(schema, "properties") : NULL;
  const tm_json *more = schema ? tm_json_get(schema, "additionalProperties") : NULL;
  if (!known || (more && tm_json_bool(more, true)))
    return NULL;
  for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
    if (tm_json_get(schema, open[i]))
      return NULL;
  return known;
}

/* Only a member that there can be says how sure an answer is; a name that is misspelt would make
 * each answer unsure. */
static int check_confidence(reader *r) {
  const tm_json *schema = r->unit->output_schema, *known = known_variables(schema);
  const char *of = tm_json_get_str(tm_json_get(r->unit->settings, "confidence"), "of");
  const char *name = of && *of == '/' ? of + 1 : of;
  if (!of)
    return 0;
  if (!schema)
    return REFUSE(r, "tidemill.confidence", NULL,
                  "tidemill.confidence needs an output.schema with the member that says how "
                  "sure the answer is");
  if (known && !strpbrk(name, "/~") && !tm_json_get(known, name))
    return REFUSE(r, "tidemill.confidence", NULL,
                  "tidemill.confidence: the output schema has no member \"%s\"", name);
  return 0;
}

/* A text that varies must be a variable; and what a model wants done is never used again. */
static int check_cache(reader *r) {
  const tm_json *cache = tm_json_get(r->unit->settings, "cache");
  const tm_json *known = known_variables(r->unit->input_schema);
  const char *of = tm_json_get_str(cache, "of");
  if (of && known && !tm_json_get(known, of))
    return REFUSE(r, "tidemill.cache", NULL,
                  "tidemill.cache: there is no variable \"%s\" in input.schema", of);
  if (cache && (tm_json_len(tm_json_get(r->unit->meta, "tools")) ||
                tm_json_len(tm_json_get(r->unit->meta, "toolDefs"))))
    return REFUSE(
        r, "tidemill.cache", NULL,
        "tidemill.cache does not go with tools: a call of a tool is never used again");
  return 0;
}

/* -- the whole file -------------------------------------------------------------------- */

static int read_front(reader *r) {
  tm_json *meta = NULL;
  const tm_prompt_file *f = &r->file;
  if (tm_yaml_parse(&meta, r->arena, f->front ? f->front : "", f->front_len, f->front_line,
                    r->err) < 0)
    return tm_err_wrap(r->err, "%s", f->path);
  if (tm_json_type_of(meta) != TM_JSON_OBJECT)
    return tm_err_set(r->err, TM_USAGE, "%s:%d: the front matter must be keys and values",
                      f->path, f->front_line);
  r->unit->meta = meta;
  tm_json *settings = NULL;
  if (read_keys(r) < 0 || tm_prompt_settings(&settings, r->arena, meta, f, r->err) < 0)
    return -1;
  r->unit->settings = settings;
  return 0;
}

int tm_prompt_parse(tm_prompt **out, tm_arena *a, const char *name, const char *file,
                    const char *text, size_t len, const tm_prompt_source *src, tm_err *err) {
  reader r = {.unit = tm_arena_new(a, tm_prompt), .arena = a, .err = err};
  if (src)
    r.src = *src;
  if (tm_prompt_split(&r.file, file, text, len, err) < 0)
    return -1;
  if (!r.unit || !(r.unit->name = tm_arena_strdup(a, name)))
    return out_of_memory(&r);
  if (read_front(&r) < 0 || read_schemas(&r) < 0 || check_tools(&r) < 0 ||
      check_confidence(&r) < 0 || check_cache(&r) < 0)
    return -1;
  if (tm_template_compile(&r.unit->body, a, r.file.body, r.file.body_len, file,
                          r.file.body_line, known_variables(r.unit->input_schema),
                          r.src.partial, r.src.ctx, err) < 0)
    return -1;
  *out = r.unit;
  return 0;
}

/* -- rendering ------------------------------------------------------------------------- */

/* Members of `top` on those of `base`, in a new object. NULL when memory ran out. */
static tm_json *overlay(tm_arena *a, const tm_json *base, const tm_json *top) {
  const tm_json *layers[] = {base, top};
  tm_json *out = tm_json_new_object(a);
  for (size_t l = 0; l < 2; l++)
    for (size_t i = 0; i < tm_json_len(layers[l]); i++) {
      const tm_json_member *m = tm_json_member_at(layers[l], i);
      if (!tm_json_setn(a, out, m->key, m->key_len, &m->value))
        return NULL;
    }
  return out;
}

/* The caller's @ variables, and @metadata about this unit unless the caller brings its own. */
static tm_json *extend_context(tm_arena *a, const tm_prompt *p, const tm_json *context,
                               const tm_json *history) {
  tm_json *out = overlay(a, NULL, context);
  if (!out || tm_json_get(out, "metadata"))
    return out;
  tm_json *about = tm_json_new_object(a), *unit = overlay(a, NULL, p->meta);
  if (!about || !unit)
    return NULL;
  tm_json_remove(unit, "input");
  if (!tm_json_set(a, about, "prompt", unit) ||
      (history && !tm_json_set(a, about, "messages", history)))
    return NULL;
  return tm_json_set(a, out, "metadata", about) ? out : NULL;
}

static int refuse_variables(const tm_prompt *p, const tm_schema_report *report, tm_err *err) {
  tm_err_set(err, TM_USAGE, "%s",
             report->count ? report->errors[0].message : "they are invalid");
  for (size_t i = 1; i < report->count; i++)
    tm_err_set(err, TM_USAGE, "%s; %s", err->msg, report->errors[i].message);
  return tm_err_wrap(err, "prompt %s: its variables do not fit the input schema", p->name);
}

static int check_variables(const tm_prompt *p, tm_arena *a, const tm_json *vars, tm_err *err) {
  tm_schema_report report = {.arena = a, .max = MAX_FAULTS};
  int rc = p->input ? tm_schema_check(p->input, vars, &report, err) : 0;
  if (rc < 0)
    return tm_err_wrap(err, "prompt %s: checking its variables", p->name);
  return rc ? refuse_variables(p, &report, err) : 0;
}

int tm_prompt_render(tm_json **messages, tm_arena *a, const tm_prompt *p, const tm_json *vars,
                     const tm_json *context, const tm_json *history, tm_err *err) {
  if (vars && tm_json_type_of(vars) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_USAGE, "prompt %s: its variables must be an object, not %s",
                      p->name, tm_json_type_name(vars));
  tm_json *all = overlay(a, p->input_default, vars);
  tm_json *extended = extend_context(a, p, context, history);
  if (!all || !extended)
    return tm_err_set(err, TM_LIMIT, "prompt %s: no memory is left to render this", p->name);
  if (check_variables(p, a, all, err) < 0)
    return -1;
  return tm_template_render(messages, a, p->body, all, extended, history, err);
}
