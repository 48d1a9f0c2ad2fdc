/* engine_guest.h - the language of the engine's tests: scripts of JSON steps, see engine_kit.h.
 */
#ifndef TM_SPEC_ENGINE_GUEST_H
#define TM_SPEC_ENGINE_GUEST_H

#include "engine_kit.h"

extern const tm_guest_vt kit_guest; /* its ctx is a kit */

/* What a run was told so far in this life; the world holds it to what it was told before. */
void kit_trace(kit_world *w, const char *run, const tm_buf *told);

#endif
