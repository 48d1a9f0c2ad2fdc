/* bench_asks.c - 10,000 model calls of ten runs, 1,000 in flight: parsed, validated, and journaled
 * with every byte that went and came (SQLite, WAL, synchronous=FULL).
 *
 *   bench=B3 metric=calls_per_s, cpu_s_per_1000, peak_rss_mb
 *
 *   bench_asks [CALLS [RUNS [ROUNDS]]]     calls of each run, a hundred of them at once
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kit.h"
#include "mock.h"

#define ROUNDS_MAX 9

static const char workflow[] = "local mill = require 'tidemill'\n"
                               "local flow = mill.workflow 'ask' {}\n"
                               "function flow.main(input)\n"
                               "  local items = {}\n"
                               "  for i = 1, input.n do items[i] = i end\n"
                               "  mill.map(items, function(i)\n"
                               "    local answer = mill.llm('bench', { n = i })\n"
                               "    assert(answer.urgency == 3)\n"
                               "  end, { max = 100 })\n"
                               "  return input.n\n"
                               "end\n"
                               "return flow\n";

static const char prompt[] = "---\n"
                             "model: openai/mock\n"
                             "config: { temperature: 0 }\n"
                             "output:\n"
                             "  schema:\n"
                             "    category(enum): [billing, bug, other]\n"
                             "    urgency: integer\n"
                             "    reply: string\n"
                             "    refund: boolean\n"
                             "---\n"
                             "Sort message {{n}}.\n";

static void write_prompt(const char *dir) {
  char path[512];
  snprintf(path, sizeof path, "%s/prompts", dir);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/prompts/bench.prompt", dir);
  FILE *f = fopen(path, "w");
  if (!f || fputs(prompt, f) < 0 || fclose(f) != 0)
    kit_die(path, "cannot be written");
}

static void point_at(int port) {
  char base[64];
  snprintf(base, sizeof base, "http://127.0.0.1:%d/v1", port);
  setenv("OPENAI_BASE_URL", base, 1);
  setenv("OPENAI_API_KEY", "sk-bench-0123456789", 1);
}

int main(int argc, char **argv) {
  struct rlimit files;
  struct rusage u;
  double rate[ROUNDS_MAX], cpu[ROUNDS_MAX];
  int calls = argc > 1 ? atoi(argv[1]) : 1000, runs = argc > 2 ? atoi(argv[2]) : 10;
  int rounds = argc > 3 ? atoi(argv[3]) : 3;
  int port;
  rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  pid_t mock = mock_start(&port);
  point_at(port);
  write_prompt(kit_project("ask", workflow));
  tidemill *t = kit_open();
  for (int i = 0; i < rounds; i++) {
    double begin = kit_cpu();
    rate[i] = runs * calls / kit_crowd(t, "ask", calls, runs, runs, NULL, NULL);
    cpu[i] = (kit_cpu() - begin) * 1000 / (runs * calls);
  }
  getrusage(RUSAGE_SELF, &u);
  kit_print("B3", "calls_per_s", kit_median(rate, (size_t)rounds), "1/s");
  kit_print("B3", "cpu_s_per_1000", kit_median(cpu, (size_t)rounds), "s");
  kit_print("B3", "peak_rss_mb", (double)u.ru_maxrss / 1024, "MB");
  tidemill_close(t);
  kill(mock, SIGTERM);
  waitpid(mock, NULL, 0);
  return 0;
}
