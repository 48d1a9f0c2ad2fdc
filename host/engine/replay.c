/* replay.c - walking a journal to its frontier.
 *
 * A replay resumes branches in the order in which the journal's outcomes stand, one at a time,
 * and lets each settle before the next: exactly what happened live. An outcome whose place the
 * script has not come to is a divergence; one whose branch was cancelled meanwhile is passed
 * over, as it was live.
 */
#include "engine/replay.h"

#include <string.h>

#include "engine/engine.h"
#include "engine/held.h"
#include "engine/lock.h"

int tm_replay_load(tm_run *r, tm_err *err) {
  if (tm_journal_load(&r->journal, &r->arena, r->engine->ports.store, r->id, err) < 0)
    return -1;
  if (r->journal.length < r->next_seq)
    return tm_err_set(
        err, TM_INTERNAL,
        "the last records of run %s are missing (%lld of %lld are there); the journal "
        "is damaged, restore the database from a backup",
        r->id, (long long)r->journal.length, (long long)r->next_seq);
  const tm_json *start = r->journal.first->body, *settings = tm_json_get(start, "env");
  const char *seed = tm_json_get_str(start, "seed");
  r->settings = settings ? tm_json_copy(&r->arena, settings) : NULL;
  r->input = tm_json_get(start, "input");
  r->created = tm_json_int(tm_json_get(start, "at"), 0);
  r->only_step = tm_json_get_str(start, "step");
  r->seed = seed ? seed : r->id;
  /* a fork of a child has a copy of its START, and is not its parent's child */
  r->parent = tm_json_get(start, "fork") ? NULL : tm_json_get_str(start, "parent");
  r->depth = tm_json_int(tm_json_get(start, "depth"), 0);
  r->allowance = tm_json_get(start, "budget");
  r->events = tm_json_get(start, "events");
  r->next_seq = r->journal.length;
  memcpy(r->chain, r->journal.chain, sizeof r->chain);
  r->replaying = true;
  return 0;
}

static bool same_call(const tm_branch *b, const tm_entry *e) {
  const char *kind = tm_json_get_str(e->body, "k"), *id = tm_json_get_str(e->body, "i");
  if (!kind || e->kind == TM_RECORD_ATTEMPT)
    return true; /* what was tried belongs to the call, and is not its identity */
  return strcmp(kind, tm_call_word(b->kind)) == 0 && (!id || strcmp(id, b->identity) == 0);
}

static void text_of(tm_buf *out, const tm_json *request) {
  tm_buf_puts(out, " with ");
  size_t from = out->len;
  tm_json_print(out, request);
  if (out->len - from > 300) {
    size_t keep = from + tm_json_utf8_valid(out->data + from, 300);
    out->len = keep;
    tm_buf_puts(out, "…");
  }
}

/* What a record's call was asked with: it stands in the first record that holds it. */
static const tm_json *request_then(const tm_run *r, const tm_entry *e) {
  const tm_entry *open = tm_place_find(tm_journal_at(&r->journal, e->place), TM_RECORD_OPEN);
  const tm_json *own = tm_json_get(e->body, "q");
  return own ? own : open ? tm_json_get(open->body, "q") : NULL;
}

static const char *kind_of(const tm_entry *e) {
  const char *kind = tm_json_get_str(e->body, "k");
  return kind ? kind : tm_record_word((int)e->kind);
}

static tm_json *side(tm_arena *a, const char *kind, const char *name, const char *where,
                     const tm_json *request) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "kind", kind);
  tm_json_set_str(a, o, "name", name);
  if (where && *where)
    tm_json_set_str(a, o, "where", where);
  if (request)
    tm_json_set(a, o, "request", tm_json_copy(a, request));
  return o;
}

/* For a rehearsal: what the journal holds at the place, and what the script asks for there (b
 * NULL: nothing). */
static void keep_difference(tm_run *r, const tm_entry *e, const tm_branch *b) {
  tm_arena *a = &r->arena;
  if (!r->rehearsed)
    return;
  tm_json *d = r->difference = tm_json_new_object(a);
  tm_json_set_str(a, d, "place", e->place);
  tm_json_set_int(a, d, "record", e->seq);
  tm_json_set(a, d, "stands",
              side(a, kind_of(e), e->name, tm_json_get_str(e->body, "w"), request_then(r, e)));
  if (b)
    tm_json_set(a, d, "asked", side(a, tm_call_word(b->kind), b->name, b->where, b->request));
}

static void diverged_at(tm_branch *b, const tm_entry *e) {
  tm_buf asked = TM_BUF_INIT, stands = TM_BUF_INIT;
  const tm_json *then = request_then(b->run, e);
  keep_difference(b->run, e, b);
  if (b->request)
    text_of(&asked, b->request);
  if (then)
    text_of(&stands, then);
  const char *where = tm_json_get_str(e->body, "w");
  tm_run_diverge(b->run, b->place,
                 "%s asks for %s \"%s\"%s; the journal has %s \"%s\"%s%s%s there (record %lld)",
                 *b->where ? b->where : "the script", tm_call_word(b->kind), b->name,
                 tm_buf_str(&asked), kind_of(e), e->name, tm_buf_str(&stands),
                 where ? ", asked for at " : "", where ? where : "", (long long)e->seq);
  tm_buf_free(&asked);
  tm_buf_free(&stands);
}

bool tm_replay_matches(tm_branch *b, tm_place *p) {
  p->asked = true;
  p->waiting = b;
  for (const tm_entry *e = p->first; e; e = e->next_here)
    if (!same_call(b, e)) {
      diverged_at(b, e);
      return false;
    }
  return true;
}

static void deliver(tm_branch *b, const tm_entry *e) {
  const tm_json *meta = tm_json_get(e->body, "m");
  b->recorded = true;
  if (e->kind == TM_RECORD_DONE)
    tm_run_answer(b, TM_ANSWER_VALUE, tm_json_get(e->body, "v"), meta);
  else
    tm_run_answer(b, TM_ANSWER_ERROR, tm_json_get(e->body, "e"), meta);
}

bool tm_replay_ends(tm_run *r) {
  const tm_entry *e = r->replaying ? tm_journal_unasked(&r->journal) : NULL;
  if (!e)
    return true;
  keep_difference(r, e, NULL);
  tm_run_diverge(
      r, e->place,
      "the journal has %s \"%s\" there (record %lld), which the script no longer asks "
      "for",
      kind_of(e), e->name, (long long)e->seq);
  return false;
}

/* The frontier: everything journaled has been told. What still waits goes live, in the order of
 * its branches, which is the order in which they were forked. */
static bool reach_frontier(tm_run *r) {
  if (!tm_replay_ends(r))
    return false;
  r->replaying = false;
  if (r->rehearsed) {
    r->lost = true; /* nothing of it is to happen */
    return false;
  }
  tm_lock_reconcile(r);
  tm_held_reconcile(r);
  bool ordered = r->order != TM_ORDER_NONE && !r->cancelling;
  if (ordered)
    tm_control_obey(r);
  tm_list *next;
  for (tm_list *l = r->branches.next; l != &r->branches; l = next) {
    next = l->next;
    tm_branch *b = TM_LIST_OF(l, tm_branch, link);
    if (b->phase == TM_PHASE_HELD && (!ordered || tm_action_started(b)))
      tm_exec_launch(b);
  }
  r->parked_here = false; /* what is set from here on is set now */
  return true;
}

bool tm_replay_next(tm_run *r) {
  tm_journal *j = &r->journal;
  while (j->cursor) {
    const tm_entry *e = j->cursor;
    j->cursor = e->next;
    if (e->kind == TM_RECORD_CANCEL) {
      tm_run_cancel(r);
      return true;
    }
    if (e->kind != TM_RECORD_DONE && e->kind != TM_RECORD_FAIL)
      continue;
    tm_place *p = tm_journal_at(j, e->place);
    if (!p->asked) {
      keep_difference(r, e, NULL);
      tm_run_diverge(
          r, e->place,
          "the journal has the result of %s \"%s\" there (record %lld), but the script "
          "waits for something else",
          tm_json_get_str(e->body, "k"), e->name, (long long)e->seq);
      return false;
    }
    if (!p->waiting)
      continue;
    deliver(p->waiting, e);
    p->waiting = NULL;
    return true;
  }
  return reach_frontier(r);
}
