/* models.h - what models do not take: tables of rules, and over ours what the user knows better.
 *
 *   {"models": {"openai/o3*": {"sampling": false, "stop": false}, "openai/gpt-5.[1-9]*":
 *    {"sampling": "effort_none"}, "anthropic/claude-*": {"forced_tool": false}}}
 *
 * A table without "models" is the map itself. A name is PROVIDER/PATTERN; the first that fits
 * counts, in the table given last that has one. What is not told is taken. lua/models.json says
 * what the words mean.
 */
#ifndef TM_LLM_MODELS_H
#define TM_LLM_MODELS_H

#include "text/json.h"

enum {
  TM_MODEL_NO_SAMPLING = 1,   /* temperature, topP, topK, penalties */
  TM_MODEL_SAMPLING_BARE = 2, /* temperature and topP only with reasoningEffort "none" */
  TM_MODEL_NO_STOP = 4,
  TM_MODEL_VERSION_2023 = 8,   /* sampling only under Anthropic's version of 2023 */
  TM_MODEL_NO_FORCED_TOOL = 16 /* tool_choice may only be auto or none */
};

typedef struct tm_model_rule {
  const char *name; /* "PROVIDER/PATTERN" */
  unsigned flags;
} tm_model_rule;

typedef struct tm_models {
  tm_arena arena;
  tm_model_rule *rules; /* in the order in which they count */
  size_t count;
} tm_models;

/* TM_USAGE for a rule of another form. */
int tm_models_add(tm_models *m, const tm_json *table, tm_err *err);
void tm_models_free(tm_models *m);

/* What PROVIDER/MODEL does not take. A provider that is one of several dialects of a service
 * ("openai-chat") has the rules of the service, too, behind its own. */
unsigned tm_models_flags(const tm_models *m, const char *provider, const char *model);

#endif
