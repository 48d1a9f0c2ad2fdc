/* build.c - what every wire format needs to put a question into bytes. */
#include <ctype.h>
#include <string.h>

#include "llm/provider.h"

const char *tm_llm_setting(const tm_llm_settings *s, const char *name) {
  const char *text = name && s->env ? s->env(s->ctx, name) : NULL;
  return text && *text ? text : NULL;
}

/* -- models and their parameters ------------------------------------------------------- */

unsigned tm_llm_openai_rules(const tm_llm_question *q) {
  unsigned rules = q->rules;
  const char *effort = tm_json_get_str(q->config, "reasoningEffort");
  if (rules & TM_MODEL_SAMPLING_BARE && !(effort && strcmp(effort, "none") == 0))
    rules |= TM_MODEL_NO_SAMPLING;
  return rules;
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

/* -- where to, and with which key ------------------------------------------------------ */

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
  size_t path_len = strlen(path), query_len = strlen(base + query);
  char *url = tm_arena_alloc(a, end + path_len + query_len + 1);
  if (!url)
    return NULL;
  memcpy(url, base, end);
  memcpy(url + end, path, path_len);
  memcpy(url + end + path_len, base + query, query_len + 1);
  return url;
}

int tm_llm_key(const char **key, const tm_provider *p, const tm_llm_settings *s,
               const tm_llm_question *q, tm_err *err) {
  *key = tm_llm_setting(s, p->key_env);
  if (!*key)
    *key = tm_llm_setting(s, p->other_key_env);
  if (*key || p->keyless || !tm_llm_own_base(p, s))
    return 0;
  return tm_err_set(err, TM_CONFIG,
                    "%s/%s needs a key: set %s in the environment (or %s to a server of your "
                    "own), or try without any key by --model scripted/demo",
                    q->provider, q->model, p->key_env, p->base_env);
}

void tm_llm_put_header(tm_llm_wire *wire, const char *name, const char *value) {
  if (value && wire->header_count < sizeof wire->headers / sizeof *wire->headers)
    wire->headers[wire->header_count++] = (tm_http_header){name, value};
}

void tm_llm_put_types(tm_llm_wire *wire, const tm_llm_question *q, const char *streamed) {
  tm_llm_put_header(wire, "Content-Type", "application/json");
  tm_llm_put_header(wire, "Accept", q->stream ? streamed : "application/json");
}

void tm_llm_put_bearer(tm_llm_wire *wire, tm_arena *a) {
  static const char bearer[] = "Bearer ";
  size_t n = sizeof bearer - 1, len = wire->secret ? strlen(wire->secret) : 0;
  char *value = len ? tm_arena_alloc(a, n + len + 1) : NULL;
  if (!value)
    return;
  memcpy(value, bearer, n);
  memcpy(value + n, wire->secret, len + 1);
  tm_llm_put_header(wire, "Authorization", value);
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

const char *tm_llm_schema_name(tm_arena *a, const tm_json *request) {
  const char *name = tm_json_get_str(request, "schema_name");
  if (!name || !*name)
    name = tm_json_get_str(request, "unit");
  if (!name || !*name)
    name = "answer";
  char *out = tm_arena_strndup(a, name, strnlen(name, 64));
  for (char *c = out; c && *c; c++)
    if (!isalnum((unsigned char)*c) && *c != '-')
      *c = '_';
  return out;
}

const char *tm_llm_tool_choice(const tm_llm_question *q, const char **name) {
  const tm_json *choice = tm_json_get(q->request, "tool_choice");
  const char *word = tm_json_str(choice, NULL);
  *name = tm_json_get_str(choice, "name");
  return q->tool_count ? word : (*name = NULL);
}
