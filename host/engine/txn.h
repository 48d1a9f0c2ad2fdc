/* txn.h - an action on the user's own tables: its statements and its record, one transaction.
 *
 *   launch ─► enter ─► begin: nobody else writes ─► still ours? key unused? ─► body: statements
 *                 busy: later ◄─┘   abandon, look again ◄─┘                      │
 *                                                                               ▼
 *                          raised, or a statement failed: abandon; the error is recorded
 *                          returned: effect and result into the turn, and commit it at once
 *
 * So what the body did is there exactly when its record is: no intent is needed, and nothing is ever
 * unknown. The body runs through without waiting, while other processes wait for it.
 */
#ifndef TM_ENGINE_TXN_H
#define TM_ENGINE_TXN_H

#include "engine/engine.h"

/* Is the branch's action one of these? */
bool tm_txn_is(const tm_branch *b);
/* Before its body is resumed. False: it was not begun, and the branch is answered, waits, or is
 * lost. */
bool tm_txn_begin(tm_branch *b);
/* The body's end, when it returned: into the turn, with its effect. False: it failed after all, and
 * `error` says why. */
bool tm_txn_keep(tm_branch *b, const tm_json *value, const tm_json **error);
/* Behind each resume: commit what was kept, undo what was not. */
void tm_txn_settle(tm_engine *e);

#endif
