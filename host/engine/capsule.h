/* capsule.h - a run in one document: its row, journal, sources, gates, and what it relied on.
 *
 *   {schema: "tidemill.capsule/1", abi,
 *    run: {id, workflow, state, created, updated, input_hash, sources, parent?, reason?,
 *          result?},
 *    records: [{seq, record, place, name, body, chain}],
 *    sources: {CLOSURE: its manifest},
 *    files: {HASH: its text, or {hex}},
 *    gates: [{id, place, name, state, digest, body, opened, expires?, decision?, by?,
 *             decided?}],
 *    effects: [{action, key, args_hash, run, place, result?}],
 *    decisions: [{name, key, input_hash, value, run, at, version?, expires?, reopened?}], as
 *      they are now: another one may have followed the one that the run was told,
 *    redacted?: {strings: how many},
 *    seal: hash of all the rest}
 *
 * A body is the record's JSON; as a text, its exact bytes. Everything is verified on the way
 * in: the seal, the chain of records, each source's hash. Redacted, every text of inputs,
 * requests, responses and results is a hash: such a capsule can be read and compared, but not
 * imported or replayed.
 */
#ifndef TM_ENGINE_CAPSULE_H
#define TM_ENGINE_CAPSULE_H

#include "engine/change.h"

/* The capsule of a run, in the arena. */
int tm_capsule_export(tm_json **out, tm_arena *a, tm_engine *e, const char *run, bool redact,
                      tm_err *err);

/* Verify a capsule: the tale it tells, with its closure (a reference for the caller to
 * release). TM_USAGE: it is none, or was changed; TM_CONFIG: it needs another tidemill. */
int tm_capsule_read(tm_tale *out, tm_arena *a, const tm_json *capsule, tm_err *err);

/* Put it into the store. A run that had not ended becomes "imported": nothing takes it up,
 * because the run goes on where it came from; replay, show, diff and fork work. Its effects and
 * decisions stay in the document: they are not this database's. Importing the same run again
 * changes nothing; another one under its id is TM_CONFLICT. */
void tm_capsule_import(tm_engine *e, const tm_json *capsule, tm_engine_fn done, void *ctx);

#endif
