/* options.h - the settings of one engine: option keys, then tidemill.yaml, then defaults.
 */
#ifndef TM_FACE_OPTIONS_H
#define TM_FACE_OPTIONS_H

#include "text/json.h"
#include "tidemill.h"

struct tidemill_options {
  tm_arena arena;
  const char *dir, *db, *by, *record;
  tm_json *models; /* {"*": …, "UNIT": …} of flags; "?UNIT" and "?" of tidemill.yaml */
  tm_json *limits; /* as in llm/limits.h; NULL: none */
  tm_json *retain; /* {STATE: ms, WORKFLOW: {STATE: ms}}: gc.h */
  tm_json *prices; /* {"PROVIDER/MODEL": {input, output}}: USD for a million tokens */
  const char
      *http_private;     /* what a guarded request may reach beside the internet; net/guard.h */
  tm_json *capabilities; /* {"PROVIDER/PATTERN": {sampling, stop, forced_tool}}: llm/models.h */
  tm_json *budgets; /* {day?, workflows?: {NAME}, keys?: {VARIABLE}}, each {usd?, llm_calls?} */
  size_t memory;
  uint64_t steps;
  int64_t watchdog_ms; /* 0: none */
  bool virtual_clock, paused;
};

/* A copy with everything filled in: reads DIR/tidemill.yaml. The caller frees it. */
int tm_options_resolve(tidemill_options **out, const tidemill_options *given, tm_err *err);

#endif
