/* sqlite_user.c - statements that are not ours: the user's own tables in our file.
 *
 * They run on the writing connection, inside its transaction, so that they are there together
 * with the record of the action that made them. What they may name is decided while SQLite compiles
 * them: nothing of ours (tm_…), no settings, no other files, no transactions, nothing temporary,
 * which would outlive the transaction. Views and triggers are compiled the same way.
 */
#include "store/sqlite_user.h"

#include <math.h>
#include <string.h>

#define MAX_TEXT  (64 * 1024)
#define MAX_ROWS  10000
#define MAX_BYTES (8 * 1024 * 1024) /* of all rows */
#define TICK      100000            /* steps of SQLite's machine */
#define MAX_TICKS 1000              /* some seconds */

/* -- what they may name ---------------------------------------------------------------- */

static bool is_ours(const char *name) {
  return name && sqlite3_strnicmp(name, "tm_", 3) == 0;
}

static bool is_never(int action) {
  static const int list[] = {SQLITE_ATTACH,
                             SQLITE_DETACH,
                             SQLITE_PRAGMA,
                             SQLITE_TRANSACTION,
                             SQLITE_SAVEPOINT,
                             SQLITE_ANALYZE,
                             SQLITE_CREATE_VTABLE,
                             SQLITE_DROP_VTABLE,
                             SQLITE_CREATE_TEMP_INDEX,
                             SQLITE_CREATE_TEMP_TABLE,
                             SQLITE_CREATE_TEMP_TRIGGER,
                             SQLITE_CREATE_TEMP_VIEW,
                             SQLITE_DROP_TEMP_INDEX,
                             SQLITE_DROP_TEMP_TABLE,
                             SQLITE_DROP_TEMP_TRIGGER,
                             SQLITE_DROP_TEMP_VIEW};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++)
    if (list[i] == action)
      return true;
  return false;
}

/* `a` is a table, except where `b` is one: an index's or trigger's, or the one that is altered. */
static int authorize(void *ctx, int action, const char *a, const char *b, const char *db,
                     const char *trigger) {
  (void)db, (void)trigger;
  tm_conn *c = ctx;
  if (!c->user)
    return SQLITE_OK;
  bool columns = action == SQLITE_READ || action == SQLITE_UPDATE;
  bool function = action == SQLITE_FUNCTION;
  if (is_never(action) || (!function && (is_ours(a) || (!columns && is_ours(b)))))
    return SQLITE_DENY;
  c->altering |= action == SQLITE_ALTER_TABLE;
  return SQLITE_OK;
}

static int tick(void *ctx) {
  return ++*(int *)ctx > MAX_TICKS;
}

static int refused(tm_err *err) {
  return tm_err_set(
      err, TM_USAGE,
      "it is not allowed in a db action: names that begin with tm_ are Tidemill's "
      "own; PRAGMA, ATTACH, ANALYZE, transactions, temporary and virtual tables are "
      "refused");
}

/* -- errors ---------------------------------------------------------------------------- */

static int failed(tm_conn *c, int rc, tm_err *err) {
  switch (rc & 0xff) {
  case SQLITE_CONSTRAINT:
  case SQLITE_MISMATCH: /* of a value with its column's type */
    return tm_err_set(err, TM_CONFLICT, "%s", sqlite3_errmsg(c->db));
  case SQLITE_AUTH:
    return refused(err);
  case SQLITE_ERROR:
  case SQLITE_RANGE:
  case SQLITE_SCHEMA:
    return tm_err_set(err, TM_USAGE, "%s", sqlite3_errmsg(c->db));
  case SQLITE_TOOBIG:
    return tm_err_set(err, TM_LIMIT, "a value is too large");
  case SQLITE_INTERRUPT:
    return tm_err_set(err, TM_LIMIT, "the statement takes too long; does it need an index?");
  default:
    return tm_conn_error(c, rc, "writing", err);
  }
}

/* -- values in ------------------------------------------------------------------------- */

static int bind(sqlite3_stmt *st, int at, const tm_json *v) {
  size_t len;
  const char *text;
  switch (tm_json_type_of(v)) {
  case TM_JSON_NULL:
    return sqlite3_bind_null(st, at);
  case TM_JSON_BOOL:
    return sqlite3_bind_int64(st, at, tm_json_bool(v, false));
  case TM_JSON_INT:
    return sqlite3_bind_int64(st, at, tm_json_int(v, 0));
  case TM_JSON_DOUBLE:
    return sqlite3_bind_double(st, at, tm_json_number(v, 0));
  case TM_JSON_STRING:
    text = tm_json_str(v, &len);
    return sqlite3_bind_text64(st, at, text, len, SQLITE_TRANSIENT, SQLITE_UTF8);
  default:
    return SQLITE_MISUSE;
  }
}

static int bind_all(tm_conn *c, sqlite3_stmt *st, const tm_json *values, tm_err *err) {
  int want = sqlite3_bind_parameter_count(st), have = (int)tm_json_len(values);
  if (want != have)
    return tm_err_set(err, TM_USAGE,
                      "the statement has %d parameters, and %d values were given", want, have);
  for (int i = 0; i < have; i++) {
    int rc = bind(st, i + 1, tm_json_at(values, (size_t)i));
    if (rc == SQLITE_MISUSE)
      return tm_err_set(
          err, TM_USAGE,
          "value %d is a table: a column holds a text, a number, a boolean or null "
          "(mill.json.encode makes a text of a table)",
          i + 1);
    if (rc != SQLITE_OK)
      return failed(c, rc, err);
  }
  return 0;
}

/* -- rows out -------------------------------------------------------------------------- */

static int read_column(sqlite3_stmt *st, int i, tm_arena *a, tm_json **out, tm_err *err) {
  const char *name = sqlite3_column_name(st, i), *text;
  size_t len;
  switch (sqlite3_column_type(st, i)) {
  case SQLITE_INTEGER:
    *out = tm_json_new_int(a, sqlite3_column_int64(st, i));
    return 0;
  case SQLITE_FLOAT:
    if (!isfinite(sqlite3_column_double(st, i)))
      return tm_err_set(err, TM_USAGE, "column \"%s\" is infinite", name);
    *out = tm_json_new_double(a, sqlite3_column_double(st, i));
    return 0;
  case SQLITE_TEXT:
    text = (const char *)sqlite3_column_text(st, i);
    len = (size_t)sqlite3_column_bytes(st, i);
    if (tm_json_utf8_valid(text, len) != len)
      return tm_err_set(err, TM_USAGE, "column \"%s\" is not UTF-8", name);
    *out = tm_json_new_strn(a, text, len);
    return 0;
  case SQLITE_BLOB:
    return tm_err_set(err, TM_USAGE, "column \"%s\" is a blob; ask for hex(…) of it", name);
  default:
    *out = tm_json_null(a);
    return 0;
  }
}

static int read_row(sqlite3_stmt *st, tm_arena *a, tm_json *rows, tm_err *err) {
  tm_json *row = tm_json_new_object(a), *v = NULL;
  for (int i = 0; i < sqlite3_column_count(st); i++) {
    if (read_column(st, i, a, &v, err) < 0)
      return -1;
    tm_json_set(a, row, tm_arena_strdup(a, sqlite3_column_name(st, i)), v);
  }
  tm_json_push(a, rows, row);
  return 0;
}

static int read_rows(tm_conn *c, sqlite3_stmt *st, tm_arena *a, tm_json *rows, tm_err *err) {
  int rc;
  size_t before = a->used;
  while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
    if (read_row(st, a, rows, err) < 0)
      return -1;
    if (tm_json_len(rows) > MAX_ROWS || a->used - before > MAX_BYTES)
      return tm_err_set(err, TM_LIMIT,
                        "more than %d rows or %d MB; ask for less, with LIMIT or a sum",
                        MAX_ROWS, MAX_BYTES >> 20);
  }
  return rc == SQLITE_DONE ? 0 : failed(c, rc, err);
}

/* -- one statement --------------------------------------------------------------------- */

/* Nothing but space, comments and semicolons may stand behind it. */
static int check_tail(tm_conn *c, const char *tail, const char *end, tm_err *err) {
  sqlite3_stmt *more = NULL;
  while (tail < end && !more) {
    int rc = sqlite3_prepare_v2(c->db, tail, (int)(end - tail), &more, &tail);
    if (rc != SQLITE_OK)
      return tm_err_set(err, TM_USAGE, "one statement at a time: %s", sqlite3_errmsg(c->db));
  }
  sqlite3_finalize(more);
  return more ? tm_err_set(err, TM_USAGE, "one statement at a time") : 0;
}

static int prepare(tm_conn *c, const tm_query *q, sqlite3_stmt **st, tm_err *err) {
  const char *tail;
  if (q->len > MAX_TEXT || memchr(q->text, 0, q->len))
    return tm_err_set(err, TM_USAGE, "a statement is a text of at most %d KB", MAX_TEXT >> 10);
  int rc = sqlite3_prepare_v2(c->db, q->text, (int)q->len, st, &tail);
  if (rc != SQLITE_OK)
    return failed(c, rc, err);
  if (!*st)
    return tm_err_set(err, TM_USAGE, "the statement is empty");
  return check_tail(c, tail, q->text + q->len, err);
}

/* How many tables look like ours; a rename is not seen while it is compiled. */
static int count_ours(tm_conn *c, int64_t *out, tm_err *err) {
  tm_use u;
  if (tm_conn_use(&u, c, TM_SQL_COUNT_OURS, err) < 0)
    return -1;
  int rc = tm_conn_step(&u, err);
  *out = tm_conn_num(&u, 0);
  tm_conn_end(&u);
  return rc < 0 ? -1 : 0;
}

static int run(tm_conn *c, sqlite3_stmt *st, const tm_query *q, tm_arena *a, tm_rows *out,
               tm_err *err) {
  int ticks = 0;
  int64_t before = sqlite3_total_changes64(c->db);
  if (bind_all(c, st, q->values, err) < 0)
    return -1;
  sqlite3_progress_handler(c->db, TICK, tick, &ticks);
  int rc = read_rows(c, st, a, out->rows, err);
  sqlite3_progress_handler(c->db, 0, NULL, NULL);
  if (sqlite3_total_changes64(c->db) != before)
    out->changes = sqlite3_changes64(c->db);
  return rc;
}

static void guard(tm_conn *c) {
  if (!c->guarded)
    sqlite3_set_authorizer(c->db, authorize, c);
  c->guarded = true;
}

int tm_user_query(tm_conn *c, const tm_query *q, tm_arena *a, tm_rows *out, tm_err *err) {
  sqlite3_stmt *st = NULL;
  int64_t ours = 0, after = 0;
  *out = (tm_rows){.rows = tm_json_new_array(a)};
  guard(c); /* once: to set it anew would make SQLite compile all our statements anew */
  c->altering = false;
  c->user = true;
  int rc = prepare(c, q, &st, err);
  c->user = false;
  bool altering = c->altering;
  if (rc == 0 && altering)
    rc = count_ours(c, &ours, err);
  c->user = true; /* stepping may compile it again */
  if (rc == 0)
    rc = run(c, st, q, a, out, err);
  sqlite3_finalize(st);
  c->user = false;
  if (rc == 0 && altering && (rc = count_ours(c, &after, err)) == 0 && after != ours)
    rc = refused(err);
  return rc;
}

int tm_user_check(tm_conn *c, tm_err *err) {
  int left = 0, most = 0;
  sqlite3_db_status(c->db, SQLITE_DBSTATUS_DEFERRED_FKS, &left, &most, 0);
  return left ? tm_err_set(err, TM_CONFLICT, "FOREIGN KEY constraint failed") : 0;
}
