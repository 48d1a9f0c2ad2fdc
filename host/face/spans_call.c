/* spans_call.c - what the records of a call say, as attributes of its span. */
#include "face/spans_call.h"

#include <stdlib.h>
#include <string.h>

static bool is(const char *s, const char *word) {
  return s && strcmp(s, word) == 0;
}

static bool is_of_a_model(const tm_spans_call *c) {
  return is(c->kind, "llm") || is(c->kind, "embed");
}

/* -- what records say ------------------------------------------------------------------ */

static void keep(tm_spans_call *c, const char **field, const char *s) {
  if (s && *s && !*field)
    *field = tm_arena_strdup(&c->arena, s);
}

static void see_request(tm_spans_call *c, const tm_json *q, bool content) {
  const tm_json *blast = tm_json_get(q, "blast");
  keep(c, &c->model, tm_json_get_str(q, "model"));
  keep(c, &c->prompt, tm_json_get_str(q, "prompt"));
  c->irreversible = c->irreversible || tm_json_bool(tm_json_get(q, "irreversible"), false);
  if (blast) {
    c->has_blast = true;
    c->blast = tm_json_number(blast, 0);
  }
  if (content && q && !c->request)
    c->request = tm_json_copy(&c->arena, q);
}

void tm_spans_call_see(tm_spans_call *c, const tm_record *r, const tm_json *body,
                       bool content) {
  keep(c, &c->name, r->name);
  if (r->kind == TM_RECORD_DECIDED) {
    c->gate = NULL;
    keep(c, &c->gate, tm_json_get_str(body, "state"));
    return;
  }
  if (r->kind == TM_RECORD_ATTEMPT)
    return; /* its kind may be a verb's, or the vector's of a question that is looked up */
  keep(c, &c->kind, tm_json_get_str(body, "k"));
  keep(c, &c->step, tm_json_get_str(body, "s"));
  keep(c, &c->where, tm_json_get_str(body, "w"));
  keep(c, &c->child, tm_json_get_str(body, "child"));
  if (is(c->kind, "start") && r->kind == TM_RECORD_DONE)
    keep(c, &c->child, tm_json_get_str(body, "v"));
  see_request(c, tm_json_get(body, "q"), content);
}

void tm_spans_call_event(tm_spans_call *c, int64_t at, const char *name,
                         const tm_json *attributes) {
  if (!c->events)
    c->events = tm_json_new_array(&c->arena);
  if (tm_json_len(c->events) < TM_OTLP_EVENTS)
    tm_otlp_put_event(&c->arena, c->events, at, name,
                      attributes ? tm_json_copy(&c->arena, attributes) : NULL);
  else
    c->dropped++;
}

/* -- names ----------------------------------------------------------------------------- */

/* "openai" of "openai/gpt-6", as the conventions call it. */
static const char *provider_name(tm_arena *a, const char *model) {
  static const char *const known[][2] = {
      {"openai-chat", "openai"}, {"openai-responses", "openai"}, {"gemini", "gcp.gemini"}};
  const char *slash = model ? strchr(model, '/') : NULL;
  char *name = slash ? tm_arena_strndup(a, model, (size_t)(slash - model)) : NULL;
  for (size_t i = 0; name && i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i][0], name) == 0)
      return known[i][1];
  return name;
}

static const char *bare_model(const char *model) {
  const char *slash = model ? strchr(model, '/') : NULL;
  return slash ? slash + 1 : model;
}

static const char *asked_model(const tm_spans_call *c, const tm_json *meta) {
  const char *last = tm_json_get_str(meta, "model");
  return last ? last : c->model;
}

const char *tm_spans_call_title(const tm_spans_call *c, tm_arena *a, const tm_json *meta) {
  /* A lock's name is its key and a sleep's its length: one of so many is no name for a span. */
  const char *kind = c->kind ? c->kind : "call", *name = c->name ? c->name : "";
  if (is_of_a_model(c)) {
    const char *model = bare_model(asked_model(c, meta));
    kind = is(kind, "llm") ? "chat" : "embeddings";
    name = model ? model : "";
  } else if (is(kind, "lock") || is(kind, "sleep")) {
    name = "";
  }
  return *name ? tm_arena_printf(a, "%s %s", kind, name) : kind;
}

tm_otlp_kind tm_spans_call_kind(const tm_spans_call *c) {
  return is_of_a_model(c) ? TM_OTLP_CLIENT : TM_OTLP_INTERNAL;
}

const char *tm_spans_error_type(const tm_json *error) {
  static const char *const members[] = {"class", "kind", "code"};
  for (size_t i = 0; error && i < sizeof members / sizeof *members; i++)
    if (tm_json_get_str(error, members[i]))
      return tm_json_get_str(error, members[i]);
  return error ? "_OTHER" : NULL;
}

const char *tm_spans_error_message(const tm_json *error, bool content) {
  return content ? tm_json_get_str(error, "message") : NULL;
}

/* -- a model's call -------------------------------------------------------------------- */

static void put_usage(tm_arena *a, tm_json *out, const tm_json *usage, const char *prefix) {
  static const char *const names[][2] = {{"input", "input_tokens"},
                                         {"output", "output_tokens"},
                                         {"cached_input", "cache_read.input_tokens"},
                                         {"cache_write", "cache_write.input_tokens"},
                                         {"reasoning", "reasoning.output_tokens"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    int64_t n = tm_json_int(tm_json_get(usage, names[i][0]), -1);
    if (n >= 0)
      tm_otlp_put_int(a, out, tm_arena_printf(a, "%s%s", prefix, names[i][1]), n);
  }
}

static void put_usd(tm_arena *a, tm_json *out, const char *key, const tm_json *usd) {
  if (tm_json_number(usd, -1) >= 0)
    tm_otlp_put_double(a, out, key, tm_json_number(usd, 0));
}

/* The answer as the conventions write messages. */
static void put_answer(tm_arena *a, tm_json *out, const tm_json *value, const tm_json *meta) {
  tm_json *message = tm_json_new_object(a), *part = tm_json_new_object(a);
  tm_json *parts = tm_json_new_array(a), *list = tm_json_new_array(a);
  const tm_json *text =
      tm_json_str(value, NULL) ? value : tm_json_new_str(a, tm_json_text(a, value, NULL));
  tm_json_set_str(a, part, "type", "text");
  tm_json_set(a, part, "content", text);
  tm_json_push(a, parts, part);
  tm_json_set_str(a, message, "role", "assistant");
  tm_json_set(a, message, "parts", parts);
  tm_json_set_str(a, message, "finish_reason", tm_json_get_str(meta, "finish"));
  tm_json_push(a, list, message);
  tm_otlp_put_value(a, out, "gen_ai.output.messages", list);
}

static void put_variables(tm_arena *a, tm_json *out, const tm_json *vars) {
  for (size_t i = 0; i < tm_json_len(vars); i++) {
    const tm_json_member *m = tm_json_member_at(vars, i);
    if (m)
      tm_otlp_put_value(a, out, tm_arena_printf(a, "gen_ai.prompt.variable.%s", m->key),
                        &m->value);
  }
}

static void put_cached(tm_arena *a, tm_json *out, const tm_json *cached) {
  tm_otlp_put_text(a, out, "tidemill.reuse.hit", tm_json_get_str(cached, "hit"));
  tm_otlp_put_text(a, out, "tidemill.reuse.run.id", tm_json_get_str(cached, "run"));
}

static void put_model(const tm_spans_call *c, tm_arena *a, tm_json *out, const tm_json *end) {
  const tm_json *meta = tm_json_get(end, "m"), *value = tm_json_get(end, "v");
  const char *model = asked_model(c, meta);
  bool chat = is(c->kind, "llm");
  tm_otlp_put_text(a, out, "gen_ai.operation.name", chat ? "chat" : "embeddings");
  tm_otlp_put_text(a, out, "gen_ai.provider.name", provider_name(a, model));
  tm_otlp_put_text(a, out, "gen_ai.request.model", bare_model(model));
  tm_otlp_put_text(a, out, "gen_ai.response.model", tm_json_get_str(meta, "model_answered"));
  tm_otlp_put_one(a, out, "gen_ai.response.finish_reasons", tm_json_get_str(meta, "finish"));
  if (chat) {
    tm_otlp_put_text(a, out, "gen_ai.prompt.name", c->name);
    if (c->prompt)
      tm_otlp_put_text(a, out, "gen_ai.prompt.version", tm_arena_printf(a, "%.8s", c->prompt));
    if (value && tm_json_type_of(value) != TM_JSON_STRING)
      tm_otlp_put_text(a, out, "gen_ai.output.type", "json");
  }
  if (tm_json_get(meta, "cached")) { /* what it cost was another call's */
    put_cached(a, out, tm_json_get(meta, "cached"));
    return;
  }
  put_usage(a, out, tm_json_get(meta, "usage"), "gen_ai.usage.");
  put_usd(a, out, "tidemill.cost.usd", tm_json_get(meta, "usd"));
  if (tm_json_get(meta, "attempts"))
    tm_otlp_put_int(a, out, "tidemill.attempts", tm_json_int(tm_json_get(meta, "attempts"), 0));
}

/* -- any call -------------------------------------------------------------------------- */

static void put_where(tm_arena *a, tm_json *out, const char *where) {
  const char *colon = where ? strrchr(where, ':') : NULL;
  if (!colon)
    return;
  tm_otlp_put_text(a, out, "code.file.path",
                   tm_arena_strndup(a, where, (size_t)(colon - where)));
  tm_otlp_put_int(a, out, "code.line.number", strtoll(colon + 1, NULL, 10));
}

static void put_contents(const tm_spans_call *c, tm_arena *a, tm_json *out,
                         const tm_json *end) {
  const tm_json *value = tm_json_get(end, "v");
  if (is(c->kind, "llm")) {
    put_variables(a, out, tm_json_get(c->request, "vars"));
    if (value)
      put_answer(a, out, value, tm_json_get(end, "m"));
    return;
  }
  if (is(c->kind, "lock"))
    tm_otlp_put_text(a, out, "tidemill.lock.key", c->name);
  tm_otlp_put_value(a, out, "tidemill.request", c->request);
  if (!is(c->kind, "embed"))
    tm_otlp_put_value(a, out, "tidemill.result", value);
}

tm_json *tm_spans_call_attributes(const tm_spans_call *c, tm_arena *a, const char *run,
                                  const tm_json *end, bool content) {
  tm_json *out = tm_json_new_array(a);
  tm_otlp_put_text(a, out, "tidemill.run.id", run);
  tm_otlp_put_text(a, out, "tidemill.call.kind", c->kind);
  if (!is(c->kind, "lock") && !is(c->kind, "sleep"))
    tm_otlp_put_text(a, out, "tidemill.call.name", c->name);
  tm_otlp_put_text(a, out, "tidemill.call.place", c->place);
  tm_otlp_put_int(a, out, "tidemill.call.seq", c->seq);
  tm_otlp_put_text(a, out, "tidemill.step.name", c->step);
  put_where(a, out, c->where);
  if (is_of_a_model(c))
    put_model(c, a, out, end);
  tm_otlp_put_text(a, out, "tidemill.child.run.id", c->child);
  tm_otlp_put_text(a, out, "tidemill.gate.state", c->gate);
  if (c->irreversible)
    tm_otlp_put_bool(a, out, "tidemill.action.irreversible", true);
  if (c->has_blast)
    tm_otlp_put_double(a, out, "tidemill.action.blast", c->blast);
  if (!end && !is(c->kind, "continue"))
    tm_otlp_put_bool(a, out, "tidemill.abandoned", true);
  tm_otlp_put_text(a, out, "error.type", tm_spans_error_type(tm_json_get(end, "e")));
  if (content)
    put_contents(c, a, out, end);
  return out;
}

/* -- attempts -------------------------------------------------------------------------- */

/* The host and port of a URL; what stands before an @ or behind a ? may be a secret. */
static void put_server(tm_arena *a, tm_json *out, const char *url) {
  const char *host = url ? strstr(url, "://") : NULL;
  if (!host)
    return;
  host += 3;
  size_t len = strcspn(host, "/?#");
  const char *at = memchr(host, '@', len);
  if (at) {
    len -= (size_t)(at + 1 - host);
    host = at + 1;
  }
  size_t name = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
  if (name > len)
    name = len;
  tm_otlp_put_text(a, out, "server.address", tm_arena_strndup(a, host, name));
  if (name < len && host[name] == ':')
    tm_otlp_put_int(a, out, "server.port", strtoll(host + name + 1, NULL, 10));
}

static void put_http(tm_arena *a, tm_json *out, const char *method, const char *url,
                     const tm_json *status) {
  if (!url || strncmp(url, "http", 4) != 0)
    return; /* a model in this process */
  tm_otlp_put_text(a, out, "http.request.method", method);
  put_server(a, out, url);
  if (tm_json_int(status, 0) > 0)
    tm_otlp_put_int(a, out, "http.response.status_code", tm_json_int(status, 0));
}

tm_json *tm_spans_attempt_attributes(tm_arena *a, const char *run, const tm_json *attempt,
                                     bool content) {
  static const char *const numbers[][2] = {{"n", "tidemill.attempt"},
                                           {"round", "tidemill.attempt.round"},
                                           {"rung", "tidemill.attempt.rung"},
                                           {"retry_in_ms", "tidemill.attempt.retry_in_ms"}};
  tm_json *out = tm_json_new_array(a);
  tm_otlp_put_text(a, out, "tidemill.run.id", run);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (tm_json_get(attempt, numbers[i][0]))
      tm_otlp_put_int(a, out, numbers[i][1],
                      tm_json_int(tm_json_get(attempt, numbers[i][0]), 0));
  tm_otlp_put_text(a, out, "tidemill.attempt.phase", tm_json_get_str(attempt, "phase"));
  tm_otlp_put_text(a, out, "tidemill.attempt.provider", tm_json_get_str(attempt, "provider"));
  tm_otlp_put_text(a, out, "tidemill.attempt.model", tm_json_get_str(attempt, "model"));
  put_http(a, out, tm_json_get_str(attempt, "method"), tm_json_get_str(attempt, "url"),
           tm_json_get(attempt, "status"));
  put_usage(a, out, tm_json_get(attempt, "usage"), "tidemill.attempt.");
  put_usd(a, out, "tidemill.attempt.cost.usd", tm_json_get(attempt, "usd"));
  tm_otlp_put_text(a, out, "error.type", tm_spans_error_type(tm_json_get(attempt, "error")));
  if (content) {
    tm_otlp_put_value(a, out, "tidemill.attempt.request", tm_json_get(attempt, "request"));
    tm_otlp_put_value(a, out, "tidemill.attempt.response", tm_json_get(attempt, "response"));
  }
  return out;
}

tm_json *tm_spans_verb_attributes(tm_arena *a, const char *kind, const tm_json *verb,
                                  bool content) {
  tm_json *out = tm_json_new_array(a);
  const tm_json *request = tm_json_get(verb, "request"),
                *answer = tm_json_get(verb, "response");
  if (is(kind, "http"))
    put_http(a, out, tm_json_get_str(request, "method"), tm_json_get_str(request, "url"),
             tm_json_get(answer, "status"));
  if (is(kind, "exec") && tm_json_get(answer, "code"))
    tm_otlp_put_int(a, out, "process.exit.code", tm_json_int(tm_json_get(answer, "code"), 0));
  if (is(kind, "file"))
    tm_otlp_put_text(a, out, "tidemill.file.op", tm_json_get_str(request, "op"));
  tm_otlp_put_text(a, out, "error.type", tm_spans_error_type(tm_json_get(verb, "error")));
  if (content) {
    tm_otlp_put_value(a, out, "tidemill.request", request);
    tm_otlp_put_value(a, out, "tidemill.result", answer);
  }
  return out;
}
