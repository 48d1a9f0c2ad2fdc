/* llm.c - the providers there are, and what would be asked of them. */
#include "llm/llm.h"

#include <stdio.h>
#include <string.h>

#include "llm/ask.h"
#include "llm/attempt.h"

/* The table of providers: a new one is a row here. */
static const tm_provider *const built_in[] = {
    &tm_openai, &tm_openai_chat, &tm_openai_responses, &tm_anthropic, &tm_gemini, &tm_ollama};
#define BUILT_IN (sizeof built_in / sizeof *built_in)

const char *tm_llm_class_word(tm_llm_class c) {
  static const char *const words[] = {[TM_LLM_NONE] = "none",
#define X(name, word) [TM_LLM_##name] = word,
                                      TM_LLM_CLASSES(X)
#undef X
  };
  return words[c];
}

/* Who can read what a cassette holds. */
static const tm_provider *reader(void *ctx, const char *api) {
  (void)ctx;
  for (size_t i = 0; i < BUILT_IN; i++)
    if (strcmp(built_in[i]->name, api) == 0)
      return built_in[i];
  return NULL;
}

int tm_llm_open(tm_llm **out, tm_loop *loop, tm_http *http, tm_llm_env env, void *env_ctx,
                tm_err *err) {
  (void)err;
  tm_llm *l = tm_new(tm_llm);
  l->loop = loop;
  l->http = http;
  l->settings = (tm_llm_settings){env, env_ctx};
  l->cassette = tm_cassette_new(reader, NULL);
  tm_list_init(&l->asks);
  tm_arena_init(&l->work, TM_LLM_WORK_MAX);
  tm_arena_init(&l->told, 0);
  tm_lanes_open(&l->lanes, loop);
  unsigned char seed[32];
  tm_id_random(seed, sizeof seed);
  tm_dice_seed(&l->dice, seed, sizeof seed);
  *out = l;
  return 0;
}

void tm_llm_close(tm_llm **llm) {
  tm_llm *l = *llm;
  *llm = NULL;
  if (!l)
    return;
  tm_llm_cancel_all(l);
  tm_lanes_close(&l->lanes);
  for (size_t i = 0; i < l->function_count; i++)
    tm_free(l->functions[i]);
  tm_free(l->functions);
  tm_cassette_free(&l->cassette);
  tm_recorder_close(&l->recorder);
  tm_prices_free(&l->prices);
  tm_models_free(&l->models);
  tm_shapes_free(&l->shapes);
  tm_arena_free(&l->work);
  tm_arena_free(&l->told);
  tm_free(l);
}

/* -- who there is ---------------------------------------------------------------------- */

void tm_llm_register(tm_llm *l, const char *name, tm_llm_fn fn, void *ctx) {
  tm_provider *p = tm_function_new(name, fn, ctx);
  for (size_t i = 0; i < l->function_count; i++) {
    if (strcmp(l->functions[i]->name, name) == 0) {
      tm_free(l->functions[i]);
      l->functions[i] = p;
      return;
    }
  }
  l->functions = tm_realloc(l->functions, (l->function_count + 1) * sizeof(tm_provider *));
  l->functions[l->function_count++] = p;
}

const tm_provider *tm_llm_provider_at(const tm_llm *l, size_t i) {
  if (i < l->function_count)
    return l->functions[i];
  i -= l->function_count;
  return i < BUILT_IN ? built_in[i] : i == BUILT_IN ? l->cassette : NULL;
}

const tm_provider *tm_llm_provider(const tm_llm *l, const char *name, size_t len) {
  const tm_provider *p;
  for (size_t i = 0; (p = tm_llm_provider_at(l, i)); i++)
    if (strlen(p->name) == len && memcmp(p->name, name, len) == 0)
      return p->elsewhere && !tm_llm_own_base(p, &l->settings) ? p->elsewhere : p;
  return NULL;
}

static int unknown(const tm_llm *l, const char *model, size_t name, tm_err *err) {
  tm_buf known = TM_BUF_INIT;
  const tm_provider *p;
  for (size_t i = 0; (p = tm_llm_provider_at(l, i)); i++)
    tm_buf_printf(&known, "%s%s", i ? ", " : "", p->name);
  tm_err_set(
      err, TM_CONFIG,
      "no provider is called \"%.*s\" (in the model \"%.100s\"); there are: %s. Any server "
      "that speaks OpenAI's API is openai/MODEL with OPENAI_BASE_URL",
      (int)(name < 60 ? name : 60), model, model, tm_buf_str(&known));
  tm_buf_free(&known);
  return -1;
}

const tm_provider *tm_llm_question_of(tm_llm_question *q, tm_arena *a, const tm_llm *l,
                                      const tm_json *request, const char *model, tm_err *err) {
  const char *slash = model ? strchr(model, '/') : NULL;
  if (!slash || slash == model || !slash[1]) {
    tm_err_set(err, TM_USAGE,
               "the model \"%.100s\" must be written as PROVIDER/MODEL, for example "
               "openai/gpt-4.1-mini or scripted/demo",
               model ? model : "");
    return NULL;
  }
  const tm_provider *p = tm_llm_provider(l, model, (size_t)(slash - model));
  if (!p) {
    unknown(l, model, (size_t)(slash - model), err);
    return NULL;
  }
  *q = (tm_llm_question){.provider = p->name,
                         .model = tm_arena_strdup(a, slash + 1),
                         .request = request,
                         .config = tm_json_get(request, "config"),
                         .messages = tm_json_get(request, "messages"),
                         .rules = tm_models_flags(&l->models, p->name, slash + 1)};
  if (!q->model)
    tm_err_set(err, TM_LIMIT, "the question is too large");
  bool sound = q->model && tm_llm_check_roles(q->messages, err) == 0 &&
               tm_llm_check_media(q->messages, l->guard, err) == 0;
  return sound ? p : NULL;
}

bool tm_llm_streams(const tm_json *request, const tm_json *config) {
  return tm_json_bool(tm_json_get(request, "stream"), false) ||
         tm_json_int(tm_json_get(config, "maxOutputTokens"), 0) > TM_LLM_STREAM_ABOVE;
}

/* -- tools ----------------------------------------------------------------------------- */

static bool is_tool_name(const char *name) {
  size_t len = name ? strlen(name) : 0;
  return len && len <= 64 &&
         strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                      "0123456789_-") == len;
}

static int tool_get(tm_llm_tool *out, tm_llm *l, tm_arena *a, const tm_json *tool,
                    tm_err *err) {
  const tm_json *schema = tm_json_get(tool, "schema");
  tm_json *nothing = tm_json_new_object(a);
  tm_json_set_str(a, nothing, "type", "object");
  *out = (tm_llm_tool){.name = tm_json_get_str(tool, "name"),
                       .description = tm_json_get_str(tool, "description")};
  if (!is_tool_name(out->name))
    return tm_err_set(
        err, TM_USAGE,
        "a tool needs a name of at most 64 letters, digits, - and _, not \"%.80s\"",
        out->name ? out->name : "");
  if (tm_shape_get(&out->shape, &l->shapes, schema ? schema : nothing, err) < 0)
    return tm_err_wrap(err, "the schema of the tool %s", out->name);
  const char *type = tm_json_get_str(out->shape->doc, "type");
  if (type && strcmp(type, "object") == 0)
    return 0;
  tm_shape_drop(&out->shape);
  return tm_err_set(err, TM_USAGE, "the schema of the tool %s must be of type object",
                    out->name);
}

int tm_llm_tools_get(tm_llm_tool **out, size_t *count, tm_arena *a, tm_llm *l,
                     const tm_json *request, tm_err *err) {
  const tm_json *tools = tm_json_get(request, "tools");
  size_t n = tm_json_len(tools);
  *count = 0;
  *out = NULL;
  if (!n)
    return 0;
  if (n > TM_LLM_TOOLS)
    return tm_err_set(err, TM_USAGE, "at most %d tools can be given to a model", TM_LLM_TOOLS);
  *out = tm_arena_array(a, tm_llm_tool, n);
  for (size_t i = 0; *out && i < n; i++, (*count)++)
    if (tool_get(&(*out)[i], l, a, tm_json_at(tools, i), err) < 0)
      return -1;
  return *out ? 0 : tm_err_set(err, TM_LIMIT, "the question is too large");
}

void tm_llm_tools_drop(tm_llm_tool *tools, size_t count) {
  for (size_t i = 0; i < count; i++)
    tm_shape_drop(&tools[i].shape);
}

/* -- files, prices and capabilities ------------------------------------------------------------------ */

int tm_llm_set_prices(tm_llm *l, const tm_json *table, tm_err *err) {
  return tm_prices_add(&l->prices, table, err);
}

void tm_llm_set_guard(tm_llm *l, const tm_guard *guard) {
  l->guard = guard;
}

int tm_llm_set_models(tm_llm *l, const tm_json *table, tm_err *err) {
  return tm_models_add(&l->models, table, err);
}

int tm_llm_record(tm_llm *l, const char *path, tm_err *err) {
  tm_recorder_close(&l->recorder);
  return path ? tm_recorder_open(&l->recorder, path, err) : 0;
}

/* -- limits ---------------------------------------------------------------------------- */

/* The part of a limit's name that has to be a provider's. */
static int check_names(const tm_llm *l, tm_err *err) {
  for (size_t i = 0; i < l->lanes.limits.count; i++) {
    const char *name = l->lanes.limits.all[i].name;
    size_t len = strcspn(name, "/");
    if (!tm_llm_provider(l, name, len)) {
      unknown(l, name, len, err);
      return tm_err_wrap(err, "limits");
    }
  }
  return 0;
}

int tm_llm_restrain(tm_llm *l, const tm_json *limits, const tm_llm_cells *cells,
                    const tm_clock *clock, tm_err *err) {
  if (tm_lanes_restrain(&l->lanes, limits, cells, clock, err) < 0)
    return -1;
  return check_names(l, err);
}

int tm_llm_check_limits(const tm_json *limits, tm_err *err) {
  tm_limits read;
  tm_arena a;
  tm_arena_init(&a, 0);
  int rc = tm_limits_read(&read, &a, limits, err);
  tm_arena_free(&a);
  return rc;
}

tm_json *tm_llm_restraint(tm_llm *l, tm_arena *a) {
  return tm_lanes_describe(&l->lanes, a);
}

/* -- what would be asked --------------------------------------------------------------- */

/* Nothing is sent, so no key is needed: where there is none, another text stands in for it. */
typedef struct stand_in {
  const tm_llm_settings *real;
  const char *key_env;
} stand_in;

static const char *some_key(void *ctx, const char *name) {
  const stand_in *s = ctx;
  const char *text = tm_llm_setting(s->real, name);
  return text || !s->key_env || strcmp(name, s->key_env) != 0 ? text : "no-key-is-set";
}

static int build(tm_llm_wire *wire, tm_arena *a, const tm_llm *l, const tm_provider *p,
                 const tm_llm_question *q, bool keyless, tm_err *err) {
  stand_in key = {&l->settings, p->key_env};
  const tm_llm_settings settings = {.env = some_key, .ctx = &key};
  int rc = p->build(wire, a, q, &l->settings, err);
  if (rc == 0 || !keyless || err->code != TM_CONFIG)
    return rc;
  tm_err_clear(err);
  return p->build(wire, a, q, &settings, err);
}

static int show(tm_json **out, tm_arena *a, const tm_llm *l, const tm_provider *p,
                const tm_llm_question *q, bool keyless, tm_err *err) {
  tm_llm_wire wire;
  if (build(&wire, a, l, p, q, keyless, err) < 0)
    return -1;
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "method", wire.method);
  tm_json_set_str(a, o, "url", wire.url);
  tm_json_set(a, o, "headers", tm_attempt_headers(a, &wire));
  tm_json_set(a, o, "body", tm_attempt_bytes(a, wire.body, wire.body_len, wire.secret));
  *out = o;
  return o ? 0 : tm_err_set(err, TM_LIMIT, "the request is too large to be shown");
}

/* The first step of the ladder, without asking anybody. */
static const tm_provider *first_question(tm_llm_question *q, tm_arena *a, const tm_llm *l,
                                         const tm_json *request, tm_err *err) {
  tm_ladder ladder;
  if (tm_ladder_open(&ladder, request, err) < 0)
    return NULL;
  const tm_provider *p =
      tm_llm_question_of(q, a, l, request, tm_ladder_model(&ladder, request), err);
  if (!p)
    return NULL;
  q->config = tm_ladder_config(&ladder, a, request);
  q->stream = !p->call && tm_llm_streams(request, q->config);
  return p;
}

static int preview(tm_json **out, tm_arena *a, tm_llm *l, const tm_json *request, bool keyless,
                   tm_err *err) {
  tm_llm_question q;
  const tm_provider *p = first_question(&q, a, l, request, err);
  const tm_json *schema = tm_json_get(request, "schema");
  const char *mode = tm_json_get_str(request, "mode");
  bool prose = !schema || tm_json_type_of(schema) == TM_JSON_NULL ||
               (mode && strcmp(mode, "reason_then_extract") == 0);
  if (!p || (!prose && tm_shape_get(&q.shape, &l->shapes, schema, err) < 0))
    return -1;
  tm_llm_tool *tools;
  int rc = tm_llm_tools_get(&tools, &q.tool_count, a, l, request, err);
  q.tools = tools;
  if (rc == 0)
    rc = show(out, a, l, p, &q, keyless, err);
  tm_llm_tools_drop(tools, q.tool_count);
  tm_shape_drop(&q.shape);
  return rc;
}

int tm_llm_preview(tm_json **out, tm_arena *a, tm_llm *l, const tm_json *request, tm_err *err) {
  return preview(out, a, l, request, false, err);
}

int tm_llm_sketch(tm_json **out, tm_arena *a, tm_llm *l, const tm_json *request, tm_err *err) {
  return preview(out, a, l, request, true, err);
}

/* A request with every common setting in it, for this model. */
static tm_json *full_request(tm_arena *a, const char *model, tm_err *err) {
  static const char text[] =
      "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"?\"}]}],"
      "\"config\":{\"temperature\":0.5,\"topP\":0.5,\"topK\":5,\"maxOutputTokens\":1000,"
      "\"stopSequences\":[\"x\"],\"seed\":1,\"frequencyPenalty\":0.5,\"presencePenalty\":0.5},"
      "\"tools\":[{\"name\":\"t\"}],\"tool_choice\":\"required\"}";
  tm_json *request;
  if (tm_json_parse(&request, a, text, sizeof text - 1, NULL, err) < 0)
    return NULL;
  tm_json_set_str(a, request, "model", model);
  return request;
}

int tm_llm_drops(tm_json **out, tm_arena *a, tm_llm *l, const char *model, tm_err *err) {
  const tm_json *request = full_request(a, model, err);
  tm_llm_question q;
  tm_llm_wire wire;
  tm_llm_tool *tools;
  const tm_provider *p = request ? tm_llm_question_of(&q, a, l, request, model, err) : NULL;
  if (!p)
    return -1;
  int rc = tm_llm_tools_get(&tools, &q.tool_count, a, l, request, err);
  q.tools = tools;
  if (rc == 0)
    rc = build(&wire, a, l, p, &q, true, err);
  if (rc == 0)
    *out = wire.dropped ? tm_json_copy(a, wire.dropped) : tm_json_new_array(a);
  tm_llm_tools_drop(tools, q.tool_count);
  return rc;
}

const tm_json *tm_llm_price(const tm_llm *l, const char *model) {
  const char *slash = strchr(model, '/');
  char provider[64];
  if (!slash || (size_t)(slash - model) >= sizeof provider)
    return NULL;
  snprintf(provider, sizeof provider, "%.*s", (int)(slash - model), model);
  return tm_prices_of(&l->prices, provider, slash + 1);
}

/* "sk-...cdef": enough to tell two keys apart, and only of a long one. */
static const char *hint(tm_arena *a, const char *key) {
  size_t len = strlen(key);
  return len < 20 ? "***" : tm_arena_printf(a, "%.3s...%s", key, key + len - 4);
}

/* A base URL as it may be shown: without a password, and without the values of a query. */
static const char *shown_url(tm_arena *a, const char *url) {
  const char *host = url ? strstr(url, "://") : NULL;
  if (!host)
    return url;
  host += 3;
  size_t rest = strcspn(host, "/?#"), query = strcspn(host, "?#");
  const char *at = memrchr(host, '@', rest);
  return tm_arena_printf(a, "%.*s%s%.*s%s", (int)(host - url), url, at ? "***@" : "",
                         (int)(host + query - (at ? at + 1 : host)), at ? at + 1 : host,
                         host[query] ? "?***" : "");
}

static tm_json *describe(tm_arena *a, const tm_llm *l, const tm_provider *p) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "provider", p->name);
  if (p->call) {
    tm_json_set_bool(a, o, "in_process", true);
    tm_json_set_bool(a, o, "ready", true);
    return o;
  }
  const char *key = tm_llm_setting(&l->settings, p->key_env);
  if (!key)
    key = tm_llm_setting(&l->settings, p->other_key_env);
  tm_json_set_str(a, o, "key_env", p->key_env);
  tm_json_set(a, o, "key", key ? tm_json_new_str(a, hint(a, key)) : tm_json_null(a));
  tm_json_set_str(a, o, "base_env", p->base_env);
  tm_json_set_str(a, o, "base_url", shown_url(a, tm_llm_url(a, p, &l->settings, "")));
  tm_json_set_bool(a, o, "in_process", false);
  tm_json_set_bool(a, o, "streams", p->event != NULL);
  tm_json_set_bool(a, o, "embeds", p->vectors != NULL);
  tm_json_set_bool(a, o, "ready", key || p->keyless || !tm_llm_own_base(p, &l->settings));
  return o;
}

tm_json *tm_llm_describe(tm_llm *l, tm_arena *a) {
  tm_json *list = tm_json_new_array(a);
  const tm_provider *p;
  for (size_t i = 0; (p = tm_llm_provider_at(l, i)); i++)
    tm_json_push(a, list, describe(a, l, p));
  return list;
}
