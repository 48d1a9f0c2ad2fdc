/* sqlite_conn.c - opening, asking and closing one SQLite connection. */
#include "store/sqlite_conn.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* In KB. A reader walks back through the tails of a few hundred journals; the writer only needs
 * their ends. */
#define READER "PRAGMA query_only = 1; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8000;"
#define WRITER \
  "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2000;"
#define FOREIGN_MS 5000 /* patience with programs that do not know our lock */

static const char *const sql_texts[TM_SQL_COUNT] = {
#define X(name, text) text,
    TM_SQL(X)
#undef X
};

/* -- errors ---------------------------------------------------------------------------- */

typedef struct diagnosis {
  tm_code code;
  const char *what, *advice;
} diagnosis;

static diagnosis diagnose(int rc) {
  switch (rc & 0xff) {
  case SQLITE_FULL:
    return (diagnosis){TM_TEMP, "the disk is full", "Free some space, then start again"};
  case SQLITE_IOERR:
    return (diagnosis){TM_INTERNAL, "the disk reported an error",
                       "Check the disk, its space and the system's log, then start again"};
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return (diagnosis){TM_TEMP, "another program holds the file",
                       "Close whatever has it open (a database browser?) and try again"};
  case SQLITE_READONLY:
  case SQLITE_PERM:
  case SQLITE_AUTH:
  case SQLITE_CANTOPEN:
    return (diagnosis){TM_CONFIG, "the file cannot be opened or written",
                       "Check that the file and its directory exist and are yours to write"};
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return (diagnosis){TM_INTERNAL, "the file is damaged",
                       "Keep a copy, run `tidemill doctor`, and restore a backup"};
  case SQLITE_NOMEM:
    return (diagnosis){TM_TEMP, "there is not enough memory", "Free some and start again"};
  case SQLITE_TOOBIG:
    return (diagnosis){TM_LIMIT, "a value is too large", "Keep values below 1 GB"};
  default:
    return (diagnosis){TM_INTERNAL, "SQLite refused",
                       "This is a bug of Tidemill's, please report it"};
  }
}

int tm_conn_error(tm_conn *c, int rc, const char *what, tm_err *err) {
  diagnosis d = diagnose(rc);
  int no = c->db ? sqlite3_system_errno(c->db) : 0;
  const char *system = no && (rc & 0xff) == SQLITE_IOERR ? strerror(no) : NULL;
  bool known = c->db && sqlite3_errcode(c->db) != SQLITE_OK;
  const char *detail = system ? system : known ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc);
  return tm_err_set(err, d.code, "%s the database %s: %s (%s, code %d). %s", what, c->path,
                    d.what, detail, rc, d.advice);
}

/* -- opening and closing --------------------------------------------------------------- */

static void configure(tm_conn *c) {
  sqlite3_extended_result_codes(c->db, 1);
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  sqlite3_limit(c->db, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_wal_autocheckpoint(c->db, 0);
  sqlite3_busy_timeout(c->db, FOREIGN_MS);
}

int tm_conn_open(tm_conn *c, const char *path, bool readonly, tm_err *err) {
  *c = (tm_conn){.path = path};
  int flags = SQLITE_OPEN_NOMUTEX;
  flags |= readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  int rc = sqlite3_open_v2(path, &c->db, flags, NULL);
  if (rc != SQLITE_OK) {
    tm_conn_error(c, rc, "opening", err);
    goto fail;
  }
  configure(c);
  if (tm_conn_exec(c, readonly ? READER : WRITER, err) < 0)
    goto fail;
  return 0;

fail:
  tm_conn_close(c, false);
  return -1;
}

void tm_conn_close(tm_conn *c, bool checkpoint) {
  if (!c->db)
    return;
  for (int i = 0; i < TM_SQL_COUNT; i++) {
    sqlite3_finalize(c->stmts[i]);
    c->stmts[i] = NULL;
  }
  if (checkpoint)
    sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
  int rc = sqlite3_close(c->db);
  assert(rc == SQLITE_OK && "a statement is still in use");
  (void)rc;
  c->db = NULL;
}

static uint32_t big_endian(const unsigned char *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The first 100 bytes, read through SQLite's file layer: it alone may close a file that this
 * process has open elsewhere without dropping the locks on it. */
static int read_header(unsigned char header[100], const char *path) {
  sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
  const char *name = sqlite3_create_filename(path, "", "", 0, NULL);
  sqlite3_file *file = name ? sqlite3_malloc(vfs->szOsFile) : NULL;
  int rc = SQLITE_NOMEM;
  if (!file)
    goto out;
  memset(file, 0, (size_t)vfs->szOsFile);
  rc = vfs->xOpen(vfs, name, file, SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB, NULL);
  if (rc == SQLITE_OK)
    rc = file->pMethods->xRead(file, header, 100, 0);
  if (file->pMethods)
    file->pMethods->xClose(file);

out:
  sqlite3_free(file);
  if (name)
    sqlite3_free_filename((char *)name);
  return rc;
}

int tm_conn_peek(tm_peek *out, const char *path, tm_err *err) {
  struct stat st;
  *out = (tm_peek){0};
  if (stat(path, &st) < 0 && errno != ENOENT)
    return tm_err_set(err, TM_CONFIG,
                      "the database %s cannot be reached: %s. Check the path, or choose "
                      "another one with --db",
                      path, strerror(errno));
  out->empty = stat(path, &st) < 0 || (S_ISREG(st.st_mode) && st.st_size == 0);
  if (out->empty)
    return 0;
  if (!S_ISREG(st.st_mode))
    return tm_err_set(err, TM_CONFIG,
                      "%s is not a file. Name a file for the database, such as %s/tidemill.db",
                      path, path);
  unsigned char header[100] = {0};
  int rc = sqlite3_initialize();
  if (rc == SQLITE_OK)
    rc = read_header(header, path);
  if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
    return tm_conn_error(&(tm_conn){.path = path}, rc, "opening", err);
  out->sqlite = memcmp(header, "SQLite format 3", 16) == 0;
  out->wal = header[18] == 2 && header[19] == 2;
  out->version = big_endian(header + 60);
  out->application = big_endian(header + 68);
  return 0;
}

int tm_conn_exec(tm_conn *c, const char *sql, tm_err *err) {
  int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
  return rc == SQLITE_OK ? 0 : tm_conn_error(c, rc, "setting up", err);
}

/* -- statements ------------------------------------------------------------------------ */

static int prepare(tm_use *u, tm_sql which, unsigned flags, tm_err *err) {
  int rc = sqlite3_prepare_v3(u->conn->db, sql_texts[which], -1, flags, &u->st, NULL);
  return rc == SQLITE_OK ? 0 : tm_conn_error(u->conn, rc, "asking", err);
}

int tm_conn_use(tm_use *u, tm_conn *c, tm_sql which, tm_err *err) {
  *u = (tm_use){.conn = c, .st = c->stmts[which], .rc = SQLITE_OK};
  if (u->st && !sqlite3_stmt_busy(u->st))
    return 0;
  u->once = u->st != NULL;
  if (prepare(u, which, u->once ? 0 : SQLITE_PREPARE_PERSISTENT, err) < 0)
    return -1;
  if (!u->once)
    c->stmts[which] = u->st;
  return 0;
}

static void keep_error(tm_use *u, int rc) {
  if (rc != SQLITE_OK && u->rc == SQLITE_OK)
    u->rc = rc;
}

void tm_conn_again(tm_use *u) {
  sqlite3_reset(u->st);
  u->at = 0;
}

void tm_conn_int(tm_use *u, int64_t v) {
  keep_error(u, sqlite3_bind_int64(u->st, ++u->at, v));
}

void tm_conn_text(tm_use *u, const char *s) {
  tm_conn_textn(u, s, s ? strlen(s) : 0);
}

void tm_conn_textn(tm_use *u, const char *s, size_t len) {
  keep_error(u, s ? sqlite3_bind_text64(u->st, ++u->at, s, len, SQLITE_STATIC, SQLITE_UTF8)
                  : sqlite3_bind_null(u->st, ++u->at));
}

void tm_conn_bytes(tm_use *u, const void *p, size_t len) {
  keep_error(u, len ? sqlite3_bind_blob64(u->st, ++u->at, p, len, SQLITE_STATIC)
                    : sqlite3_bind_zeroblob(u->st, ++u->at, 0));
}

int tm_conn_step(tm_use *u, tm_err *err) {
  if (u->rc != SQLITE_OK)
    return tm_conn_error(u->conn, u->rc, "binding a value for", err);
  int rc = sqlite3_step(u->st);
  if (rc == SQLITE_ROW)
    return 1;
  if (rc == SQLITE_DONE)
    return 0;
  return tm_conn_error(u->conn, rc, sqlite3_stmt_readonly(u->st) ? "reading" : "writing", err);
}

void tm_conn_end(tm_use *u) {
  if (u->once)
    sqlite3_finalize(u->st);
  else
    sqlite3_reset(u->st);
  u->st = NULL;
}

int tm_conn_run(tm_use *u, tm_err *err) {
  int rc = tm_conn_step(u, err);
  tm_conn_end(u);
  return rc;
}

bool tm_conn_hit(const tm_conn *c) {
  return sqlite3_changes(c->db) > 0;
}

const char *tm_conn_col(const tm_use *u, int i) {
  return (const char *)sqlite3_column_text(u->st, i);
}

size_t tm_conn_len(const tm_use *u, int i) {
  return (size_t)sqlite3_column_bytes(u->st, i);
}

int64_t tm_conn_num(const tm_use *u, int i) {
  return sqlite3_column_int64(u->st, i);
}
