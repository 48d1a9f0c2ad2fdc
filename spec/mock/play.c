/* play.c - rules, and what the model says.
 *
 * The rules file is an array; the first rule that fits and is not used up answers:
 *
 *   {"match": "text in the body", "path": "text in the path",   both optional
 *    "times": 2,                                                 after that it no longer fits
 *    "share": 30,                                                of 100 requests it takes so many
 *    "answer": "text" | any JSON | ["one", "two", ...],          what the model says; of a list
 *                                                                one each time, then the last
 *    "with": {"model": "x", "usage": {...}},                     members of a plain answer
 *    "tool": {"name": "look_up", "arguments": {}},               the model wants a tool
 *    "fault": "429", "delay_ms": 10, "headers": {"Retry-After": "1"}}
 *
 * A list as the model's own answer is written as a list in a list. Faults (fault.c) also come
 * by the header x-mock-fault or by a base URL that ends in /fault/NAME, and then "2x429" for
 * the first two only.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "mock.h"

int mock_load_rules(mock *m, const char *file, tm_err *err) {
  FILE *f = fopen(file, "rb");
  if (!f)
    return tm_err_set(err, TM_NOTFOUND, "cannot read %s", file);
  tm_buf text = TM_BUF_INIT;
  char chunk[8192];
  for (size_t n; (n = fread(chunk, 1, sizeof chunk, f));)
    tm_buf_put(&text, chunk, n);
  fclose(f);
  tm_json *rules = NULL;
  int rc = tm_json_parse(&rules, &m->arena, tm_buf_str(&text), text.len, NULL, err);
  tm_buf_free(&text);
  if (rc < 0 || tm_json_type_of(rules) != TM_JSON_ARRAY) {
    if (rc == 0)
      tm_err_set(err, TM_USAGE, "not an array of rules");
    return tm_err_wrap(err, "%s", file);
  }
  m->rules = rules;
  m->rule_uses = tm_arena_array(&m->arena, int, tm_json_len(rules) + 1);
  m->rule_fits = tm_arena_array(&m->arena, int, tm_json_len(rules) + 1);
  return 0;
}

/* -- what the model says --------------------------------------------------------------- */

/* The least value that a plain schema takes. */
static tm_json *least(tm_arena *a, const tm_json *schema, const tm_json *root, int depth) {
  const tm_json *options = tm_json_get(schema, "enum"), *fixed = tm_json_get(schema, "const");
  const tm_json *any = tm_json_at(tm_json_get(schema, "anyOf"), 0);
  const tm_json *type = tm_json_get(schema, "type");
  const char *ref = tm_json_get_str(schema, "$ref");
  const char *name = tm_json_str(tm_json_at(type, 0) ? tm_json_at(type, 0) : type, NULL);
  if (depth > 32)
    return tm_json_null(a);
  if (ref && *ref == '#')
    return least(a, tm_json_pointer(root, ref + 1), root, depth + 1);
  if (fixed || options)
    return tm_json_copy(a, fixed ? fixed : tm_json_at(options, 0));
  if (any)
    return least(a, any, root, depth + 1);
  if (!name || strcmp(name, "object") == 0) {
    tm_json *o = tm_json_new_object(a);
    const tm_json *required = tm_json_get(schema, "required");
    for (size_t i = 0; i < tm_json_len(required); i++) {
      const char *key = tm_json_str(tm_json_at(required, i), NULL);
      const tm_json *member = key ? tm_json_get(tm_json_get(schema, "properties"), key) : NULL;
      if (member)
        tm_json_set(a, o, key, least(a, member, root, depth + 1));
    }
    return o;
  }
  if (strcmp(name, "array") == 0) {
    tm_json *list = tm_json_new_array(a);
    for (int64_t n = tm_json_int(tm_json_get(schema, "minItems"), 0); n > 0 && n < 100; n--)
      tm_json_push(a, list, least(a, tm_json_get(schema, "items"), root, depth + 1));
    return list;
  }
  if (strcmp(name, "integer") == 0 || strcmp(name, "number") == 0)
    return tm_json_new_int(a, tm_json_int(tm_json_get(schema, "minimum"), 1));
  if (strcmp(name, "boolean") == 0)
    return tm_json_new_bool(a, true);
  return strcmp(name, "null") == 0 ? tm_json_null(a) : tm_json_new_str(a, "text");
}

/* Without a rule: whatever fits the schema that was sent along, or a sentence. */
static void say_default(tm_buf *out, const tm_json *body) {
  static const char *const places[] = {"/response_format/json_schema/schema",
                                       "/text/format/schema", "/output_config/format/schema",
                                       "/generationConfig/responseJsonSchema", "/format"};
  tm_arena a;
  const tm_json *schema = NULL;
  tm_arena_init(&a, 0);
  for (size_t i = 0; i < sizeof places / sizeof *places && !schema; i++)
    schema = tm_json_pointer(body, places[i]);
  if (schema)
    tm_json_print(out, least(&a, schema, schema, 0));
  else
    tm_buf_puts(out, "This is what the mock says.");
  tm_arena_free(&a);
}

static void put_text(tm_buf *out, const tm_json *v) {
  size_t len;
  const char *text = tm_json_str(v, &len);
  if (text)
    tm_buf_put(out, text, len);
  else
    tm_json_print(out, v);
}

static void say(tm_buf *out, const tm_json *body, const tm_json *answer, int use) {
  if (!answer) {
    say_default(out, body);
    return;
  }
  if (tm_json_type_of(answer) == TM_JSON_ARRAY && tm_json_len(answer)) {
    size_t last = tm_json_len(answer) - 1, i = (size_t)use < last ? (size_t)use : last;
    answer = tm_json_at(answer, i);
  }
  put_text(out, answer);
}

/* -- a server that says the key again -------------------------------------------------- */

/* "echo", or "echo3" for three letters in an event; 0: not this fault. */
static size_t echoes(const char *fault) {
  size_t n = strncmp(fault, "echo", 4) == 0 ? strtoul(fault + 4, NULL, 10) : 0;
  return n ? n : strcmp(fault, "echo") == 0 ? 6 : 0;
}

static size_t piece_of(const char *fault) {
  size_t n = echoes(fault);
  return n ? n : 6;
}

static const char *key_of(const mock_request *r) {
  static const char *const names[] = {"authorization", "x-api-key", "x-goog-api-key"};
  const char *key = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !key; i++)
    key = mock_header(r, names[i]);
  return !key ? "nothing" : strncmp(key, "Bearer ", 7) == 0 ? key + 7 : key;
}

/* In the answer, in headers, or in an error. */
static void echo(const mock_request *r, const char *fault, tm_buf *text, mock_reply *out) {
  const char *key = key_of(r);
  if (!echoes(fault))
    return;
  out->step = 1;
  tm_buf_reset(text);
  tm_buf_printf(text, "Your key is %s, I say %s.", key, key);
  tm_buf_printf(&out->headers, "x-request-id: %s\r\nrequest-id: %s\r\nx-key: %s\r\n", key, key,
                key);
}

static bool echo_error(const mock_request *r, const char *fault, mock_reply *out) {
  const char *key = key_of(r);
  if (strcmp(fault, "echoerror") != 0 && strcmp(fault, "echomoved") != 0)
    return false;
  out->status = strcmp(fault, "echoerror") == 0 ? 401 : 307;
  tm_buf_printf(&out->headers, "Location: http://127.0.0.1:1/%0170d%s\r\n", 0, key);
  tm_buf_printf(&out->body,
                "{\"error\":{\"message\":\"%0170d Bearer %s is no key\",\"type\":\"%s\","
                "\"code\":\"\\u00%02x%s\"}}",
                0, key, key, *key, key + 1);
  return true;
}

/* The sentence in the provider's words. */
static void speak(mock *m, const mock_request *r, const tm_json *body, const tm_buf *text,
                  const tm_json *tool, const char *style, mock_reply *out) {
  mock_dialect dialect = mock_dialect_of(r);
  tm_buf events = TM_BUF_INIT;
  bool streamed = mock_streams(r, body), lines = dialect == MOCK_OLLAMA;
  if (strcmp(style, "otherway") == 0)
    streamed = !streamed;
  mock_speak(&events, r, body, text, tool, streamed, piece_of(style));
  if (streamed)
    mock_frame(&out->body, &events, dialect, style);
  else
    tm_buf_put(&out->body, tm_buf_str(&events), events.len);
  tm_buf_free(&events);
  tm_buf_printf(&out->headers, "Content-Type: %s\r\n%s: req_%lld\r\n",
                !streamed ? "application/json"
                : lines   ? "application/x-ndjson"
                          : "text/event-stream",
                dialect == MOCK_ANTHROPIC ? "request-id" : "x-request-id",
                (long long)++m->models);
}

/* -- rules and faults ------------------------------------------------------------------ */

/* The rule that answers, and how often it has before; NULL: none. */
static const tm_json *rule_for(mock *m, const mock_request *r, int *use) {
  for (size_t i = 0; i < tm_json_len(m->rules); i++) {
    const tm_json *rule = tm_json_at(m->rules, i);
    const char *match = tm_json_get_str(rule, "match"), *path = tm_json_get_str(rule, "path");
    int64_t times = tm_json_int(tm_json_get(rule, "times"), INT64_MAX);
    if ((match && !memmem(r->body, r->body_len, match, strlen(match))) ||
        (path && !strstr(r->path, path)) || m->rule_uses[i] >= times)
      continue;
    int64_t share = tm_json_int(tm_json_get(rule, "share"), 100), n = m->rule_fits[i]++;
    if ((n + 1) * share / 100 == n * share / 100)
      continue;
    *use = m->rule_uses[i]++;
    return rule;
  }
  return NULL;
}

/* A fault by header or path, into `name`; "2x" in front of it is counted down. */
static bool fault_of(mock *m, const mock_request *r, char name[64]) {
  const char *in_path = strstr(r->path, "/fault/"), *text = mock_header(r, "x-mock-fault");
  if (!text && in_path)
    text = in_path + 7;
  if (!text)
    return false;
  size_t len = strcspn(text, "/?");
  snprintf(name, 64, "%.*s", (int)(len < 60 ? len : 60), text);
  char *x = strchr(name, 'x');
  if (!x || x == name || strspn(name, "0123456789") != (size_t)(x - name))
    return true;
  uintptr_t uses = (uintptr_t)tm_map_get(&m->fault_uses, name);
  tm_map_set(&m->fault_uses, name, (void *)(uses + 1));
  bool due = uses < strtoul(name, NULL, 10);
  memmove(name, x + 1, strlen(x));
  return due;
}

static void put_extras(mock_reply *out, const tm_json *rule) {
  const tm_json *headers = tm_json_get(rule, "headers");
  for (size_t i = 0; i < tm_json_len(headers); i++) {
    const tm_json_member *h = tm_json_member_at(headers, i);
    const char *value = tm_json_str(&h->value, NULL);
    tm_buf_printf(&out->headers, "%s: %s\r\n", h->key, value ? value : "");
  }
  out->delay_ms += tm_json_int(tm_json_get(rule, "delay_ms"), 0);
}

/* Members of an answer that is one JSON object, in the place of what stands there. */
static void put_members(tm_buf *out, const tm_json *with) {
  tm_arena a;
  tm_err err;
  tm_json *answer;
  tm_arena_init(&a, 0);
  if (with && tm_json_parse(&answer, &a, tm_buf_str(out), out->len, NULL, &err) == 0) {
    for (size_t i = 0; i < tm_json_len(with); i++)
      tm_json_set(&a, answer, tm_json_member_at(with, i)->key,
                  &tm_json_member_at(with, i)->value);
    tm_buf_reset(out);
    tm_json_print(out, answer);
  }
  tm_arena_free(&a);
}

bool mock_is_model(const mock_request *r) {
  return mock_dialect_of(r) != MOCK_NO_MODEL;
}

static void model(mock *m, const mock_request *r, const tm_json *rule, int use,
                  const char *fault, mock_reply *out) {
  const char *instead = mock_fault_says(fault);
  tm_arena a;
  tm_err err;
  tm_json *body = NULL;
  tm_buf text = TM_BUF_INIT;
  tm_arena_init(&a, 0);
  if (tm_json_parse(&body, &a, r->body, r->body_len, NULL, &err) < 0)
    body = NULL;
  if (instead)
    tm_buf_puts(&text, instead);
  else
    say(&text, body, tm_json_get(rule, "answer"), use);
  echo(r, fault, &text, out);
  speak(m, r, body, &text, tm_json_get(rule, "tool"), fault, out);
  put_members(&out->body, tm_json_get(rule, "with"));
  tm_buf_free(&text);
  tm_arena_free(&a);
}

void mock_answer(mock *m, const mock_request *r, mock_reply *out) {
  char fault[64] = "";
  int use = 0;
  m->requests++;
  bool looks = strncmp(r->path, "/log", 4) == 0 || strncmp(r->path, "/count", 6) == 0;
  if (!looks)
    mock_log(m, r);
  const tm_json *rule = looks ? NULL : rule_for(m, r, &use);
  const char *of_rule = tm_json_get_str(rule, "fault");
  if (!fault_of(m, r, fault))
    snprintf(fault, sizeof fault, "%s", of_rule ? of_rule : "");
  put_extras(out, rule);
  if (*fault && mock_fault_replaces(out, fault, mock_dialect_of(r) == MOCK_OLLAMA))
    return;
  if (*fault && echo_error(r, fault, out))
    return;
  if (mock_is_model(r))
    model(m, r, rule, use, fault, out);
  else
    mock_world(m, r, out);
  mock_fault_spoils(out, fault);
}
