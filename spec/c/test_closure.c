/* test_closure.c - a project's sources: taken, hashed, stored, got back. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "engine/closure.h"
#include "store_box.h"

typedef struct project {
  char dir[64];
  tm_arena arena;
} project;

static void run_command(const char *how, const char *dir) {
  char command[256];
  snprintf(command, sizeof command, how, dir, dir, dir, dir);
  CHECK_INT(system(command), 0);
}

static void write_file(const project *p, const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", p->dir, name);
  FILE *f = fopen(path, "wb");
  REQUIRE(f != NULL);
  CHECK(fputs(text, f) >= 0);
  fclose(f);
}

static void open_project(project *p) {
  snprintf(p->dir, sizeof p->dir, "/tmp/tidemill-closure-XXXXXX");
  if (!mkdtemp(p->dir))
    abort();
  tm_arena_init(&p->arena, 0);
  run_command("mkdir -p '%s/prompts/scripted' '%s/workflows/schemas' '%s/workflows/lib'"
              " '%s/workflows/samples'",
              p->dir);
  write_file(p, "prompts/classify.prompt", "Classify.");
  write_file(p, "prompts/scripted/demo.lua", "return {}");
  write_file(p, "prompts/notes.txt", "not a source");
  write_file(p, "workflows/flow.lua", "return 1");
  write_file(p, "workflows/lib/util.lua", "return 2");
  write_file(p, "workflows/schemas/ticket.json", "{}");
  write_file(p, "workflows/samples/one.json", "{}");
  write_file(p, "workflows/.hidden.lua", "x");
}

static void close_project(project *p) {
  run_command("rm -rf '%s'", p->dir);
  tm_arena_free(&p->arena);
}

static tm_json *json(project *p, const char *text) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_json_parse(&v, &p->arena, text, strlen(text), NULL, &err), 0);
  return v;
}

static tm_closure *scan(const project *p, const tm_json *models, const tm_json *prices) {
  tm_closure *c = NULL;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_closure_scan(&c, p->dir, models, prices, &err), 0);
  CHECK_STR(err.msg, "");
  return c;
}

static tm_hash hash_of(const project *p, const tm_json *models, const tm_json *prices) {
  tm_closure *c = scan(p, models, prices);
  tm_hash h = c->hash;
  tm_closure_release(&c);
  return h;
}

static bool same(tm_hash a, tm_hash b) {
  return strcmp(a.hex, b.hex) == 0;
}

static void sources_are_taken_and_nothing_else(void) {
  project p;
  open_project(&p);
  tm_closure *c = scan(&p, NULL, NULL);
  CHECK_INT(c->files.count, 4);
  const tm_source *s = tm_closure_file(c, "workflows/flow.lua");
  REQUIRE(s != NULL);
  CHECK_STR(s->bytes, "return 1");
  CHECK_INT(s->len, 8);
  CHECK(tm_closure_file(c, "workflows/lib/util.lua") != NULL);
  CHECK(tm_closure_file(c, "workflows/schemas/ticket.json") != NULL);
  CHECK(tm_closure_file(c, "prompts/classify.prompt") != NULL);
  CHECK(tm_closure_file(c, "prompts/scripted/demo.lua") == NULL);
  tm_closure_release(&c);
  close_project(&p);
}

static void a_hash_covers_all_that_matters(void) {
  project p;
  open_project(&p);
  tm_hash plain = hash_of(&p, NULL, NULL);
  CHECK(same(plain, hash_of(&p, NULL, NULL)));
  CHECK(!same(plain, hash_of(&p, json(&p, "{\"*\":\"a/b\"}"), NULL)));
  CHECK(!same(plain, hash_of(&p, NULL, json(&p, "{\"a/b\":{\"input\":1}}"))));
  CHECK(same(hash_of(&p, json(&p, "{\"x\":\"1\",\"y\":\"2\"}"), NULL),
             hash_of(&p, json(&p, "{\"y\":\"2\",\"x\":\"1\"}"), NULL)));
  write_file(&p, "workflows/samples/one.json", "{\"changed\":1}");
  CHECK(same(plain, hash_of(&p, NULL, NULL)));
  write_file(&p, "prompts/classify.prompt", "Classify!");
  CHECK(!same(plain, hash_of(&p, NULL, NULL)));
  write_file(&p, "prompts/classify.prompt", "Classify.");
  write_file(&p, "workflows/more.lua", "");
  CHECK(!same(plain, hash_of(&p, NULL, NULL)));
  close_project(&p);
}

static void a_project_without_sources_is_empty(void) {
  project p;
  open_project(&p);
  run_command("rm -rf '%s'/*", p.dir);
  tm_closure *c = scan(&p, NULL, NULL);
  CHECK_INT(c->files.count, 0);
  tm_closure_release(&c);
  close_project(&p);
}

static void a_file_that_is_too_large_is_refused_by_name(void) {
  project p;
  tm_closure *c = NULL;
  tm_err err = TM_ERR_INIT;
  open_project(&p);
  run_command("head -c 1048577 /dev/zero > '%s/workflows/huge.lua'", p.dir);
  CHECK_INT(tm_closure_scan(&c, p.dir, NULL, NULL, &err), -1);
  CHECK_INT(err.code, TM_LIMIT);
  CHECK(strstr(err.msg, "huge.lua is larger than 1 MiB") != NULL);
  close_project(&p);
}

static void a_stamp_tells_that_a_file_changed(void) {
  project p;
  open_project(&p);
  uint64_t before = tm_closure_stamp(p.dir);
  CHECK(before != 0);
  CHECK(before == tm_closure_stamp(p.dir));
  write_file(&p, "prompts/notes.txt", "still not a source, and longer");
  CHECK(before == tm_closure_stamp(p.dir));
  write_file(&p, "workflows/flow.lua", "return 100");
  CHECK(before != tm_closure_stamp(p.dir));
  close_project(&p);
}

static void a_unit_has_its_model_or_the_common_one(void) {
  project p;
  open_project(&p);
  tm_closure *c = scan(&p, json(&p, "{\"*\":\"a/any\",\"classify\":\"b/own\"}"), NULL);
  CHECK_STR(tm_closure_model(c, "classify"), "b/own");
  CHECK_STR(tm_closure_model(c, "other"), "a/any");
  tm_closure_release(&c);
  c = scan(&p, NULL, NULL);
  CHECK(tm_closure_model(c, "classify") == NULL);
  tm_closure_release(&c);
  close_project(&p);
}

/* -- stored ---------------------------------------------------------------------------- */

static void store(box *b, const tm_closure *c) {
  tm_batch *batch = box_batch(b);
  tm_closure_write(c, batch);
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static void what_is_stored_comes_back_whole(void) {
  project p;
  box b;
  tm_closure *back = NULL;
  tm_err err = TM_ERR_INIT;
  open_project(&p);
  box_open(&b, "memory");
  tm_closure *c =
      scan(&p, json(&p, "{\"*\":\"a/any\"}"), json(&p, "{\"a/any\":{\"input\":2.5}}"));
  store(&b, c);
  run_command("rm -rf '%s'/*", p.dir); /* the project is gone */
  CHECK_INT(tm_closure_load(&back, b.store, c->hash.hex, &err), 0);
  CHECK_STR(err.msg, "");
  REQUIRE(back != NULL);
  CHECK(same(back->hash, c->hash));
  CHECK_INT(back->files.count, 4);
  CHECK_STR(tm_closure_file(back, "workflows/lib/util.lua")->bytes, "return 2");
  CHECK_STR(tm_closure_model(back, "x"), "a/any");
  CHECK(tm_json_equal(back->prices, c->prices));
  tm_closure_release(&back);
  tm_closure_release(&c);
  box_close(&b);
  close_project(&p);
}

static void put_bytes(box *b, tm_op_kind kind, const char *hash, const char *text) {
  tm_batch *batch = box_batch(b);
  tm_op *op = tm_batch_add(batch, kind);
  op->u.blob.hash = tm_arena_strdup(&batch->arena, hash);
  op->u.blob.bytes = tm_arena_strdup(&batch->arena, text);
  op->u.blob.len = strlen(text);
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static void refuses(box *b, const char *hash, const char *says) {
  tm_closure *c = NULL;
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_closure_load(&c, b->store, hash, &err), -1);
  if (!strstr(err.msg, says))
    check_fail(__FILE__, __LINE__, "says %s\n      want %s", err.msg, says);
}

/* Stores a manifest under its own hash and loads it. */
static void refuses_manifest(box *b, const char *manifest, const char *says) {
  tm_hash h = tm_hash_bytes(manifest, strlen(manifest));
  put_bytes(b, TM_OP_CLOSURE, h.hex, manifest);
  refuses(b, h.hex, says);
}

static void what_is_damaged_is_named(void) {
  box b;
  char manifest[256];
  tm_hash h = tm_hash_bytes("return 1", 8);
  box_open(&b, "memory");
  refuses(&b, h.hex, "are not in the database");
  put_bytes(&b, TM_OP_CLOSURE, "0123", "{\"abi\":1,\"files\":{},\"models\":{}}");
  refuses(&b, "0123", "list of sources is damaged");
  refuses_manifest(&b, "{\"abi\":2,\"files\":{}}", "needs primitives of level 2");
  snprintf(manifest, sizeof manifest, "{\"abi\":1,\"files\":{\"workflows/f.lua\":\"%s\"}}",
           h.hex);
  refuses_manifest(&b, manifest, "the stored source workflows/f.lua is missing");
  put_bytes(&b, TM_OP_BLOB, h.hex, "return 9");
  refuses(&b, tm_hash_bytes(manifest, strlen(manifest)).hex,
          "the stored source workflows/f.lua is damaged");
  box_close(&b);
}

CHECK_SUITE(closure) {
  CHECK_RUN(sources_are_taken_and_nothing_else);
  CHECK_RUN(a_hash_covers_all_that_matters);
  CHECK_RUN(a_project_without_sources_is_empty);
  CHECK_RUN(a_file_that_is_too_large_is_refused_by_name);
  CHECK_RUN(a_stamp_tells_that_a_file_changed);
  CHECK_RUN(a_unit_has_its_model_or_the_common_one);
  CHECK_RUN(what_is_stored_comes_back_whole);
  CHECK_RUN(what_is_damaged_is_named);
}
