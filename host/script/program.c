/* program.c - compiling what a closure holds, once.
 */
#include "script/program.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "script/embed.h"
#include "script/globals.h"
#include "text/yaml.h"

#define UNIT_MEMORY ((size_t)16 << 20) /* of all units and schemas of one closure */

typedef struct chunk {
  char *bytes;
  size_t len;
} chunk;

typedef struct unit {
  tm_prompt *prompt;
  const char *hash;
} unit;

struct tm_program {
  tm_closure *closure; /* not counted: the closure owns the program */
  tm_arena arena;
  tm_map units, schemas, inlines, chunks;
  tm_globals *globals; /* of a sandbox, from the second run on */
  int runs;
  tm_spares spares;
};

static void free_program(void *cache) {
  tm_program *p = cache;
  tm_map_entry *e;
  tm_spare_free(&p->spares);
  for (size_t i = 0; (e = tm_map_next(&p->chunks, &i));) {
    chunk *c = e->value;
    tm_free(c->bytes);
    tm_free(c);
  }
  tm_map_free(&p->chunks);
  tm_map_free(&p->units);
  tm_map_free(&p->schemas);
  tm_map_free(&p->inlines);
  tm_arena_free(&p->arena);
  tm_free(p);
}

tm_program *tm_program_of(tm_closure *c) {
  if (c->cache)
    return c->cache;
  tm_program *p = tm_new(tm_program);
  p->closure = c;
  tm_spare_init(&p->spares);
  tm_arena_init(&p->arena, UNIT_MEMORY);
  c->cache = p;
  c->free_cache = free_program;
  return p;
}

/* A process with a single run would pay for them and gain nothing. */
const tm_globals *tm_program_globals(tm_program *p) {
  tm_vm *model;
  tm_vm_opts opts = {.memory = 0};
  tm_err err = TM_ERR_INIT;
  if (p->globals || p->runs++ == 0)
    return p->globals;
  if (tm_vm_open(&model, &opts, &err) < 0)
    return NULL;
  if (tm_globals_read(&p->globals, &p->arena, tm_vm_state(model), &err) < 0)
    tm_log(TM_LOG_ERROR, "script", "%s", err.msg);
  tm_vm_close(&model);
  return p->globals;
}

const tm_closure *tm_program_closure(const tm_program *p) {
  return p->closure;
}

/* -- schemas --------------------------------------------------------------------------- */

static const tm_json *schema_by_name(void *ctx, const char *name);

/* "$ref": "other.json" finds workflows/schemas/other.json. */
static const tm_json *schema_by_uri(void *ctx, const char *uri) {
  const char *slash = strrchr(uri, '/');
  char name[128];
  snprintf(name, sizeof name, "%s", slash ? slash + 1 : uri);
  char *dot = strstr(name, ".json");
  if (dot)
    *dot = 0;
  return schema_by_name(ctx, name);
}

static int contract(tm_contract **out, tm_program *p, const char *name, const tm_json *document,
                    tm_err *err) {
  tm_schema *s;
  tm_schema_opts opts = {.resolve = schema_by_uri, .ctx = p};
  if (tm_schema_compile(&s, &p->arena, document, &opts, err) < 0)
    return tm_err_wrap(err, "%s", name);
  tm_contract *c = tm_arena_new(&p->arena, tm_contract);
  if (!c)
    return tm_err_set(err, TM_LIMIT, "the schemas of this project need too much memory");
  *c = (tm_contract){.document = document, .schema = s, .name = name};
  *out = c;
  return 0;
}

static int parse_schema(tm_json **out, tm_program *p, const char *name, tm_err *err) {
  char file[256];
  snprintf(file, sizeof file, "workflows/schemas/%s.json", name);
  const tm_source *src = tm_closure_file(p->closure, file);
  if (!src)
    return tm_err_set(err, TM_USAGE, "there is no schema \"%s\": %s does not exist", name,
                      file);
  if (tm_json_parse(out, &p->arena, src->bytes, src->len, NULL, err) < 0)
    return tm_err_wrap(err, "%s", file);
  return 0;
}

static const tm_json *schema_by_name(void *ctx, const char *name) {
  tm_json *document;
  tm_err ignored = TM_ERR_INIT;
  return parse_schema(&document, ctx, name, &ignored) < 0 ? NULL : document;
}

int tm_program_schema(const tm_contract **out, tm_program *p, const char *name, tm_err *err) {
  tm_contract *c = tm_map_get(&p->schemas, name);
  tm_json *document;
  if (!c) {
    if (parse_schema(&document, p, name, err) < 0)
      return -1;
    const char *file = tm_arena_printf(&p->arena, "workflows/schemas/%s.json", name);
    if (contract(&c, p, file, document, err) < 0)
      return -1;
    tm_map_set(&p->schemas, name, c);
  }
  *out = c;
  return 0;
}

int tm_program_inline(const tm_contract **out, tm_program *p, const tm_json *document,
                      tm_err *err) {
  tm_hash hash = tm_json_hash(document);
  tm_contract *c = tm_map_get(&p->inlines, hash.hex);
  tm_json *full;
  if (!c) {
    tm_json *copy = tm_json_copy(&p->arena, document);
    if (!copy)
      return tm_err_set(err, TM_LIMIT, "the schemas of this project need too much memory");
    if (tm_picoschema_expand(&full, &p->arena, copy, schema_by_name, p, err) < 0 ||
        contract(&c, p, "a schema", full, err) < 0)
      return -1;
    tm_map_set(&p->inlines, hash.hex, c);
  }
  *out = c;
  return 0;
}

/* A word that no scalar type has is meant as a file's name. */
static bool is_name(const char *text) {
  static const char *const scalars[] = {"string",  "number", "integer",
                                        "boolean", "null",   "any"};
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
    if (strcmp(scalars[i], text) == 0)
      return false;
  return !strpbrk(text, " ,:\n(");
}

int tm_program_text(const tm_contract **out, tm_program *p, const char *text, tm_err *err) {
  char file[256];
  tm_arena a;
  tm_json *document;
  snprintf(file, sizeof file, "workflows/schemas/%s.json", text);
  if (is_name(text) || tm_closure_file(p->closure, file))
    return tm_program_schema(out, p, text, err);
  tm_arena_init(&a, UNIT_MEMORY);
  int rc = tm_yaml_parse(&document, &a, text, strlen(text), 1, err);
  if (rc == 0)
    rc = tm_program_inline(out, p, document, err);
  tm_arena_free(&a);
  return rc < 0 ? tm_err_wrap(err, "the schema \"%.40s\"", text) : 0;
}

/* -- units ----------------------------------------------------------------------------- */

/* "parts/_voice.prompt" is the partial "parts/voice". */
static void partial_file(char *out, size_t size, const char *name) {
  const char *slash = strrchr(name, '/');
  int dir = slash ? (int)(slash - name + 1) : 0;
  snprintf(out, size, "prompts/%.*s_%s.prompt", dir, name, name + dir);
}

static const char *partial(void *ctx, const char *name, size_t *len) {
  tm_program *p = ctx;
  char file[512];
  partial_file(file, sizeof file, name);
  const tm_source *src = tm_closure_file(p->closure, file);
  if (!src)
    return NULL;
  *len = src->len;
  return src->bytes;
}

int tm_program_unit(const tm_prompt **out, const char **hash, tm_program *p, const char *name,
                    tm_err *err) {
  unit *u = tm_map_get(&p->units, name);
  if (!u) {
    char file[512];
    snprintf(file, sizeof file, "prompts/%s.prompt", name);
    const tm_source *src = tm_closure_file(p->closure, file);
    if (!src)
      return tm_err_set(err, TM_USAGE, "there is no prompt unit \"%s\": %s does not exist",
                        name, file);
    tm_prompt_source from = {.partial = partial, .schema = schema_by_name, .ctx = p};
    u = tm_arena_new(&p->arena, unit);
    if (!u)
      return tm_err_set(err, TM_LIMIT, "the prompts of this project need too much memory");
    u->hash = src->hash.hex;
    if (tm_prompt_parse(&u->prompt, &p->arena, name, file, src->bytes, src->len, &from, err) <
        0)
      return -1;
    tm_map_set(&p->units, name, u);
  }
  *out = u->prompt;
  *hash = u->hash;
  return 0;
}

/* Which files a unit is read from, as they are asked for. */
typedef struct listing {
  tm_program *program;
  tm_arena *arena;
  tm_json *files;
} listing;

static void list_file(listing *x, const char *file) {
  if (tm_closure_file(x->program->closure, file))
    tm_json_set(x->arena, x->files, file, tm_json_null(x->arena));
}

static const char *listed_partial(void *ctx, const char *name, size_t *len) {
  listing *x = ctx;
  char file[512];
  partial_file(file, sizeof file, name);
  list_file(x, file);
  return partial(x->program, name, len);
}

static const tm_json *listed_schema(void *ctx, const char *name) {
  listing *x = ctx;
  char file[256];
  snprintf(file, sizeof file, "workflows/schemas/%s.json", name);
  list_file(x, file);
  return schema_by_name(x->program, name);
}

int tm_program_unit_files(tm_json **out, tm_arena *a, tm_program *p, const char *name,
                          tm_err *err) {
  char file[512];
  tm_arena own;
  tm_prompt *parsed;
  listing x = {.program = p, .arena = a, .files = tm_json_new_object(a)};
  tm_prompt_source from = {.partial = listed_partial, .schema = listed_schema, .ctx = &x};
  snprintf(file, sizeof file, "prompts/%s.prompt", name);
  const tm_source *src = tm_closure_file(p->closure, file);
  *out = x.files;
  if (!src)
    return tm_err_set(err, TM_NOTFOUND, "there is no prompt unit \"%s\": %s does not exist",
                      name, file);
  list_file(&x, file);
  tm_arena_init(&own, UNIT_MEMORY);
  int rc = tm_prompt_parse(&parsed, &own, name, file, src->bytes, src->len, &from, err);
  tm_arena_free(&own);
  return rc;
}

/* -- chunks ---------------------------------------------------------------------------- */

static int append(lua_State *L, const void *bytes, size_t len, void *ctx) {
  (void)L;
  tm_buf_put(ctx, bytes, len);
  return 0;
}

/* Keep the function on top as bytecode. A script's debug information stays, for messages; our
 * library's goes, for memory: each run has a copy. */
static void keep_chunk(lua_State *L, tm_program *p, const char *name) {
  tm_buf code = TM_BUF_INIT;
  lua_dump(L, append, &code, *name == '=');
  chunk *c = tm_new(chunk);
  c->bytes = tm_buf_take(&code, &c->len);
  tm_map_set(&p->chunks, name, c);
}

static int push_chunk(lua_State *L, tm_program *p, const char *chunk_name, const char *text,
                      size_t len, tm_err *err) {
  const chunk *c = tm_map_get(&p->chunks, chunk_name);
  if (c && luaL_loadbufferx(L, c->bytes, c->len, chunk_name, "b") == LUA_OK)
    return 0;
  if (c)
    lua_pop(L, 1);
  if (tm_vm_load(L, chunk_name, text, len, err) < 0)
    return -1;
  if (c)
    return 0;
  keep_chunk(L, p, chunk_name);
  lua_pop(L, 1);
  return push_chunk(L, p, chunk_name, text, len, err);
}

int tm_program_chunk(lua_State *L, tm_program *p, const char *name, tm_err *err) {
  const tm_source *src = tm_closure_file(p->closure, name);
  char chunk_name[256];
  if (!src)
    return tm_err_set(err, TM_NOTFOUND, "%s does not exist", name);
  snprintf(chunk_name, sizeof chunk_name, "@%s", name);
  return push_chunk(L, p, chunk_name, src->bytes, src->len, err);
}

int tm_program_library(lua_State *L, tm_program *p, const char *name, tm_err *err) {
  const tm_embed_file *f = tm_embed_find(name);
  if (!f)
    return tm_err_set(err, TM_NOTFOUND, "there is no library %s", name);
  char chunk_name[64];
  snprintf(chunk_name, sizeof chunk_name, "=%s", name);
  return push_chunk(L, p, chunk_name, f->bytes, f->len, err);
}

tm_spares *tm_program_spares(tm_program *p) {
  return p->globals ? &p->spares : NULL;
}

const char *tm_program_part(const tm_program *p, size_t *at) {
  static const char folder[] = "=tidemill/";
  tm_map_entry *e;
  while ((e = tm_map_next(&p->chunks, at)))
    if (strncmp(e->key, folder, sizeof folder - 1) == 0)
      return e->key + sizeof folder - 1;
  return NULL;
}
