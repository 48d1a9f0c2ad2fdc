/* heard.c - what a model has said so far, from one body or piece by piece. */
#include "llm/heard.h"

void tm_heard_init(tm_heard *h, tm_arena *a) {
  *h = (tm_heard){.a = a, .counts = TM_LLM_COUNTS_NONE};
  tm_buf_init(&h->text, TM_HEARD_TEXT);
  tm_buf_init(&h->refusal, TM_HEARD_TEXT);
}

void tm_heard_free(tm_heard *h) {
  for (size_t i = 0; i < h->tool_count; i++)
    tm_buf_free(&h->tools[i].text);
  tm_free(h->tools);
  h->tools = NULL;
  h->tool_count = 0;
  tm_buf_free(&h->text);
  tm_buf_free(&h->refusal);
}

int tm_heard_say(tm_heard *h, tm_buf *to, const tm_json *piece, const char *what, tm_err *err) {
  size_t len;
  const char *text = tm_json_str(piece, &len);
  (void)h;
  if (text)
    tm_buf_put(to, text, len);
  else if (piece && tm_json_type_of(piece) != TM_JSON_NULL)
    return tm_err_set(err, TM_FAILED, "%s is no text", what);
  return 0;
}

int tm_heard_tool_at(tm_heard_tool **out, tm_heard *h, size_t i, tm_err *err) {
  if (i >= TM_HEARD_CALLS)
    return tm_err_set(err, TM_LIMIT, "more than %d tool calls in one answer", TM_HEARD_CALLS);
  if (!h->tools)
    h->tools = tm_new_array(tm_heard_tool, TM_HEARD_CALLS);
  for (; h->tool_count <= i; h->tool_count++)
    tm_buf_init(&h->tools[h->tool_count].text, TM_HEARD_TEXT);
  *out = &h->tools[i];
  return 0;
}

int tm_heard_call(tm_heard *h, const tm_json *id, const tm_json *name, const tm_json *arguments,
                  tm_err *err) {
  tm_heard_tool *tool;
  size_t len;
  const char *text = tm_json_str(arguments, &len);
  if (!tm_json_str(name, NULL))
    return tm_err_set(err, TM_FAILED, "a tool call without a name");
  if (tm_heard_tool_at(&tool, h, h->tool_count, err) < 0)
    return -1;
  tm_heard_keep(h, &tool->id, id);
  tm_heard_keep(h, &tool->name, name);
  tool->opaque = h->opaque;
  h->opaque = NULL;
  if (text)
    tm_buf_put(&tool->text, text, len);
  else if (arguments && tm_json_type_of(arguments) != TM_JSON_NULL)
    tm_json_print(&tool->text, arguments);
  return 0;
}

void tm_heard_opaque(tm_heard *h, const tm_json *value) {
  tm_json *list = h->opaque ? tm_json_copy(h->a, h->opaque) : tm_json_new_array(h->a);
  tm_json_push(h->a, list, tm_json_copy(h->a, value));
  h->opaque = list;
}

void tm_heard_keep(tm_heard *h, const char **to, const tm_json *string) {
  size_t len;
  const char *text = tm_json_str(string, &len);
  if (text && !(*to && strlen(*to) == len && memcmp(*to, text, len) == 0))
    *to = tm_arena_strndup(h->a, text, len);
}

bool tm_heard_failed(const tm_heard *h) {
  bool failed = h->a->failed || h->text.failed || h->refusal.failed;
  for (size_t i = 0; i < h->tool_count; i++)
    failed |= h->tools[i].text.failed;
  return failed;
}
