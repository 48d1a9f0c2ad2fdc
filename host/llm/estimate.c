/* estimate.c - what a request may cost, before it is asked. */
#include <string.h>

#include "llm/ask.h"

#define BYTES_A_TOKEN 3    /* of most languages; of English it is four */
#define MEDIA_BYTES   6000 /* an image or a page, whatever its size */
#define OUTPUT        4096 /* tokens, when the request does not say */

static double bytes_of(const tm_json *v) {
  size_t len = 0;
  if (!v)
    return 0;
  if (tm_json_str(v, &len))
    return (double)len;
  if (tm_json_get(v, "media"))
    return MEDIA_BYTES;
  double sum = 0;
  for (size_t i = 0; i < tm_json_len(v); i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    sum += m ? (double)m->key_len + bytes_of(&m->value) : bytes_of(tm_json_at(v, i));
  }
  return sum;
}

double tm_llm_estimate(const tm_llm *l, const tm_json *request) {
  tm_ladder ladder;
  tm_err ignored = TM_ERR_INIT;
  if (tm_ladder_open(&ladder, request, &ignored) < 0)
    return 0;
  const char *model = tm_ladder_model(&ladder, request);
  const tm_json *price = model ? tm_llm_price(l, model) : NULL;
  const tm_json *most = tm_json_get(tm_json_get(request, "config"), "maxOutputTokens");
  const tm_json *texts = tm_json_get(request, "input"); /* to be embedded: nothing comes out */
  double input = bytes_of(texts) + bytes_of(tm_json_get(request, "messages")) +
                 bytes_of(tm_json_get(request, "schema")) +
                 bytes_of(tm_json_get(request, "tools"));
  return (input / BYTES_A_TOKEN * tm_json_number(tm_json_get(price, "input"), 0) +
          (texts ? 0 : tm_json_number(most, OUTPUT)) *
              tm_json_number(tm_json_get(price, "output"), 0)) /
         1e6;
}

const char *tm_llm_key_name(const tm_llm *l, const char *model) {
  const char *slash = strchr(model, '/');
  const tm_provider *p = slash ? tm_llm_provider(l, model, (size_t)(slash - model)) : NULL;
  if (!p)
    return NULL;
  const char *names[] = {p->key_env, p->other_key_env};
  for (size_t i = 0; i < 2; i++)
    if (names[i] && tm_llm_setting(&l->settings, names[i]))
      return names[i];
  return NULL;
}
