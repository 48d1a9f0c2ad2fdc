/* decision.h - mill.decide: what was decided for a business key, kept across runs.
 *
 *   recall ── one that holds? ── yes ─► its value          reopened: by a person, or by the
 *                  │ no, or it is to be reopened           script that asks
 *                  v
 *   decide ── still none that holds (or the one that is reopened) ─► kept, the new version
 *                  │ no: another run was first
 *                  └─► the winner's value
 *
 * A decision holds until it expires or is reopened. What a run was told stands in its journal:
 * no replay looks here.
 */
#ifndef TM_ENGINE_DECISION_H
#define TM_ENGINE_DECISION_H

#include "engine/engine.h"

/* Request {key, input_hash?, peek?}; value {found, value?, run?, at?, version?, other_input?,
 * was?: {run, at, version, end: "expired" | "reopened", by?, note?}}. With `peek` one that was
 * made from another input is told as such, and is no conflict. */
void tm_decision_recall(tm_branch *b);
/* Request {key, input_hash?, value, ttl_ms?, over?: the version that is reopened}; value {found,
 * value, run, at, version}, `found` when another one was first. */
void tm_decision_make(tm_branch *b);

/* Let the decision of ns, name and key, which holds, hold no more; `by` and `note` are kept with
 * it. TM_NOTFOUND when there is none; TM_CONFLICT when it holds no more. */
void tm_decision_reopen(tm_engine *e, const tm_decision_row *which, tm_engine_fn done,
                        void *ctx);

#endif
