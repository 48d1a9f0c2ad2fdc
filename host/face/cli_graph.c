/* cli_graph.c - `graph`: a workflow as a drawing, which lua/tidemill/graph.lua makes of its sources.
 */
#include <string.h>

#include "face/cli.h"
#include "face/kit.h"

int tm_cli_graph(tm_cli *c) {
  tm_json *request = tm_json_new_object(&c->arena);
  const tm_json *answer = NULL;
  tm_json_set_str(&c->arena, request, "workflow", c->args[0]);
  tm_json_set_bool(&c->arena, request, "json", tm_cli_has(c, TM_FLAG_JSON));
  if (tm_cli_has(c, TM_FLAG_FORMAT))
    tm_json_set_str(&c->arena, request, "format", c->value[TM_FLAG_FORMAT]);
  int code = tm_kit_ask(&answer, c, "tidemill.graph", request);
  if (code)
    return code;
  const char *message = tm_json_get_str(answer, "message");
  const char *text = tm_json_get_str(answer, "text");
  if (message)
    return tm_cli_fail(c, (int)tm_json_int(tm_json_get(answer, "code"), 70), "%s", message);
  if (text)
    tm_cli_print_text(c, text, strlen(text));
  else
    tm_cli_print_value(c, tm_json_get(answer, "document"), false);
  return 0;
}
