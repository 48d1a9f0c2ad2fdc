/* build.c - what every wire format needs to put a question into bytes. */
#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "llm/provider.h"

const char *tm_llm_setting(const tm_llm_settings *s, const char *name) {
  const char *text = name && s->env ? s->env(s->ctx, name) : NULL;
  return text && *text ? text : NULL;
}

/* -- models and their parameters ------------------------------------------------- */

unsigned tm_llm_model_rules(const char *provider, const char *model) {
  static const struct {
    const char *provider, *pattern;
    unsigned flags;
  } rules[] = {
#define RULE(p, m, flags) {p, m, flags},
#include "llm/models.inc"
#undef RULE
  };
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (strcmp(rules[i].provider, provider) == 0 && fnmatch(rules[i].pattern, model, 0) == 0)
      return rules[i].flags;
  return 0;
}

void tm_llm_drop(tm_llm_wire *wire, tm_arena *a, const char *name) {
  tm_json *list = wire->dropped ? tm_json_copy(a, wire->dropped) : tm_json_new_array(a);
  tm_json_push(a, list, tm_json_new_str(a, name));
  wire->dropped = list;
}

static const tm_llm_field *field_of(const tm_llm_field *fields, size_t count,
                                    const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(fields[i].name, name) == 0)
      return &fields[i];
  return NULL;
}

static bool listed(const char *const *names, const char *name) {
  for (; names && *names; names++)
    if (strcmp(*names, name) == 0)
      return true;
  return false;
}

void tm_llm_put_config(tm_llm_wire *wire, tm_arena *a, tm_json *body, const tm_json *config,
                       const tm_llm_field *fields, size_t count, unsigned rules,
                       const char *const *handled) {
  for (size_t i = 0; i < tm_json_len(config); i++) {
    const tm_json_member *m = tm_json_member_at(config, i);
    if (listed(handled, m->key) || tm_json_type_of(&m->value) == TM_JSON_NULL)
      continue;
    const tm_llm_field *f = field_of(fields, count, m->key);
    if (f && !(f->unless & rules))
      tm_json_set(a, body, f->wire, &m->value);
    else
      tm_llm_drop(wire, a, m->key);
  }
}

/* -- where to, and with which key ------------------------------------------------ */

bool tm_llm_own_base(const tm_provider *p, const tm_llm_settings *s) {
  const char *base = tm_llm_setting(s, p->base_env);
  return !base || strncmp(base, p->base, strlen(p->base)) == 0;
}

const char *tm_llm_url(tm_arena *a, const tm_provider *p, const tm_llm_settings *s,
                       const char *path) {
  const char *base = tm_llm_setting(s, p->base_env);
  if (!base)
    base = p->base;
  size_t query = strcspn(base, "?#"), end = query;
  while (end > 0 && base[end - 1] == '/')
    end--;
  return tm_arena_printf(a, "%.*s%s%s", (int)end, base, path, base + query);
}

int tm_llm_key(const char **key, const tm_provider *p, const tm_llm_settings *s,
               const char *model, tm_err *err) {
  *key = tm_llm_setting(s, p->key_env);
  if (*key || !tm_llm_own_base(p, s))
    return 0;
  return tm_err_set(err, TM_CONFIG,
                    "%s/%s needs a key: set %s in the environment (or %s to a server of your "
                    "own), or try without any key by --model scripted/demo",
                    p->name, model, p->key_env, p->base_env);
}

void tm_llm_put_header(tm_llm_wire *wire, const char *name, const char *value) {
  if (value && wire->header_count < sizeof wire->headers / sizeof *wire->headers)
    wire->headers[wire->header_count++] = (tm_http_header){name, value};
}

int tm_llm_put_body(tm_llm_wire *wire, tm_arena *a, const tm_json *body, tm_err *err) {
  wire->body = tm_json_text(a, body, &wire->body_len);
  if (!a->failed && wire->body)
    return 0;
  return tm_err_set(err, TM_LIMIT,
                    "the request is too large to be sent (%zu bytes of memory are allowed for "
                    "it); shorten the prompt",
                    a->limit);
}

/* -- messages -------------------------------------------------------------------- */

const char *tm_llm_role(const tm_json *message) {
  static const char *const table[][2] = {{"system", "system"},
                                         {"user", "user"},
                                         {"model", "assistant"},
                                         {"assistant", "assistant"}};
  const char *role = tm_json_get_str(message, "role");
  for (size_t i = 0; role && i < sizeof table / sizeof *table; i++)
    if (strcmp(role, table[i][0]) == 0)
      return table[i][1];
  return NULL;
}

tm_json *tm_llm_plain(tm_arena *a, const tm_json *message) {
  const tm_json *parts = tm_json_get(message, "content");
  size_t count = tm_json_len(parts), len;
  if (count == 1 && tm_json_get_str(tm_json_at(parts, 0), "text"))
    return tm_json_copy(a, tm_json_get(tm_json_at(parts, 0), "text"));
  tm_buf text = TM_BUF_INIT;
  tm_json *out = NULL;
  for (size_t i = 0; i < count; i++) {
    const tm_json *part = tm_json_at(parts, i);
    const char *piece = tm_json_str(tm_json_get(part, "text"), &len);
    if (piece)
      tm_buf_put(&text, piece, len);
    else if (!tm_json_get(part, "metadata"))
      goto out;
  }
  out = tm_json_new_strn(a, tm_buf_str(&text), text.len);
out:
  tm_buf_free(&text);
  return out;
}

bool tm_llm_media_of(tm_llm_media *out, tm_arena *a, const tm_json *part) {
  const tm_json *media = tm_json_get(part, "media");
  *out = (tm_llm_media){.url = tm_json_get_str(media, "url"),
                        .type = tm_json_get_str(media, "contentType")};
  if (!out->url)
    return false;
  const char *comma = strchr(out->url, ',');
  if (strncasecmp(out->url, "data:", 5) == 0 && comma) {
    size_t type = strcspn(out->url + 5, ";,");
    if (!out->type && type)
      out->type = tm_arena_strndup(a, out->url + 5, type);
    out->data = comma + 1;
  }
  if (!out->type)
    out->type = "image/*"; /* a bare URL: the commonest thing it can be */
  return true;
}
