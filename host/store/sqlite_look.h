/* sqlite_look.h - looks through many answers, on a thread and a connection of their own.
 *
 * Neither the owner's thread nor the writer waits for one: ten thousand vectors are sixty megabytes
 * to read. They are done one after the other, in the order in which they were asked for.
 */
#ifndef TM_STORE_SQLITE_LOOK_H
#define TM_STORE_SQLITE_LOOK_H

#include "store/store.h"

typedef struct tm_looker tm_looker;

/* For the file at `path`, which is opened with the first look. Both outlive it. */
tm_looker *tm_looker_new(const char *path, const tm_store_host *host);
/* As tm_store_vt.look. */
void tm_looker_ask(tm_looker *l, tm_look *look);
/* Those that wait are told as cancelled, through post; NULL is fine. */
void tm_looker_free(tm_looker **l);

#endif
