/* sqlite_conn.h - one SQLite connection: its settings, its statements, its errors.
 *
 * The only header that includes sqlite3.h. A connection is used by one thread at a
 * time. Every statement's text stands in the list below and is prepared once, when
 * it is first wanted. A statement is bound in the order of its parameters.
 */
#ifndef TM_STORE_SQLITE_CONN_H
#define TM_STORE_SQLITE_CONN_H

#include <sqlite3.h>

#include "store/store.h"

/* Of its journal's end, which is a row of its own. */
#define TM_RUN_RECORDS "ifnull((SELECT h.records FROM tm_head h WHERE h.n = tm_run.n), 0)"
#define TM_RUN_COLUMNS                                                                         \
  "id, workflow, state, reason, owner, closure, input_hash, parent, result, "                  \
  "epoch, wake_at, created, max(updated, ifnull((SELECT h.updated FROM tm_head h WHERE h.n = " \
  "tm_run.n), 0)), " TM_RUN_RECORDS
#define TM_GATE_COLUMNS                                                  \
  "g.id, r.id, r.workflow, g.place, g.name, g.state, g.digest, g.body, " \
  "g.decision, g.by, g.opened, g.expires, g.decided"
#define TM_GATE_FROM \
  " FROM tm_gate g JOIN tm_run r ON r.n = g.run " /* ?1: id, ?2: open, ?3: run */
#define TM_EFFECT_COLUMNS "ns, action, key, args_hash, run, place, result"
#define TM_DECISION_COLUMNS \
  "ns, name, key, input_hash, value, run, at, expires, version, voided, by, note"
#define TM_DECISION_WHERE \
  "(?1 IS NULL OR ns = ?1) AND (?2 IS NULL OR name = ?2) AND (?3 IS NULL OR key = ?3)"
#define TM_SIGNAL_COLUMNS "r.id, s.sid, s.name, s.body, s.place, s.at"
#define TM_SIGNAL_FROM                                                                  \
  " FROM tm_signal s JOIN tm_run r ON r.n = s.run WHERE s.run = (SELECT n FROM tm_run " \
  "WHERE id = ?1) AND (?2 IS NULL OR s.name = ?2) AND (?3 IS NULL OR s.sid = ?3) "
/* the newest run, the newest closure */
#define TM_CLOSURE_SEEN "(SELECT max(n) FROM tm_run), (SELECT max(n) FROM tm_closure)"
#define TM_LOCK_FROM    " FROM tm_lock l JOIN tm_run r ON r.n = l.run WHERE "

/* ?1: id, ?2: prefix, ?3: the first id behind it, ?4: workflow, ?5: state, ?6: limit,
 * ?7: unfinished only */
#define TM_RUN_PREFIX "(?2 IS NULL OR (id >= ?2 AND id < ?3))"
/* For a list of three, SQLite builds a table of its own each time, as dear as the rest together. The
 * index tm_run_unfinished has the same words, or it would not serve. */
#define TM_RUN_UNFINISHED "(state = 'queued' OR state = 'running' OR state = 'waiting')"
#define TM_RUN_WHERE                                                               \
  " AND (?4 IS NULL OR workflow = ?4) AND (?5 IS NULL OR state = ?5) AND (NOT ?7 " \
  "OR " TM_RUN_UNFINISHED ") AND state <> 'removed' "                              \
  "ORDER BY n DESC LIMIT ?6"
#define TM_RUN_ENDED "state IN ('done', 'failed', 'cancelled', 'imported')"

#define TM_SQL(X)                                                                              \
  X(BEGIN, "BEGIN IMMEDIATE")                                                                  \
  X(COMMIT, "COMMIT")                                                                          \
  X(ROLLBACK, "ROLLBACK")                                                                      \
  X(SNAPSHOT, "BEGIN")                                                                         \
  X(VERSION, "PRAGMA data_version")                                                            \
  X(HEAD, "SELECT r.n, epoch, ifnull(records, 0), ifnull(last, 0), owner FROM tm_run r LEFT "  \
          "JOIN tm_head h ON h.n = r.n WHERE id = ?1")                                         \
  X(HEAD_SET, "REPLACE INTO tm_head (n, records, last, updated) VALUES (?1, ?2, ?3, ?4)")      \
  X(RUN_NEW, "INSERT INTO tm_run (epoch, wake_at, created, updated, state, id, workflow, "     \
             "owner, closure, input_hash, parent, reason, result) "                            \
             "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) "                \
             "ON CONFLICT (id) DO NOTHING")                                                    \
  X(RUN_CLAIM, "UPDATE tm_run SET epoch = epoch + 1, owner = ?2, updated = ?3 WHERE n = ?1")   \
  X(RUN_SET, "UPDATE tm_run SET owner = ?2, updated = ?3, state = ?4, reason = ?5, "           \
             "wake_at = ?6, result = ?7 WHERE n = ?1")                                         \
  X(RUN_OWNER, "UPDATE tm_run SET owner = ?2, updated = ?3 WHERE n = ?1")                      \
  X(RUN_PIN, "UPDATE tm_run SET closure = ?2, updated = ?3 WHERE n = ?1")                      \
  X(PIN, "INSERT INTO tm_pin (run, closure) SELECT n, closure FROM tm_run WHERE n = ?1 "       \
         "AND closure IS NOT NULL ON CONFLICT (run, closure) DO NOTHING")                      \
  X(RECORD, "INSERT INTO tm_journal (run, prev, seq, kind, place, name, chain, body) "         \
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                         \
  X(BLOB, "INSERT INTO tm_blob (hash, bytes) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING")   \
  X(CLOSURE, "INSERT INTO tm_closure (hash, manifest) VALUES (?1, ?2) "                        \
             "ON CONFLICT (hash) DO NOTHING")                                                  \
  X(GATE_NEW, "INSERT INTO tm_gate (run, id, place, name, state, digest, body, opened, "       \
              "expires) VALUES (?1, ?2, ?3, ?4, 'open', ?5, ?6, ?7, ?8) "                      \
              "ON CONFLICT (id) DO NOTHING")                                                   \
  X(GATE_DECIDE, "UPDATE tm_gate SET state = ?3, decision = ?4, by = ?5, decided = ?6 "        \
                 "WHERE id = ?1 AND state = 'open' AND ifnull(?2, '') IN ('', digest)")        \
  X(GATE_CLOSE, "UPDATE tm_gate SET state = 'closed', decided = ?3 "                           \
                "WHERE id = ?1 AND run = ?2 AND state = 'open'")                               \
  X(EFFECT_CLAIM, "INSERT INTO tm_effect (ns, action, key, args_hash, run, place) "            \
                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (ns, action, key) DO NOTHING")  \
  X(EFFECT_DONE, "UPDATE tm_effect SET result = ?5 WHERE ns = ?1 AND action = ?2 "             \
                 "AND key = ?3 AND run = ?4 AND result IS NULL")                               \
  X(EFFECT_DROP, "DELETE FROM tm_effect WHERE ns = ?1 AND action = ?2 AND key = ?3 "           \
                 "AND run = ?4 AND result IS NULL")                                            \
  X(EFFECT_TAKE, "UPDATE tm_effect SET run = ?4, place = ?5 WHERE ns = ?1 AND action = ?2 "    \
                 "AND key = ?3 AND result IS NULL AND run = ?6 AND EXISTS (SELECT 1 FROM "     \
                 "tm_run WHERE id = ?6 AND state IN ('done', 'failed', 'cancelled'))")         \
  X(DECISION,                                                                                  \
    "INSERT OR REPLACE INTO tm_decision (ns, name, key, input_hash, value, run, at, "          \
    "expires, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                           \
  X(DECISION_PAST, "INSERT INTO tm_decision_past (" TM_DECISION_COLUMNS                        \
                   ") SELECT " TM_DECISION_COLUMNS " FROM tm_decision "                        \
                   "WHERE ns = ?1 AND name = ?2 AND key = ?3")                                 \
  X(DECISION_VOID, "UPDATE tm_decision SET voided = ?4, by = ?5, note = ?6 WHERE ns = ?1 "     \
                   "AND name = ?2 AND key = ?3 AND voided = 0 "                                \
                   "AND (expires = 0 OR expires > ?4)")                                        \
  X(READ_DECISIONS, "SELECT " TM_DECISION_COLUMNS " FROM tm_decision WHERE " TM_DECISION_WHERE \
                    " ORDER BY ns, name, key")                                                 \
  X(READ_ALL_DECISIONS,                                                                        \
    "SELECT " TM_DECISION_COLUMNS " FROM tm_decision WHERE " TM_DECISION_WHERE                 \
    " UNION ALL SELECT " TM_DECISION_COLUMNS " FROM tm_decision_past WHERE " TM_DECISION_WHERE \
    " ORDER BY ns, name, key, version DESC")                                                   \
  X(CACHE, "INSERT INTO tm_cache (hash, scope, value, vector, run, at, expires) "              \
           "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hash) DO NOTHING")                \
  X(CACHE_DROP, "DELETE FROM tm_cache WHERE hash = ?1 AND expires > 0 AND expires <= ?2")      \
  X(FIND_CACHED, "SELECT hash, scope, value, run, at, expires FROM tm_cache WHERE hash = ?1")  \
  X(READ_SIMILAR, "SELECT hash, scope, value, run, at, expires, vector FROM tm_cache "         \
                  "WHERE scope = ?1 AND (expires = 0 OR expires > ?2) ORDER BY n DESC "        \
                  "LIMIT ?3")                                                                  \
  X(FIND_RUN, "SELECT " TM_RUN_COLUMNS " FROM tm_run WHERE id = ?1")                           \
  X(READ_RUN,                                                                                  \
    "SELECT " TM_RUN_COLUMNS " FROM tm_run WHERE id = ?1 AND " TM_RUN_PREFIX TM_RUN_WHERE)     \
  X(READ_PREFIX,                                                                               \
    "SELECT " TM_RUN_COLUMNS " FROM tm_run WHERE id >= ?2 AND id < ?3" TM_RUN_WHERE)           \
  X(READ_UNFINISHED, "SELECT " TM_RUN_COLUMNS " FROM tm_run INDEXED BY tm_run_unfinished "     \
                     "WHERE " TM_RUN_UNFINISHED " AND " TM_RUN_PREFIX TM_RUN_WHERE)            \
  X(READ_RUNS, "SELECT " TM_RUN_COLUMNS " FROM tm_run WHERE true" TM_RUN_WHERE)                \
  X(READ_CHILDREN, "SELECT " TM_RUN_COLUMNS " FROM tm_run INDEXED BY tm_run_parent "           \
                   "WHERE parent = ?8 AND " TM_RUN_PREFIX TM_RUN_WHERE)                        \
  X(READ_LINK, "SELECT run, prev, seq FROM tm_journal WHERE pos = ?1")                         \
  X(READ_RECORD, "SELECT seq, kind, place, name, body, chain FROM tm_journal WHERE pos = ?1")  \
  X(READ_GATE, "SELECT " TM_GATE_COLUMNS TM_GATE_FROM "WHERE g.id = ?1 "                       \
               "AND (NOT ?2 OR g.state = 'open') AND (?3 IS NULL OR r.id = ?3)")               \
  X(READ_GATES_OF, "SELECT " TM_GATE_COLUMNS TM_GATE_FROM "WHERE g.run = (SELECT n FROM "      \
                   "tm_run WHERE id = ?3) AND (NOT ?2 OR g.state = 'open') ORDER BY g.n")      \
  X(READ_OPEN_GATES, "SELECT " TM_GATE_COLUMNS TM_GATE_FROM "WHERE g.state = 'open' "          \
                     "ORDER BY g.n")                                                           \
  X(READ_GATES, "SELECT " TM_GATE_COLUMNS TM_GATE_FROM "ORDER BY g.n")                         \
  X(READ_BLOB, "SELECT bytes FROM tm_blob WHERE hash = ?1")                                    \
  X(READ_CLOSURE, "SELECT manifest FROM tm_closure WHERE hash = ?1")                           \
  X(FIND_EFFECT, "SELECT " TM_EFFECT_COLUMNS " FROM tm_effect "                                \
                 "WHERE ns = ?1 AND action = ?2 AND key = ?3")                                 \
  X(FIND_DECISION, "SELECT " TM_DECISION_COLUMNS " FROM tm_decision "                          \
                   "WHERE ns = ?1 AND name = ?2 AND key = ?3")                                 \
  X(SIGNAL_NEW, "INSERT INTO tm_signal (run, sid, name, body, at) "                            \
                "SELECT n, ?2, ?3, ?4, ?5 FROM tm_run WHERE id = ?1 "                          \
                "AND " TM_RUN_UNFINISHED " "                                                   \
                "ON CONFLICT (run, sid) DO NOTHING")                                           \
  X(SIGNAL_CONSUME, "UPDATE tm_signal SET place = ?3 WHERE run = ?1 AND sid = ?2 "             \
                    "AND ifnull(place, ?3) = ?3")                                              \
  X(SIGNAL_FREE, "UPDATE tm_signal SET place = NULL WHERE run = ?1 AND sid = ?2 "              \
                 "AND place = ?3")                                                             \
  X(SIGNAL_MOVE, "UPDATE tm_signal SET run = ?1 WHERE run = (SELECT n FROM tm_run "            \
                 "WHERE id = ?2) AND place IS NULL")                                           \
  X(READ_SIGNALS, "SELECT " TM_SIGNAL_COLUMNS TM_SIGNAL_FROM "ORDER BY s.n")                   \
  X(READ_PENDING,                                                                              \
    "SELECT " TM_SIGNAL_COLUMNS TM_SIGNAL_FROM "AND s.place IS NULL ORDER BY s.n")             \
  X(LOCK_WANT, "INSERT INTO tm_lock (run, ns, key) VALUES (?1, ?2, ?3) "                       \
               "ON CONFLICT (ns, key, run) DO NOTHING")                                        \
  X(LOCK_DROP, "DELETE FROM tm_lock WHERE run = ?1 AND ns = ?2 AND key = ?3")                  \
  X(LOCK_DROP_ALL, "DELETE FROM tm_lock WHERE run = ?1")                                       \
  X(ORDER_NEW, "INSERT INTO tm_order (target, run, what, rank, note, by, at) SELECT ?1, "      \
               "?2, ?3, ?4, ?5, ?6, ?7 "                                                       \
               "WHERE ?2 IS NULL OR EXISTS (SELECT 1 FROM tm_run WHERE id = ?2 "               \
               "AND " TM_RUN_UNFINISHED ") "                                                   \
               "ON CONFLICT (target) DO UPDATE SET what = excluded.what, "                     \
               "rank = excluded.rank, note = excluded.note, by = excluded.by, "                \
               "at = excluded.at WHERE excluded.rank >= rank")                                 \
  X(ORDER_LIFT, "DELETE FROM tm_order WHERE target = ?1 AND ?2 IN (0, at)")                    \
  X(ORDER_DONE, "DELETE FROM tm_order WHERE target = ?1 AND run = ?2")                         \
  X(READ_ORDERS, "SELECT target, run, what, rank, note, by, at FROM tm_order ORDER BY target") \
  X(SPEND_AGAIN,                                                                               \
    "UPDATE tm_spending SET day = ?4 WHERE scope = ?1 AND run = ?2 AND place = ?3 "            \
    "AND calls = ?5")                                                                          \
  X(SPEND_STATE,                                                                               \
    "SELECT ifnull(sum(nano), 0), ifnull(sum(calls), 0), "                                     \
    "(SELECT ifnull(sum(nano), 0) FROM tm_spending WHERE scope = ?1 AND day = ?2), "           \
    "(SELECT ifnull(sum(calls), 0) FROM tm_spending WHERE scope = ?1 AND day = ?2) "           \
    "FROM tm_spent WHERE scope = ?1 AND day = ?2")                                             \
  X(SPEND_HOLD, "INSERT OR REPLACE INTO tm_spending (scope, run, place, day, calls, nano) "    \
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                             \
  X(SPEND_ADD, "INSERT INTO tm_spent (scope, day, nano, calls) VALUES (?1, ?2, ?3, 0) "        \
               "ON CONFLICT (scope, day) DO UPDATE SET nano = nano + ?3")                      \
  X(SPEND_LESS, "UPDATE tm_spending SET nano = max(0, nano - ?4) "                             \
                "WHERE scope = ?1 AND run = ?2 AND place = ?3")                                \
  X(SPEND_CALLS, "INSERT INTO tm_spent (scope, day, nano, calls) "                             \
                 "SELECT scope, day, 0, ?3 * sum(calls) FROM tm_spending "                     \
                 "WHERE run = ?1 AND (?2 IS NULL OR place = ?2) GROUP BY scope, day "          \
                 "ON CONFLICT (scope, day) DO UPDATE SET calls = calls + excluded.calls")      \
  X(SPEND_DROP, "DELETE FROM tm_spending WHERE run = ?1 AND (?2 IS NULL OR place = ?2)")       \
  X(READ_LINE,                                                                                 \
    "SELECT l.ns, l.key, r.id, l.run" TM_LOCK_FROM "l.ns = ?1 AND l.key = ?2 ORDER BY l.n")    \
  X(READ_LOCKS, "SELECT l.ns, l.key, r.id, l.run" TM_LOCK_FROM                                 \
                "l.run = (SELECT n FROM tm_run WHERE id = ?1) ORDER BY l.n")                   \
  X(CELL_NEW, "INSERT INTO tm_cell (name, version, body) VALUES (?1, 1, ?2) "                  \
              "ON CONFLICT (name) DO NOTHING")                                                 \
  X(CELL_SET, "UPDATE tm_cell SET version = version + 1, body = ?2 "                           \
              "WHERE name = ?1 AND version = ?3")                                              \
  X(READ_CELL, "SELECT name, version, body FROM tm_cell WHERE name = ?1")                      \
  X(READ_CELLS, "SELECT name, version, body FROM tm_cell "                                     \
                "WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name")                        \
  X(HAS_CLOSURE, "SELECT 1 FROM tm_closure WHERE hash = ?1")                                   \
  X(READ_ENDED, "SELECT " TM_RUN_COLUMNS ", n FROM tm_run WHERE n > ?1 AND " TM_RUN_ENDED      \
                " AND (?2 IS NULL OR workflow = ?2) ORDER BY n LIMIT ?3")                      \
  X(READ_CLOSURES,                                                                             \
    "SELECT hash, " TM_CLOSURE_SEEN ", ifnull(r.uses, 0) + (SELECT count(*) FROM tm_pin p "    \
    "WHERE p.closure = hash AND p.closure IS NOT (SELECT closure FROM tm_run "                 \
    "WHERE n = p.run)) FROM tm_closure c LEFT JOIN (SELECT closure, count(*) AS uses "         \
    "FROM tm_run GROUP BY closure) r ON r.closure = c.hash ORDER BY c.n")                      \
  X(READ_CLOSURES_OF, "SELECT r.closure, " TM_CLOSURE_SEEN ", 1 FROM tm_run r "                \
                      "WHERE r.id = ?1 AND r.closure IS NOT NULL UNION ALL "                   \
                      "SELECT p.closure, " TM_CLOSURE_SEEN ", 1 FROM tm_run r "                \
                      "JOIN tm_pin p ON p.run = r.n WHERE r.id = ?1 "                          \
                      "AND p.closure IS NOT r.closure")                                        \
  X(READ_BLOBS, "SELECT hash, 0, 0, 0 FROM tm_blob ORDER BY n")                                \
  X(READ_DOUBT, "SELECT 1 FROM tm_effect WHERE run = ?1 AND result IS NULL")                   \
  X(RUN_DROP,                                                                                  \
    "UPDATE tm_run SET id = '/' || n, state = 'removed', wake_at = 0, "                        \
    "workflow = NULL, owner = NULL, closure = NULL, input_hash = NULL, "                       \
    "parent = NULL, reason = NULL, result = NULL WHERE id = ?1 AND epoch = ?2 "                \
    "AND " TM_RUN_RECORDS " = ?3 AND " TM_RUN_ENDED " AND NOT EXISTS (SELECT 1 FROM tm_run c " \
    "WHERE c.parent = ?1) AND NOT EXISTS (SELECT 1 FROM tm_run p "                             \
    "WHERE p.id = tm_run.parent AND NOT p." TM_RUN_ENDED ") AND NOT EXISTS "                   \
    "(SELECT 1 FROM tm_effect e WHERE e.run = ?1 AND e.result IS NULL)")                       \
  X(DROP_GATES, "DELETE FROM tm_gate WHERE run = ?1")                                          \
  X(DROP_LOCKS, "DELETE FROM tm_lock WHERE run = ?1")                                          \
  X(DROP_SPENDING, "DELETE FROM tm_spending WHERE run = ?1")                                   \
  X(DROP_ANSWERS, "DELETE FROM tm_cache WHERE n IN (SELECT n FROM tm_cache WHERE expires > 0 " \
                  "AND expires <= ?1 LIMIT ?2)")                                               \
  X(DROP_PINS, "DELETE FROM tm_pin WHERE run = ?1")                                            \
  X(DROP_ORDERS, "DELETE FROM tm_order WHERE run = ?1")                                        \
  X(DROPPED, "SELECT r.n, ifnull(last, 0), ifnull(records, 0) FROM tm_run r LEFT JOIN "        \
             "tm_head h ON h.n = r.n WHERE state = 'removed' AND (records > 0 "                \
             "OR r.n < (SELECT max(n) FROM tm_run)) LIMIT 1")                                  \
  X(DROP_SIGNALS, "DELETE FROM tm_signal WHERE n IN (SELECT n FROM tm_signal WHERE run = ?1 "  \
                  "LIMIT ?2)")                                                                 \
  X(DROP_RECORD, "DELETE FROM tm_journal WHERE pos = ?1 AND run = ?2 RETURNING prev")          \
  X(DROP_ROW, "DELETE FROM tm_run WHERE n = ?1 AND n < (SELECT max(n) FROM tm_run)")           \
  X(DROP_HEAD,                                                                                 \
    "DELETE FROM tm_head WHERE n = ?1 AND NOT EXISTS (SELECT 1 FROM tm_run WHERE n = ?1)")     \
  X(CLOSURE_DROP, "DELETE FROM tm_closure WHERE hash = ?1 AND n < (SELECT max(n) FROM "        \
                  "tm_closure) AND NOT EXISTS (SELECT 1 FROM tm_run r WHERE r.n > ?2 "         \
                  "AND r.closure = ?1) AND NOT EXISTS (SELECT 1 FROM tm_pin p "                \
                  "WHERE p.closure = ?1)")                                                     \
  X(BLOB_DROP, "DELETE FROM tm_blob WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM tm_closure " \
               "WHERE n > ?2)")                                                                \
  X(COUNT_OURS, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tm!_%' ESCAPE '!'")

typedef enum tm_sql {
#define X(name, text) TM_SQL_##name,
  TM_SQL(X)
#undef X
      TM_SQL_COUNT
} tm_sql;

typedef struct tm_conn {
  sqlite3 *db; /* NULL: not open */
  const char *path;
  sqlite3_stmt *stmts[TM_SQL_COUNT];
  bool guarded;  /* statements go through sqlite_user.c's authorizer, */
  bool user;     /* and this one is the user's */
  bool altering; /* it may give a table another name */
} tm_conn;

/* A statement in use. Binding errors are kept until it is stepped. */
typedef struct tm_use {
  tm_conn *conn;
  sqlite3_stmt *st;
  int at, rc;
  bool once; /* finalized after use: the kept one was being read further up the stack */
} tm_use;

/* Open with our settings; an existing file only. */
int tm_conn_open(tm_conn *c, const char *path, bool readonly, tm_err *err);
/* Without a checkpoint the write-ahead log stays as it is, for the next to recover. */
void tm_conn_close(tm_conn *c, bool checkpoint);

/* What stands in the first page, without any change to the file and without harm to the locks
 * of other connections of this process. */
typedef struct tm_peek {
  bool empty; /* no file, or nothing in it */
  bool sqlite;
  bool wal; /* in the journal mode of ours */
  uint32_t application, version;
} tm_peek;
int tm_conn_peek(tm_peek *out, const char *path, tm_err *err);

/* Set err from an SQLite result code, with what was being done; -1. */
int tm_conn_error(tm_conn *c, int rc, const char *what, tm_err *err);

/* Unprepared text, for settings and schema only; never with anybody's data in it. */
int tm_conn_exec(tm_conn *c, const char *sql, tm_err *err);

int tm_conn_use(tm_use *u, tm_conn *c, tm_sql which, tm_err *err);
void tm_conn_again(tm_use *u); /* from the first parameter, as if just taken up */
void tm_conn_int(tm_use *u, int64_t v);
void tm_conn_text(tm_use *u, const char *s); /* NULL is NULL; must live until tm_conn_end */
void tm_conn_textn(tm_use *u, const char *s, size_t len);
void tm_conn_bytes(tm_use *u, const void *p, size_t len);
int tm_conn_step(tm_use *u, tm_err *err); /* 1: a row, 0: done, -1: error */
void tm_conn_end(tm_use *u);
/* Step a statement without rows and end it. */
int tm_conn_run(tm_use *u, tm_err *err);
/* Rows that the last statement changed. */
bool tm_conn_hit(const tm_conn *c);

/* Columns of the current row; text is valid until the next step. */
const char *tm_conn_col(const tm_use *u, int i);
size_t tm_conn_len(const tm_use *u, int i); /* bytes; ask after tm_conn_col */
int64_t tm_conn_num(const tm_use *u, int i);

#endif
