/* vm.c - one bounded lua_State: its memory, its instructions, and how a script is stopped.
 *
 * A stop has to get past every pcall of the script. Two roads lead out:
 *
 *   hook or C function ─┬─ may yield:     lua_yield, never resumed: no pcall sees it
 *                       └─ may not yield: raise, and have the hook fire again at the next
 *                                         instruction, until a place may yield
 *
 * The hook is set in C before any script code runs, and each coroutine inherits it at its
 * birth. An error out of a hook leaves hooks switched off in that coroutine until a pcall
 * switches them on again, so from then on no code of the script may be entered that is not
 * below such a pcall: coroutine.close, wrap and the handler of xpcall ask tm_vm_charge first.
 */
#include "script/vm.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/pool.h"

#define MEMORY_DEFAULT ((size_t)64 << 20)
#define STEPS_DEFAULT  UINT64_C(200000000)
#define CPU_DEFAULT    20000
#define GRAIN          1024 /* instructions between two calls of the hook: costs below 2 % */
#define GRAIN_MIN      16
#define LARGE_STRING   ((size_t)1 << 16)
#define BLOCK_COST     16   /* what malloc itself spends on a block, about */
#define PAGE_WORK      4096 /* a block from this size on is more work than one instruction */
#define SOURCE_MAX     ((size_t)1 << 20)
#define NS_PER_S       INT64_C(1000000000)
#define NS_PER_MS      INT64_C(1000000)

struct tm_vm {
  lua_State *L;
  lua_State *branch;  /* what tm_vm_resume runs now; NULL outside */
  lua_State *running; /* that, or the innermost of its own coroutines */
  void *owner;
  size_t used, blocks, cap;
  size_t collect_from; /* the collector sleeps until more than that is used; SIZE_MAX: awake */
  uint64_t steps, max_steps;
  int grain;                             /* instructions between two calls of the hook now */
  int64_t wall_mark, cpu_start, max_cpu; /* ns */
  tm_dice dice;
  tm_code code; /* why it is stopped */
  char *why;
  bool trusted, stopped;
  bool pressed;    /* the last growth was refused: Lua is collecting and asks once more */
  bool finalizers; /* something in it has to be freed one by one */
  bool personal;   /* the script has seen something of its run */
  tm_pool pool;
  struct {
    tm_pool_image *blocks; /* NULL: not kept */
    size_t used, count, collect_from;
  } kept;
};

/* -- which vm -------------------------------------------------------------------------- */

/* The extra space of each thread holds the vm's address; bit 0 marks the script's own
 * coroutines. */
#define SPAWNED ((uintptr_t)1)

static uintptr_t *slot(lua_State *L) {
  return lua_getextraspace(L);
}

tm_vm *tm_vm_of(lua_State *L) {
  return (tm_vm *)(*slot(L) & ~SPAWNED); // NOLINT(performance-no-int-to-ptr)
}

void *tm_vm_owner(lua_State *L) {
  return tm_vm_of(L)->owner;
}

tm_dice *tm_vm_dice(lua_State *L) {
  tm_vm_is_personal(L);
  return &tm_vm_of(L)->dice;
}

void tm_vm_is_personal(lua_State *L) {
  tm_vm_of(L)->personal = true;
}

void tm_vm_has_finalizers(lua_State *L) {
  tm_vm_of(L)->finalizers = true;
}

lua_State *tm_vm_state(tm_vm *vm) {
  return vm->L;
}

size_t tm_vm_memory(const tm_vm *vm) {
  return vm->used;
}

bool tm_vm_stopped(const tm_vm *vm) {
  return vm->stopped;
}

/* -- stopping -------------------------------------------------------------------------- */

static void on_count(lua_State *L, lua_Debug *ar);

/* Have the hook called after that many instructions of L. */
static void count_to(lua_State *L, int instructions) {
  lua_sethook(L, on_count, LUA_MASKCOUNT, instructions);
}

static void arm(lua_State *L) {
  count_to(L, 1);
}

/* One instruction may compare two strings, whatever their size. So the larger the strings are,
 * the fewer instructions go by between two looks at the clock: some 50 ms at most. */
static void refine_grain(tm_vm *vm, size_t string) {
  int before = vm->grain;
  while (vm->grain > GRAIN_MIN && string * (size_t)vm->grain > LARGE_STRING * GRAIN)
    vm->grain /= 2;
  if (vm->grain == before || !vm->running || vm->trusted || vm->stopped)
    return;
  vm->steps += (uint64_t)before; /* setting a count forgets how far the last one was */
  count_to(vm->running, vm->grain);
}

void tm_vm_stop(tm_vm *vm, tm_code code, const char *why) {
  if (vm->stopped)
    return;
  vm->stopped = true;
  vm->code = code;
  vm->why = tm_strdup(why);
  if (vm->running)
    arm(vm->running);
}

/* Stop with "what, at file:line: advice". Safe inside the allocator: nothing here asks Lua for
 * memory. */
static void stop_at_limit(tm_vm *vm, const char *what, const char *advice) {
  char place[256], why[TM_ERR_MAX];
  bool known = vm->running && tm_vm_where(vm->running, place, sizeof place);
  snprintf(why, sizeof why, "%s%s%s: %s", what, known ? ", at " : "", known ? place : "",
           advice);
  tm_vm_stop(vm, TM_LIMIT, why);
}

/* "64 MiB" */
static void print_size(char out[32], size_t bytes) {
  bool mega = bytes % ((size_t)1 << 20) == 0;
  snprintf(out, 32, "%zu %s", mega ? bytes >> 20 : bytes >> 10, mega ? "MiB" : "KiB");
}

static void stop_for_memory(tm_vm *vm) {
  char size[32], what[96];
  print_size(size, vm->cap);
  snprintf(what, sizeof what, "the script used more than %s of memory", size);
  stop_at_limit(vm, what, "keep less at once, or raise the limit `memory`");
}

static void stop_for_steps(tm_vm *vm) {
  char what[128];
  snprintf(what, sizeof what,
           "the script ran more than %llu instructions without waiting for anything",
           (unsigned long long)vm->max_steps);
  stop_at_limit(vm, what, "look for a loop that does not end, or raise the limit `steps`");
}

static int64_t cpu_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Wall time is cheap to read but also passes while the process is frozen; only when it says
 * "too long" is the expensive clock asked, which counts work alone. */
static void check_cpu(tm_vm *vm) {
  int64_t now = tm_clock_ns();
  if (!vm->wall_mark) {
    vm->wall_mark = now;
    vm->cpu_start = cpu_now();
    return;
  }
  if (now - vm->wall_mark < vm->max_cpu)
    return;
  int64_t spent = cpu_now() - vm->cpu_start;
  if (spent < vm->max_cpu) {
    vm->wall_mark = now - spent;
    return;
  }
  char what[128];
  snprintf(what, sizeof what,
           "the script computed for more than %.3g seconds without waiting for anything",
           (double)vm->max_cpu / (double)NS_PER_S);
  stop_at_limit(vm, what, "do less at once; it works on very large strings or tables");
}

static void check_limits(tm_vm *vm) {
  if (vm->stopped)
    return;
  if (vm->steps > vm->max_steps)
    stop_for_steps(vm);
  else
    check_cpu(vm);
}

/* Raise something that needs no memory. */
static int raise_stop(lua_State *L) {
  if (!lua_checkstack(L, 1))
    lua_settop(L, -2);
  lua_pushlightuserdata(L, tm_vm_of(L));
  return lua_error(L);
}

/* -- the collector --------------------------------------------------------------------- */

void tm_vm_rest_collector(tm_vm *vm) {
  lua_gc(vm->L, LUA_GCSTOP);
  vm->collect_from = 2 * vm->used;
}

static void wake_collector(tm_vm *vm) {
  vm->collect_from = SIZE_MAX;
  lua_gc(vm->L, LUA_GCRESTART);
}

/* lua_yield returns inside a hook, and the yield happens when the hook has returned. */
static void on_count(lua_State *L, lua_Debug *ar) {
  tm_vm *vm = tm_vm_of(L);
  (void)ar;
  vm->steps += (uint64_t)lua_gethookcount(L);
  if (vm->used > vm->collect_from)
    wake_collector(vm);
  check_limits(vm);
  if (!vm->stopped) {
    if (lua_gethookcount(L) != vm->grain)
      count_to(L, vm->grain);
    return;
  }
  arm(L);
  if (lua_isyieldable(L))
    lua_yield(L, 0);
  else
    raise_stop(L);
}

/* Leave from a C function; does not return. */
static void leave(lua_State *L) {
  arm(L);
  if (lua_isyieldable(L))
    lua_yield(L, 0);
  raise_stop(L);
}

void tm_vm_charge(lua_State *L, uint64_t steps) {
  tm_vm *vm = tm_vm_of(L);
  if (vm->trusted)
    return;
  vm->steps += steps;
  if (vm->steps > vm->max_steps || steps >= GRAIN)
    check_limits(vm);
  if (vm->stopped)
    leave(L);
}

/* -- memory ---------------------------------------------------------------------------- */

static size_t room(const tm_vm *vm) {
  size_t held = vm->used + vm->blocks * BLOCK_COST;
  return held < vm->cap ? vm->cap - held : 0;
}

/* Lua answers the first refusal with a full collection and asks again; the second one is final.
 * A full collection is work too, or a script could live at its limit and collect for ever. */
static void *refuse(tm_vm *vm) {
  if (vm->pressed && !vm->trusted)
    stop_for_memory(vm);
  vm->pressed = true;
  vm->steps += vm->used / 16;
  return NULL;
}

/* Copying and clearing is work that the hook does not see. */
static void count_growth(tm_vm *vm, size_t growth) {
  vm->pressed = false;
  if (growth < PAGE_WORK)
    return;
  vm->steps += growth / 16;
  if ((vm->steps > vm->max_steps || vm->used > vm->collect_from) && vm->running && !vm->trusted)
    arm(vm->running);
}

/* `osize` of a new block is a type tag and no size. Only growth is ever refused. */
static void *allocate(void *ud, void *p, size_t osize, size_t nsize) {
  tm_vm *vm = ud;
  size_t old = p ? osize : 0;
  bool grows = nsize > old;
  if (nsize == 0) {
    vm->used -= old;
    vm->blocks -= p != NULL;
    if (p)
      tm_pool_give(&vm->pool, p, old);
    return NULL;
  }
  if (grows && nsize - old > room(vm))
    return refuse(vm);
  void *q = p ? tm_pool_resize(&vm->pool, p, old, nsize) : tm_pool_take(&vm->pool, nsize);
  if (!q)
    return refuse(vm);
  vm->used = vm->used - old + nsize;
  vm->blocks += p == NULL;
  if (grows)
    count_growth(vm, nsize - old);
  if (!p && osize == LUA_TSTRING && nsize >= LARGE_STRING)
    refine_grain(vm, nsize);
  return q;
}

/* A result that could never fit is a mistake in an argument, and an error like any other. */
static void refuse_result(lua_State *L, size_t bytes, const char *who) {
  char size[32];
  print_size(size, tm_vm_of(L)->cap);
  luaL_error(L, "%s: a result of %I bytes does not fit in the script's memory (%s)", who,
             (LUAI_UACINT)bytes, size);
}

void tm_vm_reserve(lua_State *L, size_t bytes, const char *who) {
  tm_vm *vm = tm_vm_of(L);
  if (bytes <= room(vm) / 2)
    return;
  if (bytes > vm->cap / 2)
    refuse_result(L, bytes, who);
  tm_vm_charge(L, vm->used / 16);
  lua_gc(L, LUA_GCCOLLECT);
  if (bytes <= room(vm) / 2)
    return;
  stop_for_memory(vm);
  leave(L);
}

/* -- life ------------------------------------------------------------------------------ */

/* Unreachable by design: everything that can raise runs below a protected call. */
static int on_panic(lua_State *L) {
  char what[512];
  tm_vm_describe(L, -1, what, sizeof what);
  tm_log(TM_LOG_ERROR, "script", "an error outside of every protected call: %s", what);
  abort();
}

static int install(lua_State *L) {
  const tm_vm_opts *opts = lua_touserdata(L, 1);
  if (opts->trusted)
    luaL_openlibs(L);
  else if (opts->globals)
    tm_sandbox_install_copy(L, opts->globals);
  else
    tm_sandbox_install(L);
  return 0;
}

void tm_vm_hand_over(tm_vm *vm, void *owner, const char *seed) {
  vm->owner = owner;
  tm_dice_seed(&vm->dice, seed, strlen(seed));
}

static void configure(tm_vm *vm, const tm_vm_opts *opts) {
  vm->grain = GRAIN;
  vm->collect_from = SIZE_MAX;
  vm->trusted = opts->trusted;
  vm->cap = opts->trusted ? SIZE_MAX : opts->memory ? opts->memory : MEMORY_DEFAULT;
  vm->max_steps = opts->steps ? opts->steps : STEPS_DEFAULT;
  vm->max_cpu = (opts->cpu_ms ? opts->cpu_ms : CPU_DEFAULT) * NS_PER_MS;
  tm_vm_hand_over(vm, opts->owner, opts->seed ? opts->seed : "");
}

int tm_vm_open(tm_vm **out, const tm_vm_opts *opts, tm_err *err) {
  tm_vm *vm = tm_new(tm_vm);
  configure(vm, opts);
  vm->L = lua_newstate(allocate, vm);
  if (!vm->L) {
    tm_err_set(err, TM_LIMIT, "not enough memory to start Lua; raise the limit `memory`");
    goto fail;
  }
  *slot(vm->L) = (uintptr_t)vm;
  lua_atpanic(vm->L, on_panic);
  if (!vm->trusted)
    count_to(vm->L, vm->grain);
  if (tm_vm_protect(vm, install, (void *)(uintptr_t)opts, err) < 0) {
    tm_err_wrap(err, "starting Lua");
    goto fail;
  }
  *out = vm;
  return 0;

fail:
  tm_vm_close(&vm);
  return -1;
}

/* lua_close walks over all objects, to call finalizers and to free each block. Scripts have no
 * finalizers (setmetatable refuses __gc) and our libraries' userdata needs none, but for those
 * that said so; and the pool gives all blocks back at once. */
void tm_vm_close(tm_vm **vm) {
  tm_vm *v = *vm;
  if (!v)
    return;
  if (v->L && (v->trusted || v->finalizers))
    lua_close(v->L);
  tm_pool_drop(&v->pool);
  tm_free(v->kept.blocks);
  tm_free(v->why);
  tm_free(v);
  *vm = NULL;
}

/* -- once more ------------------------------------------------------------------------- */

/* All of a small vm's memory lies in its pool, so a copy of the pool is a copy of the vm, and
 * Lua's own addresses in it stay true as long as it is copied back to where it was. */
bool tm_vm_keep(tm_vm *vm) {
  if (vm->personal || vm->stopped || vm->finalizers || vm->trusted)
    return false;
  vm->kept.blocks = tm_pool_keep(&vm->pool);
  vm->kept.used = vm->used;
  vm->kept.count = vm->blocks;
  vm->kept.collect_from = vm->collect_from;
  return vm->kept.blocks != NULL;
}

bool tm_vm_rewind(tm_vm *vm) {
  if (!vm->kept.blocks || vm->stopped || vm->finalizers)
    return false;
  tm_pool_rewind(&vm->pool, vm->kept.blocks);
  vm->used = vm->kept.used;
  vm->blocks = vm->kept.count;
  vm->collect_from = vm->kept.collect_from;
  vm->grain = GRAIN;
  vm->pressed = vm->personal = false;
  return true;
}

/* -- running --------------------------------------------------------------------------- */

static int report_stop(const tm_vm *vm, tm_err *err) {
  return tm_err_set(err, vm->code, "%s", vm->why);
}

static void begin(tm_vm *vm, lua_State *L) {
  if (vm->used > vm->collect_from)
    wake_collector(vm);
  vm->running = L;
  vm->steps = 0;
  vm->wall_mark = 0; /* from the first look on; most resumptions end before it */
  if (!vm->trusted)
    count_to(L, vm->grain);
}

/* Inside a resume the budget that runs is the resume's. */
int tm_vm_protect(tm_vm *vm, lua_CFunction fn, void *arg, tm_err *err) {
  lua_State *L = vm->L, *before = vm->running;
  if (!before)
    begin(vm, L);
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, arg);
  int status = lua_pcall(L, 1, 0, 0);
  vm->running = before;
  if (status == LUA_OK)
    return 0;
  if (status == LUA_ERRMEM && !vm->stopped)
    stop_for_memory(vm);
  if (vm->stopped) {
    report_stop(vm, err);
  } else {
    char what[TM_ERR_MAX];
    tm_vm_describe(L, -1, what, sizeof what);
    tm_err_set(err, TM_FAILED, "%s", what);
  }
  lua_pop(L, 1);
  return -1;
}

tm_vm_status tm_vm_resume(tm_vm *vm, lua_State *co, int nargs, int *nresults, tm_err *err) {
  int status = LUA_OK;
  *nresults = 0;
  if (!vm->stopped) {
    begin(vm, co);
    vm->branch = co;
    status = lua_resume(co, NULL, nargs, nresults);
    vm->branch = vm->running = NULL;
  }
  if (status == LUA_ERRMEM && !vm->stopped)
    stop_for_memory(vm);
  if (vm->stopped) {
    report_stop(vm, err);
    return TM_VM_STOPPED;
  }
  return status == LUA_OK ? TM_VM_DONE : status == LUA_YIELD ? TM_VM_YIELD : TM_VM_ERROR;
}

/* -- the script's own coroutines ------------------------------------------------------- */

/* A coroutine that ends before its first count would run for free: its birth is charged. */
lua_State *tm_vm_spawn(lua_State *L) {
  tm_vm_charge(L, GRAIN);
  lua_State *co = lua_newthread(L);
  *slot(co) |= SPAWNED;
  return co;
}

bool tm_vm_spawned(lua_State *co) {
  return *slot(co) & SPAWNED;
}

bool tm_vm_is_branch(lua_State *L) {
  return tm_vm_of(L)->branch == L;
}

int tm_vm_enter(lua_State *from, lua_State *co, int nargs, int *nresults) {
  tm_vm *vm = tm_vm_of(from);
  lua_State *before = vm->running;
  vm->running = co;
  if (lua_gethookcount(co) != vm->grain && !vm->trusted)
    count_to(co, vm->grain);
  int status = lua_resume(co, from, nargs, nresults);
  vm->running = before;
  if (status == LUA_ERRMEM && !vm->trusted && !vm->stopped)
    stop_for_memory(vm);
  if (vm->stopped)
    leave(from);
  return status;
}

/* -- source ---------------------------------------------------------------------------- */

/* A byte order mark and a first line that begins with # are not Lua; the line's end stays, so
 * that line numbers do. */
static void skip_prelude(const char **text, size_t *len) {
  if (*len >= 3 && memcmp(*text, "\xEF\xBB\xBF", 3) == 0)
    *text += 3, *len -= 3;
  if (*len == 0 || **text != '#')
    return;
  const char *end = memchr(*text, '\n', *len);
  *len = end ? *len - (size_t)(end - *text) : 0;
  *text = end ? end : *text;
}

int tm_vm_load(lua_State *L, const char *chunk, const char *text, size_t len, tm_err *err) {
  const char *name = chunk + (*chunk == '@' || *chunk == '=');
  tm_vm *vm = tm_vm_of(L);
  skip_prelude(&text, &len);
  if (vm->stopped)
    return report_stop(vm, err);
  if (len > SOURCE_MAX)
    return tm_err_set(err, TM_LIMIT, "%s: %zu bytes of source; a file may have 1 MiB", name,
                      len);
  if (len && *text == LUA_SIGNATURE[0])
    return tm_err_set(err, TM_USAGE, "%s: compiled Lua is refused; give its source text", name);
  if (!lua_checkstack(L, 2))
    return tm_err_set(err, TM_LIMIT, "%s: Lua's stack is full", name);
  int status = luaL_loadbufferx(L, text, len, chunk, "t");
  if (status == LUA_OK)
    return 0;
  char what[TM_ERR_MAX];
  tm_vm_describe(L, -1, what, sizeof what);
  lua_pop(L, 1);
  if (status == LUA_ERRMEM && !vm->stopped)
    stop_for_memory(vm);
  return vm->stopped ? report_stop(vm, err) : tm_err_set(err, TM_USAGE, "%s", what);
}
