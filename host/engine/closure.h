/* closure.h - everything a run's behaviour depends on, by hash.
 *
 *   manifest {"abi":1, "files":{"prompts/classify.prompt": HASH, …, "workflows/x.lua": HASH},
 *             "models":{"*":"scripted/demo", "UNIT":"PROVIDER/MODEL"},
 *             "prices":{"PROVIDER/MODEL":{"input":USD for a million tokens, "output":…}}}
 *
 * A closure's hash is the hash of its canonical manifest. It is counted: scan and load hand out
 * one reference, release takes one back. The files' bytes live as long as it does.
 */
#ifndef TM_ENGINE_CLOSURE_H
#define TM_ENGINE_CLOSURE_H

#include "base/map.h"
#include "store/store.h"
#include "text/json.h"

#define TM_CLOSURE_ABI \
  1 /* level of the primitives; a run of another level is refused by name */

typedef struct tm_source {
  const char *name; /* relative to the project: "workflows/support_ticket.lua" */
  const char *bytes;
  size_t len;
  tm_hash hash;
} tm_source;

typedef struct tm_closure {
  int refs;
  tm_hash hash;
  tm_arena arena;
  tm_map files; /* name -> tm_source */
  const tm_json *models, *prices;
  const char *manifest;
  size_t manifest_len;
  tm_content *contents; /* of the files, as the store wants them */
  void *cache;          /* the guest's compiled form, freed with the closure */
  void (*free_cache)(void *cache);
} tm_closure;

/* Read the project in `dir`: workflows/ (.lua, and .json under schemas/) and prompts/
 * (.prompt). */
int tm_closure_scan(tm_closure **out, const char *dir, const tm_json *models,
                    const tm_json *prices, tm_err *err);
int tm_closure_load(tm_closure **out, tm_store *store, const char *hash, tm_err *err);
tm_closure *tm_closure_retain(tm_closure *c);
void tm_closure_release(tm_closure **c);

/* The same with one file added or replaced; not stored yet. */
tm_closure *tm_closure_with(const tm_closure *c, const char *name, const char *bytes,
                            size_t len);
/* What differs: {files: [{name, change: added | removed | changed, diff}], models, prices: [{at, was,
 * is}]}; the diff is a unified one. The closures must outlive the arena. */
tm_json *tm_closure_changes(tm_arena *a, const tm_closure *was, const tm_closure *is);
bool tm_closure_same(const tm_json *changes); /* there are none */

const tm_source *tm_closure_file(const tm_closure *c, const char *name);
/* The model of a unit: its own entry, else "*", else NULL. */
const char *tm_closure_model(const tm_closure *c, const char *unit);
/* Add the op that stores it, if it is not there. Its bytes are lent: the closure has to live until
 * the batch is told. */
void tm_closure_lend(const tm_closure *c, tm_batch *b);
/* The same with copies. */
void tm_closure_write(const tm_closure *c, tm_batch *b);

/* A stamp of the project's files (names, sizes, times): equal stamps, nothing changed. 0 on
 * error. */
uint64_t tm_closure_stamp(const char *dir);

#endif
