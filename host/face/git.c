/* git.c - in which commit does a file have exactly these bytes? */
#include "face/git.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/proc.h"
#include "text/json.h"

#define MAX_OUTPUT ((size_t)1 << 20)
#define MAX_WORDS  32
#define SHOWN      200 /* bytes of a name or subject */

/* -- asking ---------------------------------------------------------------------------- */

typedef struct asking {
  tm_git *git;
  bool done, trouble; /* trouble: no exit of its own */
  int code;
  const char *out, *errout;
  size_t len;
} asking;

static void answered(void *ctx, const tm_proc_res *res) {
  asking *x = ctx;
  tm_arena *a = x->git->arena;
  x->done = true;
  x->trouble = res->timed_out || res->too_much || res->signal;
  x->code = res->code;
  x->out = tm_arena_strndup(a, res->out, res->out_len);
  x->len = res->out_len;
  x->errout = res->timed_out  ? "git did not answer in time"
              : res->too_much ? "git said more than 1 MiB"
                              : tm_arena_strndup(a, res->errout, res->errout_len);
}

/* Nothing of the caller's surroundings but where programs and settings are: a GIT_DIR from outside
 * would name another repository. */
static const char *const *surroundings(tm_arena *a) {
  static const char *const kept[] = {"PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR"};
  static const char *const ours[] = {"LC_ALL=C",
                                     "GIT_OPTIONAL_LOCKS=0",
                                     "GIT_TERMINAL_PROMPT=0",
                                     "GIT_NO_LAZY_FETCH=1",
                                     "GIT_ALLOW_PROTOCOL=none",
                                     "GIT_PAGER=cat"};
  const char **env = tm_arena_array(a, const char *, 16);
  size_t n = 0;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
    if (getenv(kept[i]))
      env[n++] = tm_arena_printf(a, "%s=%s", kept[i], getenv(kept[i]));
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    env[n++] = ours[i];
  return env;
}

/* `words` ends with NULL. -1: there is no git. */
static int ask(asking *x, tm_git *g, const char *const *words, const char *input, size_t len) {
  static const char *const first[] = {"git",
                                      "--no-pager",
                                      "--literal-pathspecs",
                                      "-c",
                                      "core.fsmonitor=false",
                                      "-c",
                                      "core.hooksPath=/dev/null"};
  const char *argv[MAX_WORDS] = {0};
  size_t n = sizeof first / sizeof *first;
  tm_proc *proc;
  tm_err err = TM_ERR_INIT;
  memcpy(argv, first, sizeof first);
  while (*words && n + 1 < MAX_WORDS)
    argv[n++] = *words++;
  tm_proc_req req = {.argv = argv,
                     .env = surroundings(g->arena),
                     .cwd = g->dir,
                     .input = input,
                     .input_len = len,
                     .timeout_ms = TM_GIT_MS,
                     .max_output = MAX_OUTPUT};
  *x = (asking){.git = g};
  if (tm_proc_start(&proc, g->loop, &req, answered, x, &err) < 0)
    return -1;
  while (!x->done)
    tm_loop_turn(g->loop, -1);
  return 0;
}

/* Others wrote it: what is no UTF-8 becomes '?', and it is cut where a character ends. */
static const char *clean(tm_arena *a, const char *s, size_t len) {
  tm_buf b = TM_BUF_INIT;
  while (len > 0 && b.len < SHOWN) {
    size_t good = tm_json_utf8_valid(s, len);
    size_t take = good > SHOWN - b.len ? SHOWN - b.len : good;
    take = tm_json_utf8_valid(s, take);
    tm_buf_put(&b, s, take);
    if (take < good)
      break;
    s += good;
    len -= good;
    if (len > 0) {
      tm_buf_putc(&b, '?');
      s++;
      len--;
    }
  }
  const char *out = tm_arena_strndup(a, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
  return out;
}

static tm_git_state failed(tm_git *g, const asking *x) {
  const char *said = x->errout && *x->errout ? x->errout : "git failed";
  g->why = clean(g->arena, said, strcspn(said, "\n"));
  return TM_GIT_FAILED;
}

tm_git_state tm_git_look(tm_git *g) {
  static const char *const words[] = {"rev-parse", "--is-inside-work-tree", NULL};
  asking x;
  if (ask(&x, g, words, NULL, 0) < 0)
    return TM_GIT_MISSING;
  if (x.trouble || (x.code != 0 && !strstr(x.errout, "not a git repository")))
    return failed(g, &x);
  return x.code == 0 && strncmp(x.out, "true", 4) == 0 ? TM_GIT_OK : TM_GIT_NO_TREE;
}

/* -- the commit ------------------------------------------------------------------------ */

static tm_git_state blob_id(const char **out, tm_git *g, const char *bytes, size_t len) {
  static const char *const words[] = {"hash-object", "-t", "blob", "--stdin", NULL};
  asking x;
  if (ask(&x, g, words, bytes, len) < 0)
    return TM_GIT_MISSING;
  if (x.trouble || x.code != 0)
    return failed(g, &x);
  *out = tm_arena_strndup(g->arena, x.out, strcspn(x.out, "\n"));
  return TM_GIT_OK;
}

/* Does one of these lines, ":MODE MODE OLD NEW LETTER\tFILE", give the file this content? One that
 * takes it away names it as OLD. */
static bool gives(const char *lines, const char *end, const char *id) {
  size_t len = strlen(id);
  for (const char *s = lines; s < end; s++) {
    const char *line_end = memchr(s, '\n', (size_t)(end - s));
    const char *next = s;
    line_end = line_end ? line_end : end;
    for (int field = 0; *s == ':' && next && field < 3; field++) {
      next = memchr(next, ' ', (size_t)(line_end - next));
      next = next ? next + 1 : NULL;
    }
    if (*s == ':' && next && (size_t)(line_end - next) > len && memcmp(next, id, len) == 0)
      return true;
    s = line_end;
  }
  return false;
}

/* One commit of the log: "\1HASH\0AUTHOR\0DATE\0SUBJECT\n\n:…". */
static bool read_commit(tm_git_commit *out, tm_arena *a, const char *s, const char *end,
                        const char *id) {
  const char *fields[4];
  for (size_t i = 0; i < 4; i++) {
    const char *stop = memchr(s, i < 3 ? '\0' : '\n', (size_t)(end - s));
    if (!stop)
      return false;
    fields[i] = clean(a, s, (size_t)(stop - s));
    s = stop + 1;
  }
  *out = (tm_git_commit){fields[0], fields[1], fields[2], fields[3]};
  return gives(s, end, id);
}

static bool read_log(tm_git_commit *out, tm_arena *a, const asking *x, const char *id) {
  const char *s = x->out, *end = x->out + x->len;
  while ((s = memchr(s, '\1', (size_t)(end - s)))) {
    const char *next = memchr(s + 1, '\1', (size_t)(end - s - 1));
    if (read_commit(out, a, s + 1, next ? next : end, id))
      return true;
    s++;
  }
  return false;
}

/* The commits that gave or took the blob `id`, among those that `where` names; -1: there is no git. */
static int ask_log(asking *x, tm_git *g, const char *id, const char *const *where,
                   const char *file) {
  static const char *const plain[] = {"log",
                                      "--no-show-signature",
                                      "--no-color",
                                      "--no-ext-diff",
                                      "--no-textconv",
                                      "--no-renames",
                                      "--raw",
                                      "--no-abbrev",
                                      "-n",
                                      "100",
                                      "--format=%x01%H%x00%an%x00%aI%x00%s"};
  const char *words[MAX_WORDS] = {0};
  size_t n = sizeof plain / sizeof *plain;
  memcpy(words, plain, sizeof plain);
  words[n++] = tm_arena_printf(g->arena, "--find-object=%s", id);
  while (*where)
    words[n++] = *where++;
  words[n++] = "--";
  words[n] = file;
  return ask(x, g, words, NULL, 0);
}

tm_git_state tm_git_find(tm_git_commit *out, bool *found, tm_git *g, const char *file,
                         const char *bytes, size_t len) {
  const char *id;
  asking x;
  tm_git_state state = blob_id(&id, g, bytes, len);
  *found = false;
  if (state != TM_GIT_OK)
    return state;
  /* A merge that mended a file is seen with -m alone, which would also name merges that only brought
   * the commit: so that, and other branches, come second. */
  static const char *const here[] = {NULL}, *const anywhere[] = {"--all", "--full-history",
                                                                 "-m", NULL};
  if (ask_log(&x, g, id, here, file) < 0)
    return TM_GIT_MISSING;
  *found = !x.trouble && x.code == 0 && read_log(out, g->arena, &x, id);
  if (*found) /* code 128: nothing is committed on this branch */
    return TM_GIT_OK;
  if (ask_log(&x, g, id, anywhere, file) < 0)
    return TM_GIT_MISSING;
  if (x.trouble || x.code != 0)
    return failed(g, &x);
  *found = read_log(out, g->arena, &x, id);
  return TM_GIT_OK;
}
