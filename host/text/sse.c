/* sse.c - splits a byte stream into Server-Sent Events or lines of JSON.
 *
 *   bytes ─► lines (CR, LF or CRLF; JSON lines: LF) ─► fields ─► event at a blank line
 *
 * A line that lies within one chunk, which is nearly every line, is used where it lies;
 * only the rest of a chunk is kept in `line`. A CR at the end of a chunk ends its line at
 * once, and `cr` remembers to skip an LF that may begin the next chunk.
 */
#include "text/sse.h"

#define LINE_MAX_DEFAULT  ((size_t)1 << 20)
#define EVENT_MAX_DEFAULT ((size_t)16 << 20)

static const char bom[] = "\xEF\xBB\xBF";

void tm_sse_init(tm_sse *s, bool ndjson) {
  *s = (tm_sse){.ndjson = ndjson};
}

void tm_sse_free(tm_sse *s) {
  tm_buf_free(&s->line);
  tm_buf_free(&s->data);
  tm_buf_free(&s->event);
  tm_buf_free(&s->id);
}

/* The limits may be set after init, so the buffers learn of them at the first bytes. */
static void set_limits(tm_sse *s) {
  if (!s->max_line)
    s->max_line = LINE_MAX_DEFAULT;
  if (!s->max_event)
    s->max_event = EVENT_MAX_DEFAULT;
  s->line.limit = s->event.limit = s->id.limit = s->max_line + 1;
  s->data.limit = s->max_event + 1;
}

static int refuse_line(const tm_sse *s, tm_err *err) {
  return tm_err_set(err, TM_LIMIT, "a line of the stream is longer than %zu bytes",
                    s->max_line);
}

static int put(tm_buf *b, const char *bytes, size_t len, tm_err *err) {
  tm_buf_put(b, bytes, len);
  return b->failed ? tm_err_set(err, TM_LIMIT, "no memory is left to read the stream") : 0;
}

/* -- events ---------------------------------------------------------------------------- */

static int dispatch(tm_sse *s, tm_sse_fn fn, void *ctx, tm_err *err) {
  bool given = s->has_data;
  tm_sse_event e = {.event = s->event.len ? tm_buf_str(&s->event) : "message",
                    .data = tm_buf_str(&s->data),
                    .len = s->data.len,
                    .id = tm_buf_str(&s->id)};
  int rc = given ? fn(ctx, &e, err) : 0;
  s->has_data = false;
  tm_buf_reset(&s->data);
  tm_buf_reset(&s->event);
  return rc;
}

static int add_data(tm_sse *s, const char *value, size_t len, tm_err *err) {
  if (s->data.len + len + s->has_data > s->max_event)
    return tm_err_set(err, TM_LIMIT, "an event of the stream is longer than %zu bytes",
                      s->max_event);
  if (s->has_data && put(&s->data, "\n", 1, err) < 0)
    return -1;
  s->has_data = true;
  return put(&s->data, value, len, err);
}

static int set_field(tm_sse *s, const char *name, size_t name_len, const char *value,
                     size_t len, tm_err *err) {
  if (name_len == 4 && memcmp(name, "data", 4) == 0)
    return add_data(s, value, len, err);
  if (name_len == 5 && memcmp(name, "event", 5) == 0) {
    tm_buf_reset(&s->event);
    return put(&s->event, value, len, err);
  }
  if (name_len == 2 && memcmp(name, "id", 2) == 0 && !memchr(value, '\0', len)) {
    tm_buf_reset(&s->id);
    return put(&s->id, value, len, err);
  }
  return 0; /* retry is for reconnecting, which is not ours; others are to be ignored */
}

/* One line of an event stream: a blank ends the event, a colon begins a comment. */
static int on_event_line(tm_sse *s, const char *line, size_t len, tm_sse_fn fn, void *ctx,
                         tm_err *err) {
  if (len == 0)
    return dispatch(s, fn, ctx, err);
  const char *colon = memchr(line, ':', len);
  if (!colon)
    return set_field(s, line, len, "", 0, err);
  if (colon == line)
    return 0;
  const char *value = colon + 1, *end = line + len;
  if (value < end && *value == ' ')
    value++;
  return set_field(s, line, (size_t)(colon - line), value, (size_t)(end - value), err);
}

static bool is_blank(const char *line, size_t len) {
  while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
    len--;
  return len == 0;
}

static int on_json_line(tm_sse *s, const char *line, size_t len, tm_sse_fn fn, void *ctx,
                        tm_err *err) {
  if (len && line[len - 1] == '\r')
    len--;
  if (is_blank(line, len))
    return 0;
  if (add_data(s, line, len, err) < 0)
    return -1;
  return dispatch(s, fn, ctx, err);
}

static int on_line(tm_sse *s, const char *line, size_t len, tm_sse_fn fn, void *ctx,
                   tm_err *err) {
  if (len > s->max_line)
    return refuse_line(s, err);
  if (!s->started && len >= 3 && memcmp(line, bom, 3) == 0) {
    line += 3;
    len -= 3;
  }
  s->started = true;
  return s->ndjson ? on_json_line(s, line, len, fn, ctx, err)
                   : on_event_line(s, line, len, fn, ctx, err);
}

/* A line ends at `end`; its beginning may be kept from an earlier chunk. */
static int finish_line(tm_sse *s, const char *from, const char *end, tm_sse_fn fn, void *ctx,
                       tm_err *err) {
  size_t len = (size_t)(end - from);
  if (s->line.len == 0)
    return on_line(s, from, len, fn, ctx, err);
  if (len > s->max_line - s->line.len)
    return refuse_line(s, err);
  if (put(&s->line, from, len, err) < 0)
    return -1;
  int rc = on_line(s, s->line.data, s->line.len, fn, ctx, err);
  tm_buf_reset(&s->line);
  return rc;
}

/* -- bytes ----------------------------------------------------------------------------- */

static int keep_rest(tm_sse *s, const char *from, const char *end, tm_err *err) {
  size_t len = (size_t)(end - from);
  if (len > s->max_line - s->line.len)
    return refuse_line(s, err);
  return len ? put(&s->line, from, len, err) : 0;
}

int tm_sse_feed(tm_sse *s, const char *bytes, size_t len, tm_sse_fn fn, void *ctx,
                tm_err *err) {
  const char *at = bytes, *end = bytes + len, *newline = NULL;
  set_limits(s);
  if (len && s->cr && *at == '\n')
    at++;
  if (len)
    s->cr = false;
  while (at < end) {
    if (!newline || newline < at) /* one search for each LF, however many CRs are before it */
      newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline)
      newline = end;
    const char *cr = s->ndjson ? NULL : memchr(at, '\r', (size_t)(newline - at));
    const char *stop = cr ? cr : newline;
    if (stop == end)
      return keep_rest(s, at, end, err);
    if (finish_line(s, at, stop, fn, ctx, err) < 0)
      return -1;
    at = stop + 1;
    s->cr = cr && at == end;
    if (cr && at < end && *at == '\n')
      at++;
  }
  return 0;
}

int tm_sse_end(tm_sse *s, tm_sse_fn fn, void *ctx, tm_err *err) {
  set_limits(s);
  int rc = 0;
  if (s->ndjson && s->line.len)
    rc = on_line(s, s->line.data, s->line.len, fn, ctx, err);
  tm_buf_reset(&s->line);
  tm_buf_reset(&s->data);
  tm_buf_reset(&s->event);
  s->has_data = s->cr = false;
  return rc;
}
