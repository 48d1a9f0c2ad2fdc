/* tls_peer.h - servers with good and bad certificates on loopback, by the openssl program.
 *
 * Their authority is vouched for in the test alone: tls_trust puts it in front of a tm_http's
 * libcurl. The program itself has no such door.
 */
#ifndef TM_SPEC_TLS_PEER_H
#define TM_SPEC_TLS_PEER_H

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "net/http_in.h"

/* Signed by the authority, but for selfsigned; notca: by one who may not sign. */
#define TLS_KINDS 5
static const char *const tls_kinds[TLS_KINDS] = {"good", "expired", "wronghost", "selfsigned",
                                                 "notca"};

typedef struct tls_peers {
  char dir[64], ca[80];
  pid_t pids[TLS_KINDS];
  FILE *lines[TLS_KINDS];
  int ports[TLS_KINDS];
} tls_peers;

static const char tls_make[] =
    "cd '%s' && exec 2>/dev/null && ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' && "
    "openssl req -x509 $ec -keyout ca.key -out ca -days 2 -subj /CN=Test && "
    "openssl req $ec -keyout key -out csr -subj /CN=localhost && "
    "echo subjectAltName=DNS:localhost > here && "
    "echo subjectAltName=DNS:elsewhere.example > there && "
    "echo basicConstraints=CA:FALSE > leaf && "
    "sign() { openssl x509 -req -in csr -CA $1 -CAkey $2 -CAcreateserial -days $3 "
    "-extfile $4 -out $5; } && "
    "sign ca ca.key 2 here good && sign ca ca.key -1 here expired && "
    "sign ca ca.key 2 there wronghost && sign ca ca.key 2 leaf middle && "
    "sign middle key 2 here notca.leaf && cat notca.leaf middle > notca && "
    "openssl req -x509 -key key -out selfsigned -days 2 -subj /CN=localhost "
    "-addext subjectAltName=DNS:localhost";

static bool tls_serve(tls_peers *t, int i) {
  char command[256], line[256];
  int out[2];
  snprintf(command, sizeof command,
           "cd '%s' && exec openssl s_server -accept 127.0.0.1:0 -key key -cert %s "
           "-cert_chain %s -www 2>&1",
           t->dir, tls_kinds[i], tls_kinds[i]);
  if (pipe(out) < 0)
    return false;
  pid_t self = getpid();
  t->pids[i] = fork();
  if (t->pids[i] == 0) {
    check_tie(self);
    dup2(out[1], 1);
    close(out[0]);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  t->lines[i] = fdopen(out[0], "r");
  while (!t->ports[i] && fgets(line, sizeof line, t->lines[i]))
    sscanf(line, "ACCEPT 127.0.0.1:%d", &t->ports[i]);
  return t->ports[i] > 0;
}

/* False: there is no openssl program, and the test is skipped. */
static bool tls_start(tls_peers *t) {
  char command[2048];
  *t = (tls_peers){.dir = "/tmp/tidemill-tls-XXXXXX"};
  bool up = system("openssl version >/dev/null 2>&1") == 0 && mkdtemp(t->dir);
  snprintf(command, sizeof command, tls_make, t->dir);
  if (!up || system(command) != 0) {
    check_skip("the openssl program is not installed, or too old");
    return false;
  }
  snprintf(t->ca, sizeof t->ca, "%s/ca", t->dir);
  for (int i = 0; i < TLS_KINDS; i++)
    if (!tls_serve(t, i))
      check_fail(__FILE__, __LINE__, "no TLS server came up");
  return true;
}

static void tls_stop(tls_peers *t) {
  char command[128];
  for (int i = 0; i < TLS_KINDS; i++)
    if (t->pids[i] > 0) {
      kill(t->pids[i], SIGKILL);
      waitpid(t->pids[i], NULL, 0);
      fclose(t->lines[i]);
    }
  snprintf(command, sizeof command, "rm -rf '%s'", t->dir);
  CHECK_INT(system(command), 0);
}

__attribute__((unused)) static bool tls_is_kind(const char *name) {
  for (int i = 0; i < TLS_KINDS; i++)
    if (strcmp(tls_kinds[i], name) == 0)
      return true;
  return false;
}

static int tls_port(const tls_peers *t, const char *kind) {
  for (int i = 0; i < TLS_KINDS; i++)
    if (strcmp(tls_kinds[i], kind) == 0)
      return t->ports[i];
  return 0;
}

static char tls_ca[80];
static CURL *(*tls_real_init)(void);
static __typeof__(&curl_easy_setopt) tls_setopt;

static CURL *tls_init(void) {
  CURL *easy = tls_real_init();
  CHECK_INT(tls_setopt(easy, CURLOPT_CAINFO, tls_ca), CURLE_OK);
  return easy;
}

/* Before the first request of h. */
__attribute__((unused)) static void tls_trust(const tls_peers *t, tm_http *h) {
  tm_err err = TM_ERR_INIT;
  REQUIRE(tm_curl_load(&h->curl, NULL, &err) == 0);
  snprintf(tls_ca, sizeof tls_ca, "%s", t->ca);
  tls_real_init = h->curl.easy_init;
  tls_setopt = h->curl.easy_setopt;
  h->curl.easy_init = tls_init;
}

#endif
