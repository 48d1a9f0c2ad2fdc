/* world.c - what the engine asks of the outside: models, HTTP, programs, files, the host's
 * functions.
 *
 * The engine holds a tm_task; what runs for it here is a `work` that remembers the task until
 * it is finished or cancelled. Secrets named by a header's {"env": NAME} are read at this last
 * moment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face/api.h"
#include "llm/mask.h"
#include "script/embed.h"
#include "script/rules.h"

#define MAX_FILE ((size_t)16 << 20)

typedef struct work {
  tidemill *t;
  tm_task *task; /* NULL: nobody wants it any more */
  tm_llm_ask *ask;
  tm_http_call *http;
  tm_proc *proc;
  tm_buf text;    /* of a file */
  tm_buf secrets; /* that headers were given, each with its NUL */
  bool posted;    /* a loop callback will come for it */
} work;

struct tidemill_call {
  work *work; /* an action's; NULL for a model's, or once cancelled */
  tidemill *t;
  char *name, *input, *key;
  size_t input_len;
  char *result, *error; /* what the function said, until the loop takes it */
  bool happened, finished, inside;
};

static work *begin(tidemill *t, tm_task *task) {
  work *w = tm_new(work);
  w->t = t;
  w->task = task;
  task->handle = w;
  return w;
}

static void end(work *w) {
  tm_buf_free(&w->text);
  tm_buf_free(&w->secrets);
  tm_free(w);
}

static tm_json *world_error(tm_arena *a, const char *kind, const char *message, bool unknown) {
  tm_json *e = tm_run_error(a, kind, "%s", message);
  tm_json_set_bool(a, e, "unknown", unknown);
  return e;
}

/* -- models ----------------------------------------------------------------------------------
 */

static void on_attempt(void *ctx, const tm_json *attempt) {
  work *w = ctx;
  if (w->task)
    tm_task_attempt(w->task, attempt);
}

static void on_answer(void *ctx, const tm_json *value, const tm_json *meta,
                      const tm_json *error) {
  work *w = ctx;
  tm_task *task = w->task;
  end(w);
  tm_task_finish(task, value, meta, error);
}

static void on_later(void *ctx, int64_t wait_ms, const tm_json *state, const tm_json *meta,
                     const tm_json *error) {
  work *w = ctx;
  tm_task *task = w->task;
  end(w);
  tm_task_later(task, wait_ms, state, meta, error);
}

static const char *from_environment(void *ctx, const char *name) {
  (void)ctx;
  return getenv(name);
}

static int scripted(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                    tm_err *err) {
  tidemill *t = ctx;
  tm_rules *rules = tm_map_get(&t->rules, model);
  if (!rules) {
    char path[4096];
    if (strchr(model, '/') || *model == '.')
      return tm_err_set(err, TM_USAGE, "scripted/%s is no name of a scripted model", model);
    snprintf(path, sizeof path, "%s/prompts/scripted/%s.lua", t->options->dir, model);
    if (tm_rules_open(&rules, path, err) < 0)
      return -1;
    tm_map_set(&t->rules, model, rules);
  }
  return tm_rules_answer(rules, request, answer, err);
}

static int open_http(tidemill *t, tm_err *err) {
  return t->http ? 0 : tm_http_open(&t->http, t->loop, err);
}

/* The URL of a workflow, or of media in a message, may hold what a customer or a model wrote. */
static int open_guard(tidemill *t, tm_err *err) {
  const char *set = getenv("TIDEMILL_HTTP_PRIVATE"), *listed = t->options->http_private;
  if (t->guard)
    return 0;
  t->guard = tm_guard_new();
  if (tm_guard_allow(t->guard, listed ? listed : "", err) == 0 &&
      tm_guard_allow(t->guard, set ? set : "", err) == 0)
    return 0;
  tm_guard_free(&t->guard);
  return tm_err_wrap(err, "TIDEMILL_HTTP_PRIVATE");
}

/* A table of ours, dated; over it what tidemill.yaml says. */
static int set_table(tidemill *t, const char *file, const tm_json *own,
                     int (*set)(tm_llm *l, const tm_json *table, tm_err *err), tm_err *err) {
  const tm_embed_file *f = tm_embed_find(file);
  tm_arena a;
  tm_json *table;
  tm_arena_init(&a, 0);
  int rc = tm_json_parse(&table, &a, f->bytes, f->len, NULL, err);
  if (rc == 0)
    rc = set(t->llm, table, err);
  if (rc == 0 && tm_json_len(own))
    rc = set(t->llm, own, err);
  tm_arena_free(&a);
  return rc;
}

static int set_tables(tidemill *t, tm_err *err) {
  const tidemill_options *o = t->options;
  return set_table(t, "prices.json", o->prices, tm_llm_set_prices, err) < 0 ||
                 set_table(t, "models.json", o->capabilities, tm_llm_set_models, err) < 0
             ? -1
             : 0;
}

/* After the providers are known: a limit names one of them. */
static int set_limits(tidemill *t, tm_err *err) {
  tm_llm_cells cells = tm_cells_port(&t->cells, t->store, t->loop);
  if (tm_llm_restrain(t->llm, t->options->limits, &cells, &t->clock, err) == 0)
    return 0;
  return tm_err_wrap(err, "%s/tidemill.yaml", t->options->dir);
}

static int open_llm(tidemill *t, tm_err *err) {
  if (open_http(t, err) < 0 || open_guard(t, err) < 0 ||
      tm_llm_open(&t->llm, t->loop, t->http, from_environment, NULL, err) < 0 ||
      set_tables(t, err) < 0 || tm_llm_record(t->llm, t->options->record, err) < 0)
    return -1;
  tm_llm_set_guard(t->llm, t->guard);
  tm_llm_register(t->llm, "scripted", scripted, t);
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&t->providers, &i));)
    tm_llm_register(t->llm, e->key, tm_world_provider, e->value);
  return set_limits(t, err);
}

int tm_world_llm(tidemill *t, tm_llm **out, tm_err *err) {
  if (!t->llm && open_llm(t, err) < 0) {
    tm_llm_close(&t->llm);
    return -1;
  }
  *out = t->llm;
  return 0;
}

/* Tokens as they come: for eyes only, never recorded. */
static void on_delta(void *ctx, const char *text, size_t len) {
  work *w = ctx;
  if (w->task)
    tm_task_delta(w->task, text, len);
}

static void on_waiting(void *ctx, const tm_json *why) {
  work *w = ctx;
  if (w->task)
    tm_task_waiting(w->task, why);
}

static int start_llm(work *w, const tm_json *request, tm_err *err) {
  tm_llm *llm;
  tm_llm_events ev = {.delta = on_delta,
                      .attempt = on_attempt,
                      .waiting = on_waiting,
                      .done = on_answer,
                      .later = on_later,
                      .ctx = w};
  return tm_world_llm(w->t, &llm, err) < 0
             ? -1
             : tm_llm_resume(&w->ask, llm, request, w->task->state, &ev, err);
}

static int start_embed(work *w, const tm_json *request, tm_err *err) {
  tm_llm *llm;
  tm_llm_events ev = {.attempt = on_attempt,
                      .waiting = on_waiting,
                      .done = on_answer,
                      .later = on_later,
                      .ctx = w};
  return tm_world_llm(w->t, &llm, err) < 0
             ? -1
             : tm_llm_embed(&w->ask, llm, request, w->task->state, &ev, err);
}

/* -- HTTP
 * ------------------------------------------------------------------------------------------ */

#define MAX_HEADERS 64

#define SECRET_MIN 8 /* bytes: a shorter value of the environment may stand in any answer */

/* What must not come back in the answer: all of the value, and what is behind "Bearer". */
static void keep_secret(tm_buf *secrets, const char *value) {
  const char *last = strrchr(value, ' ');
  for (int i = 0; i < 2; i++, value = last + 1) {
    if (strlen(value) >= SECRET_MIN)
      tm_buf_put(secrets, value, strlen(value) + 1);
    if (!last)
      return;
  }
}

/* "value", or {"env": "NAME"}: a secret by reference. */
static const char *header_value(tm_buf *secrets, const tm_json *v, tm_err *err) {
  const char *text = tm_json_str(v, NULL), *name = tm_json_get_str(v, "env");
  if (!text && name && !(text = getenv(name)))
    tm_err_set(err, TM_CONFIG, "the environment variable %s, which a header needs, is not set",
               name);
  else if (!text)
    tm_err_set(err, TM_USAGE, "a header's value must be a text or {env = \"NAME\"}");
  else if (name)
    keep_secret(secrets, text);
  return text;
}

static int read_headers(tm_http_header *out, size_t *count, tm_buf *secrets,
                        const tm_json *headers, tm_err *err) {
  *count = tm_json_len(headers);
  if (*count > MAX_HEADERS)
    return tm_err_set(err, TM_LIMIT, "a request has at most %d headers", MAX_HEADERS);
  for (size_t i = 0; i < *count; i++) {
    const tm_json_member *m = tm_json_member_at(headers, i);
    out[i].name = m->key;
    out[i].value = header_value(secrets, &m->value, err);
    if (!out[i].value)
      return -1;
  }
  return 0;
}

/* Text that goes into the journal has to be UTF-8; other bytes are told as such. */
static tm_json *bytes_json(tm_arena *a, const char *bytes, size_t len) {
  size_t valid = tm_json_utf8_valid(bytes, len);
  return valid == len
             ? tm_json_new_strn(a, bytes, len)
             : tm_json_new_str(a, tm_arena_printf(a, "(%zu bytes that are not UTF-8)", len));
}

static void on_response(void *ctx, const tm_http_res *given) {
  work *w = ctx;
  tm_task *task = w->task;
  tm_http_res clean = *given, *res = &clean;
  tm_arena a;
  tm_arena_init(&a, 0);
  for (size_t at = 0; at < w->secrets.len; at += strlen(w->secrets.data + at) + 1)
    tm_llm_scrub_answer(res, &a, w->secrets.data + at);
  if (res->fault != TM_HTTP_OK) {
    tm_task_finish(
        task, NULL, NULL,
        world_error(&a, "http", res->message ? res->message : "the request failed", res->sent));
  } else {
    tm_json *v = tm_json_new_object(&a), *headers = tm_json_new_object(&a);
    for (size_t i = 0; i < res->header_count; i++)
      tm_json_set(&a, headers, res->headers[i].name,
                  bytes_json(&a, res->headers[i].value, strlen(res->headers[i].value)));
    tm_json_set_int(&a, v, "status", res->status);
    tm_json_set(&a, v, "headers", headers);
    tm_json_set(&a, v, "body", bytes_json(&a, res->body ? res->body : "", res->body_len));
    tm_task_finish(task, v, NULL, NULL);
  }
  end(w);
  tm_arena_free(&a);
}

static int start_http(work *w, const tm_json *request, tm_err *err) {
  tm_http_header headers[MAX_HEADERS];
  size_t body_len = 0;
  tm_http_req req = {.method = tm_json_get_str(request, "method"),
                     .url = tm_json_get_str(request, "url"),
                     .headers = headers,
                     .total_ms = tm_json_int(tm_json_get(request, "timeout_ms"), 0)};
  if (read_headers(headers, &req.header_count, &w->secrets, tm_json_get(request, "headers"),
                   err) < 0 ||
      open_http(w->t, err) < 0 || open_guard(w->t, err) < 0)
    return -1;
  req.guard = w->t->guard;
  req.body = tm_json_str(tm_json_get(request, "body"), &body_len);
  req.body_len = body_len;
  return tm_http_start(&w->http, w->t->http, &req, on_response, w, err);
}

/* -- programs -------------------------------------------------------------------------- */

static void on_exit_of(void *ctx, const tm_proc_res *res) {
  work *w = ctx;
  tm_task *task = w->task;
  tm_arena a;
  tm_arena_init(&a, 0);
  if (res->timed_out || res->too_much || res->signal) {
    const char *why = res->timed_out  ? "it took too long"
                      : res->too_much ? "it printed too much"
                                      : "a signal ended it";
    tm_task_finish(task, NULL, NULL, world_error(&a, "exec", why, true));
  } else {
    tm_json *v = tm_json_new_object(&a);
    tm_json_set_int(&a, v, "code", res->code);
    tm_json_set(&a, v, "out", bytes_json(&a, res->out, res->out_len));
    tm_json_set(&a, v, "err", bytes_json(&a, res->errout, res->errout_len));
    tm_task_finish(task, v, NULL, NULL);
  }
  end(w);
  tm_arena_free(&a);
}

static int start_exec(work *w, const tm_json *request, tm_err *err) {
  const tm_json *list = tm_json_get(request, "argv");
  size_t n = tm_json_len(list), input_len = 0;
  tm_arena a;
  if (n == 0 || n > 1000)
    return tm_err_set(err, TM_USAGE, "mill.exec takes a list of 1 to 1000 texts");
  tm_arena_init(&a, 0);
  const char **argv = tm_arena_array(&a, const char *, n + 1);
  int rc = 0;
  for (size_t i = 0; i < n && rc == 0; i++)
    if (!(argv[i] = tm_json_str(tm_json_at(list, i), NULL)))
      rc = tm_err_set(err, TM_USAGE, "mill.exec: argument %zu is no text", i + 1);
  const char *cwd = tm_json_get_str(request, "cwd");
  tm_proc_req req = {.argv = argv,
                     .cwd = cwd ? cwd : w->t->options->dir,
                     .timeout_ms = tm_json_int(tm_json_get(request, "timeout_ms"), 0)};
  req.input = tm_json_str(tm_json_get(request, "input"), &input_len);
  req.input_len = input_len;
  if (rc == 0)
    rc = tm_proc_start(&w->proc, w->t->loop, &req, on_exit_of, w, err);
  tm_arena_free(&a);
  return rc;
}

/* -- files: done at once, told by the loop
 * -------------------------------------------------------------------- */

static void file_done(void *arg) {
  work *w = arg;
  tm_arena a;
  tm_arena_init(&a, 0);
  w->posted = false;
  if (w->task)
    tm_task_finish(w->task,
                   w->text.data ? bytes_json(&a, w->text.data, w->text.len) : tm_json_null(&a),
                   NULL, NULL);
  end(w);
  tm_arena_free(&a);
}

static int read_file(work *w, const char *path, tm_err *err) {
  FILE *f = tm_mem_fopen(path, "rb");
  if (!f)
    return errno == ENOENT
               ? 0
               : tm_err_set(err, TM_FAILED, "cannot read %s: %s", path, strerror(errno));
  size_t n;
  do {
    tm_buf_reserve(&w->text, 65536);
    n = fread(w->text.data + w->text.len, 1, 65536, f);
    w->text.len += n;
  } while (n > 0 && w->text.len <= MAX_FILE);
  bool bad = ferror(f);
  fclose(f);
  if (bad || w->text.len > MAX_FILE)
    return tm_err_set(err, TM_LIMIT, bad ? "cannot read %s" : "%s is larger than 16 MiB", path);
  tm_buf_puts(&w->text, "");
  return 0;
}

static int write_file(const char *path, const char *mode, const tm_json *text, tm_err *err) {
  size_t len = 0;
  const char *bytes = tm_json_str(text, &len);
  FILE *f = tm_mem_fopen(path, mode);
  if (!f)
    return tm_err_set(err, TM_FAILED, "cannot write %s: %s", path, strerror(errno));
  bool ok = fwrite(bytes ? bytes : "", 1, len, f) == len;
  ok = fclose(f) == 0 && ok;
  return ok ? 0 : tm_err_set(err, TM_FAILED, "cannot write %s: %s", path, strerror(errno));
}

static int start_file(work *w, const tm_json *request, tm_err *err) {
  const char *op = tm_json_get_str(request, "op"), *given = tm_json_get_str(request, "path");
  char path[4096];
  snprintf(path, sizeof path, "%s%s%s", *given == '/' ? "" : w->t->options->dir,
           *given == '/' ? "" : "/", given);
  int rc = strcmp(op, "read") == 0 ? read_file(w, path, err)
                                   : write_file(path, strcmp(op, "append") == 0 ? "ab" : "wb",
                                                tm_json_get(request, "text"), err);
  if (rc == 0) {
    w->posted = true;
    tm_loop_post(w->t->loop, file_done, w);
  }
  return rc;
}

/* -- functions of the embedding program
 * -------------------------------------------------------------------------- */

const char *tidemill_call_name(const tidemill_call *c) {
  return c->name;
}

const char *tidemill_call_input(const tidemill_call *c, size_t *len) {
  if (len)
    *len = c->input_len;
  return c->input;
}

const char *tidemill_call_key(const tidemill_call *c) {
  return c->key;
}

static tidemill_call *new_call(tidemill *t, const char *name, const tm_json *input,
                               const char *key) {
  tidemill_call *c = tm_new(tidemill_call);
  c->t = t;
  c->name = tm_strdup(name);
  c->key = tm_strdup(key);
  tm_api_give(input, &c->input, &c->input_len);
  return c;
}

static void free_call(tidemill_call *c) {
  tm_free(c->name);
  tm_free(c->input);
  tm_free(c->key);
  tm_free(c->result);
  tm_free(c->error);
  tm_free(c);
}

/* An action's call is over: on the loop's thread. */
static void call_done(void *arg) {
  tidemill_call *c = arg;
  work *w = c->work;
  tm_arena a;
  tm_json *value = NULL;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  if (w) {
    w->posted = false;
    if (!w->task)
      ;
    else if (c->error)
      tm_task_finish(w->task, NULL, NULL, world_error(&a, "host", c->error, c->happened));
    else if (tm_json_parse(&value, &a, c->result, strlen(c->result), NULL, &err) == 0)
      tm_task_finish(w->task, value, NULL, NULL);
    end(w);
  }
  free_call(c);
  tm_arena_free(&a);
}

static void finish_call(tidemill_call *c) {
  c->finished = true;
  if (c->work) {
    c->work->posted = true;
    tm_loop_post(c->t->loop, call_done, c);
  }
}

int tidemill_complete(tidemill_call *c, const char *json, size_t len) {
  tm_arena a;
  tm_json *v;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  int rc = tm_json_parse(&v, &a, json, len == SIZE_MAX ? strlen(json) : len, NULL, &err);
  if (rc == 0 && !c->finished) {
    tm_api_give(v, &c->result, NULL);
    finish_call(c);
  }
  tm_arena_free(&a);
  return rc < 0 ? TIDEMILL_EUSAGE : 0;
}

int tidemill_fail(tidemill_call *c, const char *message, int happened) {
  if (c->finished)
    return TIDEMILL_EUSAGE;
  c->error = tm_strdup(message);
  c->happened = happened != 0;
  finish_call(c);
  return 0;
}

static int start_host(work *w, const char *name, const tm_json *request, tm_err *err) {
  tm_host_fn *f = tm_map_get(&w->t->actions, name);
  if (!f)
    return tm_err_set(
        err, TM_CONFIG,
        "action \"%s\" is declared host = true, but this program has no such action "
        "(tidemill_register_action)",
        name);
  const char *key = tm_json_get_str(request, "key");
  tidemill_call *c = new_call(w->t, name, tm_json_get(request, "args"), key ? key : "");
  c->work = w;
  w->posted = true; /* the function may finish it later: the call holds the work */
  f->fn(f->user, c);
  return 0;
}

/* A provider in this process answers before it returns: tm_llm_fn. */
int tm_world_provider(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                      tm_err *err) {
  tm_host_fn *f = ctx;
  tidemill_call *c = new_call(f->owner, model, request, "");
  f->fn(f->user, c);
  int rc = 0;
  if (!c->finished) {
    c->finished = true;
    rc = tm_err_set(err, TM_FAILED, "the provider %s returned without an answer", f->name);
  } else if (c->error) {
    rc = tm_err_set(err, TM_FAILED, "%s", c->error);
  } else {
    tm_arena a;
    tm_json *v;
    size_t len;
    tm_arena_init(&a, 0);
    rc = tm_json_parse(&v, &a, c->result, strlen(c->result), NULL, err);
    const char *text = rc == 0 ? tm_json_str(v, &len) : NULL;
    bool wants_json = tm_json_get(request, "schema") != NULL;
    if (text && !wants_json)
      tm_buf_put(answer, text, len);
    else
      tm_buf_puts(answer, c->result);
    tm_arena_free(&a);
  }
  free_call(c);
  return rc;
}

static int register_fn(tidemill *t, tm_map *table, const char *name, tidemill_fn fn,
                       void *user) {
  int rc = tm_api_enter(t);
  tm_err err = TM_ERR_INIT;
  if (rc < 0)
    return rc;
  if (!name || !*name || strchr(name, '/') || !fn || tm_map_get(table, name)) {
    tm_err_set(&err, TM_USAGE, "\"%s\" is no name, has no function, or is registered already",
               name ? name : "");
    return tm_api_fail(t, &err);
  }
  tm_host_fn *f = tm_new(tm_host_fn);
  *f = (tm_host_fn){.owner = t, .fn = fn, .user = user, .name = tm_strdup(name)};
  tm_map_set(table, name, f);
  if (table == &t->providers && t->llm)
    tm_llm_register(t->llm, name, tm_world_provider, f);
  return 0;
}

int tidemill_register_action(tidemill *t, const char *name, tidemill_fn fn, void *user) {
  return register_fn(t, &t->actions, name, fn, user);
}

int tidemill_register_provider(tidemill *t, const char *name, tidemill_fn fn, void *user) {
  return register_fn(t, &t->providers, name, fn, user);
}

/* -- the ports ------------------------------------------------------------------------- */

int tm_world_start(void *ctx, tm_task *task, const char *name, const tm_json *request,
                   tm_err *err) {
  work *w = begin(ctx, task);
  int rc;
  switch (task->kind) {
  case TM_CALL_LLM:
    rc = start_llm(w, request, err);
    break;
  case TM_CALL_EMBED:
    rc = start_embed(w, request, err);
    break;
  case TM_CALL_HTTP:
    rc = start_http(w, request, err);
    break;
  case TM_CALL_EXEC:
    rc = start_exec(w, request, err);
    break;
  case TM_CALL_FILE:
    rc = start_file(w, request, err);
    break;
  default:
    rc = start_host(w, name, request, err);
  }
  if (rc < 0)
    end(w);
  return rc;
}

void tm_world_cancel(void *ctx, tm_task *task) {
  (void)ctx;
  work *w = task->handle;
  w->task = NULL;
  task->unsent = w->ask && !tm_llm_sent(w->ask);
  tm_llm_cancel(&w->ask);
  tm_http_cancel(&w->http);
  tm_proc_cancel(&w->proc);
  if (!w->posted)
    end(w);
}

void tm_world_close(tidemill *t) {
  tm_map_entry *e;
  tm_llm_close(&t->llm);
  tm_http_close(&t->http);
  tm_guard_free(&t->guard);
  for (size_t i = 0; (e = tm_map_next(&t->rules, &i));) {
    tm_rules *r = e->value;
    tm_rules_close(&r);
  }
  tm_map_free(&t->rules);
}
