/* cli.h - what the commands of the program share.
 *
 * A tm_cli is one invocation: its command, flags and arguments, the engine once it is open, and
 * an arena that lives as long as the process. Commands return the exit code, which is the
 * magnitude of the API's code. stdout carries the result alone; all else goes to stderr.
 */
#ifndef TM_FACE_CLI_H
#define TM_FACE_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mem.h"
#include "text/json.h"
#include "tidemill.h"

/* id, name, letter (0: none), what its value is called (NULL: a switch), what it does */
#define TM_CLI_FLAGS(X)                                                                        \
  X(DIR, "dir", 'C', "DIR", "the project (default: here)")                                     \
  X(DB, "db", 0, "URL",                                                                        \
    "sqlite:PATH or memory: (default: db of tidemill.yaml, DIR/.tidemill/tidemill.db)")        \
  X(MODEL, "model", 0, "MODEL",                                                                \
    "PROVIDER/MODEL for all, UNIT=PROVIDER/MODEL for one; may repeat")                         \
  X(RECORD, "record", 0, "FILE",                                                               \
    "append every model attempt to a cassette; model cassette/FILE")                           \
  X(JSON, "json", 0, NULL, "print JSON; errors too")                                           \
  X(QUIET, "quiet", 'q', NULL, "no progress and no notes")                                     \
  X(NOCOLOR, "no-color", 0, NULL, "no colours (NO_COLOR is honoured, too)")                    \
  X(PAUSED, "paused", 0, NULL, "pause --all first: nothing begins until resume --all")         \
  X(HELP, "help", 'h', NULL, "this text")                                                      \
  X(INPUT, "input", 0, "JSON", "the input: JSON, @FILE, or - for standard input")              \
  X(ID, "id", 0, "KEY", "the same id and input give the same run, however often")              \
  X(PAYLOAD, "input", 0, "JSON", "the event's payload: JSON, @FILE, or - for standard input")  \
  X(DELIVERY, "id", 0, "KEY", "the event's id: told once for each, however often it is sent")  \
  X(NEWID, "id", 0, "KEY", "the new run's id")                                                 \
  X(VARS, "input", 0, "JSON", "the unit's variables: JSON, @FILE, or - for standard input")    \
  X(TIMEOUT, "timeout", 0, "DUR", "stop following after 30s, 5m, 2h; the run stays")           \
  X(NOTE, "note", 0, "TEXT", "why; kept in the journal")                                       \
  X(ANSWER, "answer", 0, "JSON", "the gate's answer: JSON, @FILE, or -")                       \
  X(ALL, "all", 0, NULL, "all of them: no limit")                                              \
  X(DECIDED, "all", 0, NULL, "the decided ones, too")                                          \
  X(PAST, "all", 0, NULL, "those too that another one followed")                               \
  X(EVERY, "all", 0, NULL, "every run that has not ended, and every one that diverged")        \
  X(STATE, "state", 0, "STATE", "queued, running, waiting, done, failed, cancelled, diverged") \
  X(WORKFLOW, "workflow", 0, "NAME", "runs of this workflow")                                  \
  X(LIMIT, "limit", 0, "N", "at most so many (20)")                                            \
  X(FIELDS, "state", 0, NULL, "the fields of mill.state alone")                                \
  X(RAW, "raw", 0, NULL, "the exact request and response of each model attempt")               \
  X(CURL, "curl", 0, NULL, "each model attempt as a curl command")                             \
  X(FROM, "from", 0, "WHERE", "a step, a call's name, or a record's number")                   \
  X(WITH, "with", 0, "FILES", "sources to take from the disk, with commas between")            \
  X(EDIT, "edit", 0, "CALL=JSON", "another result of a call: JSON or @FILE")                   \
  X(TO, "to", 0, "SOURCES", "\"disk\", or the hash of sources that the run had before")        \
  X(DRYRUN, "dry-run", 0, NULL, "only tell whether it fits")                                   \
  X(COUNT_ONLY, "dry-run", 0, NULL, "only count; take nothing away")                           \
  X(OLDER, "older-than", 0, "DUR",                                                             \
    "runs that ended 30d, 12h ago or before; instead of `retain`")                             \
  X(REDACT, "redact", 0, NULL, "hashes in place of texts")                                     \
  X(DEEP, "deep", 0, NULL, "read every record of every run")                                   \
  X(APPLIED, "applied", 0, "JSON", "it happened; this is its result: JSON, @FILE, or -")       \
  X(NOTAPPLIED, "not-applied", 0, NULL, "it did not happen; do it now")                        \
  X(WHOLE, "all", 0, NULL, "everything, also what is started later")                           \
  X(FORMAT, "format", 0, "FORMAT", "mermaid (default) or dot, for graphviz")                   \
  X(PRICED, "all", 0, NULL, "every model whose price is known, not the units' alone")          \
  X(BY, "by", 0, "WHAT", "model, workflow, unit or day (model)")                               \
  X(SINCE, "since", 0, "TIME", "from a day or time (UTC) on, or 7d, 12h: so long ago")         \
  X(UNTIL, "until", 0, "TIME", "to the end of a day, or before a time (UTC)")                  \
  X(DIFF, "diff", 0, "ID#SEQ", "what differs from another call: its request, its answer")      \
  X(CONTENT, "content", 0, NULL, "inputs, prompts, answers and messages, too")                 \
  X(SEND, "send", 0, NULL, "to a collector instead of standard output")

typedef enum tm_cli_flag {
#define X(id, name, letter, value, about) TM_FLAG_##id,
  TM_CLI_FLAGS(X)
#undef X
      TM_FLAG_COUNT
} tm_cli_flag;

typedef struct tm_cli tm_cli;
typedef struct tm_cli_command {
  const char *name;
  const char *args;  /* for the usage line: "ID [GATE]" */
  const char *about; /* one line */
  const char *more;  /* further help, or NULL */
  uint64_t flags;    /* 1 << TM_FLAG_…, beside the global ones */
  int min, max;      /* operands; max -1: all that follows is passed on as it is */
  int (*run)(tm_cli *c);
} tm_cli_command;

typedef struct tm_cli_flag_info {
  const char *name;
  char letter;       /* 0: none */
  const char *value; /* what its value is called; NULL: a switch */
  const char *about;
} tm_cli_flag_info;

/* cli_table.c */
extern const tm_cli_command tm_cli_commands[]; /* ends with one without a name */
extern const tm_cli_flag_info tm_cli_flags[TM_FLAG_COUNT];
extern const uint64_t tm_cli_global; /* the flags of every command */

struct tm_cli {
  const tm_cli_command *command;
  const char *value[TM_FLAG_COUNT]; /* NULL: not given; switches: "" */
  const char **models;
  size_t model_count;
  char **args;
  int arg_count;
  int64_t timeout_ms; /* of --timeout; -1: none */
  tm_arena arena;
  tidemill *engine;
  bool color; /* on stderr */
  bool live;  /* stderr is a terminal that can redraw */
  bool unicode;
  bool pretty; /* stdout is a terminal */
};

/* cli.c: the whole program. Returns the exit code. */
int tm_cli_main(int argc, char **argv);

/* -- cli_out.c: saying things ---------------------------------------------------------- */

static inline bool tm_cli_has(const tm_cli *c, tm_cli_flag f) {
  return c->value[f] != NULL;
}
/* An error of the command line itself; returns `code`. */
int tm_cli_fail(tm_cli *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The engine's last error, as sentence or JSON; returns the exit code of the negative `rc`. */
int tm_cli_api_fail(tm_cli *c, int rc);
/* A line on stderr, unless --quiet. */
void tm_cli_note(tm_cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A value to stdout: a string raw if `raw_string`, else JSON, pretty for people and compact for
 * programs. */
void tm_cli_print_value(tm_cli *c, const tm_json *v, bool raw_string);
/* Text that may hold anything to stdout; escaped when that is a terminal. */
void tm_cli_print_text(tm_cli *c, const char *text, size_t len);
/* Parse what the API handed out into the cli's arena and release it; never NULL. */
const tm_json *tm_cli_take(tm_cli *c, char *text, size_t len);
/* Flush stdout; 0, or the exit code when it cannot be written. */
int tm_cli_flush(void);

/* -- cli_text.c: pure text ------------------------------------------------------------- */

/* Append text that is safe on a terminal: control characters (also C1), bidirectional overrides
 * and bytes that are not UTF-8 become \uXXXX and \xXX. Line ends stay when `lines`. */
void tm_cli_text_escape(tm_buf *out, const char *s, size_t len, bool lines);
/* Columns of a terminal that the text takes. */
size_t tm_cli_text_width(const char *s, size_t len);
/* Append at most `columns` columns, "…" for what is cut; padded with spaces when `pad`. */
void tm_cli_text_cell(tm_buf *out, const char *s, size_t columns, bool pad);
/* "12 ms" "3.4 s" "5 min" "2 h" "7 d". */
void tm_cli_text_duration(tm_buf *out, int64_t ms);
/* Milliseconds since 1970 of an RFC 3339 time in UTC; -1 when it is none. */
int64_t tm_cli_text_time(const char *rfc3339);
/* Edits from a to b. */
size_t tm_cli_text_distance(const char *a, const char *b);
/* A word for the shell: as it is, or in single quotes. */
void tm_cli_text_shell(tm_buf *out, const char *s, size_t len);

/* -- cli_io.c: the engine and what goes into it ---------------------------------------- */

/* Open the engine by the flags: 0, or the exit code with the message told. */
int tm_cli_open(tm_cli *c);
/* The JSON of --input, --answer or --applied: text in the arena. 0, or the exit code. */
int tm_cli_read_json(tm_cli *c, tm_cli_flag flag, const char **text, size_t *len);
/* The whole file; `-` is standard input. 0, or -1 with err. */
int tm_cli_read_file(tm_buf *out, const char *path, tm_err *err);
/* The run as tidemill_get says; NULL with *code set and the message told. */
const tm_json *tm_cli_get(tm_cli *c, const char *run, int *code);

/* -- cli_drive.c: following a run ------------------------------------------------------ */

/* Follow `run`, say what became of it (tm_cli_conclude), then go on with the runs that it brought
 * on: those that it woke, and the children that it started, until each has ended or waits. The exit
 * code. */
int tm_cli_follow(tm_cli *c, const char *run);
/* Drive `run` (NULL: all) until it ends, waits, --timeout or a signal; shows progress. The
 * API's code, or 128 + the signal's number. */
int tm_cli_drive(tm_cli *c, const char *run);
/* Print what became of it: result, error, or what to type next. Returns the exit code. */
int tm_cli_conclude(tm_cli *c, const char *run, int rc);
/* The result of a run that is done; the exit code. */
int tm_cli_print_result(tm_cli *c, const char *run);
/* Append the two command lines that decide the i-th gate of a list. */
void tm_cli_gate_commands(tm_cli *c, tm_buf *out, const tm_json *gates, size_t i);

/* cli_run.c: the full id of the run that the first argument names. 0 or the exit code. */
int tm_cli_full_id(tm_cli *c, const char **id);
/* Take the run up, follow it, tell how it ends. The exit code. */
int tm_cli_go_on(tm_cli *c, const char *id);
/* Does the run, as `tidemill_get` tells it, rest under a pause? */
bool tm_cli_is_paused(const tm_json *info);

/* -- cli_progress.c: events as lines on stderr ----------------------------------------- */

typedef struct tm_progress tm_progress;
tm_progress *tm_progress_new(tm_cli *c, const char *run);
/* One event, as tidemill_on_event hands it out, parsed. */
void tm_progress_event(tm_progress *p, const tm_json *event);
void tm_progress_tick(tm_progress *p); /* redraw what moves */
/* Clears what was redrawn and tells whether the scripted model answered. NULL is fine. */
void tm_progress_free(tm_progress **p);

/* -- the commands
 * ------------------------------------------------------------------------------ */

int tm_cli_run(tm_cli *c);
int tm_cli_start(tm_cli *c);
int tm_cli_approve(tm_cli *c);
int tm_cli_reject(tm_cli *c);
int tm_cli_resolve(tm_cli *c);
int tm_cli_resume(tm_cli *c);
int tm_cli_result(tm_cli *c);
int tm_cli_cancel(tm_cli *c);
/* The run that goes on for one by mill.continue_as, along the chain; itself when there is none. */
const char *tm_cli_latest(tm_cli *c, const char *run);
int tm_cli_terminate(tm_cli *c);
int tm_cli_signal(tm_cli *c);
int tm_cli_pause(tm_cli *c);
int tm_cli_list(tm_cli *c);
int tm_cli_show(tm_cli *c);
int tm_cli_show_diff(tm_cli *c); /* `show ID#SEQ --diff ID#SEQ` */
/* cli_show.c: "RUN#SEQ" in its parts; seq -1 without one. 0 or the exit code. */
int tm_cli_split_record(tm_cli *c, const char *arg, const char **run, long long *seq);
/* The run's records; with the bytes of each attempt if `raw`. NULL: the message is told, and *code
 * set. */
const tm_json *tm_cli_history(tm_cli *c, const char *run, bool raw, int *code);
/* The exact bytes of an attempt under a title, as `show --raw` prints them. */
void tm_cli_print_attempt(tm_cli *c, const char *title, const tm_json *attempt);
/* The record with this number, or NULL. */
const tm_json *tm_cli_record(const tm_json *records, long long seq);
int tm_cli_gates(tm_cli *c);
int tm_cli_decisions(tm_cli *c);
int tm_cli_reopen(tm_cli *c);
int tm_cli_prompt(tm_cli *c);
int tm_cli_lint(tm_cli *c); /* `prompt lint [NAME]` */
int tm_cli_prompt_run(tm_cli *c, const char *name, const char *input, size_t input_len);
int tm_cli_check(tm_cli *c);
int tm_cli_graph(tm_cli *c);
int tm_cli_doctor(tm_cli *c);
int tm_cli_init(tm_cli *c);
int tm_cli_version(tm_cli *c);
int tm_cli_help(tm_cli *c);
int tm_cli_replay(tm_cli *c);
int tm_cli_diff(tm_cli *c);
int tm_cli_repin(tm_cli *c);
int tm_cli_retry(tm_cli *c);
int tm_cli_fork(tm_cli *c);
int tm_cli_gc(tm_cli *c);
int tm_cli_export(tm_cli *c);
int tm_cli_import(tm_cli *c);
int tm_cli_usage(tm_cli *c);
int tm_cli_models(tm_cli *c);
int tm_cli_trace(tm_cli *c);
int tm_cli_blame(tm_cli *c);
/* doctor --deep, with the engine open: the findings as text, and as *doc (NULL: an error was told).
 * The exit code. */
int tm_cli_fsck(tm_cli *c, const tm_json **doc);

#endif
