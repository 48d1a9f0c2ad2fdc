/* guard.c - where a request may go whose URL may hold what a customer or a model wrote. */
#include "net/guard.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define ENTRY_MAX   300 /* bytes: a host name has at most 253 */
#define ENTRIES_MAX 1000

/* 16 bytes, IPv4 as ::ffff:a.b.c.d: one form to compare in. */
typedef struct address {
  unsigned char bytes[16];
  int port;
} address;

typedef struct entry {
  char *name; /* lower case, "*.corp.example" for all below it; NULL: an address */
  unsigned char bytes[16];
  unsigned bits; /* of `bytes` that count */
  int port;      /* 0: any */
} entry;

struct tm_guard {
  entry *entries;
  size_t count;
};

/* -- addresses ------------------------------------------------------------------------- */

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool read_address(address *out, const struct sockaddr *to) {
  if (to->sa_family == AF_INET) {
    struct sockaddr_in in;
    memcpy(&in, to, sizeof in);
    memcpy(out->bytes, mapped, 12);
    memcpy(out->bytes + 12, &in.sin_addr, 4);
    out->port = ntohs(in.sin_port);
    return true;
  }
  if (to->sa_family != AF_INET6)
    return false;
  struct sockaddr_in6 in6;
  memcpy(&in6, to, sizeof in6);
  memcpy(out->bytes, &in6.sin6_addr, 16);
  out->port = ntohs(in6.sin6_port);
  return true;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits) {
  unsigned whole = bits / 8, rest = bits % 8;
  return memcmp(a, b, whole) == 0 && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static bool public_v4(const unsigned char *ip) {
  static const struct {
    unsigned char ip[4];
    unsigned bits;
  } ours[] = {{{0, 0, 0, 0}, 8},     {{10, 0, 0, 0}, 8},      {{100, 64, 0, 0}, 10},
              {{127, 0, 0, 0}, 8},   {{169, 254, 0, 0}, 16},  {{172, 16, 0, 0}, 12},
              {{192, 0, 0, 0}, 24},  {{192, 0, 2, 0}, 24},    {{192, 168, 0, 0}, 16},
              {{198, 18, 0, 0}, 15}, {{198, 51, 100, 0}, 24}, {{203, 0, 113, 0}, 24},
              {{224, 0, 0, 0}, 3}}; /* multicast, reserved, broadcast */
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (same_bits(ip, ours[i].ip, ours[i].bits))
      return false;
  return true;
}

/* Only 2000::/3 is given out, and parts of it carry an IPv4 address to which they lead. */
static bool public_v6(const unsigned char *ip) {
  static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b}, sixtofour[2] = {0x20, 0x02};
  static const unsigned char doc[4] = {0x20, 0x01, 0x0d, 0xb8}, special[3] = {0x20, 0x01};
  if (memcmp(ip, mapped, 12) == 0 || memcmp(ip, nat64, 12) == 0)
    return public_v4(ip + 12);
  if (memcmp(ip, sixtofour, 2) == 0)
    return public_v4(ip + 2);
  return ip[0] >> 5 == 1 && !same_bits(ip, special, 23) && memcmp(ip, doc, 4) != 0;
}

bool tm_guard_public(const struct sockaddr *to) {
  address a;
  return read_address(&a, to) && public_v6(a.bytes);
}

bool tm_guard_address(struct sockaddr_storage *out, const char *text, int port) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  char plain[INET6_ADDRSTRLEN];
  memset(out, 0, sizeof *out);
  snprintf(plain, sizeof plain, "%.*s", (int)strcspn(text, "%"), text); /* fe80::1%eth0 */
  if (inet_pton(AF_INET6, plain, &in6.sin6_addr) == 1)
    memcpy(out, &in6, sizeof in6);
  else if (inet_aton(text, &in.sin_addr)) /* also 2130706433, 0177.1 and 0x7f.1 */
    memcpy(out, &in, sizeof in);
  else
    return false;
  return true;
}

/* -- URLs ------------------------------------------------------------------------------ */

bool tm_guard_place_of(tm_guard_place *out, const char *url) {
  bool tls = strncasecmp(url, "https://", 8) == 0;
  if (!tls && strncasecmp(url, "http://", 7) != 0)
    return false;
  const char *text = url + (tls ? 8 : 7);
  size_t len = strcspn(text, "/?#\\"), from = *text == '[';
  size_t host = from ? strcspn(text, "]") - 1 : strcspn(text, ":/?#\\");
  const char *behind = text + host + 2 * from;
  if (!host || host >= sizeof out->host || host + 2 * from > len || text[len] == '\\' ||
      memchr(text, '%', len) || memchr(text, '@', len) ||
      (behind < text + len && *behind != ':'))
    return false;
  memcpy(out->host, text + from, host);
  out->host[host] = '\0';
  out->port = *behind == ':' ? atoi(behind + 1) : 0;
  if (out->port <= 0)
    out->port = tls ? 443 : 80;
  return true;
}

/* "localhost" and all below it, with or without the root's dot (RFC 6761). */
static bool is_localhost(const char *host) {
  static const char name[] = "localhost";
  size_t len = strlen(host), want = sizeof name - 1;
  len -= len && host[len - 1] == '.';
  return len >= want && strncasecmp(host + len - want, name, want) == 0 &&
         (len == want || host[len - want - 1] == '.');
}

bool tm_guard_trusts(const tm_guard *g, const char *url) {
  tm_guard_place at;
  struct sockaddr_storage to;
  if (!tm_guard_place_of(&at, url))
    return false;
  if (!tm_guard_address(&to, is_localhost(at.host) ? "127.0.0.1" : at.host, at.port))
    return true;
  return tm_guard_lets(g, at.host, (const struct sockaddr *)&to);
}

/* -- the list -------------------------------------------------------------------------- */

tm_guard *tm_guard_new(void) {
  return tm_new(tm_guard);
}

void tm_guard_free(tm_guard **guard) {
  tm_guard *g = *guard;
  *guard = NULL;
  if (!g)
    return;
  for (size_t i = 0; i < g->count; i++)
    tm_free(g->entries[i].name);
  tm_free(g->entries);
  tm_free(g);
}

/* A number up to `max` that is all of the text; -1: it is none. */
static int number(const char *text, int max) {
  size_t digits = strspn(text, "0123456789");
  int n = digits && digits < 6 ? atoi(text) : -1;
  return text[digits] || n > max ? -1 : n;
}

static bool is_name(const char *s) {
  if (strncmp(s, "*.", 2) == 0)
    s += 2;
  if (!*s || *s == '.')
    return false;
  for (; *s; s++)
    if (!isalnum((unsigned char)*s) && !strchr("-._", *s))
      return false;
  return true;
}

/* "[::1]:80", "::1", "10.0.0.0/8", "name:80": taken apart in place. */
static bool read_entry(entry *out, char *text) {
  struct sockaddr_storage at;
  address a;
  char *host = text, *bits = strchr(text, '/'), *port = NULL;
  if (bits)
    *bits++ = '\0';
  if (*text == '[') {
    char *end = strchr(text, ']');
    if (!end || (end[1] && end[1] != ':'))
      return false;
    port = end[1] ? end + 2 : NULL;
    *end = '\0';
    host++;
  } else if (strchr(text, ':') && strchr(text, ':') == strrchr(text, ':')) {
    port = strchr(text, ':');
    *port++ = '\0';
  }
  *out = (entry){.port = port ? number(port, 65535) : 0};
  if (out->port < 0 || (port && !out->port) || (bits && port))
    return false;
  if (!tm_guard_address(&at, host, 0)) {
    if (bits || !is_name(host))
      return false;
    out->name = tm_strdup(host);
    for (char *p = out->name; *p; p++)
      *p = (char)tolower((unsigned char)*p);
    return true;
  }
  if (!read_address(&a, (const struct sockaddr *)&at))
    return false;
  memcpy(out->bytes, a.bytes, 16);
  int wide = at.ss_family == AF_INET ? 32 : 128, given = bits ? number(bits, wide) : wide;
  out->bits = (unsigned)(given + 128 - wide);
  return given >= 0;
}

static int allow_one(tm_guard *g, const char *from, size_t len, tm_err *err) {
  char text[ENTRY_MAX];
  entry e;
  snprintf(text, sizeof text, "%.*s", (int)len, from);
  if (len >= sizeof text || g->count == ENTRIES_MAX || !read_entry(&e, text))
    return tm_err_set(err, TM_CONFIG,
                      "\"%.*s\" is no host that may be reached: write a name (\"db.internal\", "
                      "\"*.internal\") or an address (\"127.0.0.1\", \"10.1.0.0/16\", "
                      "\"[::1]\"), with \":PORT\" behind it for one port",
                      (int)(len < 80 ? len : 80), from);
  g->entries = tm_realloc(g->entries, (g->count + 1) * sizeof *g->entries);
  g->entries[g->count++] = e;
  return 0;
}

int tm_guard_allow(tm_guard *g, const char *entries, tm_err *err) {
  static const char between[] = ", \t\r\n";
  for (const char *at = entries + strspn(entries, between); *at; at += strspn(at, between)) {
    size_t len = strcspn(at, between);
    if (allow_one(g, at, len, err) < 0)
      return -1;
    at += len;
  }
  return 0;
}

/* "db.internal" or "*.internal", against a host that may end in the root's dot. */
static bool names(const char *pattern, const char *host) {
  size_t len = strlen(host);
  if (len && host[len - 1] == '.')
    len--;
  size_t want = strlen(pattern);
  if (*pattern != '*')
    return len == want && strncasecmp(pattern, host, len) == 0;
  return len >= want && strncasecmp(pattern + 1, host + len - (want - 1), want - 1) == 0;
}

bool tm_guard_lets(const tm_guard *g, const char *host, const struct sockaddr *to) {
  address a;
  if (!read_address(&a, to))
    return false;
  if (public_v6(a.bytes))
    return true;
  for (size_t i = 0; i < g->count; i++) {
    const entry *e = &g->entries[i];
    if (e->port && e->port != a.port)
      continue;
    if (e->name ? names(e->name, host) : same_bits(e->bytes, a.bytes, e->bits))
      return true;
  }
  return false;
}
