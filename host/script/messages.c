/* messages.c - a conversation that a script hands to the model: checked, and put around what the
 * unit renders.
 *
 *   history     before what the user says last, or where {{history}} stands
 *   messages    behind all that the unit renders
 *
 * The roles are user, model and tool. What a system says stands in the prompt's own file: a
 * conversation is data, and data gives no orders.
 */
#include <string.h>

#include "script/guest.h"

#define MESSAGES_MAX 1000

static int refuse(tm_err *err, const char *what, size_t i, const char *why) {
  return tm_err_set(err, TM_USAGE, "%s[%zu] %s", what, i + 1, why);
}

static bool is_role(const char *role) {
  return role &&
         (strcmp(role, "user") == 0 || strcmp(role, "model") == 0 || strcmp(role, "tool") == 0);
}

static bool is_object(const tm_json *v) {
  return v && tm_json_type_of(v) == TM_JSON_OBJECT;
}

/* A request or a response of a tool has to say which. */
static bool names_tool(const tm_json *v) {
  return is_object(v) && tm_json_get_str(v, "name");
}

static bool is_part(const tm_json *part) {
  return is_object(part) &&
         (tm_json_get_str(part, "text") || is_object(tm_json_get(part, "media")) ||
          names_tool(tm_json_get(part, "toolRequest")) ||
          names_tool(tm_json_get(part, "toolResponse")));
}

static int check_message(const tm_json *message, const char *what, size_t i, tm_err *err) {
  const tm_json *content = tm_json_get(message, "content");
  if (!is_object(message))
    return refuse(err, what, i, "must be {role = …, content = { {text = …}, … }}");
  if (!is_role(tm_json_get_str(message, "role")))
    return refuse(err, what, i,
                  "needs the role \"user\", \"model\" or \"tool\"; what the system says "
                  "stands in the prompt's file");
  if (!content || tm_json_type_of(content) != TM_JSON_ARRAY || !tm_json_len(content))
    return refuse(err, what, i, "needs content = { {text = …}, … }");
  for (size_t k = 0; k < tm_json_len(content); k++)
    if (!is_part(tm_json_at(content, k)))
      return refuse(err, what, i,
                    "has a part that is none; a part is {text}, {media}, {toolRequest} or "
                    "{toolResponse}");
  return 0;
}

int tm_messages_check(const tm_json *list, const char *what, tm_err *err) {
  bool empty = is_object(list) && !tm_json_len(list); /* {} in Lua may be either */
  if (!list || empty)
    return 0;
  if (tm_json_type_of(list) != TM_JSON_ARRAY || tm_json_len(list) > MESSAGES_MAX)
    return tm_err_set(err, TM_USAGE, "%s must be a list of at most %d messages", what,
                      MESSAGES_MAX);
  for (size_t i = 0; i < tm_json_len(list); i++)
    if (check_message(tm_json_at(list, i), what, i, err) < 0)
      return -1;
  return 0;
}

void tm_messages_append(tm_arena *a, tm_json *to, const tm_json *list) {
  for (size_t i = 0; i < tm_json_len(list) && tm_json_type_of(list) == TM_JSON_ARRAY; i++)
    tm_json_push(a, to, tm_json_at(list, i));
}
