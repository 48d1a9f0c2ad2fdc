/* cli_table.c - the commands and the flags, as help tells them and the parser knows them. */
#include "face/cli.h"
#include "face/kit.h"

#define BIT(flag) (UINT64_C(1) << TM_FLAG_##flag)

#define INPUTS (BIT(INPUT) | BIT(ID))
#define DECIDE (BIT(NOTE) | BIT(ANSWER) | BIT(TIMEOUT))
#define MANY   1000 /* operands, as many as one likes */

const uint64_t tm_cli_global = BIT(DIR) | BIT(DB) | BIT(MODEL) | BIT(RECORD) | BIT(JSON) |
                               BIT(QUIET) | BIT(NOCOLOR) | BIT(HELP) | BIT(PAUSED);

static const char run_more[] =
    "Prints the result and exits 0. Other ends: 1 failed, 2 the input is invalid, 3 a key or "
    "a\n"
    "setting is missing, 4 no such workflow, 5 the id has another input, 6 cancelled, 7 the "
    "journal\n"
    "and the script disagree, 8 still waiting (what to type next is said on standard error), "
    "75 the\n"
    "database is busy or the disk full, 130 Ctrl-C.\n"
    "Ctrl-C leaves the run in the journal; `tidemill resume ID` goes on with it.\n";
static const char decide_more[] =
    "ID is the run's, or a prefix of 6 characters or more; GATE is needed when several are\n"
    "open. The run goes on in this process until it ends or waits again.\n";
static const char resolve_more[] =
    "For an action that was cut off between its start and its result (`tidemill gates ID` "
    "shows\n"
    "it, with its key). Look at the other side, then say what you found: exactly one of\n"
    "--applied and --not-applied. ACTION is needed when several are in doubt.\n";
static const char pause_more[] =
    "Nothing new begins; what is under way ends. --workflow NAME is for all runs of it, those "
    "to\n"
    "come too: they begin as paused rows; --all is for every workflow. Each pause is lifted "
    "by\n"
    "the same words: resume ID, resume --workflow NAME, resume --all. `tidemill --paused …`\n"
    "pauses everything before this process takes anything up.\n";
static const char resume_more[] =
    "Without an ID: what is unfinished, not paused, and run by no living process. --workflow "
    "and\n"
    "--all lift that pause first; a run that was paused by its ID rests until it is named.\n";
static const char signal_more[] = "The workflow declares its events and their schemas; --input "
                                  "is the payload. An event that\n"
                                  "comes before the run asks for it is kept. Sent twice with "
                                  "the same --id it is kept once.\n";
static const char show_more[] = "ID#SEQ shows one record in full. --raw prints the exact bytes "
                                "that went to a model and came\n"
                                "back; --curl prints commands to send them again, with the key "
                                "as a variable of the shell.\n"
                                "--diff ID#SEQ (or #SEQ of the same run) prints what differs "
                                "from another attempt, or of the\n"
                                "results of two calls, place by place. --json works with it.\n";
static const char test_more[] =
    "Runs busted on spec/ (or the files named) with the test kit `require \"tidemill.test\"`.\n"
    "Arguments are busted's: --filter PATTERN, --shuffle, --list, -o TAP …\n"
    "--jobs N runs N spec files side by side, each in a process of its own.\n"
    "`tidemill test --from FILE` makes spec/capsules/RUN_spec.lua of a run capsule and runs "
    "it.\n"
    "-C DIR and the other flags of tidemill go before `test`.\n";

static const char retry_more[] =
    "What failed is asked again; what was done stays done. With --to disk the run is moved to\n"
    "the sources on disk at once, which mends a script that failed by itself; without it the "
    "run\n"
    "keeps the sources that it has.\n";
static const char fork_more[] =
    "The new run goes on by itself from --from on; what stands before is shared: results are\n"
    "told again, effects are not repeated. --edit CALL=JSON gives a call another result,\n"
    "--with prompts/x.prompt,workflows/y.lua takes these files from the disk.\n";
static const char diff_more[] = "Without --to: against the sources on disk.\n";
static const char replay_more[] =
    "Exits 0 when the script asks for what the journal holds, 7 when it does not; then both\n"
    "sides are told. --to disk goes through it on the sources as they are on disk, else it is\n"
    "the run's own sources.\n";
static const char repin_more[] =
    "A replay on the new sources comes first: equal, the run is moved and goes on; else\n"
    "nothing changes, and the first difference is told. A diverged run comes back to life.\n"
    "--to HASH goes back to sources that the run had before.\n";
static const char gc_more[] =
    "How long is said in tidemill.yaml: `retain: {done: 30d, failed: 90d, cancelled: 30d}`, or "
    "by\n"
    "--older-than. A run goes with its journal, gates and events, when the runs that it "
    "started,\n"
    "and those that were forked from it, can go, too. Effects and decisions stay.\n";
static const char prompt_more[] =
    "`prompt list`; `prompt show NAME`; `prompt render NAME --input JSON`: its exact first "
    "request;\n"
    "`prompt run NAME --input JSON`: asks it once, without a workflow; the value on standard\n"
    "output; nothing is journaled, and `usage` does not know of it; --raw prints the bytes;\n"
    "`prompt lint [NAME]`: its mistakes, or those of all units, a line each (exit code 9).\n";
static const char reopen_more[] =
    "The next run that asks for it decides anew. Runs that were told it keep it; it stays in\n"
    "`decisions --all`, with who reopened it, when and why.\n";
static const char check_more[] =
    "No run is started and no model asked. Prints a line for each finding, FILE:LINE: MESSAGE, "
    "and\n"
    "exits 9; 0 when there is none. Without a name it looks at every file of the project.\n";
static const char graph_more[] = "Prints a Mermaid flowchart, for any README; --format dot for "
                                 "graphviz; --json the nodes and\n"
                                 "edges with file and line. The script is read, not run. A "
                                 "call that reading cannot follow is\n"
                                 "a node with a question mark.\n";
static const char usage_more[] =
    "Every attempt counts, the ones that failed as well; a replay costs nothing and counts\n"
    "nothing. Input tokens include those from a cache, output tokens those of reasoning; ? is\n"
    "what no server told. `unpriced` are attempts whose price is not known: see `prices` in\n"
    "tidemill.yaml. --workflow NAME and ID narrow it down.\n";
static const char models_more[] =
    "Providers with the key that was found (masked) and where they are asked; then the models "
    "of\n"
    "the units: price, and the settings that a request to them would drop. Prices and rules "
    "of\n"
    "your own stand under `prices` and `capabilities` in tidemill.yaml. Nothing is sent.\n";
static const char trace_more[] =
    "One OTLP/JSON request: a span for each call, each attempt at a model, and each run that "
    "has\n"
    "ended, children too. Ids come from the journal: printed again, or after a replay, it is "
    "the\n"
    "same. Inputs, prompts and answers are left out without --content. --send [URL] posts it "
    "to\n"
    "URL, else as OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT and their\n"
    "_HEADERS and _TIMEOUT say, else to http://localhost:4318/v1/traces.\n";
static const char blame_more[] =
    "Of a model's call: its prompt, partials, schemas and script, as the run keeps them, each "
    "with\n"
    "its hash and the newest commit that holds exactly these bytes; the model, who named it, "
    "and\n"
    "which one answered. Of any other record: the script and its line. git is asked when the\n"
    "project is in a work tree of it; nothing there is changed.\n";
const tm_cli_command tm_cli_commands[] = {
    {"run", "WORKFLOW", "start a run, follow it, print its result", run_more,
     INPUTS | BIT(TIMEOUT), 1, 1, tm_cli_run},
    {"start", "WORKFLOW", "put a run into the journal, print its id", NULL, INPUTS, 1, 1,
     tm_cli_start},
    {"list", "", "the runs, newest first", NULL,
     BIT(ALL) | BIT(STATE) | BIT(WORKFLOW) | BIT(LIMIT), 0, 0, tm_cli_list},
    {"show", "ID[#SEQ]", "a run and its journal", show_more,
     BIT(RAW) | BIT(CURL) | BIT(FIELDS) | BIT(DIFF), 1, 1, tm_cli_show},
    {"gates", "[ID]", "the questions that wait for a person", NULL, BIT(DECIDED), 0, 1,
     tm_cli_gates},
    {"approve", "ID [GATE]", "say yes to a gate, and go on", decide_more, DECIDE, 1, 2,
     tm_cli_approve},
    {"reject", "ID [GATE]", "say no to a gate, and go on", decide_more, DECIDE, 1, 2,
     tm_cli_reject},
    {"resolve", "ID [ACTION]", "say whether an action in doubt happened, and go on",
     resolve_more, BIT(APPLIED) | BIT(NOTAPPLIED) | BIT(NOTE) | BIT(TIMEOUT), 1, 2,
     tm_cli_resolve},
    {"decisions", "[WORKFLOW [NAME [KEY]]]", "what mill.decide keeps for its keys", NULL,
     BIT(PAST), 0, 3, tm_cli_decisions},
    {"reopen", "WORKFLOW NAME KEY", "let a decision hold no more", reopen_more, BIT(NOTE), 3, 3,
     tm_cli_reopen},
    {"signal", "RUN EVENT", "tell a run of an event, and go on with it", signal_more,
     BIT(PAYLOAD) | BIT(DELIVERY) | BIT(TIMEOUT), 2, 2, tm_cli_signal},
    {"resume", "[ID]", "go on with a run, or with all that nobody runs", resume_more,
     BIT(WORKFLOW) | BIT(WHOLE) | BIT(TIMEOUT), 0, 1, tm_cli_resume},
    {"result", "ID", "the result of a run that is done", NULL, 0, 1, 1, tm_cli_result},
    {"cancel", "ID", "ask a run to stop: it cleans up and ends", NULL, BIT(NOTE), 1, 1,
     tm_cli_cancel},
    {"terminate", "ID", "end a run now, without clean-up", NULL, BIT(NOTE), 1, 1,
     tm_cli_terminate},
    {"pause", "[ID]", "let a run, a workflow or everything rest until it is resumed",
     pause_more, BIT(WORKFLOW) | BIT(WHOLE) | BIT(NOTE), 0, 1, tm_cli_pause},
    {"retry", "ID", "let a failed run go on from its last good record", retry_more,
     BIT(TO) | BIT(TIMEOUT), 1, 1, tm_cli_retry},
    {"fork", "ID", "a new run that shares this one's journal up to a record", fork_more,
     BIT(FROM) | BIT(WITH) | BIT(EDIT) | BIT(NEWID) | BIT(TIMEOUT), 1, 1, tm_cli_fork},
    {"diff", "ID", "what changed in the project since the run began", diff_more, BIT(TO), 1, 1,
     tm_cli_diff},
    {"replay", "ID", "go through a run's journal again, without doing anything", replay_more,
     BIT(TO), 1, 1, tm_cli_replay},
    {"repin", "[ID]", "move a run to the sources on disk, when its journal fits them",
     repin_more, BIT(EVERY) | BIT(DRYRUN) | BIT(TO) | BIT(TIMEOUT), 0, 1, tm_cli_repin},
    {"export", "ID", "the run as one document, a capsule", NULL, BIT(REDACT), 1, 1,
     tm_cli_export},
    {"import", "FILE", "put a capsule into the database, verified", NULL, 0, 1, 1,
     tm_cli_import},
    {"gc", "", "take away runs that ended long ago", gc_more,
     BIT(COUNT_ONLY) | BIT(OLDER) | BIT(WORKFLOW), 0, 0, tm_cli_gc},
    {"usage", "[ID]", "what the models cost: calls, tokens, USD", usage_more,
     BIT(BY) | BIT(SINCE) | BIT(UNTIL) | BIT(WORKFLOW), 0, 1, tm_cli_usage},
    {"models", "", "providers, keys, and what the models cost and take", models_more,
     BIT(PRICED), 0, 0, tm_cli_models},
    {"trace", "ID [--send [URL]]", "the run's spans, for OpenTelemetry", trace_more,
     BIT(CONTENT) | BIT(SEND), 1, 2, tm_cli_trace},
    {"blame", "ID#SEQ", "the files behind a call, and their commits", blame_more, 0, 1, 1,
     tm_cli_blame},
    {"prompt", "list|show|render|run|lint …",
     "the prompt units, one, its first request, its answer, its mistakes", prompt_more,
     BIT(VARS) | BIT(RAW), 1, 2, tm_cli_prompt},
    {"check", "[WORKFLOW…]", "find the mistakes in scripts, prompts and schemas", check_more, 0,
     0, MANY, tm_cli_check},
    {"graph", "WORKFLOW", "draw a workflow, read from its script", graph_more, BIT(FORMAT), 1,
     1, tm_cli_graph},
    {"test", "[BUSTED ARGUMENT…]", "run the specs of the project", test_more, 0, 0, -1,
     tm_kit_test},
    {"doctor", "", "check project, database, keys, breakers, runs", NULL, BIT(DEEP), 0, 0,
     tm_cli_doctor},
    {"init", "[DIR]", "a new project: a workflow, a prompt, a spec, tidemill.yaml", NULL, 0, 0,
     1, tm_cli_init},
    {"version", "", "the version", NULL, 0, 0, 0, tm_cli_version},
    {"help", "[COMMAND]", "this text, or a command's", NULL, 0, 0, 1, tm_cli_help},
    {0}};

const tm_cli_flag_info tm_cli_flags[TM_FLAG_COUNT] = {
#define X(id, name, letter, value, about) {name, letter, value, about},
    TM_CLI_FLAGS(X)
#undef X
};
