/* mem_queue.c - signals and lines for locks of the store in memory. */
#include "store/mem_queue.h"

#include <string.h>

#include "store/apply.h"

static bool same(const char *a, const char *b) {
  return strcmp(a ? a : "", b ? b : "") == 0;
}

/* -- signals --------------------------------------------------------------------------- */

static tm_signal_row *find_signal(const tm_mem_queue *q, const char *run, const char *sid) {
  for (size_t i = 0; i < q->signal_count; i++)
    if (same(q->signals[i].run, run) && same(q->signals[i].sid, sid))
      return &q->signals[i];
  return NULL;
}

int tm_mem_queue_signal(tm_mem_queue *q, tm_batch *b, tm_op *op, bool takes, tm_err *err) {
  const tm_signal_row *taken = find_signal(q, op->u.signal.run, op->u.signal.sid);
  if (taken) {
    tm_signal_row *found = tm_arena_new(&b->arena, tm_signal_row);
    op->found.signal = found;
    op->status = TM_OP_EXISTS;
    return tm_apply_copy_signal(&b->arena, found, taken, err);
  }
  if (!takes) {
    op->status = TM_OP_LOST;
    return 0;
  }
  if (q->signal_count == q->signal_cap) {
    q->signal_cap = q->signal_cap ? 2 * q->signal_cap : 16;
    q->signals = tm_realloc(q->signals, q->signal_cap * sizeof *q->signals);
  }
  tm_signal_row *s = &q->signals[q->signal_count++];
  int rc = tm_apply_copy_signal(q->arena, s, &op->u.signal, err);
  s->place = NULL;
  if (!s->at)
    s->at = b->at;
  return rc;
}

/* The one of that sid when nobody used it up but `place`. */
static tm_signal_row *usable(tm_mem_queue *q, const char *run, tm_op *op, bool used) {
  tm_signal_row *s = find_signal(q, run, op->u.signal.sid);
  if (s && (s->place ? same(s->place, op->u.signal.place) : !used))
    return s;
  op->status = TM_OP_LOST;
  return NULL;
}

static void consume(tm_mem_queue *q, const char *run, tm_op *op) {
  tm_signal_row *s = usable(q, run, op, false);
  if (s)
    s->place = tm_arena_strdup(q->arena, op->u.signal.place);
}

static void give_back(tm_mem_queue *q, const char *run, tm_op *op) {
  tm_signal_row *s = usable(q, run, op, true);
  if (s)
    s->place = NULL;
}

static void move(tm_mem_queue *q, const char *run, const tm_op *op) {
  const char *to = tm_arena_strdup(q->arena, run);
  for (size_t i = 0; i < q->signal_count; i++)
    if (same(q->signals[i].run, op->u.signal.run) && !q->signals[i].place)
      q->signals[i].run = to;
}

int tm_mem_queue_signals(const tm_mem_queue *q, const tm_signal_filter *f, tm_signal_fn fn,
                         void *ctx) {
  size_t end = q->signal_count;
  for (size_t i = 0; i < end; i++) {
    tm_signal_row s = q->signals[i]; /* a commit inside fn may move the list */
    bool wanted = same(s.run, f->run) && (!f->name || same(s.name, f->name)) &&
                  (!f->sid || same(s.sid, f->sid)) && (!f->pending || !s.place);
    if (wanted && fn(ctx, &s) != 0)
      break;
  }
  return 0;
}

/* -- locks ----------------------------------------------------------------------------- */

static bool in_line(const tm_lock_row *l, const char *ns, const char *key) {
  return same(l->ns, ns) && same(l->key, key);
}

static int want(tm_mem_queue *q, const char *run, tm_batch *b, tm_op *op, tm_err *err) {
  const tm_lock_row *w = &op->u.lock, *first = NULL;
  bool stands = false;
  for (size_t i = 0; i < q->lock_count; i++) {
    if (!in_line(&q->locks[i], w->ns, w->key))
      continue;
    first = first ? first : &q->locks[i];
    stands = stands || same(q->locks[i].run, run);
  }
  if (first && !same(first->run, run)) {
    tm_lock_row *found = tm_arena_new(&b->arena, tm_lock_row);
    op->found.lock = found;
    op->status = TM_OP_EXISTS;
    if (tm_apply_copy_lock(&b->arena, found, first, err) < 0)
      return -1;
  }
  if (stands)
    return 0;
  if (q->lock_count == q->lock_cap) {
    q->lock_cap = q->lock_cap ? 2 * q->lock_cap : 16;
    q->locks = tm_realloc(q->locks, q->lock_cap * sizeof *q->locks);
  }
  tm_lock_row row = {.ns = w->ns, .key = w->key, .run = run};
  return tm_apply_copy_lock(q->arena, &q->locks[q->lock_count++], &row, err);
}

static void drop(tm_mem_queue *q, const char *run, const tm_op *op) {
  size_t kept = 0;
  for (size_t i = 0; i < q->lock_count; i++) {
    const tm_lock_row *l = &q->locks[i];
    bool goes =
        same(l->run, run) && (!op->u.lock.key || in_line(l, op->u.lock.ns, op->u.lock.key));
    if (!goes)
      q->locks[kept++] = *l;
  }
  q->lock_count = kept;
}

int tm_mem_queue_locks(const tm_mem_queue *q, const tm_lock_filter *f, tm_lock_fn fn,
                       void *ctx) {
  for (size_t i = 0; i < q->lock_count; i++) {
    tm_lock_row l = q->locks[i];
    bool wanted = f->run ? same(l.run, f->run) : in_line(&l, f->ns, f->key);
    if (wanted && fn(ctx, &l) != 0)
      break;
  }
  return 0;
}

/* -- both ------------------------------------------------------------------------------ */

int tm_mem_queue_apply(tm_mem_queue *q, const char *run, tm_batch *b, tm_op *op, tm_err *err) {
  if (op->kind == TM_OP_LOCK_WANT)
    return want(q, run, b, op, err);
  if (op->kind == TM_OP_LOCK_DROP)
    drop(q, run, op);
  else if (op->kind == TM_OP_SIGNAL_CONSUME)
    consume(q, run, op);
  else if (op->kind == TM_OP_SIGNAL_FREE)
    give_back(q, run, op);
  else
    move(q, run, op);
  return 0;
}

void tm_mem_queue_forget(tm_mem_queue *q, const char *run) {
  size_t kept = 0;
  for (size_t i = 0; i < q->signal_count; i++)
    if (!same(q->signals[i].run, run))
      q->signals[kept++] = q->signals[i];
  q->signal_count = kept;
  kept = 0;
  for (size_t i = 0; i < q->lock_count; i++)
    if (!same(q->locks[i].run, run))
      q->locks[kept++] = q->locks[i];
  q->lock_count = kept;
}

void tm_mem_queue_free(tm_mem_queue *q) {
  tm_free(q->signals);
  tm_free(q->locks);
}
