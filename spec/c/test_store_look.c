/* test_store_look.c - a look through many answers: nobody else waits for it. */
#include <time.h>

#include "check.h"
#include "store_box.h"

/* A thread that is held until it is let go. */
typedef struct held {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool inside, go, late;
  pthread_t thread;
  int rows;
} held;

typedef struct asked {
  tm_look look;
  box *box;
  held *held;
  int told;
} asked;

static void wait_for(held *h, const bool *what) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 20;
  while (!*what && !h->late)
    h->late = pthread_cond_timedwait(&h->changed, &h->mutex, &until) != 0;
}

static int on_row(void *ctx, const tm_cache_row *row) {
  held *h = ((asked *)ctx)->held;
  CHECK_STR(row->scope, "s");
  pthread_mutex_lock(&h->mutex);
  h->inside = true;
  h->rows++;
  h->thread = pthread_self();
  pthread_cond_signal(&h->changed);
  wait_for(h, &h->go);
  pthread_mutex_unlock(&h->mutex);
  return 0;
}

static void done(tm_look *look) {
  asked *a = look->ctx;
  a->told++;
  a->box->told++;
}

static void ask(asked *a, box *b, held *h) {
  *a = (asked){.box = b, .held = h};
  a->look =
      (tm_look){.scope = "s", .now = 1, .limit = 10, .fn = on_row, .ctx = a, .done = done};
  b->sent++;
  b->store->vt->look(b->store, &a->look);
}

static void put_answer(box *b, const char *hash) {
  tm_batch *batch = box_batch(b);
  op_fence(batch, "r1", 1);
  tm_batch_add(batch, TM_OP_CACHE)->u.cache = (tm_cache_row){
      .hash = hash, .scope = "s", .value = "1", .vector = "abcd", .vector_len = 4, .run = "r1"};
  CHECK_INT(box_commit(b, batch), TM_OK);
}

static void enter(held *h) {
  pthread_mutex_lock(&h->mutex);
  wait_for(h, &h->inside);
  pthread_mutex_unlock(&h->mutex);
}

static void let_go(held *h) {
  pthread_mutex_lock(&h->mutex);
  h->go = true;
  pthread_cond_signal(&h->changed);
  pthread_mutex_unlock(&h->mutex);
}

static void open_box(box *b, held *h) {
  *h = (held){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  box_open(b, "sqlite");
  box_add_run(b, "r1");
  put_answer(b, "a");
}

static void commits_and_reads_go_on_beside_it(void) {
  box b;
  held h;
  asked one;
  open_box(&b, &h);
  ask(&one, &b, &h);
  enter(&h);
  b.sent--; /* the look is not waited for */
  put_answer(&b, "b");
  b.sent++;
  CHECK_INT(one.told, 0);
  CHECK(box_run(&b, "r1"));
  let_go(&h);
  box_wait(&b);
  CHECK_INT(one.told, 1);
  CHECK_INT(one.look.err.code, TM_OK);
  CHECK_INT(h.rows, 1); /* as it was when it began */
  CHECK(!pthread_equal(h.thread, pthread_self()));
  CHECK(!h.late);
  ask(&one, &b, &h);
  box_wait(&b);
  CHECK_INT(h.rows, 3);
  box_close(&b);
}

static void each_is_told_once_also_when_the_store_closes(void) {
  box b;
  held h;
  asked looks[3];
  open_box(&b, &h);
  for (int i = 0; i < 3; i++)
    ask(&looks[i], &b, &h);
  enter(&h);
  let_go(&h);
  tm_store_close(&b.store);
  box_wait(&b);
  for (int i = 0; i < 3; i++)
    CHECK_INT(looks[i].told, 1);
  CHECK_INT(looks[0].look.err.code, TM_OK);
  box_close(&b);
}

CHECK_SUITE(store_look) {
  CHECK_RUN(commits_and_reads_go_on_beside_it);
  CHECK_RUN(each_is_told_once_also_when_the_store_closes);
}
