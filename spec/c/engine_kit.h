/* engine_kit.h - an engine in a world of its own, for its tests.
 *
 *   kit_world   what outlives a process: the clock, the disk, the other side of actions
 *   kit         one process: an engine, a guest written in C, an executor, a person
 *
 * A *script* is a JSON list of steps (single quotes will do), and the sources that a run starts
 * from are an object of workflows by name; both lie in the run's closure, as its models:
 *
 *   {'flow': [['now'], ['llm', 'classify'], ['fork', [[…], […]], {'max': 1}]]}
 *
 *   ['llm', UNIT, {budget, cache, tools, …}] (one USD a call)  ['sleep', MS]  ['gate', NAME, {ask,
 * deadline_ms, on_timeout, answer}]
 *   ['action', NAME, {key, args, blast, gate_above, on_unknown, repeatable, host, body, probe}]
 *   ['fetch', NAME, {body}]  ['recall' | 'decide', NAME, {key, value, input_hash}]
 *   ['now'] ['random', '', {m, n}] ['uuid'] ['env', NAME] ['state', FIELD, {value}] ['log', '',
 * {…}]
 *   ['wait', EVENT, {timeout_ms}]  ['emit', EVENT, {run, payload}]  ['lock', KEY]  ['unlock', KEY]
 *   ['call' | 'start', WORKFLOW, {input}]  ['again', N] (mill.continue_as, N times in all)
 *   ['fork', SCRIPTS, {max, race}]  ['raise', KIND]  ['stop']  ['unwind']  ['http', METHOD,
 * {…}] a body: ['http', METHOD, {…}] ['log', '', {…}] ['ok', VALUE] ['fail', {kind, unknown}]
 *
 * {'try': true} catches a step's error. In a step's options "$acc" stands for a hash of all
 * that the branch was told, "$all" for one of all that the run was told (as branches that share
 * a table would see it), "$now" for the last clock reading. A script's result is what its main
 * branch was told, in text, without times. An action with {'undo': true} is undone when main
 * raises, by the action "undo NAME" under the key "undo KEY", the latest one first.
 *
 * Nothing happens by itself: kit_step does the next thing (hear of a commit, take a turn,
 * finish a task, let the person answer, let time pass). The world checks, in every test, that a
 * run is resumed in one order only, whoever runs it and however often (law 7).
 */
#ifndef TM_SPEC_ENGINE_KIT_H
#define TM_SPEC_ENGINE_KIT_H

#include <pthread.h>

#include "base/buf.h"
#include "base/id.h"
#include "engine/engine.h"

typedef struct kit kit;

/* What the other side saw of one key. */
typedef struct kit_effect {
  int sends, probes;
  char request[TM_HASH_HEX + 1]; /* of the first one sent */
  bool mixed;                    /* another one came under the same key */
} kit_effect;

typedef struct kit_world {
  tm_arena arena; /* what reads return */
  int64_t now;    /* of the monotonic clock */
  int64_t jumped; /* how far the wall clock is ahead of it */
  tm_clock clock;
  tm_store *disk;
  pthread_mutex_t mutex; /* guards the letters of the store's thread */
  pthread_cond_t come;
  struct kit_letter *first, **last;
  kit *kits[4];
  int kit_count;
  const char *sources; /* what new runs start from */
  tm_map effects;      /* key -> kit_effect */
  tm_map traces;       /* run, or "run#MOVES" -> what it was told */
  char breach[512];    /* a law that was seen broken; "" */
  bool drained;        /* law 7, where one of the two lives was told of a fork's error */
} kit_world;

/* How a task ends. */
typedef enum kit_reply {
  KIT_OK,
  KIT_REFUSED, /* certainly not happened */
  KIT_LOST,    /* unknown; it did not happen */
  KIT_CUT,     /* unknown; it did happen */
  KIT_LATER,   /* a model's: put off by later_ms, and a quarter of a USD spent */
  KIT_HANGS    /* not by itself: kit_finish */
} kit_reply;

typedef struct kit_task {
  tm_list link;
  tm_task *task;
  char *name;
  const tm_json *request;
  kit_reply how;
  bool sent; /* the other side has it, the answer is on its way */
} kit_task;

struct kit {
  kit_world *world;
  tm_store store; /* what the engine sees of the disk */
  tm_engine *engine;
  bool woken, foreign;
  int64_t due; /* -1: none */
  tm_list tasks;
  struct kit_parcel *told, **told_last;
  int underway;              /* batches at the disk */
  int commits;               /* since boot */
  int die_before, die_after; /* the commit with this number, from 1; 0: none */
  bool dead;
  kit_reply (*reply)(kit *k, const kit_task *t); /* how it will end; NULL: KIT_OK */
  bool person;         /* approves gates, and tells doubts as they are */
  bool random;         /* the next thing is drawn */
  int64_t records_max; /* of one journal; 0: as it comes */
  bool still;          /* time does not pass */
  bool trial;          /* what is rehearsed now may be on other sources: no promise for law 7 */
  tm_dice dice;
  int64_t later_ms;  /* 0: a minute */
  int started;       /* tasks, since boot */
  tm_buf events;     /* "event place name\n", over all lives */
  const char *other; /* scripts that run instead of the closure's */
  void (*told_of)(kit *k, tm_branch *b, const tm_answer *a); /* a script hears; may be NULL */
  int (*damage)(
      tm_record *r); /* done to records on their way from the disk; 1: ends the reading */
  tm_err last;       /* what the last start or decision was told */
  bool last_told;
};

/* A world with a disk ("memory:" or a store's URL), and what runs start from. */
void kit_world_open(kit_world *w, const char *url, const char *sources);
/* Closes its kits too. Fails the case when a law was seen broken. */
void kit_world_close(kit_world *w);
/* A process in it: its engine is open, and has taken up what was left. */
void kit_open(kit *k, kit_world *w);
void kit_boot(kit *k);
/* The process dies: what is not on the disk is lost, nothing is given back. */
void kit_crash(kit *k);
void kit_close(kit *k); /* stopped in peace */

/* One world with one process. */
typedef struct kit_box {
  kit_world world;
  kit kit;
} kit_box;
kit *kit_box_open(kit_box *b, const char *sources);
void kit_box_close(kit_box *b);

/* The next thing; false: nothing more happens without a test's help. */
bool kit_step(kit *k);
void kit_run(kit *k);                   /* until nothing more happens */
bool kit_steps(kit *k, int n);          /* false: it came to rest before */
bool kit_hear(kit *k);                  /* of one commit; false: there was none */
bool kit_turn(kit *k);                  /* if the engine wants one */
void kit_start(kit *k, const char *id); /* workflow "flow"; told by kit_step */
/* Start it and let it go as far as it goes. */
void kit_play(kit *k, const char *id);
void kit_cancel(kit *k, const char *id); /* has to be accepted */
void kit_decide(kit *k, const char *gate, bool approve, const char *decision);
kit_task *kit_task_at(kit *k, const char *name);     /* NULL: none */
void kit_finish(kit *k, kit_task *t, kit_reply how); /* by hand */
int kit_task_count(const kit *k);

/* The name of a process that lives, and is another one: our parent. out: TM_OWNER_MAX. */
void kit_name_other(char *out);

/* Looking. Texts live in the world's arena. */
const char *kit_text(kit_world *w, const char *quoted); /* ' to " */
const char *kit_state(kit_world *w, const char *run);   /* "" none */
const char *kit_result(kit_world *w, const char *run);  /* what the script was told */
const char *kit_reason(kit_world *w, const char *run);
const char *kit_owner(kit_world *w, const char *run);
int64_t kit_epoch(kit_world *w, const char *run);
const char *kit_journal(kit_world *w, const char *run); /* "start open:1 done:1 end" */
const char *kit_body(kit_world *w, const char *run, int64_t seq);
/* The first record of a kind ("done") at a place: its body; NULL none. */
const char *kit_record(kit_world *w, const char *run, const char *kind, const char *place);
const char *kit_gates(kit_world *w);   /* "r/ask@1 open, …" */
const char *kit_effects(kit_world *w); /* "k1 k2", sorted, with "x2" behind one sent twice */
const kit_effect *kit_effect_of(kit_world *w, const char *key); /* all zero: never seen */
int kit_count(const kit *k, const char *event); /* how often it was told, over all lives */
/* 0, or the error of loading a run's journal. */
int kit_verify(kit_world *w, const char *run, tm_err *err);

#endif
