/* prompt_cache.c - the setting tidemill.cache: which answers of a unit may be used again.
 *
 *   exact                                       those to the very same question, for ever
 *   { ttl: 7d }                                 the same, so long
 *   { similar: 0.95, of: text, embed: PROVIDER/MODEL, ttl: 7d }
 *                                               those to a text that is so like this one, too
 */
#include <stdio.h>

#include "base/clock.h"
#include "text/prompt_file.h"

static const char *const keys[] = {"ttl", "similar", "of", "embed"};
#define KEYS (sizeof keys / sizeof *keys)

static int check_keys(const tm_json *given, tm_err *err) {
  for (size_t i = 0; i < tm_json_len(given); i++) {
    const char *key = tm_json_member_at(given, i)->key;
    size_t k = 0;
    while (k < KEYS && strcmp(keys[k], key) != 0)
      k++;
    if (k == KEYS)
      return tm_err_set(err, TM_USAGE,
                        "there is no key \"%s\"; the keys are ttl, similar, of and embed", key);
  }
  return 0;
}

static int read_ttl(tm_json *out, tm_arena *a, const tm_json *ttl, tm_err *err) {
  size_t len = 0;
  const char *text = tm_json_str(ttl, &len);
  int64_t ms = text ? tm_clock_duration(text, len) : -1;
  if (ms <= 0)
    return tm_err_set(err, TM_USAGE, "ttl must be a duration such as 12h or 7d");
  tm_json_set_int(a, out, "ttl_ms", ms);
  return 0;
}

static bool is_model(const char *text) {
  const char *slash = text ? strchr(text, '/') : NULL;
  return slash && slash != text && slash[1];
}

static int read_similar(tm_json *out, tm_arena *a, const tm_json *given, tm_err *err) {
  const tm_json *similar = tm_json_get(given, "similar");
  const char *of = tm_json_get_str(given, "of"), *embed = tm_json_get_str(given, "embed");
  double least = tm_json_number(similar, 0);
  if (!similar) {
    const char *odd = tm_json_get(given, "of")      ? "of"
                      : tm_json_get(given, "embed") ? "embed"
                                                    : NULL;
    return odd ? tm_err_set(err, TM_USAGE, "%s goes with similar only, which is not there", odd)
               : 0;
  }
  if (!(least > 0 && least <= 1))
    return tm_err_set(err, TM_USAGE,
                      "similar must be a number above 0 and up to 1: the cosine at which one "
                      "text may stand for another");
  if (!of || !*of)
    return tm_err_set(err, TM_USAGE,
                      "similar needs of: the one variable that may differ; all others must be "
                      "the same");
  if (!is_model(embed))
    return tm_err_set(err, TM_USAGE,
                      "similar needs embed: the embedding model as PROVIDER/MODEL, for example "
                      "openai/text-embedding-3-small");
  tm_json_set(a, out, "similar", similar);
  tm_json_set_str(a, out, "of", of);
  tm_json_set_str(a, out, "embed", embed);
  return 0;
}

int tm_prompt_cache(tm_json **out, tm_arena *a, const tm_json *given, tm_err *err) {
  const tm_json *ttl = tm_json_get(given, "ttl");
  tm_json *o = *out = tm_json_new_object(a);
  if (!o)
    return tm_err_set(err, TM_LIMIT, "no memory is left to read this");
  if (check_keys(given, err) < 0 || (ttl && read_ttl(o, a, ttl, err) < 0))
    return -1;
  return read_similar(o, a, given, err);
}
