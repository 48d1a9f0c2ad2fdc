/* cli.c - the command line: flags and operands sorted by the table (cli_table.c), help, the program.
 *
 *   tidemill [FLAG…] COMMAND [FLAG…] [ARGUMENT…]
 *
 * Flags may stand anywhere; `--` ends them. A parser of our own, not lua-argparse: reading 60
 * KB of Lua at each start costs more than a whole small run.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "face/cli.h"
#include "net/loop.h"

/* -- help ------------------------------------------------------------------------------ */

static void print_flags(uint64_t set) {
  for (int f = 0; f < TM_FLAG_COUNT; f++) {
    if (!(set & UINT64_C(1) << f))
      continue;
    const tm_cli_flag_info *i = &tm_cli_flags[f];
    char left[48];
    snprintf(left, sizeof left, "%c%c%s--%s%s%s", i->letter ? '-' : ' ',
             i->letter ? i->letter : ' ', i->letter ? ", " : "  ", i->name, i->value ? " " : "",
             i->value ? i->value : "");
    printf("  %-20s  %s\n", left, i->about);
  }
}

static void print_command_help(const tm_cli_command *k) {
  bool passes_on = k->max < 0; /* behind its name nothing is ours */
  printf("usage: tidemill %s%s%s%s%s\n\n  %s\n", passes_on ? "[FLAG…] " : "", k->name,
         *k->args ? " " : "", k->args, passes_on ? "" : " [FLAG…]", k->about);
  if (k->more)
    printf("\n%s", k->more);
  if (k->flags) {
    printf("\nflags:\n");
    print_flags(k->flags);
  }
  printf("\nglobal flags:\n");
  print_flags(tm_cli_global);
}

static void print_help(void) {
  printf("usage: tidemill [FLAG…] COMMAND [FLAG…] [ARGUMENT…]\n\n");
  for (const tm_cli_command *k = tm_cli_commands; k->name; k++) {
    char left[48];
    tm_buf cell = TM_BUF_INIT;
    snprintf(left, sizeof left, "%s %s", k->name, k->args);
    tm_cli_text_cell(&cell, left, 35, true); /* printf pads by bytes */
    printf("  %s%s\n", tm_buf_str(&cell), k->about);
    tm_buf_free(&cell);
  }
  printf("\nflags of every command:\n");
  print_flags(tm_cli_global);
  printf("\n`tidemill help COMMAND` says more. Exit codes: 0 done, 1 failed, 2 usage,\n"
         "3 configuration, 4 not found, 5 conflict, 6 cancelled, 7 diverged, 8 waiting,\n"
         "9 findings, 10 a limit, 70 a bug, 75 temporary, 128+n ended by signal n.\n");
}

int tm_cli_help(tm_cli *c) {
  if (c->arg_count == 0) {
    print_help();
    return 0;
  }
  for (const tm_cli_command *k = tm_cli_commands; k->name; k++) {
    if (strcmp(k->name, c->args[0]) == 0) {
      print_command_help(k);
      return 0;
    }
  }
  return tm_cli_fail(c, 2, "there is no command '%s'; `tidemill help` lists them", c->args[0]);
}

int tm_cli_version(tm_cli *c) {
  if (tm_cli_has(c, TM_FLAG_JSON))
    printf("{\"schema\":\"tidemill.version/1\",\"version\":\"%s\"}\n", tidemill_version());
  else
    printf("tidemill %s\n", tidemill_version());
  return 0;
}

/* -- parsing --------------------------------------------------------------------------- */

/* The nearest name, when it is near: at most a third of its letters away. */
static const char *nearest(const char *typed, const char *best, const char *name) {
  size_t limit = strlen(name) / 3 + 1, d = tm_cli_text_distance(typed, name);
  return d <= limit && (!best || d < tm_cli_text_distance(typed, best)) ? name : best;
}

static int unknown_command(tm_cli *c, const char *typed) {
  const char *best = NULL;
  for (const tm_cli_command *k = tm_cli_commands; k->name; k++)
    best = nearest(typed, best, k->name);
  if (best)
    return tm_cli_fail(c, 2, "there is no command '%s'; did you mean `tidemill %s`?", typed,
                       best);
  return tm_cli_fail(c, 2, "there is no command '%s'; `tidemill help` lists them", typed);
}

static int unknown_flag(tm_cli *c, const char *typed) {
  const char *best = NULL, *name = typed + strspn(typed, "-");
  for (int f = 0; f < TM_FLAG_COUNT; f++)
    best = nearest(name, best, tm_cli_flags[f].name);
  if (best)
    return tm_cli_fail(c, 2, "there is no flag '%s'; did you mean --%s?", typed, best);
  return tm_cli_fail(c, 2, "there is no flag '%s'; see `tidemill help`", typed);
}

/* The flag of "--name", "--name=value" or "-x"; -1 for none. *value: what follows '=' or NULL.
 */
static int find_flag(const tm_cli *c, const char *arg, const char **value) {
  uint64_t fits = c->command ? tm_cli_global | c->command->flags
                             : ~UINT64_C(0); /* --state means two things */
  int found = -1;
  *value = NULL;
  if (arg[1] != '-') {
    for (int f = 0; f < TM_FLAG_COUNT; f++)
      if (tm_cli_flags[f].letter && arg[1] == tm_cli_flags[f].letter) {
        *value = arg[2] ? arg + 2 : NULL;
        return f;
      }
    return -1;
  }
  size_t len = strcspn(arg + 2, "=");
  for (int f = 0; f < TM_FLAG_COUNT; f++)
    if (strlen(tm_cli_flags[f].name) == len &&
        memcmp(tm_cli_flags[f].name, arg + 2, len) == 0 &&
        (found < 0 || fits & UINT64_C(1) << f)) {
      *value = arg[2 + len] ? arg + 3 + len : NULL;
      found = f;
    }
  return found;
}

static int set_flag(tm_cli *c, int f, const char *arg, const char *value) {
  if (!tm_cli_flags[f].value && value)
    return tm_cli_fail(c, 2, "%s takes no value", arg);
  if (tm_cli_flags[f].value && !value)
    return tm_cli_fail(c, 2, "%s needs a value: --%s %s", arg, tm_cli_flags[f].name,
                       tm_cli_flags[f].value);
  if (f == TM_FLAG_MODEL)
    c->models[c->model_count++] = value;
  c->value[f] = value ? value : "";
  return 0;
}

static bool is_help(const char *arg) {
  return strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0;
}

/* Sort argv into flags and operands; 0 or the exit code. The first operand is the command. */
static int parse(tm_cli *c, int argc, char **argv, const char **command) {
  bool ended = false;
  for (int i = 1; i < argc; i++) {
    char *arg = argv[i];
    if (c->command && c->command->max < 0 && !is_help(arg)) { /* the rest is passed on */
      c->args[c->arg_count++] = arg;
      continue;
    }
    if (!ended && strcmp(arg, "--") == 0) {
      ended = true;
      continue;
    }
    if (ended || arg[0] != '-' || !arg[1]) {
      if (*command) {
        c->args[c->arg_count++] = arg;
        continue;
      }
      *command = arg;
      for (const tm_cli_command *k = tm_cli_commands; k->name && !c->command; k++)
        c->command = strcmp(k->name, arg) == 0 ? k : NULL;
      continue;
    }
    const char *value;
    int f = find_flag(c, arg, &value), code;
    if (f < 0)
      return unknown_flag(c, arg);
    if (tm_cli_flags[f].value && !value && i + 1 < argc)
      value = argv[++i];
    if ((code = set_flag(c, f, arg, value)))
      return code;
  }
  return 0;
}

/* Do the flags and the number of operands fit the command? 0 or the exit code. */
static int fits(tm_cli *c) {
  const tm_cli_command *k = c->command;
  for (int f = 0; f < TM_FLAG_COUNT; f++)
    if (c->value[f] && !((tm_cli_global | k->flags) & UINT64_C(1) << f))
      return tm_cli_fail(c, 2, "`tidemill %s` has no flag --%s; see `tidemill help %s`",
                         k->name, tm_cli_flags[f].name, k->name);
  const char *timeout = c->value[TM_FLAG_TIMEOUT];
  c->timeout_ms = timeout ? tm_clock_duration(timeout, strlen(timeout)) : -1;
  if (timeout && c->timeout_ms < 0)
    return tm_cli_fail(c, 2, "--timeout '%s': expected a duration such as 30s, 5m or 2h",
                       timeout);
  if (c->arg_count < k->min)
    return tm_cli_fail(c, 2, "usage: tidemill %s %s", k->name, k->args);
  if (k->max >= 0 && c->arg_count > k->max)
    return tm_cli_fail(c, 2, "one argument too many: '%s' (usage: tidemill %s%s%s)",
                       c->args[k->max], k->name, *k->args ? " " : "", k->args);
  return 0;
}

static int dispatch(tm_cli *c, int argc, char **argv) {
  const char *command = NULL;
  int code = parse(c, argc, argv, &command);
  if (code)
    return code;
  c->color = c->color && !tm_cli_has(c, TM_FLAG_NOCOLOR);
  if (!command) {
    if (!tm_cli_has(c, TM_FLAG_HELP))
      return tm_cli_fail(c, 2, "say what to do: `tidemill help` lists the commands");
    print_help();
    return 0;
  }
  if (!c->command)
    return unknown_command(c, command);
  if (tm_cli_has(c, TM_FLAG_HELP)) {
    print_command_help(c->command);
    return 0;
  }
  return (code = fits(c)) ? code : c->command->run(c);
}

/* -- the program ----------------------------------------------------------------------- */

static bool is_set(const char *name) {
  const char *value = getenv(name);
  return value && *value;
}

static void look_at_terminal(tm_cli *c) {
  const char *term = getenv("TERM"), *lang = getenv("LC_ALL");
  lang = lang && *lang ? lang : getenv("LC_CTYPE");
  lang = lang && *lang ? lang : getenv("LANG");
  c->pretty = isatty(STDOUT_FILENO);
  c->live = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
  c->color = c->live && !is_set("NO_COLOR");
  c->unicode = lang && (strcasestr(lang, "utf-8") || strcasestr(lang, "utf8"));
}

int tm_cli_main(int argc, char **argv) {
  tm_cli c = {0};
  /* A socket or pipe that is gone is an error to handle, not a reason to die unasked. */
  signal(SIGPIPE, SIG_IGN);
  tm_fault_init();
  tm_loop_own_memory();
  tm_arena_init(&c.arena, 0);
  look_at_terminal(&c);
  c.models = tm_arena_array(&c.arena, const char *, (size_t)argc + 1);
  c.args = tm_arena_array(&c.arena, char *, (size_t)argc + 1);

  int code = dispatch(&c, argc, argv);
  tidemill_close(c.engine);
  int flushed = tm_cli_flush();
  tm_arena_free(&c.arena);
  return code ? code : flushed;
}
