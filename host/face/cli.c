/* cli.c - the commands in one table, and the parser that reads it.
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
#include "face/kit.h"

#define BIT(flag) (1u << TM_FLAG_##flag)

enum {
  GLOBAL = BIT(DIR) | BIT(DB) | BIT(MODEL) | BIT(RECORD) | BIT(JSON) | BIT(QUIET) |
           BIT(NOCOLOR) | BIT(HELP),
  INPUTS = BIT(INPUT) | BIT(ID),
  MANY = 1000, /* operands, as many as one likes */
  DECIDE = BIT(NOTE) | BIT(ANSWER) | BIT(TIMEOUT)
};

static const char run_more[] =
    "Prints the result and exits 0. Other ends: 1 failed, 6 cancelled, 7 the journal and the\n"
    "script disagree, 8 still waiting (what to type next is said on standard error).\n"
    "Ctrl-C leaves the run in the journal; `tidemill resume ID` goes on with it.\n";
static const char decide_more[] =
    "ID is the run's, or a prefix of 6 characters or more; GATE is needed when several are\n"
    "open. The run goes on in this process until it ends or waits again.\n";
static const char signal_more[] = "The workflow declares its events and their schemas; --input "
                                  "is the payload. An event that\n"
                                  "comes before the run asks for it is kept. Sent twice with "
                                  "the same --id it is kept once.\n";
static const char show_more[] = "ID#SEQ shows one record in full. --raw prints the exact bytes "
                                "that went to a model and came\n"
                                "back; --curl prints commands to send them again, with the key "
                                "as a variable of the shell.\n";
static const char test_more[] =
    "Runs busted on spec/ (or the files named) with the test kit `require \"tidemill.test\"`.\n"
    "Arguments are busted's: --filter PATTERN, --shuffle, --list, -o TAP …\n"
    "`tidemill test --from FILE` makes spec/capsules/RUN_spec.lua of a run capsule and runs "
    "it.\n"
    "-C DIR and the other flags of tidemill go before `test`.\n";

static const char retry_more[] =
    "What failed is asked again; what was done stays done. With --to disk the run is moved to\n"
    "the sources on disk at once, which mends a script that failed by itself.\n";
static const char fork_more[] =
    "The new run goes on by itself from --from on; what stands before is shared: results are\n"
    "told again, effects are not repeated. --edit CALL=JSON gives a call another result,\n"
    "--with prompts/x.prompt,workflows/y.lua takes these files from the disk.\n";
static const char replay_more[] =
    "Exits 0 when the script asks for what the journal holds, 7 when it does not; then both\n"
    "sides are told. --to disk goes through it on the sources as they are on disk.\n";
static const char repin_more[] =
    "A replay on the new sources comes first: equal, the run is moved and goes on; else\n"
    "nothing changes, and the first difference is told. A diverged run comes back to life.\n"
    "--to HASH goes back to sources that the run had before.\n";
static const char prompt_more[] =
    "`prompt list`; `prompt show NAME`; `prompt render NAME --input JSON`: its exact first "
    "request;\n"
    "`prompt lint [NAME]`: its mistakes, or those of all units, a line each (exit code 9).\n";
static const char check_more[] =
    "No run is started and no model asked. Prints a line for each finding, FILE:LINE: MESSAGE, "
    "and\n"
    "exits 9; 0 when there is none. Without a name it looks at every file of the project.\n";
static const tm_cli_command commands[] = {
    {"run", "WORKFLOW", "start a run, follow it, print its result", run_more,
     INPUTS | BIT(TIMEOUT), 1, 1, tm_cli_run},
    {"start", "WORKFLOW", "put a run into the journal, print its id", NULL, INPUTS, 1, 1,
     tm_cli_start},
    {"list", "", "the runs, newest first", NULL,
     BIT(ALL) | BIT(STATE) | BIT(WORKFLOW) | BIT(LIMIT), 0, 0, tm_cli_list},
    {"show", "ID[#SEQ]", "a run and its journal", show_more, BIT(RAW) | BIT(CURL) | BIT(FIELDS),
     1, 1, tm_cli_show},
    {"gates", "[ID]", "the questions that wait for a person", NULL, BIT(DECIDED), 0, 1,
     tm_cli_gates},
    {"approve", "ID [GATE]", "say yes to a gate, and go on", decide_more, DECIDE, 1, 2,
     tm_cli_approve},
    {"reject", "ID [GATE]", "say no to a gate, and go on", decide_more, DECIDE, 1, 2,
     tm_cli_reject},
    {"signal", "RUN EVENT", "tell a run of an event, and go on with it", signal_more,
     INPUTS | BIT(TIMEOUT), 2, 2, tm_cli_signal},
    {"resume", "[ID]", "go on with a run, or with all that nobody runs", NULL, BIT(TIMEOUT), 0,
     1, tm_cli_resume},
    {"result", "ID", "the result of a run that is done", NULL, 0, 1, 1, tm_cli_result},
    {"cancel", "ID", "ask a run to stop: it cleans up and ends", NULL, BIT(NOTE), 1, 1,
     tm_cli_cancel},
    {"terminate", "ID", "end a run now, without clean-up", NULL, BIT(NOTE), 1, 1,
     tm_cli_terminate},
    {"pause", "ID", "let a run rest until `resume ID`", NULL, BIT(NOTE), 1, 1, tm_cli_pause},
    {"retry", "ID", "let a failed run go on from its last good record", retry_more,
     BIT(TO) | BIT(TIMEOUT), 1, 1, tm_cli_retry},
    {"fork", "ID", "a new run that shares this one's journal up to a record", fork_more,
     BIT(FROM) | BIT(WITH) | BIT(EDIT) | BIT(ID) | BIT(TIMEOUT), 1, 1, tm_cli_fork},
    {"diff", "ID", "what changed in the project since the run began", NULL, BIT(TO), 1, 1,
     tm_cli_diff},
    {"replay", "ID", "go through a run's journal again, without doing anything", replay_more,
     BIT(TO), 1, 1, tm_cli_replay},
    {"repin", "[ID]", "move a run to the sources on disk, when its journal fits them",
     repin_more, BIT(EVERY) | BIT(DRYRUN) | BIT(TO) | BIT(TIMEOUT), 0, 1, tm_cli_repin},
    {"export", "ID", "the run as one document, a capsule", NULL, BIT(REDACT), 1, 1,
     tm_cli_export},
    {"import", "FILE", "put a capsule into the database, verified", NULL, 0, 1, 1,
     tm_cli_import},
    {"prompt", "list|show|render|lint …",
     "the prompt units, one, its first request, its mistakes", prompt_more, BIT(INPUT), 1, 2,
     tm_cli_prompt},
    {"check", "[WORKFLOW…]", "find the mistakes in scripts, prompts and schemas", check_more, 0,
     0, MANY, tm_cli_check},
    {"test", "[BUSTED ARGUMENT…]", "run the specs of the project", test_more, 0, 0, -1,
     tm_kit_test},
    {"doctor", "", "check project, database, keys and waiting runs", NULL, BIT(DEEP), 0, 0,
     tm_cli_doctor},
    {"init", "[DIR]", "a new project: a workflow, a prompt, a spec", NULL, 0, 0, 1,
     tm_cli_init},
    {"version", "", "the version", NULL, 0, 0, 0, tm_cli_version},
    {"help", "[COMMAND]", "this text, or a command's", NULL, 0, 0, 1, tm_cli_help},
    {0}};

typedef struct flag_info {
  const char *name;
  char letter;
  const char *value, *about;
} flag_info;

static const flag_info flags[TM_FLAG_COUNT] = {
#define X(id, name, letter, value, about) {name, letter, value, about},
    TM_CLI_FLAGS(X)
#undef X
};

/* -- help ------------------------------------------------------------------------------ */

static void print_flags(uint32_t set) {
  for (int f = 0; f < TM_FLAG_COUNT; f++) {
    if (!(set & 1u << f))
      continue;
    const flag_info *i = &flags[f];
    char left[40];
    snprintf(left, sizeof left, "%c%c%s--%s%s%s", i->letter ? '-' : ' ',
             i->letter ? i->letter : ' ', i->letter ? ", " : "  ", i->name, i->value ? " " : "",
             i->value ? i->value : "");
    printf("  %-20s  %s\n", left, i->about);
  }
}

static void print_command_help(const tm_cli_command *k) {
  printf("usage: tidemill %s%s%s%s\n\n  %s\n", k->name, *k->args ? " " : "", k->args,
         k->flags ? " [FLAG…]" : "", k->about);
  if (k->more)
    printf("\n%s", k->more);
  if (k->flags) {
    printf("\nflags:\n");
    print_flags(k->flags);
  }
  printf("\nglobal flags:\n");
  print_flags(GLOBAL);
}

static void print_help(void) {
  printf("usage: tidemill [FLAG…] COMMAND [FLAG…] [ARGUMENT…]\n\n");
  for (const tm_cli_command *k = commands; k->name; k++) {
    char left[40];
    tm_buf cell = TM_BUF_INIT;
    snprintf(left, sizeof left, "%s %s", k->name, k->args);
    tm_cli_text_cell(&cell, left, 31, true); /* printf pads by bytes */
    printf("  %s%s\n", tm_buf_str(&cell), k->about);
    tm_buf_free(&cell);
  }
  printf("\nflags of every command:\n");
  print_flags(GLOBAL);
  printf("\n`tidemill help COMMAND` says more. Exit codes: 0 done, 1 failed, 2 usage,\n"
         "3 configuration, 4 not found, 5 conflict, 6 cancelled, 7 diverged, 8 waiting,\n"
         "9 findings, 10 a limit, 70 a bug, 75 temporary, 128+n ended by signal n.\n");
}

int tm_cli_help(tm_cli *c) {
  if (c->arg_count == 0) {
    print_help();
    return 0;
  }
  for (const tm_cli_command *k = commands; k->name; k++) {
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
  for (const tm_cli_command *k = commands; k->name; k++)
    best = nearest(typed, best, k->name);
  if (best)
    return tm_cli_fail(c, 2, "there is no command '%s'; did you mean `tidemill %s`?", typed,
                       best);
  return tm_cli_fail(c, 2, "there is no command '%s'; `tidemill help` lists them", typed);
}

static int unknown_flag(tm_cli *c, const char *typed) {
  const char *best = NULL, *name = typed + strspn(typed, "-");
  for (int f = 0; f < TM_FLAG_COUNT; f++)
    best = nearest(name, best, flags[f].name);
  if (best)
    return tm_cli_fail(c, 2, "there is no flag '%s'; did you mean --%s?", typed, best);
  return tm_cli_fail(c, 2, "there is no flag '%s'; see `tidemill help`", typed);
}

/* The flag of "--name", "--name=value" or "-x"; -1 for none. *value: what follows '=' or NULL.
 */
static int find_flag(const tm_cli *c, const char *arg, const char **value) {
  uint32_t fits = c->command ? GLOBAL | c->command->flags : ~0u; /* --state means two things */
  int found = -1;
  *value = NULL;
  if (arg[1] != '-') {
    for (int f = 0; f < TM_FLAG_COUNT; f++)
      if (flags[f].letter && arg[1] == flags[f].letter) {
        *value = arg[2] ? arg + 2 : NULL;
        return f;
      }
    return -1;
  }
  size_t len = strcspn(arg + 2, "=");
  for (int f = 0; f < TM_FLAG_COUNT; f++)
    if (strlen(flags[f].name) == len && memcmp(flags[f].name, arg + 2, len) == 0 &&
        (found < 0 || fits & 1u << f)) {
      *value = arg[2 + len] ? arg + 3 + len : NULL;
      found = f;
    }
  return found;
}

static int set_flag(tm_cli *c, int f, const char *arg, const char *value) {
  if (!flags[f].value && value)
    return tm_cli_fail(c, 2, "%s takes no value", arg);
  if (flags[f].value && !value)
    return tm_cli_fail(c, 2, "%s needs a value: --%s %s", arg, flags[f].name, flags[f].value);
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
      for (const tm_cli_command *k = commands; k->name && !c->command; k++)
        c->command = strcmp(k->name, arg) == 0 ? k : NULL;
      continue;
    }
    const char *value;
    int f = find_flag(c, arg, &value), code;
    if (f < 0)
      return unknown_flag(c, arg);
    if (flags[f].value && !value && i + 1 < argc)
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
    if (c->value[f] && !((GLOBAL | k->flags) & 1u << f))
      return tm_cli_fail(c, 2, "`tidemill %s` has no flag --%s; see `tidemill help %s`",
                         k->name, flags[f].name, k->name);
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
