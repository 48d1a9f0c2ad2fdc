/* curl.c - finding libcurl and filling the table. */
#include "net/curl.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const char *const usual_names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", NULL};

/* The library is never unmapped: OpenSSL inside it registers handlers that run at exit. */
#define MODE (RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)

static void *open_first(const char *const *names) {
  void *library = NULL;
  for (size_t i = 0; names[i] && !library; i++)
    library = dlopen(names[i], MODE);
  return library;
}

/* NULL, or the name of the function that is missing. */
static const char *fill(tm_curl *c) {
  static const struct {
    const char *name;
    size_t at;
  } functions[] = {
#define X(field, function) {#function, offsetof(tm_curl, field)},
      TM_CURL_FUNCTIONS(X)
#undef X
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *found = dlsym(c->library, functions[i].name);
    if (!found)
      return functions[i].name;
    memcpy((char *)c + functions[i].at, &found, sizeof found);
  }
  return NULL;
}

int tm_curl_load(tm_curl *out, const char *const *names, tm_err *err) {
  *out = (tm_curl){.library = open_first(names ? names : usual_names)};
  if (!out->library)
    return tm_err_set(
        err, TM_CONFIG,
        "HTTP needs libcurl, which is not installed here (%s); install the package "
        "libcurl4 (Debian: apt-get install libcurl4)",
        dlerror());
  const char *missing = fill(out);
  if (missing) {
    dlclose(out->library);
    out->library = NULL;
    return tm_err_set(err, TM_CONFIG,
                      "the libcurl installed here has no %s; install libcurl 7.85 or newer "
                      "(package libcurl4)",
                      missing);
  }
  if (out->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    tm_curl_unload(out);
    return tm_err_set(err, TM_FAILED, "libcurl could not start: its TLS library refused");
  }
  return 0;
}

void tm_curl_unload(tm_curl *c) {
  if (!c->library)
    return;
  c->global_cleanup();
  dlclose(c->library);
  *c = (tm_curl){0};
}
