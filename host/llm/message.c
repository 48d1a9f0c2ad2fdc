/* message.c - what messages are made of, as every wire format has to take them apart. */
#include <string.h>
#include <strings.h>

#include "llm/provider.h"

const char *tm_llm_role(const tm_json *message) {
  static const char *const table[][2] = {{"system", "system"},
                                         {"user", "user"},
                                         {"model", "assistant"},
                                         {"assistant", "assistant"},
                                         {"tool", "tool"}};
  const char *role = tm_json_get_str(message, "role");
  for (size_t i = 0; role && i < sizeof table / sizeof *table; i++)
    if (strcmp(role, table[i][0]) == 0)
      return table[i][1];
  return NULL;
}

int tm_llm_check_roles(const tm_json *messages, tm_err *err) {
  for (size_t i = 0; i < tm_json_len(messages); i++) {
    const char *role = tm_json_get_str(tm_json_at(messages, i), "role");
    if (!tm_llm_role(tm_json_at(messages, i)))
      return tm_err_set(
          err, TM_USAGE, "message %zu has %s%s%s; the roles are system, user, model and tool",
          i + 1, role ? "the role \"" : "no role", role ? role : "", role ? "\"" : "");
  }
  return 0;
}

/* -- text ------------------------------------------------------------------------------ */

/* Appends the text parts; false when there is a part of another kind. */
static bool join(tm_buf *out, const tm_json *parts) {
  for (size_t i = 0; i < tm_json_len(parts); i++) {
    const tm_json *part = tm_json_at(parts, i);
    size_t len;
    const char *piece = tm_json_str(tm_json_get(part, "text"), &len);
    if (piece)
      tm_buf_put(out, piece, len);
    else if (!tm_json_get(part, "metadata"))
      return false;
  }
  return true;
}

tm_json *tm_llm_plain(tm_arena *a, const tm_json *message) {
  const tm_json *parts = tm_json_get(message, "content");
  if (tm_json_len(parts) == 1 && tm_json_get_str(tm_json_at(parts, 0), "text"))
    return tm_json_copy(a, tm_json_get(tm_json_at(parts, 0), "text"));
  tm_buf text = TM_BUF_INIT;
  tm_json *out = NULL;
  if (join(&text, parts))
    out = tm_json_new_strn(a, tm_buf_str(&text), text.len);
  tm_buf_free(&text);
  return out;
}

tm_json *tm_llm_system(tm_arena *a, const tm_json *messages) {
  tm_buf text = TM_BUF_INIT;
  bool plain = true;
  for (size_t i = 0; i < tm_json_len(messages) && plain; i++) {
    const tm_json *message = tm_json_at(messages, i);
    const char *role = tm_llm_role(message);
    if (!role || strcmp(role, "system") != 0)
      continue;
    tm_buf_puts(&text, text.len ? "\n\n" : "");
    plain = join(&text, tm_json_get(message, "content"));
  }
  tm_json *out = plain ? tm_json_new_strn(a, tm_buf_str(&text), text.len) : NULL;
  tm_buf_free(&text);
  return out;
}

tm_json *tm_llm_as_text(tm_arena *a, const tm_json *value) {
  if (tm_json_str(value, NULL))
    return tm_json_copy(a, value);
  size_t len;
  const char *text = tm_json_text(a, value, &len);
  return text ? tm_json_new_strn(a, text, len) : NULL;
}

tm_json *tm_llm_typed(tm_arena *a, const char *type, const char *key, const tm_json *value) {
  tm_json *o = tm_json_new_object(a);
  tm_json_lend_str(a, o, "type", type);
  tm_json_lend(a, o, key, value);
  return o;
}

/* -- media ----------------------------------------------------------------------------- */

static bool may_fetch(const char *url, const tm_guard *guard) {
  return strncasecmp(url, "data:", 5) == 0 || strncasecmp(url, "gs://", 5) == 0 ||
         tm_guard_trusts(guard, url);
}

int tm_llm_check_media(const tm_json *messages, const tm_guard *guard, tm_err *err) {
  for (size_t i = 0; guard && i < tm_json_len(messages); i++) {
    const tm_json *parts = tm_json_get(tm_json_at(messages, i), "content");
    for (size_t k = 0; k < tm_json_len(parts); k++) {
      const char *url = tm_json_str(tm_json_pointer(tm_json_at(parts, k), "/media/url"), NULL);
      if (url && !may_fetch(url, guard))
        return tm_err_set(
            err, TM_USAGE,
            "message %zu: a provider is not sent to fetch media from \"%.100s\": write a "
            "data:, https: or gs: URL; a private host is listed in tidemill.yaml (http: "
            "{private: [...]}) or in TIDEMILL_HTTP_PRIVATE",
            i + 1, url);
    }
  }
  return 0;
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

bool tm_llm_media_is(const tm_llm_media *m, const char *type) {
  size_t len = strlen(type);
  return type[len - 1] == '/' ? strncmp(m->type, type, len) == 0 : strcmp(m->type, type) == 0;
}

const char *tm_llm_media_name(tm_arena *a, const tm_llm_media *m) {
  const char *slash = strchr(m->type, '/');
  const char *ending = slash ? slash + 1 : m->type;
  return tm_arena_printf(a, "file.%.*s", (int)strcspn(ending, "+;*"), ending);
}

int tm_llm_refuse_part(const char *provider, const tm_json *part, const char *can,
                       tm_err *err) {
  const char *type = tm_json_str(tm_json_pointer(part, "/media/contentType"), NULL);
  const tm_json_member *first = tm_json_member_at(part, 0);
  return tm_err_set(err, TM_USAGE,
                    "%s: a message holds something that cannot be sent there (%s); what can be "
                    "sent is %s",
                    provider,
                    type                         ? type
                    : tm_json_get(part, "media") ? "media without contentType"
                    : first && tm_json_type_of(part) == TM_JSON_OBJECT ? first->key
                                                                       : "an unknown part",
                    can);
}
