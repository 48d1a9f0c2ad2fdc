/* fsck.h - is every run's story sound?
 *
 * The store proves what a database can (store's `verify`); this proves what only the engine
 * knows: hash chains, sources, intents before outcomes, decisions, reasons to wait.
 */
#ifndef TM_ENGINE_FSCK_H
#define TM_ENGINE_FSCK_H

#include "engine/engine.h"

/* Look at one run (NULL: at all of them) and tell each finding: {run, record?, what, hint}.
 * `out`, in the arena: {runs, records, findings: […]}. Nothing is written. */
int tm_fsck(tm_json **out, tm_arena *a, tm_engine *e, const char *run, tm_err *err);

#endif
