/* template_message.c - pieces to chat messages, by Dotprompt's rules.
 *
 *   user ──role──► a new message if the current one has content, else it is renamed
 *        ──history──► the earlier messages, marked; then a message of the model
 *   pieces between two of these that are all blank text are dropped
 *   no {{history}} in the template: earlier messages go before a last message of the user,
 *   else to the end
 */
#include "text/template_tree.h"

typedef struct builder {
  tm_arena *arena;
  const stream *stream;
  const tm_json *history;
  tm_json *messages;
  const char *role; /* of the message being built */
  tm_json *parts;   /* NULL: no content yet */
  tm_json *extra;   /* its metadata or NULL */
  bool spliced, failed;
} builder;

static tm_json *checked(builder *b, tm_json *v) {
  b->failed |= v == NULL;
  return v;
}

static void set(builder *b, tm_json *object, const char *key, const tm_json *value) {
  if (!value || !tm_json_set(b->arena, object, key, value))
    b->failed = true;
}

static void begin(builder *b, const char *role) {
  b->role = role;
  b->parts = b->extra = NULL;
}

static void end(builder *b) {
  if (!b->parts || b->failed)
    return;
  tm_json *message = checked(b, tm_json_new_object(b->arena));
  if (!message)
    return;
  set(b, message, "role", tm_json_new_str(b->arena, b->role));
  set(b, message, "content", b->parts);
  if (b->extra)
    set(b, message, "metadata", b->extra);
  checked(b, tm_json_push(b->arena, b->messages, message));
}

/* -- content --------------------------------------------------------------------------- */

static tm_json *media_part(builder *b, const piece *p) {
  tm_json *media = checked(b, tm_json_new_object(b->arena));
  tm_json *part = checked(b, tm_json_new_object(b->arena));
  set(b, media, "url", tm_json_new_str(b->arena, p->name));
  if (p->type)
    set(b, media, "contentType", tm_json_new_str(b->arena, p->type));
  set(b, part, "media", media);
  return part;
}

static tm_json *section_part(builder *b, const piece *p) {
  tm_json *about = checked(b, tm_json_new_object(b->arena));
  tm_json *part = checked(b, tm_json_new_object(b->arena));
  set(b, about, "purpose", tm_json_new_str(b->arena, p->name));
  set(b, about, "pending", tm_json_new_bool(b->arena, true));
  set(b, part, "metadata", about);
  return part;
}

static tm_json *text_part(builder *b, const piece *p) {
  tm_json *part = checked(b, tm_json_new_object(b->arena));
  set(b, part, "text", tm_json_new_strn(b->arena, b->stream->text.data + p->start, p->len));
  return part;
}

static void add_part(builder *b, const piece *p) {
  if (p->kind == PIECE_TEXT && tm_template_is_blank(b->stream->text.data + p->start, p->len))
    return;
  if (!b->parts)
    b->parts = checked(b, tm_json_new_array(b->arena));
  tm_json *part = p->kind == PIECE_TEXT    ? text_part(b, p)
                  : p->kind == PIECE_MEDIA ? media_part(b, p)
                                           : section_part(b, p);
  if (!b->failed)
    checked(b, tm_json_push(b->arena, b->parts, part));
}

/* -- roles and history ----------------------------------------------------------------- */

static void add_extra(builder *b, const tm_json *extra) {
  if (!b->extra)
    b->extra = checked(b, tm_json_new_object(b->arena));
  for (size_t i = 0; i < tm_json_len(extra) && !b->failed; i++) {
    const tm_json_member *m = tm_json_member_at(extra, i);
    set(b, b->extra, m->key, tm_json_copy(b->arena, &m->value));
  }
}

static void turn_role(builder *b, const piece *p) {
  if (b->parts) {
    end(b);
    begin(b, p->name);
  }
  b->role = p->name;
  if (p->extra)
    add_extra(b, p->extra);
}

/* Earlier messages as they came, or marked as history. */
static void add_history(builder *b, bool mark) {
  for (size_t i = 0; i < tm_json_len(b->history) && !b->failed; i++) {
    tm_json *message = checked(b, tm_json_copy(b->arena, tm_json_at(b->history, i)));
    if (message && mark && tm_json_type_of(message) == TM_JSON_OBJECT) {
      const tm_json *had = tm_json_get(message, "metadata");
      tm_json *extra = had && tm_json_type_of(had) == TM_JSON_OBJECT
                           ? tm_json_copy(b->arena, had)
                           : tm_json_new_object(b->arena);
      if (checked(b, extra)) {
        set(b, extra, "purpose", tm_json_new_str(b->arena, "history"));
        set(b, message, "metadata", extra);
      }
    }
    if (!b->failed)
      checked(b, tm_json_push(b->arena, b->messages, message));
  }
}

static void splice_history(builder *b) {
  end(b);
  add_history(b, true);
  b->spliced |= tm_json_len(b->history) > 0;
  begin(b, "model");
}

static void move(builder *b, const tm_json *from, size_t first, size_t past) {
  for (size_t i = first; i < past && !b->failed; i++)
    checked(b, tm_json_push(b->arena, b->messages, tm_json_at(from, i)));
}

static bool is_from_user(const tm_json *message) {
  const char *role = message ? tm_json_get_str(message, "role") : NULL;
  return role && strcmp(role, "user") == 0;
}

/* The template did not say where: before what the user says last, else at the end. */
static void place_history(builder *b) {
  const tm_json *all = b->messages;
  size_t n = tm_json_len(all);
  size_t before = n && is_from_user(tm_json_at(all, n - 1)) ? n - 1 : n;
  b->messages = checked(b, tm_json_new_array(b->arena));
  move(b, all, 0, before);
  add_history(b, false);
  move(b, all, before, n);
}

tm_json *tm_template_messages(tm_arena *a, const stream *s, const tm_json *history) {
  builder b = {.arena = a, .stream = s, .history = history, .role = "user"};
  b.messages = checked(&b, tm_json_new_array(a));
  for (const piece *p = s->first; p && !b.failed; p = p->next) {
    if (p->kind == PIECE_ROLE)
      turn_role(&b, p);
    else if (p->kind == PIECE_HISTORY)
      splice_history(&b);
    else
      add_part(&b, p);
  }
  end(&b);
  if (!b.spliced && tm_json_len(history) > 0)
    place_history(&b);
  return b.failed ? NULL : b.messages;
}
