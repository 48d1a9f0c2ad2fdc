/* json_string.c - undoes the escapes of a string in place: it never gets longer. */
#include <string.h>

#include "text/json_parser.h"
#include "text/json_scan.h"

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four hex digits at s; -1 when they are not four. */
static int hex_four(const char *s) {
  int code = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(s[i]);
    if (digit < 0)
      return -1;
    code = code << 4 | digit;
  }
  return code;
}

static char *put_character(char *to, int code) {
  if (code < 0x80) {
    *to++ = (char)code;
    return to;
  }
  if (code < 0x800) {
    *to++ = (char)(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      *to++ = (char)(0xE0 | code >> 12);
    } else {
      *to++ = (char)(0xF0 | code >> 18);
      *to++ = (char)(0x80 | (code >> 12 & 0x3F));
    }
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
  }
  *to++ = (char)(0x80 | (code & 0x3F));
  return to;
}

/* "\u....", two of them for a character beyond U+FFFF. Returns what follows. */
static char *unescape_unicode(tm_json_parser *p, char *at, char **to) {
  int code = hex_four(at + 2);
  if (code < 0)
    return tm_json_fail(p, at, TM_USAGE, "\\u needs four hex digits behind it");
  if (code >= 0xDC00 && code <= 0xDFFF)
    return tm_json_fail(p, at, TM_USAGE,
                        "\\u%.4s is the second half of a character without the first", at + 2);
  char *next = at + 6;
  if (code >= 0xD800 && code <= 0xDBFF) {
    int low = next[0] == '\\' && next[1] == 'u' ? hex_four(next + 2) : -1;
    if (low < 0xDC00 || low > 0xDFFF)
      return tm_json_fail(p, at, TM_USAGE,
                          "\\u%.4s is half a character, the other half is missing", at + 2);
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    next += 6;
  }
  *to = put_character(*to, code);
  return next;
}

/* One escape, the backslash being at `at`. Returns what follows. */
static char *unescape_one(tm_json_parser *p, char *at, char **to) {
  static const char codes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  if (at[1] == 'u')
    return unescape_unicode(p, at, to);
  const char *code = at[1] ? strchr(codes, at[1]) : NULL;
  if (!code)
    return tm_json_fail(p, at, TM_USAGE,
                        "a backslash before %s; JSON knows \\\" \\\\ \\/ \\b \\f \\n "
                        "\\r \\t and \\u",
                        tm_json_found(p, at + 1).text);
  *(*to)++ = meanings[code - codes];
  return at + 2;
}

char *tm_json_unescape(tm_json_parser *p, char *at, char **to) {
  for (;;) {
    uint64_t w = scan_load(at), special = scan_special(w);
    if (!special) {
      memmove(*to, at, 8);
      at += 8;
      *to += 8;
      continue;
    }
    size_t n = scan_first(special);
    memmove(*to, at, n);
    at += n;
    *to += n;
    if (*at == '"') {
      **to = '\0';
      return at + 1;
    }
    if (*at == '\\') {
      if (!(at = unescape_one(p, at, to)))
        return NULL;
      continue;
    }
    n = (unsigned char)*at < 0x80 ? 0 : scan_character(at, (size_t)(p->end - at));
    if (!n)
      return tm_json_fail_string(p, at);
    memmove(*to, at, n);
    at += n;
    *to += n;
  }
}
