/* closure.c - taking a project's sources, storing them, and getting them back.
 */
#include "engine/closure.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILE  ((off_t)1 << 20) /* a source file */
#define MAX_DEPTH 8                /* folders within folders */

/* -- walking the project --------------------------------------------------------------- */

typedef int (*file_fn)(void *ctx, const char *path, const char *name, const struct stat *st,
                       tm_err *err);

static bool ends_with(const char *s, const char *tail) {
  size_t n = strlen(s), t = strlen(tail);
  return n > t && strcmp(s + n - t, tail) == 0;
}

/* Is this a source? Sample inputs, scripted models and notes beside the sources are not. */
static bool is_source(const char *name) {
  if (strncmp(name, "prompts/", 8) == 0)
    return ends_with(name, ".prompt");
  return ends_with(name, ".lua") ||
         (strncmp(name, "workflows/schemas/", 18) == 0 && ends_with(name, ".json"));
}

static int visible(const struct dirent *d) {
  return d->d_name[0] != '.';
}

static int walk(const char *dir, const char *name, int depth, file_fn fn, void *ctx,
                tm_err *err) {
  char path[4096], child[1024];
  struct dirent **found;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  int n = scandir(path, &found, visible, alphasort);
  if (n < 0)
    return errno == ENOENT
               ? 0
               : tm_err_set(err, TM_CONFIG, "cannot read %s: %s", path, strerror(errno));
  int rc = 0;
  for (int i = 0; i < n; i++) {
    struct stat st;
    snprintf(child, sizeof child, "%s/%s", name, found[i]->d_name);
    snprintf(path, sizeof path, "%s/%s", dir, child);
    free(found[i]);
    if (rc < 0 || stat(path, &st) < 0)
      continue;
    if (S_ISDIR(st.st_mode) && depth < MAX_DEPTH)
      rc = walk(dir, child, depth + 1, fn, ctx, err);
    else if (S_ISREG(st.st_mode) && is_source(child))
      rc = fn(ctx, path, child, &st, err);
  }
  free(found);
  return rc;
}

static int walk_project(const char *dir, file_fn fn, void *ctx, tm_err *err) {
  if (walk(dir, "prompts", 0, fn, ctx, err) < 0)
    return -1;
  return walk(dir, "workflows", 0, fn, ctx, err);
}

static int stamp_file(void *ctx, const char *path, const char *name, const struct stat *st,
                      tm_err *err) {
  (void)path;
  (void)err;
  uint64_t *stamp = ctx;
  int64_t facts[4] = {(int64_t)st->st_size, (int64_t)st->st_mtim.tv_sec,
                      (int64_t)st->st_mtim.tv_nsec, (int64_t)st->st_ino};
  *stamp = *stamp * 31 + tm_hash_fast(name, strlen(name));
  *stamp = *stamp * 31 + tm_hash_fast(facts, sizeof facts);
  return 0;
}

uint64_t tm_closure_stamp(const char *dir) {
  uint64_t stamp = 1;
  tm_err err = TM_ERR_INIT;
  return walk_project(dir, stamp_file, &stamp, &err) < 0 ? 0 : stamp;
}

/* -- taking ---------------------------------------------------------------------------- */

static tm_closure *new_closure(void) {
  tm_closure *c = tm_new(tm_closure);
  c->refs = 1;
  tm_arena_init(&c->arena, 0);
  return c;
}

static void add_file(tm_closure *c, const char *name, const char *bytes, size_t len) {
  tm_source *s = tm_arena_new(&c->arena, tm_source);
  s->name = tm_arena_strdup(&c->arena, name);
  s->bytes = bytes;
  s->len = len;
  s->hash = tm_hash_bytes(bytes, len);
  tm_map_set(&c->files, name, s);
}

static int read_file(void *ctx, const char *path, const char *name, const struct stat *st,
                     tm_err *err) {
  tm_closure *c = ctx;
  if (st->st_size > MAX_FILE)
    return tm_err_set(err, TM_LIMIT, "%s is larger than 1 MiB: too large for a source file",
                      path);
  FILE *f = tm_mem_fopen(path, "rb");
  if (!f)
    return tm_err_set(err, TM_CONFIG, "cannot read %s: %s", path, strerror(errno));
  size_t size = (size_t)st->st_size;
  char *bytes = tm_arena_alloc(&c->arena, size + 1);
  size_t got = fread(bytes, 1, size, f);
  fclose(f);
  bytes[got] = 0;
  add_file(c, name, bytes, got);
  return 0;
}

static void keep(tm_closure *c, tm_json *manifest, const char *key, const tm_json *value) {
  tm_arena *a = &c->arena;
  tm_json_set(a, manifest, key, value ? tm_json_copy(a, value) : tm_json_new_object(a));
}

static void seal(tm_closure *c, const tm_json *models, const tm_json *prices) {
  tm_arena *a = &c->arena;
  tm_json *m = tm_json_new_object(a), *files = tm_json_new_object(a);
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));)
    tm_json_set_str(a, files, e->key, ((tm_source *)e->value)->hash.hex);
  tm_json_set_int(a, m, "abi", TM_CLOSURE_ABI);
  tm_json_set(a, m, "files", files);
  keep(c, m, "models", models);
  keep(c, m, "prices", prices);
  c->models = tm_json_get(m, "models");
  c->prices = tm_json_get(m, "prices");
  tm_buf text = TM_BUF_INIT;
  tm_json_print_canonical(&text, m);
  c->hash = tm_hash_bytes(text.data, text.len);
  c->manifest = tm_arena_strndup(a, text.data, text.len);
  c->manifest_len = text.len;
  tm_buf_free(&text);
  c->contents = tm_arena_array(a, tm_content, c->files.count + 1);
  tm_content *next = c->contents;
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));) {
    const tm_source *s = e->value;
    *next++ = (tm_content){s->hash.hex, s->bytes, s->len};
  }
}

int tm_closure_scan(tm_closure **out, const char *dir, const tm_json *models,
                    const tm_json *prices, tm_err *err) {
  tm_closure *c = new_closure();
  if (walk_project(dir, read_file, c, err) < 0) {
    tm_closure_release(&c);
    return -1;
  }
  seal(c, models, prices);
  *out = c;
  return 0;
}

tm_closure *tm_closure_retain(tm_closure *c) {
  c->refs++;
  return c;
}

void tm_closure_release(tm_closure **c) {
  tm_closure *old = *c;
  *c = NULL;
  if (!old || --old->refs > 0)
    return;
  if (old->free_cache)
    old->free_cache(old->cache);
  tm_map_free(&old->files);
  tm_arena_free(&old->arena);
  tm_free(old);
}

tm_closure *tm_closure_with(const tm_closure *c, const char *name, const char *bytes,
                            size_t len) {
  tm_closure *made = new_closure();
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));) {
    const tm_source *s = e->value;
    if (strcmp(s->name, name) != 0)
      add_file(made, s->name, tm_arena_strndup(&made->arena, s->bytes, s->len), s->len);
  }
  add_file(made, name, tm_arena_strndup(&made->arena, bytes, len), len);
  seal(made, c->models, c->prices);
  return made;
}

/* -- storing and loading --------------------------------------------------------------- */

void tm_closure_lend(const tm_closure *c, tm_batch *b) {
  tm_op *op = tm_batch_add(b, TM_OP_CLOSURE);
  op->u.closure.manifest = (tm_content){c->hash.hex, c->manifest, c->manifest_len};
  op->u.closure.files = c->contents;
  op->u.closure.count = c->files.count;
}

void tm_closure_write(const tm_closure *c, tm_batch *b) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&c->files, &i));) {
    const tm_source *s = e->value;
    tm_op *op = tm_batch_add(b, TM_OP_BLOB);
    op->u.blob.hash = tm_arena_strdup(&b->arena, s->hash.hex);
    op->u.blob.bytes = tm_arena_strndup(&b->arena, s->bytes, s->len);
    op->u.blob.len = s->len;
  }
  tm_op *op = tm_batch_add(b, TM_OP_CLOSURE);
  op->u.blob.hash = tm_arena_strdup(&b->arena, c->hash.hex);
  op->u.blob.bytes = tm_arena_strndup(&b->arena, c->manifest, c->manifest_len);
  op->u.blob.len = c->manifest_len;
}

static int load_files(tm_closure *c, tm_store *store, const tm_json *files, tm_err *err) {
  for (size_t i = 0; i < tm_json_len(files); i++) {
    const tm_json_member *m = tm_json_member_at(files, i);
    const char *hash = tm_json_str(&m->value, NULL), *bytes;
    size_t len;
    int found = hash ? store->vt->blob(store, hash, &c->arena, &bytes, &len, err) : 0;
    if (found < 0)
      return -1;
    if (!found || strcmp(tm_hash_bytes(bytes, len).hex, hash) != 0)
      return tm_err_set(err, TM_INTERNAL,
                        "the stored source %s is %s; restore the database from a backup",
                        m->key, found ? "damaged" : "missing");
    add_file(c, m->key, bytes, len);
  }
  return 0;
}

int tm_closure_load(tm_closure **out, tm_store *store, const char *hash, tm_err *err) {
  tm_closure *c = new_closure();
  const char *text;
  size_t len;
  tm_json *m;
  int found = store->vt->closure(store, hash, &c->arena, &text, &len, err);
  if (found == 0)
    tm_err_set(err, TM_INTERNAL, "the sources %.12s… are not in the database", hash);
  else if (found > 0 && strcmp(tm_hash_bytes(text, len).hex, hash) != 0)
    found =
        tm_err_set(err, TM_INTERNAL,
                   "the stored list of sources is damaged; restore the database from a backup");
  if (found <= 0 || tm_json_parse(&m, &c->arena, text, len, NULL, err) < 0)
    goto fail;
  if (tm_json_int(tm_json_get(m, "abi"), 0) != TM_CLOSURE_ABI) {
    tm_err_set(err, TM_CONFIG, "the run needs primitives of level %lld, this tidemill has %d",
               (long long)tm_json_int(tm_json_get(m, "abi"), 0), TM_CLOSURE_ABI);
    goto fail;
  }
  if (load_files(c, store, tm_json_get(m, "files"), err) < 0)
    goto fail;
  seal(c, tm_json_get(m, "models"), tm_json_get(m, "prices"));
  *out = c;
  return 0;

fail:
  tm_err_wrap(err, "loading the sources of a run");
  tm_closure_release(&c);
  return -1;
}

/* -- looking up ------------------------------------------------------------------------ */

const tm_source *tm_closure_file(const tm_closure *c, const char *name) {
  return tm_map_get(&c->files, name);
}

const char *tm_closure_model(const tm_closure *c, const char *unit) {
  const char *own = tm_json_get_str(c->models, unit);
  return own ? own : tm_json_get_str(c->models, "*");
}
