/* curl.h - libcurl as a table of functions, loaded when first needed.
 *
 * Linking libcurl costs 6 to 8 ms of every process start (it brings OpenSSL, Kerberos and
 * LDAP along); a run that asks nobody outside need not pay for it.
 */
#ifndef TM_NET_CURL_H
#define TM_NET_CURL_H

#define CURL_DISABLE_TYPECHECK /* its macros would stand in the way of the table */
#include <curl/curl.h>

#include "base/err.h"

/* X(field, function of libcurl) */
#define TM_CURL_FUNCTIONS(X)                       \
  X(global_init, curl_global_init)                 \
  X(global_cleanup, curl_global_cleanup)           \
  X(easy_init, curl_easy_init)                     \
  X(easy_setopt, curl_easy_setopt)                 \
  X(easy_getinfo, curl_easy_getinfo)               \
  X(easy_cleanup, curl_easy_cleanup)               \
  X(easy_strerror, curl_easy_strerror)             \
  X(multi_init, curl_multi_init)                   \
  X(multi_setopt, curl_multi_setopt)               \
  X(multi_add_handle, curl_multi_add_handle)       \
  X(multi_remove_handle, curl_multi_remove_handle) \
  X(multi_socket_action, curl_multi_socket_action) \
  X(multi_info_read, curl_multi_info_read)         \
  X(multi_strerror, curl_multi_strerror)           \
  X(multi_cleanup, curl_multi_cleanup)

typedef struct tm_curl {
  void *library;
#define X(field, function) __typeof__(&function) field;
  TM_CURL_FUNCTIONS(X)
#undef X
} tm_curl;

/* Load the first of `names` (NULL-terminated; NULL: libcurl's own names on this system) that is
 * there. TM_CONFIG names the package to install. The library stays loaded. */
int tm_curl_load(tm_curl *out, const char *const *names, tm_err *err);
void tm_curl_unload(tm_curl *c);

#endif
