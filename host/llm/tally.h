/* tally.h - a meter, and what this process holds of it: its share, its slots, its news.
 *
 *   seen ◄── read at most once a second ── the cell ◄── written when there is a claim or news
 *     │                                                     │ another was faster: read, again
 *     └── wait, take: from memory alone                     └── written: the share is ours
 *
 * At most one write is under way. Without cells to share, what would be written is simply so.
 */
#ifndef TM_LLM_TALLY_H
#define TM_LLM_TALLY_H

#include "llm/lane.h"

#define TM_TALLY_CELLS "llm/" /* names begin so: llm/PROVIDER[/MODEL]#KEY */

/* What the others have to be told of the breaker. */
typedef enum tm_news {
  TM_NEWS_NONE,
  TM_NEWS_OPEN,
  TM_NEWS_PROBE, /* may this process be the one that tries? */
  TM_NEWS_CLOSE,
  TM_NEWS_REOPEN
} tm_news;

struct tm_tally {
  tm_lanes *lanes;
  void (*wake)(void *lanes); /* something may have changed */
  char *cell, *label;        /* "llm/openai/gpt-4.1#ab12cd34", "openai/gpt-4.1" */
  tm_limit limit;
  tm_meter seen, next; /* next: what is being written */
  tm_arena seen_arena, next_arena;
  int64_t version, looked_at; /* looked_at: wall ms; 0: never */
  double left, left_tokens;   /* of the share, */
  int64_t share_until;        /* until then */
  double back;                /* tokens taken and not used, since the last write */
  int64_t slots, left_at, yield_until;
  int inside, waiting; /* requests under way, and in line */
  double inside_tokens, waiting_tokens;
  tm_told told; /* as this process knows it */
  int64_t told_at;
  tm_news news;
  bool news_told, news_hold;
  int64_t own[3],
      next_own[3];   /* marks that the others have not heard of; that are being told */
  int64_t folded_at; /* wall ms: since then */
  bool held;         /* somebody waited for the end of a pause */
  double pace_ms;    /* one by one, after a pause; 0: as they come */
  int64_t pace_at;
  bool writing, claims; /* claims: more of the meter is wanted */
  tm_grant granted;
  double next_back;
  tm_news next_news;
  bool closing;
  bool blocked; /* in this round of the pump */
  double need;  /* tokens of who is blocked */
  int64_t wait_ms;
};

tm_tally *tm_tally_new(tm_lanes *l, const char *cell, const tm_limit *limit,
                       void (*wake)(void *lanes));
void tm_tally_free(tm_tally *t);

/* See what others wrote, when it is time to. */
void tm_tally_look(tm_tally *t, int64_t now);
/* How long a request that needs so many tokens waits: 0 not at all, -1 until there is more of the
 * meter. *what: for what. */
int64_t tm_tally_wait(tm_tally *t, double need, int64_t now, const char **what);
void tm_tally_take(tm_tally *t, double need, int64_t now);
/* It has ended; used -1: not known. When to come round: ms, or -1. */
int64_t tm_tally_give(tm_tally *t, double need, double used, int64_t now);
/* What the provider said of its limits; true when the others should know. */
bool tm_tally_told(tm_tally *t, const tm_told *told, int64_t now);
/* What came of an attempt, for the others to know some time. When to come round: ms, or -1. */
int64_t tm_tally_mark(tm_tally *t, tm_breaker_mark mark, int64_t now);
/* The breaker has opened: what came before counts no more. */
void tm_tally_forget(tm_tally *t);
/* Nobody asks for so long. */
void tm_tally_hold(tm_tally *t, int64_t ms, int64_t now);

/* A round of the pump: at its beginning; who could not go; at its end, which says when to come round
 * again (ms; -1: when something happens). */
void tm_tally_round(tm_tally *t, int64_t now);
void tm_tally_block(tm_tally *t, double need, int64_t wait_ms);
int64_t tm_tally_sync(tm_tally *t, int64_t now);
/* Nothing is wanted any more: true when there is something to write. */
bool tm_tally_close(tm_tally *t, int64_t now);

const char *tm_tally_what(const tm_tally *t, const char *what);
/* NULL: there is nothing to tell of it. */
tm_json *tm_tally_describe(tm_arena *a, const char *cell, const char *text, int64_t now);

#endif
