/* sqlite_read.h - rows out of statements, and the reading half of the contract. */
#ifndef TM_STORE_SQLITE_READ_H
#define TM_STORE_SQLITE_READ_H

#include "store/sqlite_conn.h"

/* A row of TM_RUN_COLUMNS. */
void tm_read_run(const tm_use *u, tm_run_row *out);

/* A row by its key into an arena: 1 found, 0 not, -1 error. */
int tm_read_find_run(tm_conn *c, const char *id, tm_arena *a, tm_run_row *out, tm_err *err);
int tm_read_find_effect(tm_conn *c, const tm_effect_row *key, tm_arena *a, tm_effect_row *out,
                        tm_err *err);
int tm_read_find_bytes(tm_conn *c, tm_sql which, const char *hash, tm_arena *a,
                       const char **bytes, size_t *len, tm_err *err);

int tm_read_runs(tm_conn *c, const tm_run_filter *f, tm_run_fn fn, void *ctx, tm_err *err);
int tm_read_journal(tm_conn *c, const char *run, int64_t from_seq, tm_record_fn fn, void *ctx,
                    tm_err *err);
int tm_read_gates(tm_conn *c, const tm_gate_filter *f, tm_gate_fn fn, void *ctx, tm_err *err);

/* Findings of `doctor`: 0 none, 1 some, each told to fn. */
int tm_read_verify(tm_conn *c, void (*fn)(void *ctx, const char *finding), void *ctx,
                   tm_err *err);

#endif
