/* reuse.h - answers of models that are used again: the same question, a like one, one that is
 * being asked right now.
 *
 * Only units that ask for it (`tidemill.cache`), and never a question with tools in it: what a
 * model wants done is no text to be handed around. An answer that is unsure is told as such to
 * those who wait for it, and not kept (law 10).
 *
 *   mill.llm ─► an answer to the same hash? ────────── yes ─► told, as a hit "exact"
 *                    │ no
 *               is it being asked in this process? ─── yes ─► waits, told as a hit "flight"
 *                    │ no                                     (a failure is nobody else's)
 *               one to a text that is like this one? ─ yes ─► told, as a hit "similar"
 *                    │ no                                     (embed first, when it must be)
 *                    v
 *               the model ─► DONE, and the answer by its hash, in one transaction
 *
 * A hit is a DONE like any other, and a replay is told it from the journal. Its meta is
 *   {model, model_answered?, provider?, fingerprint?, finish?, rung?, unsure?, attempts: 0, rounds: 0,
 *    latency_ms: 0, usage: zeros, usd: 0, embed?, cached: {hit, run, at, similarity?, usd?}}
 * `run` asked for it `at` ms since 1970, and `usd` is what it cost then. A hit counts as no
 * model call of the budget; one of a call that had been put off (backoff.h) keeps the attempts,
 * usage and usd that it had until then. `embed` {model, usage, usd} is what a look for like ones cost; that
 * is in the call's usd, hit or not. Every answer is held to the unit's schema and checks again.
 *
 *   hash   of the request without what only concerns the wire (timeouts, retries, stream)
 *   scope  of what must be the same in questions that are alike: the prompt's file and
 *          partials, model, settings, and all variables but the declared one
 *   value  {v: the answer, m: its meta}; of a text's vector, the array of numbers
 *   vector 32-bit floats, little-endian, of length 1 together: the product is the cosine
 */
#ifndef TM_ENGINE_REUSE_H
#define TM_ENGINE_REUSE_H

#include "engine/engine.h"

#define TM_REUSE_SCAN 10000 /* of a scope's entries, the newest: what one look goes through */

/* What is known of one call's question, in the branch's scratch. */
struct tm_reuse {
  tm_branch *branch;
  char hash[TM_HASH_HEX + 1], scope[TM_HASH_HEX + 1];
  const tm_json *request, *settings; /* the common request; its `cache` */
  const char *text;                  /* of the declared variable; NULL: none to compare */
  const tm_json *vector;             /* of that text; NULL: not known */
  const tm_json *embed;              /* what asking for it cost; NULL: nothing */
  tm_json *vectors;                  /* mill.embed: those known, null where one is asked for */
  struct tm_flight *flight;          /* it leads, or follows */
  struct tm_likes *likes;            /* it looks for like ones just now */
  bool looked;                       /* for like ones: what comes is the model */
  bool alone;                        /* whom it followed failed: it asks for itself */
  tm_list link;                      /* among those that follow, or that ask again */
};

/* A call of mill.llm goes live. */
void tm_reuse_launch(tm_branch *b);
/* It waited for the rest of a budget: look, or ask, once more. */
void tm_reuse_go_on(tm_branch *b);
/* A task of it is done: of kind LLM, or EMBED. */
void tm_reuse_done(tm_branch *b, tm_call_kind kind, const tm_json *value, const tm_json *meta,
                   const tm_json *error);
/* Nothing that is kept will do: the model is asked, as soon as the budgets allow it. */
void tm_reuse_ask(tm_branch *b);
/* {v, m} of the answer that is kept by this hash, and its row, in the branch's scratch; NULL: there is
 * none, or it is none to b's question. */
const tm_json *tm_reuse_kept(tm_branch *b, const char *hash, tm_cache_row *row);
/* Is it the meta of a call of mill.llm that reached nobody, also not before it was put off: a hit,
 * or one of which no byte was sent? */
bool tm_reuse_is_free(const tm_json *meta);
/* Calls that r counts, and that were free, or wait for another's answer. */
int64_t tm_reuse_uncounted(const tm_run *r);
/* The meta of b's hit, from the meta of the answer that it takes over. */
tm_json *tm_reuse_meta(tm_branch *b, const tm_json *meta, const char *hit, const char *run,
                       int64_t at);
/* The meta of a call that fails or is put off, with what a look for like ones cost. */
const tm_json *tm_reuse_so_far(tm_branch *b, const tm_json *meta);
/* Add the op that keeps an answer; all it points at is copied. */
void tm_reuse_put(tm_run *r, const tm_cache_row *row);

/* -- flight.c: the same question at the same time is asked once ------------------------- */

/* True: it follows, or is told at once. False: it leads from here on. */
bool tm_flight_join(tm_branch *b);
/* The leader's answer, which is recorded: those who follow are told. */
void tm_flight_land(tm_branch *b, const tm_json *value, const tm_json *meta);
/* There is none. Those who follow ask again, each for itself or behind a new leader. */
void tm_flight_fail(tm_branch *b, bool alone);
/* The branch does not want it any more. */
void tm_flight_gone(tm_branch *b);
/* Those who ask again. */
void tm_flight_turn(tm_engine *e);
void tm_flight_close(tm_engine *e);

/* -- like.c: answers to texts that are alike --------------------------------------------- */

typedef struct tm_likes tm_likes;

/* The vector of b's text is known: tell the answer to one that is like it, or ask the model. */
void tm_like_start(tm_branch *b);
/* The branch does not want it any more. */
void tm_like_gone(tm_branch *b);
/* A vector as it is kept: see above; NULL for one of no length. */
const unsigned char *tm_like_packed(tm_arena *a, const tm_json *vector);

/* -- embed.c: vectors of texts ---------------------------------------------------------- */

/* mill.embed: request {model, input: [text], dimensions?, ttl_ms?}, value the vectors, meta that
 * of the question {…, reused: how many were known}. */
void tm_embed_launch(tm_branch *b);
void tm_embed_done(tm_branch *b, const tm_json *value, const tm_json *meta,
                   const tm_json *error);
/* The vector of a text, as the store has it, in the branch's scratch; NULL: it has none. */
const tm_json *tm_embed_known(tm_branch *b, const char *model, int64_t dimensions,
                              const char *text);
void tm_embed_keep(tm_branch *b, const char *model, int64_t dimensions, const char *text,
                   const tm_json *vector, int64_t ttl_ms);
/* Ask for vectors of a list of texts, as soon as the budgets allow it. */
void tm_embed_ask(tm_branch *b, const char *model, int64_t dimensions, const tm_json *texts);

#endif
