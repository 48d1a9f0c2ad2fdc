/* mask.c - a key that comes back in an answer, taken out before anybody is told of it.
 *
 * A gateway that quotes the request, or a model that was shown one, may say the key again: as it
 * is, spelt with JSON's escapes, or a piece here and a piece there, over the events of a stream or
 * the parts of a message. Pieces are strings under the same member name; put behind each other
 * they say what the reader of the answer would hear.
 *
 *   data: {"delta":{"content":"Your key is sk-4"}}        ... is ***"}}
 *   data: {"delta":{"content":"711."}}                    {"content":"."}}
 *
 * JSON is not parsed for it: a body that is cut or no JSON at all goes the same way.
 */
#include "llm/mask.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "llm/spelt.h"
#include "text/json_scan.h"

#define SECRET_MIN 4  /* bytes: what is shorter is no key, and stands everywhere */
#define NAMES      64 /* member names that are told apart; the rest counts as one */

const char *tm_llm_mask(tm_arena *a, const char *text, size_t *len, const char *secret) {
  size_t n = secret ? strlen(secret) : 0;
  if (n < SECRET_MIN || !text || !memmem(text, *len, secret, n))
    return text;
  tm_buf out = TM_BUF_INIT;
  const char *at = text, *end = text + *len;
  for (const char *hit; (hit = memmem(at, (size_t)(end - at), secret, n)); at = hit + n) {
    tm_buf_put(&out, at, (size_t)(hit - at));
    tm_buf_puts(&out, "***");
  }
  tm_buf_put(&out, at, (size_t)(end - at));
  *len = out.len;
  const char *masked = tm_arena_strndup(a, tm_buf_str(&out), out.len);
  tm_buf_free(&out);
  if (!masked)
    *len = 0;
  return masked ? masked : "";
}

/* -- pieces ---------------------------------------------------------------------------- */

/* Where a byte of the key stands in the answer, and how long it is spelt there. */
typedef struct spot {
  size_t from, len;
} spot;

/* How much of the key the strings under one name have said so far. */
typedef struct hunt {
  const char *name;
  size_t name_len, matched;
  spot *spots; /* of the bytes that matched */
} hunt;

typedef struct hunter {
  const char *secret;
  size_t n,
      *back; /* back[i]: how much still matches when byte i+1 does not (Knuth, Morris, Pratt) */
  const char *bytes;
  size_t len;
  hunt hunts[NAMES];
  size_t hunt_count, live; /* live: hunts under way */
  char *marks;             /* by byte; NULL: nothing was found */
} hunter;

enum { KEPT, STARS, GONE };

static size_t *failures(const char *secret, size_t n) {
  size_t *back = tm_new_array(size_t, n);
  for (size_t i = 1, k = 0; i < n; i++) {
    while (k && secret[i] != secret[k])
      k = back[k - 1];
    back[i] = k += secret[i] == secret[k];
  }
  return back;
}

static void found(hunter *r, const hunt *h) {
  if (!r->marks)
    r->marks = tm_new_array(char, r->len);
  for (size_t i = 0; i < r->n; i++)
    for (size_t k = 0; k < h->spots[i].len; k++)
      r->marks[h->spots[i].from + k] = i + k ? GONE : STARS;
}

static void step(hunter *r, hunt *h, char c, spot at) {
  while (h->matched && r->secret[h->matched] != c) {
    size_t keep = r->back[h->matched - 1];
    memmove(h->spots, h->spots + h->matched - keep, keep * sizeof at);
    h->matched = keep;
  }
  if (r->secret[h->matched] == c)
    h->spots[h->matched++] = at;
  if (h->matched < r->n)
    return;
  found(r, h);
  h->matched = 0;
}

/* -- strings --------------------------------------------------------------------------- */

static char unescaped(char c) {
  static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
  const char *hit = c ? strchr(from, c) : NULL;
  return hit ? to[hit - from] : c;
}

/* One character of a JSON string, however it is spelt; 0 for one that no key has. */
static char read_char(spot *at, const char *bytes, size_t end) {
  const char *p = bytes + at->from;
  size_t left = end - at->from;
  at->len = 1;
  if (*p != '\\' || left < 2)
    return *p;
  at->len = 2;
  if (p[1] != 'u' || left < 6)
    return unescaped(p[1]);
  char hex[5] = {p[2], p[3], p[4], p[5]};
  char *stop;
  unsigned long code = strtoul(hex, &stop, 16);
  if (*stop)
    return 0;
  at->len = 6;
  return code < 128 ? (char)code : 0;
}

static hunt *hunt_of(hunter *r, const char *name, size_t len) {
  for (size_t i = 0; i < r->hunt_count; i++)
    if (r->hunts[i].name_len == len && memcmp(r->hunts[i].name, name, len) == 0)
      return &r->hunts[i];
  if (r->hunt_count == NAMES)
    return &r->hunts[NAMES - 1];
  if (!r->back)
    r->back = failures(r->secret, r->n);
  hunt *h = &r->hunts[r->hunt_count++];
  *h = (hunt){.name = name, .name_len = len, .spots = tm_new_array(spot, r->n)};
  return h;
}

/* Where the next byte is that is one or the other. */
static size_t find_either(const char *bytes, size_t at, size_t end, char one, char other) {
  while (end - at >= SCAN_WIDE) {
    size_t n = scan_wide_either(bytes + at, one, other);
    at += n;
    if (n < SCAN_WIDE)
      return at;
  }
  while (at < end && bytes[at] != one && bytes[at] != other)
    at++;
  return at;
}

/* Where the key may begin; `end`: nowhere. Of its first byte alone, which stands everywhere, the
 * next byte mostly knows better. */
static size_t find_sign(const hunter *r, size_t at, size_t end, bool joined) {
  const char *bytes = r->bytes, *secret = r->secret;
  while ((at = find_either(bytes, at, end, *secret, '\\')) < end) {
    spot here = {at, 0};
    bool first = read_char(&here, bytes, end) == *secret;
    at += here.len;
    if (first && (at == end ? joined : bytes[at] == '\\' || bytes[at] == secret[1]))
      return here.from;
  }
  return end;
}

static void read_string(hunter *r, const char *name, size_t name_len, size_t from, size_t end,
                        bool joined) {
  bool under_way = joined && r->live;
  if (!under_way && (from = find_sign(r, from, end, joined)) == end)
    return;
  hunt *h = hunt_of(r, name, name_len);
  r->live -= h->matched > 0;
  for (spot at = {from, 0}; at.from < end; at.from += at.len) {
    if (!h->matched && (at.from = find_sign(r, at.from, end, joined)) == end)
      break;
    char c = read_char(&at, r->bytes, end);
    step(r, h, c, at);
  }
  if (!joined)
    h->matched = 0;
  r->live += h->matched > 0;
}

static size_t find_escaped(const char *bytes, size_t at, size_t len) {
  while (len - at >= SCAN_WIDE) {
    size_t n = scan_wide_escaped(bytes + at);
    at += n;
    if (n < SCAN_WIDE)
      return at;
  }
  while (at < len && (unsigned char)bytes[at] >= ' ' && bytes[at] != '"' && bytes[at] != '\\')
    at++;
  return at;
}

/* Behind the last byte of the string that begins here: its quotation mark, or the line's end. */
static size_t string_end(const char *bytes, size_t at, size_t len) {
  while ((at = find_escaped(bytes, at, len)) < len) {
    if (bytes[at] == '"' || bytes[at] == '\n' || bytes[at] == '\r')
      return at;
    at += bytes[at] == '\\' && at + 1 < len ? 2 : 1;
  }
  return len;
}

static bool is_name(const char *bytes, size_t at, size_t len) {
  while (at < len && (bytes[at] == ' ' || bytes[at] == '\t'))
    at++;
  return at < len && bytes[at] == ':';
}

static void read_strings(hunter *r) {
  const char *name = "", *quote;
  size_t name_len = 0;
  for (size_t at = 0; at < r->len && (quote = memchr(r->bytes + at, '"', r->len - at));) {
    size_t from = (size_t)(quote - r->bytes) + 1, end = string_end(r->bytes, from, r->len);
    at = end < r->len ? end + 1 : end;
    if (is_name(r->bytes, at, r->len)) {
      read_string(r, "\n", 1, from, end,
                  false); /* goes on from nobody; no name is a line end */
      name = r->bytes + from;
      name_len = end - from;
    } else {
      read_string(r, name, name_len, from, end, true);
    }
  }
}

static const char *without_marked(const hunter *r, tm_arena *a, size_t *len) {
  tm_buf out = TM_BUF_INIT;
  for (size_t i = 0; i < r->len; i++)
    if (r->marks[i] == STARS)
      tm_buf_puts(&out, "***");
    else if (r->marks[i] == KEPT)
      tm_buf_putc(&out, r->bytes[i]);
  const char *text = tm_arena_strndup(a, tm_buf_str(&out), out.len);
  *len = text ? out.len : 0;
  tm_buf_free(&out);
  return text ? text : "";
}

const char *tm_llm_scrub(tm_arena *a, const char *bytes, size_t *len, const char *secret) {
  bytes = tm_llm_mask_spelt(a, tm_llm_mask(a, bytes, len, secret), len, secret);
  hunter r = {.secret = secret, .n = secret ? strlen(secret) : 0, .bytes = bytes, .len = *len};
  if (r.n < SECRET_MIN || !bytes)
    return bytes;
  read_strings(&r);
  if (r.marks)
    bytes = without_marked(&r, a, len);
  for (size_t i = 0; i < r.hunt_count; i++)
    tm_free(r.hunts[i].spots);
  tm_free(r.back);
  tm_free(r.marks);
  return bytes;
}

/* As it is, or otherwise encoded. */
static const char *value_without(tm_arena *a, const char *value, const char *secret) {
  size_t len = strlen(value);
  return tm_llm_mask_spelt(a, tm_llm_mask(a, value, &len, secret), &len, secret);
}

static bool in_headers(const tm_http_res *res, tm_arena *a, const char *secret) {
  for (size_t i = 0; i < res->header_count; i++)
    if (value_without(a, res->headers[i].value, secret) != res->headers[i].value)
      return true;
  return false;
}

void tm_llm_scrub_answer(tm_http_res *res, tm_arena *a, const char *secret) {
  if (!secret)
    return;
  res->body = tm_llm_scrub(a, res->body, &res->body_len, secret);
  if (!in_headers(res, a, secret))
    return;
  tm_http_header *clean = tm_arena_array(a, tm_http_header, res->header_count);
  for (size_t i = 0; clean && i < res->header_count; i++) {
    clean[i].name = res->headers[i].name;
    clean[i].value = value_without(a, res->headers[i].value, secret);
  }
  res->headers = clean;
  res->header_count = clean ? res->header_count : 0;
}

size_t tm_llm_held(const char *text, size_t len, const char *secret) {
  size_t n = secret ? strlen(secret) : 0;
  if (n < SECRET_MIN)
    return 0;
  for (size_t hold = len < n - 1 ? len : n - 1; hold; hold--)
    if (text[len - hold] == *secret && memcmp(text + len - hold, secret, hold) == 0)
      return hold;
  return 0;
}
