/* proc.c - one child process: argv in, exit code and both outputs out. No shell.
 *
 * The child leads a session of its own, so that ending it ends what it started too.
 * It is finished when it has exited and both outputs are at their end; a grandchild that keeps
 * an output open is given LINGER_MS after the exit.
 *
 *   running ── exit ──> exited ── both outputs at end, or LINGER_MS ──> closing ──> done()
 *      │ timeout, too much output, cancel
 *      └── TERM ── KILL_MS ── KILL ──> (exit)
 */
#include <assert.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/proc.h"
#include "net/uvloop.h"

#define TIMEOUT_MS 600000
#define KILL_MS    5000
#define LINGER_MS  200
#define MAX_OUTPUT ((size_t)16 << 20)
#define READ_BYTES ((size_t)64 << 10)

enum { STDIN, STDOUT, STDERR, STREAMS };

struct tm_proc {
  tm_loop_guest guest;
  tm_loop *loop;
  uv_process_t process;
  uv_pipe_t pipes[STREAMS];
  int open_handles; /* that have to be closed before this memory may go */
  int reading;      /* outputs not at their end yet */
  bool exited, closing;
  uv_write_t write;
  char *input;
  tm_buf out, errout;
  char *chunk;     /* READ_BYTES, while reading */
  tm_timer *timer; /* timeout, then kill, then linger */
  int64_t started_ns;
  tm_proc_res res;
  void (*done)(void *ctx, const tm_proc_res *res); /* NULL: cancelled */
  void *ctx;
};

static void release(tm_proc *p) {
  tm_buf_free(&p->out);
  tm_buf_free(&p->errout);
  tm_free(p->input);
  tm_free(p->chunk);
  tm_free(p);
}

/* -- the end --------------------------------------------------------------------------- */

static void report(tm_proc *p) {
  p->res.out = tm_buf_str(&p->out);
  p->res.out_len = p->out.len;
  p->res.errout = tm_buf_str(&p->errout);
  p->res.errout_len = p->errout.len;
  p->res.total_ms = (tm_clock_ns() - p->started_ns) / 1000000;
  if (p->done)
    p->done(p->ctx, &p->res);
}

static void handle_closed(uv_handle_t *handle) {
  tm_proc *p = handle->data;
  if (--p->open_handles > 0)
    return;
  tm_loop_unseat(&p->guest);
  report(p);
  release(p);
}

static void close_one(uv_handle_t *handle) {
  if (handle->data && !uv_is_closing(handle))
    uv_close(handle, handle_closed);
}

static void close_all(tm_proc *p) {
  if (p->closing)
    return;
  p->closing = true;
  tm_timer_cancel(&p->timer);
  close_one((uv_handle_t *)&p->process);
  for (int i = 0; i < STREAMS; i++)
    close_one((uv_handle_t *)&p->pipes[i]);
}

static void lingered(void *ctx) {
  tm_proc *p = ctx;
  p->timer = NULL;
  close_all(p);
}

static void settle(tm_proc *p) {
  if (!p->exited || p->closing)
    return;
  if (p->reading <= 0) {
    close_all(p);
    return;
  }
  tm_timer_cancel(&p->timer);
  p->timer = tm_timer_start(p->loop, LINGER_MS, lingered, p);
}

/* -- stopping -------------------------------------------------------------------------- */

static void signal_all(tm_proc *p, int signum) {
  if (!p->exited)
    kill(-p->process.pid, signum);
}

static void kill_now(void *ctx) {
  tm_proc *p = ctx;
  p->timer = NULL;
  signal_all(p, SIGKILL);
}

static void stop(tm_proc *p) {
  signal_all(p, SIGTERM);
  tm_timer_cancel(&p->timer);
  p->timer = tm_timer_start(p->loop, KILL_MS, kill_now, p);
}

static void timed_out(void *ctx) {
  tm_proc *p = ctx;
  p->timer = NULL;
  p->res.timed_out = true;
  stop(p);
}

/* -- what libuv calls ------------------------------------------------------------------ */

static void exited(uv_process_t *process, int64_t status, int signum) {
  tm_proc *p = process->data;
  p->exited = true;
  p->res.code = signum ? -1 : (int)status;
  p->res.signal = signum;
  settle(p);
}

static void give_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
  (void)suggested;
  tm_proc *p = handle->data;
  *out = uv_buf_init(p->chunk, (unsigned)READ_BYTES);
}

static void got(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes) {
  tm_proc *p = stream->data;
  if (n == 0)
    return;
  if (n < 0) {
    uv_read_stop(stream);
    p->reading--;
    settle(p);
    return;
  }
  tm_buf *b = stream == (uv_stream_t *)&p->pipes[STDOUT] ? &p->out : &p->errout;
  size_t room = b->limit - b->len, kept = (size_t)n < room ? (size_t)n : room;
  tm_buf_put(b, bytes->base, kept);
  if (kept == (size_t)n || p->res.too_much)
    return;
  p->res.too_much = true;
  signal_all(p, SIGKILL); /* it is flooding: it would not stop to think about TERM */
}

/* The child may close its stdin early; what it does not read is its own affair. */
static void written(uv_write_t *write, int status) {
  (void)status;
  tm_proc *p = write->data;
  close_one((uv_handle_t *)&p->pipes[STDIN]);
}

/* -- starting -------------------------------------------------------------------------- */

static void open_pipe(tm_proc *p, uv_stdio_container_t *slot, int i) {
  uv_pipe_init(tm_loop_uv(p->loop), &p->pipes[i], 0);
  p->pipes[i].data = p;
  p->open_handles++;
  slot->flags =
      (uv_stdio_flags)(UV_CREATE_PIPE | (i == STDIN ? UV_READABLE_PIPE : UV_WRITABLE_PIPE));
  slot->data.stream = (uv_stream_t *)&p->pipes[i];
}

static int spawn(tm_proc *p, const tm_proc_req *req) {
  uv_stdio_container_t stdio[STREAMS] = {{.flags = UV_IGNORE}};
  for (int i = req->input ? STDIN : STDOUT; i < STREAMS; i++)
    open_pipe(p, &stdio[i], i);
  /* libuv takes these without const, and only hands them to execvp */
  union {
    const char *const *given;
    char **taken;
  } argv = {req->argv}, env = {req->env};
  uv_process_options_t o = {.exit_cb = exited,
                            .file = req->argv[0],
                            .args = argv.taken,
                            .env = env.taken,
                            .cwd = req->cwd,
                            .flags = UV_PROCESS_DETACHED,
                            .stdio_count = STREAMS,
                            .stdio = stdio};
  p->process.data = p;
  p->open_handles++; /* uv_spawn makes the handle one to be closed even when it fails */
  return uv_spawn(tm_loop_uv(p->loop), &p->process, &o);
}

static void feed(tm_proc *p, const tm_proc_req *req) {
  if (!req->input)
    return;
  p->input = tm_strndup(req->input, req->input_len);
  p->write.data = p;
  uv_buf_t bytes = uv_buf_init(p->input, (unsigned)req->input_len);
  if (uv_write(&p->write, (uv_stream_t *)&p->pipes[STDIN], &bytes, 1, written) < 0)
    close_one((uv_handle_t *)&p->pipes[STDIN]);
}

static void read_outputs(tm_proc *p) {
  p->chunk = tm_realloc(NULL, READ_BYTES);
  for (int i = STDOUT; i < STREAMS; i++)
    if (uv_read_start((uv_stream_t *)&p->pipes[i], give_chunk, got) == 0)
      p->reading++;
}

/* The loop closes under us: nobody will hear of the child any more, so it must not stay. */
static void drop_guest(tm_loop_guest *g) {
  tm_proc *p = TM_LIST_OF(g, tm_proc, guest);
  p->done = NULL;
  if (p->exited)
    return;
  signal_all(p, SIGKILL);
  waitpid(p->process.pid, NULL, 0);
  p->exited = true;
}

static void guest_gone(tm_loop_guest *g) {
  release(TM_LIST_OF(g, tm_proc, guest));
}

int tm_proc_start(tm_proc **out, tm_loop *l, const tm_proc_req *req,
                  void (*done)(void *ctx, const tm_proc_res *res), void *ctx, tm_err *err) {
  *out = NULL;
  if (!req->argv || !req->argv[0])
    return tm_err_set(err, TM_USAGE, "a program to run has to be named");
  if (req->input_len > INT32_MAX)
    return tm_err_set(err, TM_LIMIT, "the input of %s is larger than 2 GiB", req->argv[0]);
  tm_proc *p = tm_new(tm_proc);
  p->loop = l;
  p->guest = (tm_loop_guest){.drop = drop_guest, .gone = guest_gone};
  tm_loop_seat(l, &p->guest);
  size_t limit = req->max_output ? req->max_output : MAX_OUTPUT;
  tm_buf_init(&p->out, limit);
  tm_buf_init(&p->errout, limit);
  p->started_ns = tm_clock_ns();
  int rc = spawn(p, req);
  if (rc < 0) {
    p->exited = true;
    close_all(
        p); /* done is not set: nobody is told; the memory goes when the handles are closed */
    return tm_err_set(err, rc == UV_ENOENT ? TM_NOTFOUND : TM_FAILED,
                      "cannot start %s: %s; give its full path, or put its folder into PATH",
                      req->argv[0], uv_strerror(rc));
  }
  p->done = done;
  p->ctx = ctx;
  read_outputs(p);
  feed(p, req);
  p->timer =
      tm_timer_start(l, req->timeout_ms > 0 ? req->timeout_ms : TIMEOUT_MS, timed_out, p);
  *out = p;
  return 0;
}

void tm_proc_cancel(tm_proc **proc) {
  tm_proc *p = *proc;
  *proc = NULL;
  if (!p)
    return;
  p->done = NULL;
  if (!p->exited)
    signal_all(p, SIGKILL);
  p->reading = 0; /* what it still writes is of no interest */
  settle(p);
}
