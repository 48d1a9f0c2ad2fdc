/* sim_told.c - laws about a moment: the disk as it is when a script hears, or a commit is applied.
 */
#include <string.h>

#include "sim_world.h"

/* -- locks -------------------------------------------------------------------------------- */

typedef struct line {
  char first[64];
} line;

static int first_in_line(void *ctx, const tm_lock_row *row) {
  line *l = ctx;
  strncpy(l->first, row->run, sizeof l->first - 1);
  return 1;
}

/* Whose is the lock? "": nobody's. */
static line line_of(sim *s, const char *workflow, const char *key) {
  line l = {.first = ""};
  tm_lock_filter f = {.ns = workflow, .key = key};
  tm_err err = TM_ERR_INIT;
  s->world.disk->vt->locks(s->world.disk, &f, first_in_line, &l, &err);
  return l;
}

/* Is the run this process's, as the disk has it? A zombie may be told what it likes. */
static bool is_current(sim *s, const tm_run *r) {
  const char *owner = kit_owner(&s->world, r->id);
  return kit_epoch(&s->world, r->id) == r->epoch && !r->lost &&
         (!*owner || strcmp(owner, r->engine->owner) == 0);
}

static void told_lock(sim *s, const tm_branch *b) {
  const tm_run *r = b->run;
  if (r->replaying || r->rehearsed || !is_current(s, r))
    return;
  line l = line_of(s, r->workflow, b->name);
  s->report->locks++;
  if (strcmp(l.first, r->id) != 0)
    sim_wrong(s, "run %s was told that the lock \"%s\" is its own; %s has it", r->id, b->name,
              *l.first ? l.first : "nobody");
}

/* -- undo --------------------------------------------------------------------------------- */

static void told_done(sim *s, const tm_branch *b) {
  const tm_run *r = b->run;
  if (!r->rehearsed && tm_json_bool(tm_json_get(b->request, "undo"), false))
    tm_map_set(&s->undoable, tm_arena_printf(&s->world.arena, "%s %s", r->id, b->place), s);
}

void sim_told(kit *k, tm_branch *b, const tm_answer *a) {
  sim *s = TM_LIST_OF(k, process, kit)->sim;
  if (a->kind != TM_ANSWER_VALUE)
    return;
  if (b->kind == TM_CALL_LOCK)
    told_lock(s, b);
  else if (b->kind == TM_CALL_ACTION)
    told_done(s, b);
}

/* -- commits ------------------------------------------------------------------------------ */

/* Does the group that the op opens hold? */
static bool opens(sim *s, const tm_op *op) {
  const char *owner = kit_owner(&s->world, op->u.run.id);
  int64_t epoch = kit_epoch(&s->world, op->u.run.id);
  if (op->kind != TM_OP_FENCE)
    return op->kind == TM_OP_RUN_CLAIM && epoch == op->u.run.epoch;
  return epoch == op->u.run.epoch && (!op->u.run.owner || strcmp(owner, op->u.run.owner) == 0);
}

/* How often a run waits for a key that another call has. */
static void count_key(sim *s, const char *reason) {
  s->report->keys += reason && strstr(reason, "\"for\":\"key\"");
}

/* What is let go has been held until then, by nobody else. */
void sim_apply(sim *s, const tm_batch *b) {
  const char *run = NULL;
  for (const tm_op *op = b->first; op; op = op->next) {
    if (op->kind == TM_OP_FENCE || op->kind == TM_OP_RUN_CLAIM || op->kind == TM_OP_RUN_NEW)
      run = opens(s, op) ? op->u.run.id : NULL;
    const tm_record *r = &op->u.record;
    if (run && op->kind == TM_OP_RUN_SET)
      count_key(s, op->u.run.reason);
    if (op->kind != TM_OP_RECORD || !run || r->kind != TM_RECORD_NOTE ||
        !strstr(r->body, "\"k\":\"unlock\""))
      continue;
    line l = line_of(s, sim_workflow(&s->world.arena, run), r->name);
    if (strcmp(l.first, run) != 0)
      sim_wrong(s, "run %s lets the lock \"%s\" go, which %s has", run, r->name,
                *l.first ? l.first : "nobody");
  }
}
