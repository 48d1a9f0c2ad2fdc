/* mock_box.h - an llm_box whose providers are all spec/mock's server, in a process of its own.
 *
 * The server is looked for beside the test program, or where TM_MOCK_SERVER says. A fault is a
 * part of the base URL, so one server plays all of them.
 */
#ifndef TM_SPEC_MOCK_BOX_H
#define TM_SPEC_MOCK_BOX_H

#include <signal.h>
#include <sys/wait.h>

#include "llm_box.h"

typedef struct mock_dialect_row {
  const char *name, *model, *base_env, *path; /* path: what the base URL ends in */
} mock_dialect_row;

static const mock_dialect_row mock_dialects[] = {
    {"openai", "openai/m", "OPENAI_BASE_URL", "/v1"},
    {"openai-responses", "openai-responses/m", "OPENAI_BASE_URL", "/v1"},
    {"anthropic", "anthropic/m", "ANTHROPIC_BASE_URL", ""},
    {"gemini", "gemini/m", "GOOGLE_GEMINI_BASE_URL", ""},
    {"ollama", "ollama/m", "OLLAMA_HOST", ""},
};
#define MOCK_DIALECTS (sizeof mock_dialects / sizeof *mock_dialects)

typedef struct mock_process {
  pid_t pid;
  int port;
} mock_process;

static bool mock_start(mock_process *m, const char *rules) {
  char path[4096];
  const char *given = getenv("TM_MOCK_SERVER");
  int out[2];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
  if (given)
    snprintf(path, sizeof path, "%s", given);
  else if (n > 0)
    path[n] = '\0', strcpy(strrchr(path, '/'), "/mock-server");
  if (access(path, X_OK) < 0 || pipe(out) < 0)
    return false;
  pid_t self = getpid();
  m->pid = fork();
  if (m->pid == 0) {
    check_tie(self);
    dup2(out[1], 1);
    if (rules)
      execl(path, path, "--no-log", "--rules", rules, (char *)NULL);
    else
      execl(path, path, "--no-log", (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  FILE *lines = fdopen(out[0], "r");
  bool up = lines && fscanf(lines, "listening %d", &m->port) == 1;
  if (lines)
    fclose(lines);
  return up;
}

static void mock_stop(mock_process *m) {
  kill(m->pid, SIGTERM);
  waitpid(m->pid, NULL, 0);
}

/* A box whose providers all have this fault; "" for none. */
static void mock_box_open(llm_box *b, const mock_process *m, const char *fault) {
  box_open(b, NULL);
  for (size_t i = 0; i < MOCK_DIALECTS; i++)
    box_set(b, mock_dialects[i].base_env,
            tm_arena_printf(&b->arena, "http://127.0.0.1:%d%s%s%s", m->port,
                            *fault ? "/fault/" : "", fault, mock_dialects[i].path));
  box_set(b, "OPENAI_API_KEY", "sk-secret-of-openai");
  box_set(b, "ANTHROPIC_API_KEY", "sk-ant-secret-of-anthropic");
}

#endif
