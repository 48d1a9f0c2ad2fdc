/* test_api.c - the public header alone, in a program with a loop of its own.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "tidemill.h"

static const char workflow[] =
    "local mill = require 'tidemill'\n"
    "local flow = mill.workflow 'w' {}\n"
    "local ask = flow:action 'ask' { host = true, on_unknown = 'ask',\n"
    "  key = function(args) return args.key end }\n"
    "function flow.main(input)\n"
    "  if input.sleep then mill.sleep(input.sleep) return 'slept' end\n"
    "  if input.say then return (mill.llm('say', { name = input.say })) end\n"
    "  local ok, e = pcall(ask, { key = input.key })\n"
    "  return ok and e or { kind = e.kind, message = e.message }\n"
    "end\n"
    "return flow\n";

typedef struct box {
  char dir[64];
  tidemill *t;
  int calls;
  pthread_t thread;
  char seen[512];
  int fd; /* of the loop, and how often it had something to read */
  int polls;
} box;

static void put(const char *dir, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "w");
  if (f) {
    fputs(text, f);
    fclose(f);
  }
}

static bool box_open(box *b) {
  char folder[128];
  *b = (box){.dir = "/tmp/tidemill-api-XXXXXX"};
  if (!mkdtemp(b->dir))
    return false;
  snprintf(folder, sizeof folder, "%s/workflows", b->dir);
  mkdir(folder, 0700);
  snprintf(folder, sizeof folder, "%s/prompts", b->dir);
  mkdir(folder, 0700);
  put(b->dir, "workflows/w.lua", workflow);
  put(b->dir, "prompts/say.prompt", "---\nmodel: mine/large\n---\nGreet {{name}}.\n");
  tidemill_options *o = tidemill_options_new();
  tidemill_options_set(o, "dir", b->dir);
  tidemill_options_set(o, "db", "memory:");
  int rc = tidemill_open(&b->t, o);
  tidemill_options_free(o);
  b->fd = tidemill_fd(b->t);
  return rc == 0;
}

static void box_close(box *b) {
  char command[128];
  tidemill_close(b->t);
  snprintf(command, sizeof command, "rm -rf %s", b->dir);
  CHECK_INT(system(command), 0);
}

/* The loop of somebody else: poll, then dispatch; until the run is over. */
static char *run_to_end(box *b, const char *input) {
  char *id = NULL, *result = NULL;
  size_t len;
  if (tidemill_start(b->t, "w", input, SIZE_MAX, NULL, &id) < 0)
    check_fail(__FILE__, __LINE__, "%s", tidemill_errmsg(b->t));
  while (tidemill_result(b->t, id, &result, &len) == TIDEMILL_EWAITING) {
    struct pollfd p = {.fd = b->fd, .events = POLLIN};
    int64_t wait = tidemill_timeout(b->t);
    b->polls += poll(&p, 1, wait < 0 || wait > 10000 ? 10000 : (int)wait);
    if (tidemill_dispatch(b->t, 0) < 0)
      break;
  }
  tidemill_free(id);
  return result;
}

static void a_sleeping_run_ends_in_a_loop_of_somebody_else(void) {
  box b;
  REQUIRE(box_open(&b));
  char *result = run_to_end(&b, "{\"sleep\":0.02}");
  CHECK_STR(result, "\"slept\"");
  tidemill_free(result);
  CHECK_INT(tidemill_dispatch(b.t, 0), 0); /* nothing is ready any more */
  box_close(&b);
}

static void *complete_elsewhere(void *call) {
  tidemill_complete(call, "{\"by\":\"a thread\"}", SIZE_MAX);
  return NULL;
}

static void hand_to_a_thread(void *user, tidemill_call *call) {
  box *b = user;
  b->calls++;
  pthread_create(&b->thread, NULL, complete_elsewhere, call);
}

static void an_action_may_be_finished_by_another_thread(void) {
  box b;
  REQUIRE(box_open(&b));
  tidemill_register_action(b.t, "ask", hand_to_a_thread, &b);
  char *result = run_to_end(&b, "{\"key\":\"k\"}");
  pthread_join(b.thread, NULL);
  CHECK_STR(result, "{\"by\":\"a thread\"}");
  CHECK_INT(b.calls, 1);
  CHECK(b.polls > 0); /* the thread's end was heard through the descriptor */
  tidemill_free(result);
  box_close(&b);
}

static void fail_it(void *user, tidemill_call *call) {
  box *b = user;
  size_t len;
  const char *input = tidemill_call_input(call, &len);
  snprintf(b->seen, sizeof b->seen, "%s %s %.*s", tidemill_call_name(call),
           tidemill_call_key(call), (int)len, input);
  b->calls++;
  CHECK_INT(tidemill_complete(call, "no JSON", SIZE_MAX), TIDEMILL_EUSAGE); /* still open */
  tidemill_fail(call, "the other side is closed", 0);
}

static void an_action_that_certainly_did_not_happen_raises_in_the_script(void) {
  box b;
  REQUIRE(box_open(&b));
  tidemill_register_action(b.t, "ask", fail_it, &b);
  char *result = run_to_end(&b, "{\"key\":\"k\"}");
  CHECK(result && strstr(result, "the other side is closed"));
  CHECK_STR(b.seen, "ask k {\"key\":\"k\"}");
  tidemill_free(result);
  result = run_to_end(&b, "{\"key\":\"k\"}"); /* the key is free again */
  CHECK_INT(b.calls, 2);
  tidemill_free(result);
  box_close(&b);
}

static void perhaps(void *user, tidemill_call *call) {
  ((box *)user)->calls++;
  tidemill_fail(call, "the line went dead", 1);
}

static void an_action_that_may_have_happened_waits_for_a_person(void) {
  box b;
  char *id, *gates = NULL, *result = NULL;
  size_t len;
  REQUIRE(box_open(&b));
  tidemill_register_action(b.t, "ask", perhaps, &b);
  CHECK_INT(tidemill_start(b.t, "w", "{\"key\":\"k\"}", SIZE_MAX, NULL, &id), 0);
  CHECK_INT(tidemill_run(b.t, id, -1), TIDEMILL_EWAITING);
  CHECK_INT(tidemill_gates(b.t, NULL, &gates, &len), 0);
  CHECK(gates && strstr(gates, "the line went dead"));
  CHECK_INT(tidemill_approve(b.t, id, NULL, NULL), TIDEMILL_ECONFLICT);
  CHECK_INT(tidemill_resolve(b.t, id, NULL, "{\"found\":true}", 14, NULL), 0);
  CHECK_INT(tidemill_run(b.t, id, -1), 0);
  CHECK_INT(tidemill_result(b.t, id, &result, &len), 0);
  CHECK_STR(result, "{\"found\":true}");
  CHECK_INT(b.calls, 1);
  tidemill_free(gates);
  tidemill_free(result);
  tidemill_free(id);
  box_close(&b);
}

static void greet(void *user, tidemill_call *call) {
  box *b = user;
  size_t len;
  const char *input = tidemill_call_input(call, &len);
  snprintf(b->seen, sizeof b->seen, "%.*s", (int)len, input);
  tidemill_complete(call, "\"Hello from the host\"", SIZE_MAX);
}

static void a_provider_of_the_program_answers_a_unit(void) {
  box b;
  REQUIRE(box_open(&b));
  CHECK_INT(tidemill_register_provider(b.t, "mine", greet, &b), 0);
  char *result = run_to_end(&b, "{\"say\":\"Ada\"}");
  CHECK_STR(result, "\"Hello from the host\"");
  CHECK(strstr(b.seen, "\"unit\":\"say\"") && strstr(b.seen, "Greet Ada."));
  tidemill_free(result);
  box_close(&b);
}

static void *wake_it(void *t) {
  tidemill_wakeup(t);
  return NULL;
}

static void a_dispatch_that_sleeps_is_woken_from_another_thread(void) {
  box b;
  REQUIRE(box_open(&b));
  REQUIRE(pthread_create(&b.thread, NULL, wake_it, b.t) == 0);
  CHECK(tidemill_dispatch(b.t, -1) >= 0); /* without it this would never return */
  pthread_join(b.thread, NULL);
  box_close(&b);
}

CHECK_SUITE(api) {
  CHECK_RUN(a_sleeping_run_ends_in_a_loop_of_somebody_else);
  CHECK_RUN(an_action_may_be_finished_by_another_thread);
  CHECK_RUN(an_action_that_certainly_did_not_happen_raises_in_the_script);
  CHECK_RUN(an_action_that_may_have_happened_waits_for_a_person);
  CHECK_RUN(a_provider_of_the_program_answers_a_unit);
  CHECK_RUN(a_dispatch_that_sleeps_is_woken_from_another_thread);
}
