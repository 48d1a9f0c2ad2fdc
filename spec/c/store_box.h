/* store_box.h - a store in a box, for its tests: an owner's thread, short ways to write and
 * read. */
#ifndef TM_SPEC_STORE_BOX_H
#define TM_SPEC_STORE_BOX_H

#include <pthread.h>

#include "base/buf.h"
#include "store/store.h"

typedef struct parcel {
  void (*fn)(void *arg);
  void *arg;
  struct parcel *next;
} parcel;

typedef struct box {
  tm_store *store;
  tm_arena arena; /* what reads return */
  pthread_mutex_t mutex;
  pthread_cond_t come;
  parcel *first, **last;
  int sent, told;                    /* batches */
  tm_err err;                        /* of the last one told, */
  tm_op_status statuses[8];          /* of its first ops, */
  const tm_run_row *found_run;       /* and what its last RUN_NEW */
  const tm_effect_row *found_effect; /* or EFFECT_CLAIM found; both live in the arena */
  tm_store_host host;
  char dir[64]; /* "" for a store in memory */
  char url[128];
} box;

/* A fresh store of the kind "memory" or "sqlite", or one on the file of another box. */
void box_open(box *b, const char *kind);
int box_open_url(box *b, const char *url, tm_err *err);
/* On a file as the schema of that version left it, with what `sql` puts into it. */
void box_open_old(box *b, unsigned version, const char *sql);
void box_reopen(box *b);
void box_close(box *b); /* and removes the directory, if it made it */

/* The database's path and its neighbours: box_path(b, "-wal"). Valid until the next call. */
const char *box_path(const box *b, const char *end);

/* All bytes of a file; empty when there is none. */
tm_buf box_slurp(const char *path);

/* A batch whose `done` counts, keeps what it can tell, and frees it. */
tm_batch *box_batch(box *b);
void box_send(box *b, tm_batch *batch);
void box_wait(box *b); /* until all sent are told */
/* Send and wait; the code it was told. */
tm_code box_commit(box *b, tm_batch *batch);

/* Ops. */
tm_op *op_run(tm_batch *b, const char *id);
tm_op *op_fence(tm_batch *b, const char *id, int64_t epoch);
tm_op *op_claim(tm_batch *b, const char *id, int64_t epoch, const char *owner);
tm_op *op_record(tm_batch *b, int64_t seq, const char *body);
tm_op *op_state(tm_batch *b, const char *state);

/* One batch each. `append` adds records from..to-1 to a run of epoch 1. */
void box_add_run(box *b, const char *id);
tm_code box_append(box *b, const char *id, int64_t from, int64_t to);

/* Reads. Strings live in the box's arena. */
const tm_run_row *box_run(box *b, const char *id);   /* NULL: none */
const char *box_ids(box *b, const tm_run_filter *f); /* "c b a" */
const char *box_journal(box *b, const char *id,
                        int64_t from); /* "0:body 1:body", or the error */
const tm_gate_row *box_gate(box *b, const char *id);
const char *box_gates(box *b, const tm_gate_filter *f);
const char *box_verify(box *b); /* findings, one a line; "" when there are none */

#endif
