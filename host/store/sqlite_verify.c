/* sqlite_verify.c - what `doctor` proves about a database file.
 *
 * Together the three checks of journals say that each run has exactly the records
 * 0 .. records-1: the last one stands where tm_head says, each stands behind the one
 * before it, and there are no others.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite_read.h"

#define FINDINGS_MAX 100 /* of each check; a damaged file would fill the screen */

typedef struct check {
  const char *sql;    /* each row is a finding, unless it says "ok" */
  const char *format; /* with %s for the row's first column */
} check;

static const check checks[] = {
    {"PRAGMA integrity_check(100)",
     "SQLite's integrity check: %s. Keep a copy of the file and restore a backup"},
    {"SELECT \"table\" FROM pragma_foreign_key_check",
     "a row of %s points at a run that does not exist"},
    {"SELECT journal_mode FROM pragma_journal_mode WHERE journal_mode <> 'wal'",
     "the journal mode is %s instead of wal: another program changed it"},
    {"SELECT r.id FROM tm_run r JOIN tm_head h ON h.n = r.n "
     "LEFT JOIN tm_journal j ON j.pos = h.last WHERE CASE h.records WHEN 0 THEN h.last <> 0 "
     "ELSE j.run IS NOT r.n OR j.seq IS NOT h.records - 1 END",
     "the journal of run %s does not end where it should: records are missing"},
    {"SELECT ifnull(r.id, 'number ' || j.run) || ', record ' || j.seq FROM tm_journal j "
     "LEFT JOIN tm_journal p ON p.pos = j.prev LEFT JOIN tm_run r ON r.n = j.run "
     "WHERE CASE j.seq WHEN 0 THEN j.prev <> 0 "
     "ELSE p.run IS NOT j.run OR p.seq IS NOT j.seq - 1 END",
     "a journal has a gap before run %s"},
    {"SELECT ifnull(r.id, 'number ' || c.run) FROM "
     "(SELECT run, count(*) AS records FROM tm_journal GROUP BY run) c "
     "LEFT JOIN tm_run r ON r.n = c.run LEFT JOIN tm_head h ON h.n = c.run "
     "WHERE r.n IS NULL OR h.records IS NOT c.records",
     "the journal of run %s has other records than the run says"},
    {"SELECT h.n FROM tm_head h LEFT JOIN tm_run r ON r.n = h.n WHERE r.n IS NULL",
     "a journal's end is kept for run number %s, which does not exist"},
    {"SELECT id FROM tm_gate WHERE (state = 'open') <> (decided = 0) "
     "OR (state = 'open' AND decision IS NOT NULL)",
     "gate %s is open and decided at once"},
    {"SELECT e.ns || '/' || e.action || '/' || e.key FROM tm_effect e "
     "LEFT JOIN tm_run r ON r.id = e.run WHERE e.result IS NULL AND r.n IS NULL",
     "effect %s has no result, and the run that claimed it does not exist"},
};

typedef struct teller {
  void (*fn)(void *ctx, const char *finding);
  void *ctx;
  int findings;
} teller;

static void tell(teller *t, const char *format, const char *what) {
  char text[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(text, sizeof text, format, what);
#pragma GCC diagnostic pop
  t->fn(t->ctx, text);
  t->findings++;
}

static int run_check(tm_conn *c, const check *k, teller *t, tm_err *err) {
  sqlite3_stmt *st = NULL;
  int told = 0, rc = sqlite3_prepare_v2(c->db, k->sql, -1, &st, NULL);
  if (rc == SQLITE_OK)
    while ((rc = sqlite3_step(st)) == SQLITE_ROW && told < FINDINGS_MAX) {
      const char *what = (const char *)sqlite3_column_text(st, 0);
      if (!what || strcmp(what, "ok") == 0)
        continue;
      tell(t, k->format, what);
      told++;
    }
  sqlite3_finalize(st);
  if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB) { /* that is a finding as well */
    tell(t, "the file cannot be read to its end: %s. Keep a copy and restore a backup",
         sqlite3_errstr(rc));
    return 0;
  }
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : tm_conn_error(c, rc, "checking", err);
}

static void check_mode(const char *path, teller *t) {
  struct stat st;
  if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
    tell(t,
         "other users can reach %s, which holds the runs' data; make it private with chmod 600",
         path);
}

int tm_read_verify(tm_conn *c, void (*fn)(void *ctx, const char *finding), void *ctx,
                   tm_err *err) {
  teller t = {fn, ctx, 0};
  check_mode(c->path, &t);
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
    if (run_check(c, &checks[i], &t, err) < 0)
      return -1;
  return t.findings > 0;
}
