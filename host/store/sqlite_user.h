/* sqlite_user.h - statements that are not ours: the user's own tables in our file. */
#ifndef TM_STORE_SQLITE_USER_H
#define TM_STORE_SQLITE_USER_H

#include "store/sqlite_conn.h"

/* Run one statement in the open transaction of the writing connection. */
int tm_user_query(tm_conn *c, const tm_query *q, tm_arena *a, tm_rows *out, tm_err *err);
/* TM_CONFLICT when a constraint that is looked at in the end would refuse the commit. */
int tm_user_check(tm_conn *c, tm_err *err);

#endif
