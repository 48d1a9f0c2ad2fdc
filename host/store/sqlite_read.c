/* sqlite_read.c - rows out of statements, and the reading half of the contract.
 *
 * A journal is a chain of positions from the newest record back to the first:
 *
 *   tm_head.last ─► pos 91 (seq 2) ─prev─► pos 40 (seq 1) ─prev─► pos 39 (seq 0) ─prev─► 0
 *
 * It is walked back for the positions, then read forward. Records never change or
 * move, so both walks see the same, whatever is appended meanwhile.
 */
#include "store/sqlite_read.h"

#include <string.h>

#include "store/apply.h"
#include "store/sqlite_drop.h"

/* -- rows ------------------------------------------------------------------------------ */

void tm_read_run(const tm_use *u, tm_run_row *out) {
  *out = (tm_run_row){
      .id = tm_conn_col(u, 0),
      .workflow = tm_conn_col(u, 1),
      .state = tm_conn_col(u, 2),
      .reason = tm_conn_col(u, 3),
      .owner = tm_conn_col(u, 4),
      .closure = tm_conn_col(u, 5),
      .input_hash = tm_conn_col(u, 6),
      .parent = tm_conn_col(u, 7),
      .result = tm_conn_col(u, 8),
      .epoch = tm_conn_num(u, 9),
      .wake_at = tm_conn_num(u, 10),
      .created = tm_conn_num(u, 11),
      .updated = tm_conn_num(u, 12),
      .records = tm_conn_num(u, 13),
  };
}

static void read_gate(const tm_use *u, tm_gate_row *out) {
  *out = (tm_gate_row){
      .id = tm_conn_col(u, 0),
      .run = tm_conn_col(u, 1),
      .workflow = tm_conn_col(u, 2),
      .place = tm_conn_col(u, 3),
      .name = tm_conn_col(u, 4),
      .state = tm_conn_col(u, 5),
      .digest = tm_conn_col(u, 6),
      .body = tm_conn_col(u, 7),
      .decision = tm_conn_col(u, 8),
      .by = tm_conn_col(u, 9),
      .opened = tm_conn_num(u, 10),
      .expires = tm_conn_num(u, 11),
      .decided = tm_conn_num(u, 12),
  };
}

static void read_effect(const tm_use *u, tm_effect_row *out) {
  *out = (tm_effect_row){
      .ns = tm_conn_col(u, 0),
      .action = tm_conn_col(u, 1),
      .key = tm_conn_col(u, 2),
      .args_hash = tm_conn_col(u, 3),
      .run = tm_conn_col(u, 4),
      .place = tm_conn_col(u, 5),
      .result = tm_conn_col(u, 6),
  };
}

/* -- one row by its key ---------------------------------------------------------------- */

int tm_read_find_run(tm_conn *c, const char *id, tm_arena *a, tm_run_row *out, tm_err *err) {
  tm_use u;
  tm_run_row row;
  if (tm_conn_use(&u, c, TM_SQL_FIND_RUN, err) < 0)
    return -1;
  tm_conn_text(&u, id);
  int rc = tm_conn_step(&u, err);
  if (rc == 1) {
    tm_read_run(&u, &row);
    rc = tm_apply_copy_run(a, out, &row, err) < 0 ? -1 : 1;
  }
  tm_conn_end(&u);
  return rc;
}

int tm_read_find_effect(tm_conn *c, const tm_effect_row *key, tm_arena *a, tm_effect_row *out,
                        tm_err *err) {
  tm_use u;
  tm_effect_row row;
  if (tm_conn_use(&u, c, TM_SQL_FIND_EFFECT, err) < 0)
    return -1;
  tm_conn_text(&u, key->ns);
  tm_conn_text(&u, key->action);
  tm_conn_text(&u, key->key);
  int rc = tm_conn_step(&u, err);
  if (rc == 1) {
    read_effect(&u, &row);
    rc = tm_apply_copy_effect(a, out, &row, err) < 0 ? -1 : 1;
  }
  tm_conn_end(&u);
  return rc;
}

int tm_read_find_bytes(tm_conn *c, tm_sql which, const char *hash, tm_arena *a,
                       const char **bytes, size_t *len, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, c, which, err) < 0)
    return -1;
  tm_conn_text(&u, hash);
  int rc = tm_conn_step(&u, err);
  if (rc == 1) {
    const void *p = sqlite3_column_blob(u.st, 0);
    *len = tm_conn_len(&u, 0);
    rc = tm_apply_copy_bytes(a, bytes, p, *len, err) < 0 ? -1 : 1;
  }
  tm_conn_end(&u);
  return rc;
}

/* -- runs ------------------------------------------------------------------------------ */

static bool unfinished(const tm_run_filter *f) {
  return f->unfinished ||
         (f->state && (strcmp(f->state, "queued") == 0 || strcmp(f->state, "running") == 0 ||
                       strcmp(f->state, "waiting") == 0));
}

/* The way to the rows that has to look at the fewest others. */
static tm_sql best_way(const tm_run_filter *f) {
  if (f->id)
    return TM_SQL_READ_RUN;
  if (f->parent)
    return TM_SQL_READ_CHILDREN;
  if (unfinished(f))
    return TM_SQL_READ_UNFINISHED;
  return f->prefix && *f->prefix ? TM_SQL_READ_PREFIX : TM_SQL_READ_RUNS;
}

/* The first text behind all that start with `prefix`: its last byte plus one. No byte of UTF-8
 * is 255, so there is no carry. */
static char *text_behind(const char *prefix) {
  char *end = tm_strdup(prefix);
  if (end && *end)
    end[strlen(end) - 1]++;
  return end;
}

int tm_read_runs(tm_conn *c, const tm_run_filter *f, tm_run_fn fn, void *ctx, tm_err *err) {
  if (f->after)
    return tm_drop_read_ended(c, f, fn, ctx, err);
  const char *prefix = f->prefix && *f->prefix ? f->prefix : NULL;
  char *behind = text_behind(prefix);
  tm_use u;
  tm_run_row row;
  int rc = tm_conn_use(&u, c, best_way(f), err);
  if (rc < 0)
    goto out;
  tm_conn_text(&u, f->id);
  tm_conn_text(&u, prefix);
  tm_conn_text(&u, behind);
  tm_conn_text(&u, f->workflow);
  tm_conn_text(&u, f->state);
  tm_conn_int(&u, f->limit > 0 ? f->limit : -1);
  tm_conn_int(&u, f->unfinished);
  if (f->parent && !f->id)
    tm_conn_text(&u, f->parent);
  while ((rc = tm_conn_step(&u, err)) == 1) {
    tm_read_run(&u, &row);
    if (f->id && f->parent && (!row.parent || strcmp(row.parent, f->parent) != 0))
      continue;
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);

out:
  tm_free(behind);
  return rc < 0 ? -1 : 0;
}

/* -- journals -------------------------------------------------------------------------- */

static int damaged(tm_conn *c, const char *run, int64_t seq, tm_err *err) {
  return tm_err_set(err, TM_INTERNAL,
                    "reading the database %s: record %lld of run %s is not where it belongs; "
                    "the file is damaged. Keep a copy, run `tidemill doctor`, and restore a "
                    "backup",
                    c->path, (long long)seq, run);
}

typedef struct walk {
  tm_conn *conn;
  const char *run;
  int64_t n, from, count; /* records from, from + 1 ... */
  int64_t *positions;     /* of them, in their order */
} walk;

/* The journal's end: 1, or 0 when there is nothing to read. */
static int find_end(walk *w, int64_t *last, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, w->conn, TM_SQL_HEAD, err) < 0)
    return -1;
  tm_conn_text(&u, w->run);
  int rc = tm_conn_step(&u, err);
  if (rc == 1) {
    w->n = tm_conn_num(&u, 0);
    w->count = tm_conn_num(&u, 2) - w->from;
    *last = tm_conn_num(&u, 3);
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : w->count > 0;
}

/* From the newest back, noting positions; each link is checked to be the same run's, one
 * before. */
static int walk_back(walk *w, int64_t pos, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, w->conn, TM_SQL_READ_LINK, err) < 0)
    return -1;
  int rc = 0;
  for (int64_t i = w->count; rc == 0 && i-- > 0;) {
    w->positions[i] = pos;
    tm_conn_again(&u);
    tm_conn_int(&u, pos);
    rc = tm_conn_step(&u, err) < 0 ? -1 : 0;
    if (rc == 0 && (tm_conn_num(&u, 0) != w->n || tm_conn_num(&u, 2) != w->from + i))
      rc = damaged(w->conn, w->run, w->from + i, err);
    pos = tm_conn_num(&u, 1);
  }
  tm_conn_end(&u);
  return rc;
}

static int tell(walk *w, tm_record_fn fn, void *ctx, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, w->conn, TM_SQL_READ_RECORD, err) < 0)
    return -1;
  int rc = 0;
  for (int64_t i = 0; i < w->count; i++) {
    tm_conn_again(&u);
    tm_conn_int(&u, w->positions[i]);
    rc = tm_conn_step(&u, err);
    if (rc == 0)
      rc = damaged(w->conn, w->run, w->from + i, err);
    if (rc < 0)
      break;
    tm_record r = {
        .seq = tm_conn_num(&u, 0),
        .kind = (int)tm_conn_num(&u, 1),
        .place = tm_conn_col(&u, 2),
        .name = tm_conn_col(&u, 3),
        .body = tm_conn_col(&u, 4),
        .body_len = tm_conn_len(&u, 4),
        .chain = tm_conn_col(&u, 5),
    };
    if (fn(ctx, &r) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

/* One snapshot around many small statements saves taking and dropping SQLite's lock for each.
 */
static bool begin_snapshot(tm_conn *c) {
  tm_use u;
  tm_err ignored = TM_ERR_INIT;
  return sqlite3_get_autocommit(c->db) && tm_conn_use(&u, c, TM_SQL_SNAPSHOT, &ignored) == 0 &&
         tm_conn_run(&u, &ignored) == 0;
}

static void end_snapshot(tm_conn *c) {
  tm_use u;
  tm_err ignored = TM_ERR_INIT;
  if (tm_conn_use(&u, c, TM_SQL_COMMIT, &ignored) == 0)
    tm_conn_run(&u, &ignored);
}

int tm_read_journal(tm_conn *c, const char *run, int64_t from_seq, tm_record_fn fn, void *ctx,
                    tm_err *err) {
  walk w = {.conn = c, .run = run, .from = from_seq > 0 ? from_seq : 0};
  int64_t last = 0;
  bool snapshot = begin_snapshot(c);
  int rc = find_end(&w, &last, err);
  if (rc == 1) {
    w.positions = tm_new_array(int64_t, (size_t)w.count);
    rc = walk_back(&w, last, err);
    if (rc == 0)
      rc = tell(&w, fn, ctx, err);
  }
  tm_free(w.positions);
  if (snapshot)
    end_snapshot(c);
  return rc;
}

/* -- gates ----------------------------------------------------------------------------- */

int tm_read_gates(tm_conn *c, const tm_gate_filter *f, tm_gate_fn fn, void *ctx, tm_err *err) {
  tm_sql way = f->id     ? TM_SQL_READ_GATE
               : f->run  ? TM_SQL_READ_GATES_OF
               : f->open ? TM_SQL_READ_OPEN_GATES
                         : TM_SQL_READ_GATES;
  tm_use u;
  tm_gate_row row;
  if (tm_conn_use(&u, c, way, err) < 0)
    return -1;
  if (f->id || f->run) {
    tm_conn_text(&u, f->id);
    tm_conn_int(&u, f->open);
    tm_conn_text(&u, f->run);
  }
  int rc;
  while ((rc = tm_conn_step(&u, err)) == 1) {
    read_gate(&u, &row);
    if (fn(ctx, &row) != 0)
      break;
  }
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}
