/* migrate.c - the schema of a database file, its version, and whose file it is.
 *
 * A file is ours by its application_id, which stands in the first page from the
 * first moment on; its schema's version is user_version. Both are read before
 * SQLite opens the file, because opening alone may already change a file (it
 * would finish another program's interrupted transaction).
 *
 * How a new file comes to be, with one sync of the file and one of the directory:
 *
 *   no file ─ create, 0600 ─► empty ─ first page ─► ours, version 0
 *           ─ journal mode WAL; sync file, directory; the schema, one transaction, not yet
 *             synced ─► the version ─► the first commit syncs the log, and the schema with it
 *
 * Dying at any arrow leaves a state that stands on this line and is taken up there.
 *
 * tm_journal has no index on (run, seq). A record names the one before it, and
 * tm_head the last one; reading walks back. With such an index each run that
 * writes dirties a page of its own: measured with 100 runs, four times slower at 100
 * records in a transaction, twice at 1000. That seq has no gaps is the writer's check.
 */
#include "store/migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"

#define APPLICATION UINT32_C(0x546d696c) /* "Tmil" */
#define FIRST_PAGE                                                                    \
  "PRAGMA page_size = 4096; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; " \
  "PRAGMA application_id = 1416456556; PRAGMA synchronous = FULL;"

/* steps[v] brings version v to v + 1. A step that was released is never edited. */
static const char *const steps[] = {
    "CREATE TABLE tm_run ("
    "  n INTEGER PRIMARY KEY," /* in order of creation; never leaves the store */
    "  epoch INTEGER NOT NULL,"
    "  records INTEGER NOT NULL DEFAULT 0,"
    "  last INTEGER NOT NULL DEFAULT 0," /* pos of the newest record; 0: none */
    "  wake_at INTEGER NOT NULL,"
    "  created INTEGER NOT NULL,"
    "  updated INTEGER NOT NULL,"
    "  state TEXT NOT NULL,"
    "  id TEXT NOT NULL UNIQUE,"
    "  workflow TEXT,"
    "  owner TEXT,"
    "  closure TEXT,"
    "  input_hash TEXT,"
    "  parent TEXT,"
    "  reason TEXT,"
    "  result TEXT"
    ") STRICT;"
    "CREATE INDEX tm_run_unfinished ON tm_run (n)"
    "  WHERE state IN ('queued', 'running', 'waiting');"

    "CREATE TABLE tm_journal ("
    "  pos INTEGER PRIMARY KEY,"
    "  run INTEGER NOT NULL,"  /* tm_run.n */
    "  prev INTEGER NOT NULL," /* pos of the run's record before this one; 0: the first */
    "  seq INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  place TEXT,"
    "  name TEXT,"
    "  chain TEXT,"
    "  body TEXT"
    ") STRICT;"

    "CREATE TABLE tm_blob ("
    "  n INTEGER PRIMARY KEY,"
    "  hash TEXT NOT NULL UNIQUE,"
    "  bytes BLOB NOT NULL"
    ") STRICT;"
    "CREATE TABLE tm_closure ("
    "  n INTEGER PRIMARY KEY,"
    "  hash TEXT NOT NULL UNIQUE,"
    "  manifest BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE tm_gate ("
    "  n INTEGER PRIMARY KEY,"
    "  run INTEGER NOT NULL REFERENCES tm_run,"
    "  id TEXT NOT NULL UNIQUE,"
    "  place TEXT,"
    "  name TEXT,"
    "  state TEXT NOT NULL," /* open, then once and for ever something else */
    "  digest TEXT,"
    "  body TEXT,"
    "  decision TEXT,"
    "  by TEXT,"
    "  opened INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL,"
    "  decided INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX tm_gate_run ON tm_gate (run);"
    "CREATE INDEX tm_gate_open ON tm_gate (n) WHERE state = 'open';"

    "CREATE TABLE tm_effect ("
    "  ns TEXT NOT NULL,"
    "  action TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  args_hash TEXT,"
    "  run INTEGER NOT NULL REFERENCES tm_run,"
    "  place TEXT,"
    "  result TEXT,"
    "  PRIMARY KEY (ns, action, key)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE tm_decision ("
    "  ns TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  input_hash TEXT,"
    "  value TEXT,"
    "  run TEXT," /* an id: the decision outlives the run */
    "  at INTEGER NOT NULL,"
    "  PRIMARY KEY (ns, name, key)"
    ") STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 1;",

    "CREATE INDEX tm_run_parent ON tm_run (parent) WHERE parent IS NOT NULL;"
    "CREATE TABLE tm_signal ("
    "  n INTEGER PRIMARY KEY," /* in order of arrival */
    "  run INTEGER NOT NULL REFERENCES tm_run,"
    "  sid TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  body TEXT,"
    "  place TEXT," /* who used it up; NULL: pending */
    "  at INTEGER NOT NULL,"
    "  UNIQUE (run, sid)"
    ") STRICT;"
    "CREATE INDEX tm_signal_pending ON tm_signal (run, n) WHERE place IS NULL;"
    "CREATE TABLE tm_lock ("
    "  n INTEGER PRIMARY KEY," /* the order of the line */
    "  run INTEGER NOT NULL REFERENCES tm_run,"
    "  ns TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  UNIQUE (ns, key, run)"
    ") STRICT;"
    "CREATE INDEX tm_lock_run ON tm_lock (run);"
    "PRAGMA user_version = 2;",

    "CREATE TABLE tm_cell ("
    "  name TEXT NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  body TEXT NOT NULL,"
    "  PRIMARY KEY (name)"
    ") STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 3;",

    /* effects outlive their runs: by id, like decisions */
    "CREATE TABLE tm_effect_by_id ("
    "  ns TEXT NOT NULL,"
    "  action TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  args_hash TEXT,"
    "  run TEXT NOT NULL,"
    "  place TEXT,"
    "  result TEXT,"
    "  PRIMARY KEY (ns, action, key)"
    ") STRICT, WITHOUT ROWID;"
    "INSERT INTO tm_effect_by_id SELECT ns, action, key, args_hash,"
    "  ifnull((SELECT id FROM tm_run WHERE n = run), ''), place, result FROM tm_effect;"
    "DROP TABLE tm_effect;"
    "ALTER TABLE tm_effect_by_id RENAME TO tm_effect;"
    "CREATE INDEX tm_effect_doubt ON tm_effect (run) WHERE result IS NULL;"
    "CREATE TABLE tm_pin (" /* sources of runs that were moved: those before, those after */
    "  run INTEGER NOT NULL REFERENCES tm_run,"
    "  closure TEXT NOT NULL,"
    "  PRIMARY KEY (run, closure)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX tm_pin_closure ON tm_pin (closure);"
    "INSERT OR IGNORE INTO tm_pin" /* 10: the journal's REPIN */
    "  SELECT run, json_extract(body, '$.was') FROM tm_journal WHERE kind = 10 UNION"
    "  SELECT run, json_extract(body, '$.now') FROM tm_journal WHERE kind = 10;"
    "CREATE INDEX tm_run_removed ON tm_run (n) WHERE state = 'removed';"
    "PRAGMA user_version = 4;",

    "ALTER TABLE tm_decision ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tm_decision ADD COLUMN version INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE tm_decision ADD COLUMN voided INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tm_decision ADD COLUMN by TEXT;"
    "ALTER TABLE tm_decision ADD COLUMN note TEXT;"
    "CREATE TABLE tm_decision_past (" /* those that were followed by another one */
    "  ns TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  key TEXT NOT NULL,"
    "  input_hash TEXT,"
    "  value TEXT,"
    "  run TEXT,"
    "  at INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  voided INTEGER NOT NULL,"
    "  by TEXT,"
    "  note TEXT,"
    "  PRIMARY KEY (ns, name, key, version)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE tm_cache ("
    "  n INTEGER PRIMARY KEY," /* in order of age */
    "  hash TEXT NOT NULL UNIQUE,"
    "  scope TEXT,"
    "  value TEXT NOT NULL,"
    "  vector BLOB,"
    "  run TEXT," /* an id: the answer outlives the run */
    "  at INTEGER NOT NULL,"
    "  expires INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX tm_cache_scope ON tm_cache (scope, n) WHERE scope IS NOT NULL;"
    "CREATE INDEX tm_cache_expires ON tm_cache (expires) WHERE expires > 0;"
    "PRAGMA user_version = 5;",

    "CREATE TABLE tm_spent ("
    "  scope TEXT NOT NULL,"
    "  day TEXT NOT NULL,"
    "  nano INTEGER NOT NULL," /* billionths of a USD */
    "  calls INTEGER NOT NULL,"
    "  PRIMARY KEY (scope, day)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE tm_spending ("
    "  scope TEXT NOT NULL,"
    "  run INTEGER NOT NULL REFERENCES tm_run,"
    "  place TEXT NOT NULL,"
    "  day TEXT NOT NULL,"
    "  nano INTEGER NOT NULL,"
    "  PRIMARY KEY (scope, run, place)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX tm_spending_run ON tm_spending (run);"
    "PRAGMA user_version = 6;",

    "CREATE TABLE tm_order ("
    "  target TEXT PRIMARY KEY," /* run:ID, workflow:NAME, all */
    "  run TEXT,"                /* of run:ID */
    "  what TEXT NOT NULL,"
    "  rank INTEGER NOT NULL,"
    "  note TEXT,"
    "  by TEXT,"
    "  at INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "PRAGMA user_version = 7;",

    /* for a list of three, SQLite builds a table of its own at each change of a run */
    "DROP INDEX tm_run_unfinished;"
    "CREATE INDEX tm_run_unfinished ON tm_run (n)"
    "  WHERE (state = 'queued' OR state = 'running' OR state = 'waiting');"
    "PRAGMA user_version = 8;",

    "ALTER TABLE tm_spending"
    "  ADD COLUMN calls INTEGER NOT NULL DEFAULT 1;" /* vectors: 0 */
    "PRAGMA user_version = 9;",

    /* each record changes it: in a row of its own, a hundred on a page, it costs half */
    "CREATE TABLE tm_head ("
    "  n INTEGER PRIMARY KEY,"    /* tm_run's; none: the run has no record */
    "  records INTEGER NOT NULL," /* the journal's length */
    "  last INTEGER NOT NULL,"    /* pos of the newest record; 0: none */
    "  updated INTEGER NOT NULL"  /* when it came */
    ") STRICT;"
    "INSERT INTO tm_head SELECT n, records, last, updated FROM tm_run WHERE records > 0;"
    "ALTER TABLE tm_run DROP COLUMN records;"
    "ALTER TABLE tm_run DROP COLUMN last;"
    "PRAGMA user_version = 10;",
};

#define VERSION (sizeof steps / sizeof steps[0])

const char *tm_migrate_step(unsigned version) {
  return version < VERSION ? steps[version] : NULL;
}

/* -- whose file is it ------------------------------------------------------------------ */

static int newer(const char *path, uint32_t version, tm_err *err) {
  return tm_err_set(err, TM_CONFIG,
                    "the database %s has schema version %u, this Tidemill knows up to %u. "
                    "Use the newer Tidemill that wrote it, or choose another one with --db",
                    path, version, (unsigned)VERSION);
}

/* 1: there is nothing yet, 0: ours, -1: not ours, and left alone. */
static int inspect(const char *path, tm_peek *peek, tm_err *err) {
  if (tm_conn_peek(peek, path, err) < 0)
    return -1;
  if (peek->empty)
    return 1;
  if (!peek->sqlite || peek->application != APPLICATION)
    return tm_err_set(err, TM_CONFIG,
                      "%s is %s, not a database of Tidemill's. It was not touched; choose "
                      "another place with --db",
                      path,
                      peek->sqlite ? "another program's SQLite database" : "another file");
  return peek->version > VERSION ? newer(path, peek->version, err) : 0;
}

/* -- creation -------------------------------------------------------------------------- */

/* The file for its owner only. O_EXCL: it did not exist, so nobody's locks hang on it. */
static int create_file(const char *path, tm_err *err) {
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0)
    close(fd);
  if (fd >= 0 || errno == EEXIST)
    return 0;
  return tm_err_set(err, TM_CONFIG,
                    "the database %s cannot be created: %s. Check its directory, or choose "
                    "another one with --db",
                    path, strerror(errno));
}

/* Under the lock: nobody else creates it meanwhile, but somebody may have before. */
static int create(tm_conn *c, const char *path, tm_err *err) {
  tm_peek peek;
  int state = inspect(path, &peek, err);
  if (state < 1)
    return state;
  if (create_file(path, err) < 0 || tm_conn_open(c, path, false, err) < 0)
    return -1;
  TM_FAULT("store.create.file");
  if (tm_conn_exec(c, FIRST_PAGE, err) < 0)
    return -1;
  TM_FAULT("store.create.page");
  return 0;
}

/* How many directories there were to create for it, or -1. */
static int create_locked(tm_conn *c, const char *path, tm_filelock *lock, int wait_ms,
                         tm_err *err) {
  int dirs = tm_filelock_make_dirs(path, err);
  if (dirs < 0 || tm_filelock_open(lock, path, err) < 0 ||
      tm_filelock_take(lock, wait_ms, err) < 0)
    return -1;
  int rc = create(c, path, err);
  tm_filelock_release(lock);
  return rc < 0 ? -1 : dirs;
}

/* -- steps ----------------------------------------------------------------------------- */

/* The first column of a setting's only row, as a number or as a text to compare. */
static int read_setting(tm_conn *c, const char *sql, uint32_t *number, const char *text,
                        tm_err *err) {
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
  if (rc == SQLITE_OK)
    rc = sqlite3_step(st);
  if (rc == SQLITE_ROW && number)
    *number = (uint32_t)sqlite3_column_int64(st, 0);
  if (rc == SQLITE_ROW && text && strcmp((const char *)sqlite3_column_text(st, 0), text) != 0)
    rc = SQLITE_IOERR; /* a journal mode that could not be set is no error to SQLite */
  sqlite3_finalize(st);
  return rc == SQLITE_ROW ? 0 : tm_conn_error(c, rc, "opening", err);
}

static int read_version(tm_conn *c, uint32_t *out, tm_err *err) {
  return read_setting(c, "PRAGMA user_version", out, NULL, err);
}

static int sync_file(tm_conn *c, tm_err *err) {
  sqlite3_file *file = NULL;
  int rc = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (rc == SQLITE_OK && file && file->pMethods)
    rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
  return rc == SQLITE_OK ? 0 : tm_conn_error(c, rc, "creating", err);
}

static int upgrade(tm_conn *c, tm_err *err) {
  uint32_t version;
  if (tm_conn_exec(c, "BEGIN IMMEDIATE", err) < 0 || read_version(c, &version, err) < 0)
    return -1;
  for (; version < VERSION; version++) /* another process may have been faster */
    if (tm_conn_exec(c, steps[version], err) < 0)
      return -1;
  TM_FAULT("store.create.schema");
  return tm_conn_exec(c, "COMMIT", err);
}

/* From any state on the line to its end. Syncs happen here by hand, where one is enough. */
static int bring_up(tm_conn *c, const char *path, int dirs, tm_err *err) {
  if (tm_conn_exec(c, "PRAGMA synchronous = OFF", err) < 0 ||
      read_setting(c, "PRAGMA journal_mode = WAL", NULL, "wal", err) < 0 ||
      sync_file(c, err) < 0 || tm_filelock_sync_dirs(path, dirs, err) < 0 ||
      upgrade(c, err) < 0)
    return -1;
  return tm_conn_exec(c, "PRAGMA synchronous = FULL", err);
}

static int settle(tm_conn *c, const char *path, bool wal, int dirs, tm_filelock *lock,
                  int wait_ms, tm_err *err) {
  uint32_t version;
  if (read_version(c, &version, err) < 0)
    return -1;
  if (version > VERSION)
    return newer(path, version, err);
  if (version == VERSION && wal)
    return 0;
  if (tm_filelock_take(lock, wait_ms, err) < 0)
    return -1;
  int rc = bring_up(c, path, dirs, err);
  tm_filelock_release(lock);
  return rc;
}

int tm_migrate_open(tm_conn *c, const char *path, tm_filelock *lock, int wait_ms, tm_err *err) {
  tm_peek peek;
  int dirs = 1, state = inspect(path, &peek, err);
  if (state < 0)
    return -1;
  if (state == 1)
    dirs = create_locked(c, path, lock, wait_ms, err);
  else if (tm_filelock_open(lock, path, err) < 0)
    return -1;
  if (dirs < 0 || (!c->db && tm_conn_open(c, path, false, err) < 0))
    goto fail;
  if (settle(c, path, peek.wal, dirs, lock, wait_ms, err) == 0)
    return 0;

fail:
  tm_conn_close(c, false);
  return -1;
}
