/* stream.c - a streamed answer: bytes as they come, heard event by event.
 *
 * Most events of a stream are the same JSON around a few other letters. So an event that added
 * text, and did nothing else, leaves its frame behind: the bytes before and after that text.
 * An event within the same frame differs from that one in this string alone, and is heard
 * without parsing; anything else is parsed.
 *
 *   {"id":"c1","choices":[{"delta":{"content":" Hello"}}]}
 *   └──────────── frame ────────────────────┘ text └─ frame ─┘
 *
 * A provider may count its events ("sequence_number": 7): that number is left out of the frame,
 * and only has to be one.
 */
#include "llm/stream.h"

#include <string.h>

#define ARENA_MAX ((size_t)8 << 20)
#define LINE_MAX  ((size_t)4 << 20)
#define FRAME_MAX 4096

tm_llm_stream *tm_llm_stream_new(const tm_provider *p, tm_arena *work) {
  tm_llm_stream *s = tm_new(tm_llm_stream);
  s->p = p;
  s->work = work;
  s->err = TM_ERR_INIT;
  tm_arena_init(&s->arena, ARENA_MAX);
  tm_sse_init(&s->sse, p->lines);
  s->sse.max_line = LINE_MAX;
  tm_heard_init(&s->heard, &s->arena);
  return s;
}

void tm_llm_stream_free(tm_llm_stream **stream) {
  tm_llm_stream *s = *stream;
  *stream = NULL;
  if (!s)
    return;
  tm_sse_free(&s->sse);
  tm_heard_free(&s->heard);
  tm_buf_free(&s->frame);
  tm_arena_free(&s->arena);
  tm_free(s);
}

/* -- the frame ------------------------------------------------------------------------- */

/* Ordinary letters, which stand for themselves in a JSON string. */
static bool is_bare(const char *text, size_t len) {
  unsigned char high = 0;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c < ' ' || c == '"' || c == '\\')
      return false;
    high |= c;
  }
  return high < 0x80 || tm_json_utf8_valid(text, len) == len;
}

/* A piece of an event, and how far it has been compared with the frame. */
typedef struct reading {
  const char *at, *end;
  const tm_buf *frame;
  size_t done;
} reading;

/* The event goes on as the frame does up to `until`. */
static bool same(reading *r, size_t until) {
  size_t len = until - r->done;
  if ((size_t)(r->end - r->at) < len || memcmp(r->at, r->frame->data + r->done, len) != 0)
    return false;
  r->at += len;
  r->done = until;
  return true;
}

static bool skip_number(reading *r) {
  const char *from = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
    r->at++;
  return r->at > from && (*from != '0' || r->at == from + 1);
}

/* The text ends at the first quotation mark that comes. */
static bool skip_text(reading *r, const char **text, size_t *len) {
  const char *quote = memchr(r->at, '"', (size_t)(r->end - r->at));
  *text = r->at;
  *len = quote ? (size_t)(quote - r->at) : 0;
  r->at = quote;
  return quote && is_bare(*text, *len);
}

static bool within_frame(tm_llm_stream *s, const tm_sse_event *e) {
  reading r = {e->data, e->data + e->len, &s->frame, 0};
  const char *text;
  size_t len;
  bool first = s->numbered && s->number_at <= s->text_at;
  bool last = s->numbered && !first;
  if (!s->frame.len || (first && !(same(&r, s->number_at) && skip_number(&r))) ||
      !same(&r, s->text_at) || !skip_text(&r, &text, &len) ||
      (last && !(same(&r, s->number_at) && skip_number(&r))) || !same(&r, s->frame.len) ||
      r.at != r.end)
    return false;
  tm_buf_put(&s->heard.text, text, len);
  return true;
}

/* The digits behind the provider's counter; NULL: this event has none, or it is no number. */
static const char *number_in(const tm_llm_stream *s, const tm_sse_event *e, size_t *len) {
  const char *counter = s->p->counter, *end = e->data + e->len;
  size_t name = counter ? strlen(counter) : 0;
  const char *hit = name ? memmem(e->data, e->len, counter, name) : NULL;
  if (!hit || memmem(hit + 1, (size_t)(end - hit) - 1, counter, name))
    return NULL;
  reading r = {hit + name, end, NULL, 0};
  bool good = skip_number(&r) && r.at < end && (*r.at == ',' || *r.at == '}');
  *len = (size_t)(r.at - hit) - name;
  return good ? hit + name : NULL;
}

/* Leaves a span of the event out of the frame; returns where it stood. */
static size_t leave_out(tm_llm_stream *s, const char **from, const char *span, size_t len) {
  tm_buf_put(&s->frame, *from, (size_t)(span - *from));
  *from = span + len;
  return s->frame.len;
}

/* The event's only string that is exactly the text it added. */
static void keep_frame(tm_llm_stream *s, const tm_sse_event *e, size_t from) {
  const char *text = s->heard.text.data + from, *end = e->data + e->len, *at = e->data;
  size_t len = s->heard.text.len - from, digits = 0;
  char quoted[256];
  tm_buf_reset(&s->frame);
  if (!len || len > sizeof quoted - 2 || e->len > FRAME_MAX || !is_bare(text, len) ||
      memchr(e->data, '\\', e->len)) /* then a string may be spelt in another way */
    return;
  quoted[0] = quoted[len + 1] = '"';
  memcpy(quoted + 1, text, len);
  const char *hit = memmem(e->data, e->len, quoted, len + 2);
  if (!hit || memmem(hit + 1, (size_t)(end - hit) - 1, quoted, len + 2))
    return;
  const char *number = number_in(s, e, &digits);
  s->numbered = number != NULL;
  if (number && number < hit)
    s->number_at = leave_out(s, &at, number, digits);
  s->text_at = leave_out(s, &at, hit + 1, len);
  if (number && number > hit)
    s->number_at = leave_out(s, &at, number, digits);
  tm_buf_put(&s->frame, at, (size_t)(end - at));
}

/* -- events ---------------------------------------------------------------------------- */

static int parse(tm_json **out, tm_llm_stream *s, const tm_sse_event *e, tm_err *err) {
  tm_arena_reset(s->work);
  if (tm_json_parse(out, s->work, e->data, e->len, &(tm_json_opts){.last_wins = true}, err) < 0)
    return tm_err_wrap(err, "event %zu of the stream", s->events);
  if (tm_json_type_of(*out) != TM_JSON_OBJECT)
    return tm_err_set(err, TM_FAILED, "event %zu of the stream is no JSON object", s->events);
  return 0;
}

static int hear(tm_llm_stream *s, const tm_sse_event *e, tm_err *err) {
  tm_heard *h = &s->heard;
  size_t from = h->text.len, refusal = h->refusal.len;
  tm_json *event;
  if (parse(&event, s, e, err) < 0)
    return -1;
  const tm_json *error = tm_json_get(event, "error");
  if (error && tm_json_type_of(error) != TM_JSON_NULL) {
    h->error = tm_json_copy(h->a, error);
    return 0;
  }
  if (s->p->event(h, event, err) < 0)
    return -1;
  bool only_text = h->text.len > from && h->refusal.len == refusal && !h->tool_count &&
                   !h->opaque && !h->whole && !h->finish;
  if (only_text)
    keep_frame(s, e, from);
  return tm_heard_failed(h) ? tm_err_set(err, TM_LIMIT, "the streamed answer is too large") : 0;
}

static int on_event(void *ctx, const tm_sse_event *e, tm_err *err) {
  tm_llm_stream *s = ctx;
  if (s->heard.whole || s->heard.error) /* what comes after the end is nobody's */
    return 0;
  s->events++;
  if (within_frame(s, e))
    return s->heard.text.failed ? tm_err_set(err, TM_LIMIT, "the streamed answer is too large")
                                : 0;
  if (s->p->last && strcmp(e->data, s->p->last) == 0) {
    s->heard.whole = s->heard.finish != NULL;
    return 0;
  }
  return hear(s, e, err);
}

int tm_llm_stream_feed(tm_llm_stream *s, const char *bytes, size_t len) {
  if (!s->broken && tm_sse_feed(&s->sse, bytes, len, on_event, s, &s->err) < 0)
    s->broken = true;
  return s->broken ? -1 : 0;
}

const char *tm_llm_stream_news(tm_llm_stream *s, size_t *len, const char *secret) {
  const tm_buf *text = &s->heard.text;
  size_t told = text->len < s->told ? text->len : s->told;
  const char *news = tm_buf_str(text) + told;
  *len = text->len - told;
  *len -= tm_llm_held(news, *len, secret);
  s->told += *len;
  return news;
}

/* -- the end --------------------------------------------------------------------------- */

/* A server that echoes our key must not put it into a value. */
static void mask(tm_buf *b, tm_arena *a, const char *secret) {
  size_t len = b->len;
  const char *masked = tm_llm_mask(a, tm_buf_str(b), &len, secret);
  if (masked == tm_buf_str(b))
    return;
  tm_buf_reset(b);
  tm_buf_put(b, masked, len);
}

static void cut(tm_llm_answer *out, tm_arena *a, const tm_llm_stream *s) {
  out->class = TM_LLM_NETWORK;
  out->message = tm_arena_printf(
      a,
      "%s ended the stream before the answer was whole (%zu events, %zu bytes of text came, "
      "and no end); nothing of it is used",
      s->p->name, s->events, s->heard.text.len);
}

void tm_llm_stream_end(tm_llm_answer *out, tm_arena *a, tm_llm_stream *s,
                       const tm_http_res *res, const char *secret) {
  tm_heard *h = &s->heard;
  bool fine = res->status >= 200 && res->status < 300;
  *out = (tm_llm_answer){0};
  if (res->fault == TM_HTTP_OK && !s->broken && tm_sse_end(&s->sse, on_event, s, &s->err) < 0)
    s->broken = true;
  if (!fine || (!s->events && !s->broken)) { /* no stream at all, or not of this answer */
    tm_llm_receive(out, a, s->p, res, false);
    return;
  }
  mask(&h->text, a, secret);
  mask(&h->refusal, a, secret);
  for (size_t i = 0; i < h->tool_count; i++)
    mask(&h->tools[i].text, a, secret);
  if (h->whole && !h->error && !s->broken) {
    tm_llm_heard_out(out, a, s->p, h);
  } else if (h->error) {
    tm_llm_complain(out, a, s->p, res, h->error);
  } else if (s->broken) {
    tm_llm_misunderstood(out, a, s->p, res, s->err.msg);
    out->retry = s->err.code == TM_LIMIT ? -1 : 0;
  } else if (res->fault != TM_HTTP_OK) {
    tm_llm_faulty(out, a, res);
  } else {
    cut(out, a, s);
  }
  if (!out->usage && h->counted)
    out->usage = tm_llm_usage(a, h->counts);
  tm_llm_read_headers(out, a, res);
}
