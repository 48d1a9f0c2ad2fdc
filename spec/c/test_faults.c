/* test_faults.c - docs/faults.md is what happens: every fault, every provider, plain and
 * streamed.
 */
#include <ctype.h>
#include <sys/resource.h>

#include "mock_box.h"
#include "tls_peer.h"

#define PAGE     "docs/faults.md"
#define ROW_CAP  1024
#define BOMB_CPU 2.0
#define BOMB_KB  (64 * 1024)

#define QUESTION                                                                           \
  "{\"unit\":\"u\",\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\","       \
  "\"content\":[{\"text\":\"What is it?\"}]}],\"timeouts\":{\"first_byte_ms\":%d,"         \
  "\"idle_ms\":%d,\"total_ms\":%d},\"schema\":{\"type\":\"object\",\"properties\":{"       \
  "\"category\":{"                                                                         \
  "\"enum\":[\"billing\",\"bug\"]}},\"required\":[\"category\"],\"additionalProperties\":" \
  "false}}"

/* -- the page -------------------------------------------------------------------------- */

typedef struct row {
  char fault[64], class[2][64], says[128]; /* class: plain, streamed */
  int attempts[2];
  bool bomb;
} row;

/* The cell that begins at *at, without the blanks around it. */
static void cell(char *out, size_t cap, char **at) {
  char *end = strchr(*at, '|');
  size_t len = end ? (size_t)(end - *at) : strcspn(*at, "\n");
  while (len && isspace((unsigned char)**at))
    ++*at, len--;
  size_t keep = len;
  while (keep && isspace((unsigned char)(*at)[keep - 1]))
    keep--;
  snprintf(out, cap, "%.*s", (int)keep, *at);
  *at += len + (end != NULL);
}

/* "plain / streamed", or one word for both. */
static void both(char out[2][64], const char *text) {
  const char *slash = strstr(text, " / ");
  snprintf(out[0], 64, "%.*s", slash ? (int)(slash - text) : 63, text);
  snprintf(out[1], 64, "%s", slash ? slash + 3 : text);
}

static bool parse_row(row *r, char *line) {
  char text[128], what[256], numbers[2][64], *at = line + 1;
  if (*line != '|' || strncmp(line, "| fault", 7) == 0 || strncmp(line, "|---", 4) == 0)
    return false;
  cell(r->fault, sizeof r->fault, &at);
  cell(what, sizeof what, &at);
  cell(text, sizeof text, &at);
  both(r->class, text);
  cell(text, sizeof text, &at);
  both(numbers, text);
  r->attempts[0] = atoi(numbers[0]);
  r->attempts[1] = atoi(numbers[1]);
  cell(r->says, sizeof r->says, &at);
  return true;
}

/* -- what it costs --------------------------------------------------------------------- */

typedef struct cost {
  double cpu_s;
  long rss_kb;
} cost;

static long high_water_kb(void) {
  char line[256];
  long kb = 0;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "VmHWM: %ld", &kb) == 1)
      break;
  if (f)
    fclose(f);
  return kb;
}

static double cpu_s(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* From here on the high water is that of what follows. */
static cost cost_begin(void) {
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (f) {
    fputs("5", f);
    fclose(f);
  }
  return (cost){cpu_s(), high_water_kb()};
}

static void cost_check(const cost *before, const char *what) {
#if !defined(__SANITIZE_ADDRESS__) /* whose shadow and quarantine are not ours */
  cost now = {cpu_s() - before->cpu_s, high_water_kb() - before->rss_kb};
  if (now.cpu_s >= BOMB_CPU || now.rss_kb >= BOMB_KB)
    check_fail(__FILE__, __LINE__, "%s: %.2f s of CPU, %ld KiB", what, now.cpu_s, now.rss_kb);
#else
  (void)before, (void)what;
#endif
}

/* -- the faults ------------------------------------------------------------------------ */

static void check_outcome(llm_box *b, const row *r, const mock_dialect_row *d, int way) {
  static const char *const ways[] = {"plain", "streamed"};
  const char *message = tm_json_get_str(b->error, "message");
  const char *class = b->error ? box_class(b) : "answer";
  bool says = !b->error || strstr(message, r->says);
  if (strcmp(class, r->class[way]) == 0 && b->attempt_count == r->attempts[way] && says &&
      (b->value != NULL) == (b->error == NULL))
    return;
  check_fail(__FILE__, __LINE__,
             "%s, %s, %s: %s after %d attempts, want %s after %d that says \"%s\": %.300s",
             r->fault, d->name, ways[way], class, b->attempt_count, r->class[way],
             r -> attempts[way], r -> says, message ? message : box_text(b, b->value));
}

/* What nobody could have counted is not known. */
static void check_usage(const llm_box *b, const row *r, const mock_dialect_row *d) {
  static const char *const names[] = {"input", "output", "total", "cached_input", "reasoning"};
  const tm_json *usage = tm_json_get(b->meta, "usage");
  for (size_t i = 0; strstr(r->fault, "usage") && i < sizeof names / sizeof *names; i++)
    if (tm_json_type_of(tm_json_get(usage, names[i])) != TM_JSON_NULL)
      check_fail(__FILE__, __LINE__, "%s, %s: %s is %lld", r->fault, d->name, names[i],
                 (long long)tm_json_int(tm_json_get(usage, names[i]), -1));
}

typedef struct servers {
  mock_process mock;
  tls_peers tls;
  bool has_tls;
} servers;

/* Where a row's provider is: at the mock, behind a bad certificate, or nowhere. */
static bool open_row(llm_box *b, const servers *s, const row *r) {
  mock_process nobody = {.port = 1};
  bool refused = strcmp(r->fault, "refused") == 0;
  int port = tls_port(&s->tls, r->fault);
  mock_box_open(b, refused ? &nobody : &s->mock, refused ? "" : r->fault);
  for (size_t i = 0; port && i < MOCK_DIALECTS; i++)
    box_set(b, mock_dialects[i].base_env,
            tm_arena_printf(&b->arena, "https://localhost:%d%s", port, mock_dialects[i].path));
  if (port)
    tls_trust(&s->tls, b->http);
  return s->has_tls || !tls_is_kind(r->fault);
}

static void play(const servers *s, const row *r, const mock_dialect_row *d, int way) {
  llm_box b;
  bool slow = strcmp(r->class[way], "timeout") == 0 && !isdigit((unsigned char)*r->fault);
  cost before = {0};
  if (r->bomb)
    before = cost_begin();
  if (!open_row(&b, s, r)) {
    box_close(&b);
    return;
  }
  /* Only the limit that the row is about is short: a busy machine may be slow elsewhere. */
  bool begins = slow && strncmp(r->says, "no answer", 9) == 0;
  bool silent = slow && strncmp(r->says, "silent", 6) == 0;
  box_ask(&b, tm_arena_printf(&b.arena, QUESTION, d->model, way ? "true" : "false",
                              begins ? 30 : 20000, silent ? 30 : 20000,
                              slow && !begins && !silent ? 40 : 0));
  check_outcome(&b, r, d, way);
  check_usage(&b, r, d);
  CHECK(!b.value || strcmp(tm_json_get_str(b.value, "category"), "bug") == 0 ||
        strcmp(tm_json_get_str(b.value, "category"), "billing") == 0);
  box_close(&b);
  if (r->bomb)
    cost_check(&before, r->fault);
}

/* Each table of the page, under its heading; returns how many rows there were. */
static int play_page(const servers *s, const mock_dialect_row *d, bool bombs) {
  char line[ROW_CAP], heading[128] = "";
  FILE *f = fopen(PAGE, "r");
  int count = 0;
  while (f && fgets(line, sizeof line, f)) {
    row r = {0};
    if (strncmp(line, "## ", 3) == 0)
      snprintf(heading, sizeof heading, "%.100s", line + 3);
    r.bomb = strncmp(heading, "Floods", 6) == 0;
    if (!parse_row(&r, line) || r.bomb != bombs)
      continue;
    count++;
    for (int way = 0; way < 2; way++)
      play(s, &r, d, way);
  }
  if (f)
    fclose(f);
  return count;
}

static bool start(servers *s) {
  *s = (servers){0};
  if (!mock_start(&s->mock, NULL)) {
    check_skip("mock-server is not beside this program (build it, or set TM_MOCK_SERVER)");
    return false;
  }
  s->has_tls = tls_start(&s->tls);
  return true;
}

static void stop(servers *s) {
  mock_stop(&s->mock);
  if (s->has_tls)
    tls_stop(&s->tls);
}

static void every_fault_of_the_page_is_what_the_page_says(const mock_dialect_row *d) {
  servers s;
  if (!start(&s))
    return;
  CHECK(play_page(&s, d, false) >= 110);
  stop(&s);
}

static void floods_and_bombs_are_cut_off_and_cost_little(const mock_dialect_row *d) {
  servers s;
  if (!start(&s))
    return;
  CHECK(play_page(&s, d, true) >= 12);
  stop(&s);
}

/* A suite for each provider, because most of the time here is waiting: they can run side by
 * side. */
static void run_page(size_t dialect) {
  CHECK_RUN_WITH(every_fault_of_the_page_is_what_the_page_says, &mock_dialects[dialect]);
  CHECK_RUN_WITH(floods_and_bombs_are_cut_off_and_cost_little, &mock_dialects[dialect]);
}

/* In the order of mock_dialects. */
CHECK_SUITE(faults_openai) {
  run_page(0);
}
CHECK_SUITE(faults_responses) {
  run_page(1);
}
CHECK_SUITE(faults_anthropic) {
  run_page(2);
}
CHECK_SUITE(faults_gemini) {
  run_page(3);
}
CHECK_SUITE(faults_ollama) {
  run_page(4);
}

_Static_assert(MOCK_DIALECTS == 5, "each provider has a suite");
