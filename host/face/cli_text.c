/* cli_text.c - text for terminals: escaped, measured, cut; durations and near words for people.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "face/cli.h"

/* Decode one character of UTF-8; returns its length, 0 for a byte that is none. */
static size_t decode(uint32_t *ch, const char *s, size_t len) {
  static const unsigned char lead[] = {0x7f, 0x1f, 0x0f, 0x07};
  unsigned char b = (unsigned char)*s;
  size_t n = b < 0x80 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
  if (n > len || tm_json_utf8_valid(s, n) != n)
    return 0;
  uint32_t c = b & lead[n - 1];
  for (size_t i = 1; i < n; i++)
    c = c << 6 | ((unsigned char)s[i] & 0x3f);
  *ch = c;
  return n;
}

/* What could steer a terminal or turn the reading direction around. */
static bool unsafe(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void tm_cli_text_escape(tm_buf *out, const char *s, size_t len, bool lines) {
  while (len > 0) {
    uint32_t c = 0;
    size_t n = decode(&c, s, len);
    if (n == 0)
      tm_buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*s);
    else if (unsafe(c) && !(lines && (c == '\n' || c == '\t')))
      tm_buf_printf(out, "\\u%04x", (unsigned)c);
    else
      tm_buf_put(out, s, n);
    n = n ? n : 1;
    s += n;
    len -= n;
  }
}

/* East Asian wide characters and emoji take two columns, combining marks none. The ranges are
 * coarse: this lines up tables and keeps a redrawn line from wrapping, nothing more. */
static size_t columns_of(uint32_t c) {
  if ((c >= 0x300 && c < 0x370) || (c >= 0x200b && c < 0x2010) || (c >= 0xfe00 && c < 0xfe10))
    return 0;
  return (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) ||
                 (c >= 0xac00 && c < 0xd7a4) || (c >= 0xf900 && c < 0xfb00) ||
                 (c >= 0xfe30 && c < 0xfe70) || (c >= 0xff00 && c < 0xff61) ||
                 (c >= 0x1f300 && c < 0x1fb00) || (c >= 0x20000 && c < 0x40000)
             ? 2
             : 1;
}

size_t tm_cli_text_width(const char *s, size_t len) {
  size_t width = 0;
  while (len > 0) {
    uint32_t c = ' ';
    size_t n = decode(&c, s, len);
    n = n ? n : 1;
    width += columns_of(c);
    s += n;
    len -= n;
  }
  return width;
}

/* The bytes of the longest start of s that fits. */
static size_t fitting(const char *s, size_t len, size_t columns) {
  size_t at = 0, width = 0;
  while (at < len) {
    uint32_t c = ' ';
    size_t n = decode(&c, s + at, len - at);
    width += columns_of(c);
    if (width > columns)
      break;
    at += n ? n : 1;
  }
  return at;
}

void tm_cli_text_cell(tm_buf *out, const char *s, size_t columns, bool pad) {
  tm_buf safe = TM_BUF_INIT;
  tm_cli_text_escape(&safe, s ? s : "", s ? strlen(s) : 0, false);
  size_t width = tm_cli_text_width(tm_buf_str(&safe), safe.len);
  if (width <= columns) {
    tm_buf_put(out, tm_buf_str(&safe), safe.len);
    for (; pad && width < columns; width++)
      tm_buf_putc(out, ' ');
  } else if (columns > 0) {
    size_t fit = fitting(safe.data, safe.len, columns - 1);
    tm_buf_put(out, safe.data, fit);
    tm_buf_puts(out, "…");
    for (width = tm_cli_text_width(safe.data, fit) + 1; pad && width < columns; width++)
      tm_buf_putc(out, ' ');
  }
  tm_buf_free(&safe);
}

void tm_cli_text_duration(tm_buf *out, int64_t ms) {
  double s = (double)ms / 1000;
  if (ms < 1000)
    tm_buf_printf(out, "%lld ms", (long long)(ms < 0 ? 0 : ms));
  else if (s < 99.95)
    tm_buf_printf(out, "%.1f s", s);
  else if (s < 5400)
    tm_buf_printf(out, "%.0f min", s / 60);
  else if (s < 129600)
    tm_buf_printf(out, "%.0f h", s / 3600);
  else
    tm_buf_printf(out, "%.0f d", s / 86400);
}

int64_t tm_cli_text_time(const char *rfc3339) {
  return rfc3339 ? tm_clock_parse(rfc3339) : -1;
}

/* Restricted Damerau-Levenshtein, words up to 31 bytes; a longer one is far from everything. */
size_t tm_cli_text_distance(const char *a, const char *b) {
  enum { MAX = 32 };
  size_t la = strlen(a), lb = strlen(b), d[MAX][MAX];
  if (la >= MAX || lb >= MAX)
    return MAX;
  for (size_t i = 0; i <= la; i++) {
    for (size_t j = 0; j <= lb; j++) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
      best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
          d[i - 2][j - 2] + 1 < best)
        best = d[i - 2][j - 2] + 1;
      d[i][j] = best;
    }
  }
  return d[la][lb];
}

void tm_cli_text_shell(tm_buf *out, const char *s, size_t len) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "@%+=:,./-_";
  if (len > 0 && strspn(s, plain) >= len) {
    tm_buf_put(out, s, len);
    return;
  }
  tm_buf_putc(out, '\'');
  for (size_t i = 0; i < len; i++) {
    if (s[i] == '\'')
      tm_buf_puts(out, "'\\''");
    else
      tm_buf_putc(out, s[i]);
  }
  tm_buf_putc(out, '\'');
}
