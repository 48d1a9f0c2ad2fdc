/* json_locate.c - walking along a pointer through JSON text, by skipping what it does not name.
 *
 * The tree keeps no places: they would cost every value memory, and only a mistake in a file
 * wants them. So the text is read a second time then.
 */
#include "text/json_locate.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef struct scan {
  const char *at, *end;
} scan;

/* The character that comes next, white space skipped; 0 at the end. */
static char peek(scan *s) {
  while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at)
    s->at++;
  return s->at < s->end ? *s->at : 0;
}

static bool take(scan *s, char c) {
  if (peek(s) != c)
    return false;
  s->at++;
  return true;
}

/* From the opening quote to behind the closing one. */
static bool skip_string(scan *s) {
  for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
    if (*s->at == '\\' && s->at + 1 < s->end)
      s->at++;
  if (s->at >= s->end)
    return false;
  s->at++;
  return true;
}

/* A number or a word; at least one character. */
static void skip_word(scan *s) {
  do
    s->at++;
  while (s->at < s->end && !strchr(" \t\r\n,:]}", *s->at));
}

/* Depth is a count, not a recursion: the text may be as deep as it likes. */
static bool skip_value(scan *s) {
  size_t depth = 0;
  do {
    char c = peek(s);
    if (!c || (depth == 0 && strchr(",:]}", c)))
      return false;
    if (c == '"') {
      if (!skip_string(s))
        return false;
    } else if (strchr("{[]},:", c)) {
      depth += c == '{' || c == '[';
      depth -= c == '}' || c == ']';
      s->at++;
    } else {
      skip_word(s);
    }
  } while (depth > 0);
  return true;
}

/* -- keys ------------------------------------------------------------------------------ */

static uint32_t hex4(scan *s) {
  uint32_t v = 0;
  for (int i = 0; i < 4 && s->at < s->end; i++) {
    unsigned char c = (unsigned char)*s->at++;
    v = v << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  }
  return v;
}

/* \uXXXX, or a pair of them, as UTF-8. */
static size_t escaped_unit(scan *s, char out[4]) {
  uint32_t u = hex4(s) & 0xFFFF;
  if (u >= 0xD800 && u < 0xDC00 && s->end - s->at >= 6) {
    s->at += 2;
    u = 0x10000 + ((u - 0xD800) << 10) + ((hex4(s) - 0xDC00) & 0x3FF);
  }
  if (u < 0x80) {
    out[0] = (char)u;
    return 1;
  }
  size_t n = u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--, u >>= 6)
    out[i] = (char)(0x80 | (u & 0x3F));
  out[0] = (char)((0xF00u >> n & 0xF0u) | u);
  return n;
}

/* The next character of a key, unescaped: 1 to 4 bytes. */
static size_t next_character(scan *s, char out[4]) {
  static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
  out[0] = *s->at++;
  if (out[0] != '\\' || s->at >= s->end)
    return 1;
  out[0] = *s->at++;
  if (out[0] == 'u')
    return escaped_unit(s, out);
  const char *letter = out[0] ? strchr(letters, out[0]) : NULL;
  if (letter)
    out[0] = meant[letter - letters];
  return 1;
}

/* A byte of the pointer's token: ~1 is '/', ~0 is '~'. */
static char next_of_token(scan *token) {
  char c = *token->at++;
  if (c != '~' || token->at >= token->end)
    return c;
  return *token->at++ == '1' ? '/' : '~';
}

static bool key_is(scan key, scan token) {
  char bytes[4];
  while (key.at < key.end) {
    size_t n = next_character(&key, bytes);
    for (size_t i = 0; i < n; i++)
      if (token.at >= token.end || next_of_token(&token) != bytes[i])
        return false;
  }
  return token.at == token.end;
}

/* -- stepping down --------------------------------------------------------------------- */

static bool into_object(scan *s, scan token) {
  while (peek(s) == '"') {
    scan key = {.at = s->at + 1};
    if (!skip_string(s))
      return false;
    key.end = s->at - 1;
    if (!take(s, ':'))
      return false;
    if (key_is(key, token))
      return true;
    if (!skip_value(s) || !take(s, ','))
      return false;
  }
  return false;
}

static bool into_array(scan *s, scan token) {
  size_t index = 0, digits = (size_t)(token.end - token.at);
  if (digits == 0 || digits > 9 || (*token.at == '0' && digits > 1))
    return false;
  for (; token.at < token.end; token.at++) {
    if (*token.at < '0' || *token.at > '9')
      return false;
    index = index * 10 + (size_t)(*token.at - '0');
  }
  for (; index > 0; index--)
    if (!skip_value(s) || !take(s, ','))
      return false;
  return true;
}

int tm_json_locate(const char *text, size_t len, const char *pointer) {
  scan s = {text, text + len};
  while (*pointer == '/') {
    scan token = {pointer + 1, pointer + 1 + strcspn(pointer + 1, "/")};
    if (!(take(&s, '{') ? into_object(&s, token) : take(&s, '[') && into_array(&s, token)))
      return 0;
    pointer = token.end;
  }
  char first = peek(&s);
  if (*pointer || !first || strchr(",:]}", first))
    return 0;
  int line = 1;
  for (const char *c = text; c < s.at; c++)
    line += *c == '\n';
  return line;
}
