/* sqlite_look.c - looks through many answers, on a thread and a connection of their own. */
#include "store/sqlite_look.h"

#include <pthread.h>
#include <signal.h>

#include "store/sqlite_reuse.h"

struct tm_looker {
  const char *path;
  const tm_store_host *host;
  tm_conn conn; /* the thread's */
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  tm_look *first, **last; /* guarded, like all below */
  bool stop, started;
  pthread_t thread;
};

static void deliver(void *arg) {
  tm_look *look = arg;
  look->done(look);
}

static void look_through(tm_looker *l, tm_look *look) {
  tm_conn *c = &l->conn;
  if (c->db || tm_conn_open(c, l->path, true, &look->err) == 0)
    tm_reuse_read_similar(c, look->scope, look->now, look->limit, look->fn, look->ctx,
                          &look->err);
  l->host->post(l->host->ctx, deliver, look);
}

static tm_look *take(tm_looker *l) {
  tm_look *look = l->first;
  if (look && !(l->first = look->next))
    l->last = &l->first;
  return look;
}

static void *look_loop(void *arg) {
  tm_looker *l = arg;
  pthread_mutex_lock(&l->mutex);
  while (!l->stop) {
    tm_look *look = take(l);
    if (!look) {
      pthread_cond_wait(&l->wake, &l->mutex);
      continue;
    }
    pthread_mutex_unlock(&l->mutex);
    look_through(l, look);
    pthread_mutex_lock(&l->mutex);
  }
  pthread_mutex_unlock(&l->mutex);
  return NULL;
}

tm_looker *tm_looker_new(const char *path, const tm_store_host *host) {
  tm_looker *l = tm_new(tm_looker);
  l->path = path;
  l->host = host;
  l->last = &l->first;
  pthread_mutex_init(&l->mutex, NULL);
  pthread_cond_init(&l->wake, NULL);
  return l;
}

/* Signals go to the owner's threads, never to this one. */
static bool start_thread(tm_looker *l) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&l->thread, NULL, look_loop, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return rc == 0;
}

void tm_looker_ask(tm_looker *l, tm_look *look) {
  look->next = NULL;
  look->err = TM_ERR_INIT;
  if (!l->started && !(l->started = start_thread(l))) {
    look_through(l, look); /* without threads to be had it is done here, if slowly */
    return;
  }
  pthread_mutex_lock(&l->mutex);
  *l->last = look;
  l->last = &look->next;
  pthread_cond_signal(&l->wake);
  pthread_mutex_unlock(&l->mutex);
}

void tm_looker_free(tm_looker **looker) {
  tm_looker *l = *looker;
  *looker = NULL;
  if (!l)
    return;
  pthread_mutex_lock(&l->mutex);
  l->stop = true;
  pthread_cond_signal(&l->wake);
  pthread_mutex_unlock(&l->mutex);
  if (l->started)
    pthread_join(l->thread, NULL);
  for (tm_look *look; (look = take(l));) {
    tm_err_set(&look->err, TM_CANCELLED, "the store was closed");
    l->host->post(l->host->ctx, deliver, look);
  }
  tm_conn_close(&l->conn, false);
  pthread_cond_destroy(&l->wake);
  pthread_mutex_destroy(&l->mutex);
  tm_free(l);
}
