/* prices.h - what tokens cost: a dated table, and over it what the user knows better.
 *
 *   {"as_of": "2026-11-20", "models": {"openai/gpt-4.1": {"input": 2, "cached_input": 0.5,
 *    "cache_write": 2, "output": 8}, "ollama/llama*": {"input": 0, "output": 0}}}
 *
 * USD for a million tokens. A table without "models" is the map itself. A name may be a shell
 * pattern; a model's date ("-2025-04-14", "-20250929") counts for the name without it. What is
 * not told costs as input does.
 */
#ifndef TM_LLM_PRICES_H
#define TM_LLM_PRICES_H

#include "text/json.h"

typedef struct tm_price_table {
  const tm_json *models, *patterns; /* all, and those among them whose name is a pattern */
} tm_price_table;

typedef struct tm_prices {
  tm_arena arena;
  tm_price_table *tables; /* the last given counts first */
  size_t count;
} tm_prices;

int tm_prices_add(tm_prices *p, const tm_json *table, tm_err *err);
void tm_prices_free(tm_prices *p);

/* The price of PROVIDER/MODEL as the tables have it; NULL: it is not known. */
const tm_json *tm_prices_of(const tm_prices *p, const char *provider, const char *model);
/* The cost of a usage (llm.h's) of PROVIDER/MODEL, in USD; false: its price, or what was used,
 * is not known. */
bool tm_prices_usd(double *out, const tm_prices *p, const char *provider, const char *model,
                   const tm_json *usage);

#endif
