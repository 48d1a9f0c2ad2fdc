/* git.h - in which commit does a file have exactly these bytes? Asked of the git program.
 *
 *   git hash-object --stdin          the bytes as a blob's id: no file is read, none is written
 *   git log --find-object=ID -- FILE the newest commit that gave the file this content
 *
 * Only reads: no hook, filter, signature check, pager or fetch is run, no lock taken, and no shell.
 * Each question is given GIT_MS. What git says is data of whoever commits there.
 */
#ifndef TM_FACE_GIT_H
#define TM_FACE_GIT_H

#include "base/mem.h"
#include "net/loop.h"

#define TM_GIT_MS 10000 /* for one question */

typedef enum tm_git_state {
  TM_GIT_OK,
  TM_GIT_MISSING, /* there is no program of that name */
  TM_GIT_NO_TREE, /* the folder is in no work tree */
  TM_GIT_FAILED   /* `why` says what git said */
} tm_git_state;

typedef struct tm_git {
  tm_loop *loop;
  const char *dir; /* files are named from here */
  tm_arena *arena; /* of all texts */
  const char *why;
} tm_git;

typedef struct tm_git_commit {
  const char *hash, *author, *date, *subject; /* date: RFC 3339; UTF-8 all */
} tm_git_commit;

/* Can it be asked about this folder? */
tm_git_state tm_git_look(tm_git *g);
/* The newest commit of HEAD's history, else of any branch's, in which the file was given these bytes;
 * *found says whether there is one. */
tm_git_state tm_git_find(tm_git_commit *out, bool *found, tm_git *g, const char *file,
                         const char *bytes, size_t len);

#endif
