/* schema_format_net.c - `format` for names on the net: addresses (RFC 791, 4291), hosts
 * (RFC 1123, 5890 to 5893), mailboxes (RFC 5321, 6531), URIs and IRIs (RFC 3986, 3987) and
 * URI templates (RFC 6570).
 */
#include "text/schema_program.h"

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
  return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_hex(char c) {
  return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

uint32_t tm_schema_next_char(const char *s, size_t len, size_t *at) {
  unsigned char lead = (unsigned char)s[(*at)++];
  int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
  uint32_t c = more ? lead & (0x3fu >> more) : lead;
  for (; more > 0 && *at < len; more--)
    c = c << 6 | ((unsigned char)s[(*at)++] & 0x3f);
  return c;
}

/* -- addresses ------------------------------------------------------------------------- */

bool tm_schema_format_ipv4(const char *s, size_t len) {
  int parts = 0;
  for (size_t i = 0;; i++) {
    size_t start = i;
    int value = 0;
    while (i < len && is_digit(s[i]) && i - start < 3)
      value = value * 10 + (s[i++] - '0');
    if (i == start || value > 255 || (s[start] == '0' && i - start > 1))
      return false;
    parts++;
    if (i == len)
      return parts == 4;
    if (s[i] != '.' || parts == 4)
      return false;
  }
}

bool tm_schema_format_ipv6(const char *s, size_t len) {
  int groups = 0;
  bool gap = false;
  size_t i = 0;
  if (len >= 2 && s[0] == ':' && s[1] == ':') {
    gap = true;
    i = 2;
  }
  while (i < len) {
    size_t start = i;
    while (i < len && is_hex(s[i]) && i - start < 4)
      i++;
    if (i < len && s[i] == '.') {
      groups += 2;
      return tm_schema_format_ipv4(s + start, len - start) && (gap ? groups < 8 : groups == 8);
    }
    if (i == start)
      return false;
    groups++;
    if (i == len)
      break;
    if (s[i++] != ':' || i == len)
      return false;
    if (s[i] == ':') {
      if (gap)
        return false;
      gap = true;
      i++;
    }
  }
  return gap ? groups < 8 : groups == 8;
}

/* -- hosts ----------------------------------------------------------------------------- */

#define LABEL_MAX 63
#define HOST_MAX  253

/* Punycode (RFC 3492) to code points; -1 when it is not. */
static int punycode_decode(const char *s, size_t len, uint32_t *out, int room) {
  size_t basic = 0;
  for (size_t i = 0; i < len; i++)
    if (s[i] == '-')
      basic = i;
  int count = 0;
  for (size_t i = 0; i < basic; i++)
    out[count++] = (unsigned char)s[i];
  uint32_t n = 128, i = 0, bias = 72;
  for (size_t at = basic ? basic + 1 : 0; at < len;) {
    uint32_t before = i, weight = 1;
    for (uint32_t k = 36;; k += 36) {
      if (at == len)
        return -1;
      char c = s[at++];
      uint32_t digit = is_digit(c) ? (uint32_t)(c - '0') + 26 : (uint32_t)((c | 0x20) - 'a');
      uint32_t limit = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
      if (digit > 35 || (weight && digit > (UINT32_MAX - i) / weight))
        return -1;
      i += digit * weight;
      if (digit < limit)
        break;
      if (weight > UINT32_MAX / (36 - limit))
        return -1;
      weight *= 36 - limit;
    }
    uint32_t points = (uint32_t)count + 1, delta = i - before;
    delta = before == 0 ? delta / 700 : delta / 2;
    delta += delta / points;
    uint32_t k = 0;
    for (; delta > 35 * 26 / 2; k += 36)
      delta /= 35;
    bias = k + 36 * delta / (delta + 38);
    n += i / points;
    i %= points;
    if (count == room || n > 0x10ffff)
      return -1;
    memmove(out + i + 1, out + i, ((size_t)count - i) * sizeof *out);
    out[i++] = n;
    count++;
  }
  return count;
}

/* How many characters a label of code points takes in Punycode, with its "xn--". */
static size_t punycode_len(const uint32_t *label, int count) {
  size_t len = 4;
  int basic = 0;
  for (int i = 0; i < count; i++)
    basic += label[i] < 128;
  len += (size_t)basic + (basic > 0);
  uint32_t n = 128, delta = 0, bias = 72;
  for (int done = basic; done < count;) {
    uint32_t next = UINT32_MAX;
    for (int i = 0; i < count; i++)
      if (label[i] >= n && label[i] < next)
        next = label[i];
    delta += (next - n) * ((uint32_t)done + 1);
    n = next;
    for (int i = 0; i < count; i++) {
      delta += label[i] < n;
      if (label[i] != n)
        continue;
      uint32_t q = delta;
      for (uint32_t k = 36;; k += 36) {
        uint32_t limit = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        len++;
        if (q < limit)
          break;
        q = (q - limit) / (36 - limit);
      }
      uint32_t d = done == basic ? delta / 700 : delta / 2;
      d += d / ((uint32_t)done + 1);
      uint32_t k = 0;
      for (; d > 35 * 26 / 2; k += 36)
        d /= 35;
      bias = k + 36 * d / (d + 38);
      delta = 0;
      done++;
    }
    delta++;
    n++;
  }
  return len;
}

static size_t put_char(char *out, uint32_t c) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
  for (size_t i = more; i > 0; i--, c >>= 6)
    out[i] = (char)(0x80 | (c & 0x3f));
  out[0] = (char)(lead[more] | c);
  return more + 1;
}

/* IDNA 2008, as patterns: what a label may hold, and in what company (RFC 5892, appendix A).
 * Unicode's categories stand in for the table of derived properties. */
static bool label_fits(const char *pattern, const char *s, size_t len) {
  tm_arena a;
  const char *why;
  regex_room room;
  room.context = room.data = NULL;
  room.used = 0;
  tm_arena_init(&a, (size_t)1 << 20);
  const regex *re = tm_schema_regex_new(&a, pattern, strlen(pattern), &why);
  bool fits = re && tm_schema_regex_match(&room, re, s, len) == 1;
  tm_schema_regex_room_free(&room);
  tm_arena_free(&a);
  return fits;
}

#define VIRAMAS                                                                          \
  "\\u094d\\u09cd\\u0a4d\\u0acd\\u0b4d\\u0bcd\\u0c4d\\u0ccd\\u0d4d\\u0dca\\u0e3a\\u0f84" \
  "\\u1039\\u103a\\u1714\\u1734\\u17d2\\u1a60\\u1b44\\u1baa\\u1bab\\ua806\\ua8c4\\ua953"

static const char idna_label[] =
    /* not at the start: marks */
    "^(?!\\p{M})"
    /* middle dot, keraia, geresh, katakana dot, joiners: only where their rule allows */
    "(?:[\\p{Ll}\\p{Lo}\\p{Lm}\\p{Mn}\\p{Mc}\\p{Nd}\\u06fd\\u06fe\\u0f0b\\u3007A-Z-]"
    "|(?<=l)\\u00b7(?=l)|\\u0375(?=\\p{Script=Greek})"
    "|(?<=\\p{Script=Hebrew})[\\u05f3\\u05f4]|\\u30fb"
    "|(?<=[" VIRAMAS "])[\\u200c\\u200d]"
    "|(?<=\\p{Script=Arabic})\\u200c(?=\\p{Script=Arabic}))+$";

/* Letters by category that RFC 5892 takes back out. */
static const char idna_forbidden[] =
    "[\\u0640\\u07fa\\u302e\\u302f\\u3031-\\u3035\\u303b\\u115f\\u1160\\u3164\\uffa0]"
    "|[\\u1100-\\u11ff\\ua960-\\ua97c\\ud7b0-\\ud7fb]"
    "|[\\u2100-\\u214d\\ufb00-\\ufb4f\\ufb50-\\ufbb1\\uff00-\\uffef]";

static const char idna_needs_kana[] = "\\u30fb";
static const char idna_kana[] = "[\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Han}]";
static const char idna_mixed_digits[] =
    "[\\u0660-\\u0669].*[\\u06f0-\\u06f9]|[\\u06f0-\\u06f9].*[\\u0660-\\u0669]";

static bool is_u_label(const uint32_t *label, int count) {
  char text[LABEL_MAX * 4 + 1];
  char others[LABEL_MAX * 4 + 1]; /* without katakana dots: they need another character */
  size_t len = 0, others_len = 0;
  for (int i = 0; i < count; i++) {
    len += put_char(text + len, label[i]);
    if (label[i] != 0x30fb)
      others_len += put_char(others + others_len, label[i]);
  }
  if (count >= 4 && label[2] == '-' && label[3] == '-')
    return false;
  return label[0] != '-' && label[count - 1] != '-' && label_fits(idna_label, text, len) &&
         !label_fits(idna_forbidden, text, len) && !label_fits(idna_mixed_digits, text, len) &&
         (!label_fits(idna_needs_kana, text, len) || label_fits(idna_kana, others, others_len));
}

static bool is_ascii_label(const char *s, size_t len) {
  if (len == 0 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
    return false;
  for (size_t i = 0; i < len; i++)
    if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '-')
      return false;
  if (len < 4 || s[2] != '-' || s[3] != '-')
    return true;
  if ((s[0] | 0x20) != 'x' || (s[1] | 0x20) != 'n')
    return false;
  uint32_t points[LABEL_MAX];
  int count = punycode_decode(s + 4, len - 4, points, LABEL_MAX);
  if (count <= 0)
    return false;
  bool foreign = false;
  for (int i = 0; i < count; i++)
    foreign = foreign || points[i] >= 128;
  return foreign && is_u_label(points, count);
}

/* The next label of a host into `points`; how many, -1 when there are too many. */
static int next_label(const char *s, size_t len, size_t *at, bool international,
                      uint32_t points[LABEL_MAX], bool *more) {
  int count = 0;
  *more = false;
  while (*at < len) {
    uint32_t c = tm_schema_next_char(s, len, at);
    if (c == '.' || (international && (c == 0x3002 || c == 0xff0e || c == 0xff61))) {
      *more = true;
      return count;
    }
    if (count == LABEL_MAX)
      return -1;
    points[count++] = c;
  }
  return count;
}

bool tm_schema_format_hostname(const char *s, size_t len, bool international) {
  uint32_t points[LABEL_MAX];
  size_t at = 0, total = 0;
  for (bool more = true; more;) {
    int count = next_label(s, len, &at, international, points, &more);
    if (count <= 0)
      return false;
    char ascii[LABEL_MAX];
    bool plain = true;
    for (int i = 0; i < count; i++) {
      plain = plain && points[i] < 128;
      ascii[i] = (char)points[i];
    }
    size_t encoded = plain ? (size_t)count : punycode_len(points, count);
    if (encoded > LABEL_MAX)
      return false;
    if (plain ? !is_ascii_label(ascii, (size_t)count)
              : !international || !is_u_label(points, count))
      return false;
    total += encoded + more;
  }
  return total <= HOST_MAX;
}

/* -- mailboxes ------------------------------------------------------------------------- */

static bool is_atom_char(char c, bool international) {
  if ((unsigned char)c >= 0x80)
    return international;
  return is_letter(c) || is_digit(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_quoted(const char *s, size_t len, bool international) {
  if (len < 2 || s[0] != '"' || s[len - 1] != '"')
    return false;
  for (size_t i = 1; i < len - 1; i++) {
    unsigned char c = (unsigned char)s[i];
    if (c == '\\' && ++i == len - 1)
      return false;
    if (c == '"' || c < 0x20 || c == 0x7f || (c >= 0x80 && !international))
      return false;
  }
  return true;
}

static bool is_local_part(const char *s, size_t len, bool international) {
  if (len == 0 || len > 64)
    return false;
  if (s[0] == '"')
    return is_quoted(s, len, international);
  for (size_t i = 0; i < len; i++) {
    bool dot = s[i] == '.';
    if (dot ? i == 0 || i == len - 1 || s[i + 1] == '.' : !is_atom_char(s[i], international))
      return false;
  }
  return true;
}

bool tm_schema_format_email(const char *s, size_t len, bool international) {
  size_t at = len;
  while (at > 0 && s[at - 1] != '@')
    at--;
  if (at == 0 || !is_local_part(s, at - 1, international))
    return false;
  const char *domain = s + at;
  size_t n = len - at;
  if (n < 2 || domain[0] != '[')
    return tm_schema_format_hostname(domain, n, international);
  if (domain[n - 1] != ']')
    return false;
  if (n > 7 && memcmp(domain + 1, "IPv6:", 5) == 0)
    return tm_schema_format_ipv6(domain + 6, n - 7);
  return tm_schema_format_ipv4(domain + 1, n - 2);
}

/* -- URIs ------------------------------------------------------------------------------ */

/* RFC 3987's ucschar and, in queries, iprivate */
static bool is_foreign(uint32_t c, bool private_too) {
  if (c >= 0xe000 && c <= 0xf8ff)
    return private_too;
  if (c >= 0xf0000)
    return private_too && (c & 0xffff) <= 0xfffd;
  return c >= 0xa0 && !(c >= 0xfdd0 && c <= 0xfdef) && (c & 0xffff) <= 0xfffd &&
         !(c >= 0xfff0 && c <= 0xffff);
}

/* Only unreserved, percent-encoded, sub-delims and `extra`. */
static bool all_fit(const char *s, size_t len, const char *extra, bool international) {
  for (size_t i = 0; i < len;) {
    if (s[i] == '%') {
      if (i + 2 >= len || !is_hex(s[i + 1]) || !is_hex(s[i + 2]))
        return false;
      i += 3;
      continue;
    }
    uint32_t c = tm_schema_next_char(s, len, &i);
    if (c >= 0x80) {
      if (!international || !is_foreign(c, strchr(extra, '?') != NULL))
        return false;
    } else if (!c || (!is_letter((char)c) && !is_digit((char)c) &&
                      !strchr("-._~!$&'()*+,;=", (int)c) && !strchr(extra, (int)c))) {
      return false;
    }
  }
  return true;
}

static bool is_ip_literal(const char *s, size_t len) {
  if (len < 3 || s[len - 1] != ']')
    return false;
  if ((s[1] | 0x20) != 'v')
    return tm_schema_format_ipv6(s + 1, len - 2);
  size_t i = 2;
  while (i < len && is_hex(s[i]))
    i++;
  return i > 2 && i + 2 < len && s[i] == '.' && all_fit(s + i + 1, len - i - 2, ":", false);
}

/* userinfo "@" host ":" port */
static bool is_authority(const char *s, size_t len, bool international) {
  const char *at = memchr(s, '@', len);
  if (at) {
    if (!all_fit(s, (size_t)(at - s), ":", international))
      return false;
    len -= (size_t)(at + 1 - s);
    s = at + 1;
  }
  size_t host = len;
  while (host > 0 && is_digit(s[host - 1]))
    host--;
  host = host > 0 && s[host - 1] == ':' ? host - 1 : len;
  return host && s[0] == '[' ? is_ip_literal(s, host) : all_fit(s, host, "", international);
}

/* Length of the scheme; 0 when there is none. */
static size_t scheme_len(const char *s, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (s[i] == ':')
      return i;
    if (!is_letter(s[i]) && !(i > 0 && (is_digit(s[i]) || strchr("+-.", s[i]))))
      return 0;
  }
  return 0;
}

static const char *find(const char *s, const char *end, const char *stops) {
  while (s < end && (*s == 0 || !strchr(stops, *s)))
    s++;
  return s;
}

bool tm_schema_format_uri(const char *s, size_t len, bool relative, bool international) {
  const char *end = s + len;
  size_t scheme = scheme_len(s, len);
  if (scheme == 0 && !relative)
    return false;
  const char *path = s + (scheme ? scheme + 1 : 0);
  if (end - path >= 2 && path[0] == '/' && path[1] == '/') {
    const char *stop = find(path + 2, end, "/?#");
    if (!is_authority(path + 2, (size_t)(stop - path - 2), international))
      return false;
    path = stop;
  }
  const char *query = find(path, end, "?#");
  const char *fragment = find(query, end, "#");
  if (!scheme && path == s && find(path, query, "/:") < query &&
      *find(path, query, "/:") == ':')
    return false; /* a colon in the first segment would read as a scheme */
  if (!all_fit(path, (size_t)(query - path), "/:@", international))
    return false;
  if (query < fragment &&
      !all_fit(query + 1, (size_t)(fragment - query - 1), "/:@?", international))
    return false;
  return fragment == end ||
         all_fit(fragment + 1, (size_t)(end - fragment - 1), "/:@?", international);
}

/* name, name:3 or name*; names of letters, digits, _, . and percent-encoded */
static bool is_variable(const char *s, size_t len) {
  if (len && s[len - 1] == '*')
    len--;
  const char *colon = memchr(s, ':', len);
  if (colon) {
    size_t digits = (size_t)(s + len - colon - 1);
    if (digits < 1 || digits > 4 || colon[1] == '0')
      return false;
    for (size_t i = 1; i <= digits; i++)
      if (!is_digit(colon[i]))
        return false;
    len = (size_t)(colon - s);
  }
  if (len == 0 || s[0] == '.' || s[len - 1] == '.')
    return false;
  for (size_t i = 0; i < len; i++) {
    if (s[i] == '%' && i + 2 < len && is_hex(s[i + 1]) && is_hex(s[i + 2]))
      i += 2;
    else if (!is_letter(s[i]) && !is_digit(s[i]) && s[i] != '_' && s[i] != '.')
      return false;
  }
  return true;
}

static bool is_expression(const char *s, size_t len) {
  if (len && s[0] && strchr("+#./;?&=,!@|", s[0])) {
    s++;
    len--;
  }
  const char *end = s + len;
  for (;;) {
    const char *comma = find(s, end, ",");
    if (!is_variable(s, (size_t)(comma - s)))
      return false;
    if (comma == end)
      return true;
    s = comma + 1;
  }
}

bool tm_schema_format_uri_template(const char *s, size_t len) {
  const char *end = s + len;
  while (s < end) {
    unsigned char c = (unsigned char)*s;
    if (c == '{') {
      const char *close = find(s, end, "}");
      if (close == end || !is_expression(s + 1, (size_t)(close - s - 1)))
        return false;
      s = close + 1;
      continue;
    }
    if (c <= 0x20 || c == 0x7f || strchr("\"'<>\\^`|}", c))
      return false;
    if (c == '%' && (end - s < 3 || !is_hex(s[1]) || !is_hex(s[2])))
      return false;
    s++;
  }
  return true;
}
