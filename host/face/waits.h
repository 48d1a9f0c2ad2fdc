/* waits.h - what a run waits for, in words. */
#ifndef TM_FACE_WAITS_H
#define TM_FACE_WAITS_H

#include "base/buf.h"
#include "text/json.h"

/* One entry of a run's reason, as it follows "waits for ": `the key "k" of action "pay", held by
 * run r`. */
void tm_waits_put(tm_buf *out, const tm_json *why);
/* All entries of a reason, with "; " between them. */
void tm_waits_put_all(tm_buf *out, const tm_json *reason);

#endif
