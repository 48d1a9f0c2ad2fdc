/* rules.h - the scripted model: a Lua file that answers each unit by plain rules.
 *
 *   return {
 *     about = "What these rules stand in for.",
 *     units = {
 *       classify = function(vars, request)
 *         return { category = vars.text:find "refund" and "billing" or "other" }
 *       end,
 *       greet = "Hello!", -- a rule may also be a plain value
 *     },
 *   }
 *
 * The request is {unit, vars, messages, schema?, phase, round, config}.
 *
 * Tables, numbers and booleans become JSON text. A string is text as it is when the request has
 * no schema or its phase is "reason"; else it becomes a JSON string, unless the rule returns
 * "raw" as a second value (to play a model that answers badly). A rule that raises plays a
 * model that fails; for good, or for now when it raises a table {message = …, retryable =
 * true}.
 *
 * The file runs in a sandboxed vm of its own that lives as long as the rules, so a rule may
 * count its calls. It may require "cjson", and "tidemill" for its `array` and `null`.
 * Everything handed out is the caller's.
 */
#ifndef TM_SCRIPT_RULES_H
#define TM_SCRIPT_RULES_H

#include "base/buf.h"
#include "base/err.h"
#include "text/json.h"

typedef struct tm_rules tm_rules;

/* Load the file at `path`. TM_NOTFOUND when it cannot be read, TM_CONFIG when it is not a rules
 * file. */
int tm_rules_open(tm_rules **out, const char *path, tm_err *err);
/* What the file says `about` itself; "" when nothing. Valid until close. */
const char *tm_rules_about(const tm_rules *r);
/* Append the answer's text to `answer`. TM_CONFIG: no rule for the unit; TM_FAILED: the rule
 * raised, or returned nothing that can be an answer; TM_TEMP: it raised something retryable;
 * TM_LIMIT: it was stopped (the next call starts from a fresh vm). */
int tm_rules_answer(tm_rules *r, const tm_json *request, tm_buf *answer, tm_err *err);
void tm_rules_close(tm_rules **r);

#endif
