/* guard.h - where a request may go whose URL may hold what a customer or a model wrote.
 *
 * Whoever chooses a URL could have this machine ask its own neighbours: a database without a
 * password, the cloud's metadata. So a guarded request reaches the addresses of the open
 * internet, and beyond them only what the operator has listed:
 *
 *   127.0.0.1:8080  10.1.0.0/16  [::1]         by address, whatever name led there
 *   payments.internal  *.corp.example:8443     by the name in the URL, wherever it leads
 *
 * What is judged is the address of the connection at the moment it is made (or used again), not
 * the text of the URL: a name that resolves to something else the second time, and 127.0.0.1
 * spelt as 2130706433 or 0177.1, come to the same. Where a proxy resolves names, the proxy is
 * what is connected to: it has to be listed when it is a neighbour, and names are its to judge.
 */
#ifndef TM_NET_GUARD_H
#define TM_NET_GUARD_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"

typedef struct tm_guard tm_guard;

tm_guard *tm_guard_new(void); /* lets nothing through but public addresses */
void tm_guard_free(tm_guard **g);

/* Add entries, with commas or blanks between. TM_CONFIG names the one that cannot be read. */
int tm_guard_allow(tm_guard *g, const char *entries, tm_err *err);

/* Is this an address of the open internet? Of IPv4 in IPv6 clothes, what is inside counts. */
bool tm_guard_public(const struct sockaddr *to);
/* May a URL with this host (no brackets, no port) lead to this address and port? */
bool tm_guard_lets(const tm_guard *g, const char *host, const struct sockaddr *to);

/* Where a URL of http or https leads by its text. */
typedef struct tm_guard_place {
  char host[256]; /* without brackets */
  int port;
} tm_guard_place;

/* False: it is no such URL, or its host is not written plainly. */
bool tm_guard_place_of(tm_guard_place *out, const char *url);
/* For a URL that somebody else will fetch, so that nobody here sees where it leads: does its text
 * say nothing against it? A private address and this machine's own name do. */
bool tm_guard_trusts(const tm_guard *g, const char *url);

/* The address that a text is, in any spelling that a resolver takes for one; false: a name. */
bool tm_guard_address(struct sockaddr_storage *out, const char *text, int port);

#endif
