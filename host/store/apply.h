/* apply.h - what the drivers share: the groups of a batch, and copies of rows.
 *
 * The rule of who is skipped lives here, once. A driver only says what each op does,
 * in a table by kind; a group's run is the driver's own to remember.
 */
#ifndef TM_STORE_APPLY_H
#define TM_STORE_APPLY_H

#include "store/store.h"

#define TM_OP_KINDS (TM_OP_BLOB_DROP + 1)

/* Does one op and sets its status; -1 ends the batch. */
typedef int (*tm_apply_fn)(void *ctx, tm_batch *b, tm_op *op, tm_err *err);

/* All ops of a batch, in order; those of a group that did not open are marked FENCED. */
int tm_apply_batch(const tm_apply_fn fns[TM_OP_KINDS], void *ctx, tm_batch *b, tm_err *err);

/* Is a run as the op that claims it found it? */
bool tm_apply_claims(const tm_op *op, int64_t epoch, int64_t records);

/* Is a run still the one that a fence rests on? Owners are compared up to `len` bytes. */
bool tm_apply_fenced_by(const tm_op *op, int64_t epoch, const char *owner, size_t len);

/* Is this record the next one of a journal of that length? If not: TM_INTERNAL, a bug of ours.
 */
int tm_apply_check_seq(const tm_record *r, int64_t records, tm_err *err);

/* Has a run in this state an end of its own: done, failed or cancelled? */
bool tm_apply_over(const char *state);
bool tm_apply_unfinished(const char *state); /* queued, running or waiting */

/* Is there room for a SPEND_HOLD in an account as it stands? If not, the op's status and `found` are
 * set. */
bool tm_apply_affords(tm_batch *b, tm_op *op, const tm_spend_row *now);

/* Deep copies into an arena; -1 (TM_LIMIT) when it is soft and full. */
int tm_apply_copy_run(tm_arena *a, tm_run_row *out, const tm_run_row *row, tm_err *err);
int tm_apply_copy_gate(tm_arena *a, tm_gate_row *out, const tm_gate_row *row, tm_err *err);
int tm_apply_copy_effect(tm_arena *a, tm_effect_row *out, const tm_effect_row *row,
                         tm_err *err);
int tm_apply_copy_decision(tm_arena *a, tm_decision_row *out, const tm_decision_row *row,
                           tm_err *err);
/* Without its vector. */
int tm_apply_copy_cache(tm_arena *a, tm_cache_row *out, const tm_cache_row *row, tm_err *err);
int tm_apply_copy_signal(tm_arena *a, tm_signal_row *out, const tm_signal_row *row,
                         tm_err *err);
int tm_apply_copy_lock(tm_arena *a, tm_lock_row *out, const tm_lock_row *row, tm_err *err);
int tm_apply_copy_cell(tm_arena *a, tm_cell_row *out, const tm_cell_row *row, tm_err *err);
int tm_apply_copy_order(tm_arena *a, tm_order_row *out, const tm_order_row *row, tm_err *err);
int tm_apply_copy_bytes(tm_arena *a, const char **out, const void *bytes, size_t len,
                        tm_err *err);

/* May a decision be made where this one (NULL: none) stands? */
bool tm_apply_decides(const tm_op *op, const tm_decision_row *stands, int64_t now);

/* Post the `done` of a list of batches, chained by `next`, to the owner's thread. */
void tm_apply_post(const tm_store_host *host, tm_batch *first);

#endif
