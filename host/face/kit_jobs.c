/* kit_jobs.c - the module `tidemill.jobs`: copies of the process that runs the specs.
 *
 * A copy goes on where it was made, with the same Lua state, and ends as the program ends. It
 * does not outlive the process that made it: who kills that one has killed its copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "face/kit.h"

/* The copy's first acts; `parent` may have died before it could be watched. What the copy and
 * its own children print goes to `out`, and nobody types at them. */
static void begin(pid_t parent, int out) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent)
    _exit(128 + SIGTERM);
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
    _exit(70);
  if (in > 2)
    close(in);
  setvbuf(stdout, NULL, _IOLBF, 0); /* so that what it said stays when it dies */
}

/* fork(file) -> pid in the process that asks; nil in its copy, which prints to the file. */
static int l_fork(lua_State *L) {
  const luaL_Stream *file = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  luaL_argcheck(L, file->closef, 1, "the file is closed");
  pid_t self = getpid();
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0)
    return luaL_error(L, "cannot fork: %s", strerror(errno));
  if (pid > 0) {
    lua_pushinteger(L, pid);
    return 1;
  }
  begin(self, fileno(file->f));
  lua_pushnil(L);
  return 1;
}

/* wait() -> pid, status, nil | pid, nil, "signal 9 (Killed)": the next copy that ends. */
static int l_wait(lua_State *L) {
  int status = 0;
  pid_t pid;
  while ((pid = waitpid(-1, &status, 0)) < 0 && errno == EINTR)
    ;
  if (pid < 0)
    return luaL_error(L, "cannot wait: %s", strerror(errno));
  lua_pushinteger(L, pid);
  if (WIFSIGNALED(status)) {
    lua_pushnil(L);
    lua_pushfstring(L, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  } else {
    lua_pushinteger(L, WEXITSTATUS(status));
    lua_pushnil(L);
  }
  return 3;
}

int tm_kit_jobs(lua_State *L) {
  static const luaL_Reg functions[] = {{"fork", l_fork}, {"wait", l_wait}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
