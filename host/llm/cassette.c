/* cassette.c - real answers on file: recorded while they are given, replayed without a network.
 */
#include "llm/cassette.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "llm/attempt.h"
#include "llm/stream.h"

#define FILE_MAX ((size_t)64 << 20)
#define WORK_MAX ((size_t)32 << 20)

/* -- what was asked -------------------------------------------------------------------- */

static tm_json *asked(tm_arena *a, const tm_llm_question *q) {
  static const char *const kept[] = {"tools", "tool_choice"};
  tm_json *o = tm_json_new_object(a);
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    const tm_json *v = tm_json_get(q->request, kept[i]);
    if (v)
      tm_json_set(a, o, kept[i], v);
  }
  if (q->messages)
    tm_json_set(a, o, "messages", q->messages);
  if (q->input)
    tm_json_set(a, o, "input", q->input);
  if (tm_json_len(q->config))
    tm_json_set(a, o, "config", q->config);
  if (q->shape)
    tm_json_set(a, o, "schema", q->shape->doc);
  return o;
}

/* -- recording ------------------------------------------------------------------------- */

struct tm_recorder {
  int fd;
  char *path;
};

int tm_recorder_open(tm_recorder **out, const char *path, tm_err *err) {
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0)
    return tm_err_set(err, TM_CONFIG, "the cassette %s cannot be written: %s", path,
                      strerror(errno));
  tm_recorder *r = tm_new(tm_recorder);
  r->fd = fd;
  r->path = tm_strdup(path);
  *out = r;
  return 0;
}

void tm_recorder_close(tm_recorder **recorder) {
  tm_recorder *r = *recorder;
  *recorder = NULL;
  if (!r)
    return;
  close(r->fd);
  tm_free(r->path);
  tm_free(r);
}

static void write_line(tm_recorder *r, tm_buf *line) {
  tm_buf_putc(line, '\n');
  for (size_t at = 0; at < line->len;) {
    ssize_t n = write(r->fd, line->data + at, line->len - at);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      tm_log(TM_LOG_WARN, "llm", "an answer could not be recorded in %s: %s", r->path,
             strerror(errno));
      return;
    }
    at += (size_t)n;
  }
}

/* "openai" speaks one API or the other by its base URL; the file says which it was. */
static const char *api_of(const tm_provider *p) {
  return p->call ? "text" : p == &tm_openai_elsewhere ? tm_openai_chat.name : p->name;
}

void tm_recorder_put(tm_recorder *r, tm_arena *a, const tm_provider *p,
                     const tm_llm_question *q, const tm_llm_wire *wire,
                     const tm_llm_answer *answer, int status, const char *response,
                     size_t len) {
  if (!response || tm_json_utf8_valid(response, len) != len)
    return;
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "key", tm_json_hash(asked(a, q)).hex);
  tm_json_set_str(a, o, "model", tm_arena_printf(a, "%s/%s", q->provider, q->model));
  tm_json_set_str(a, o, "api", api_of(p));
  tm_json_set_bool(a, o, "streamed", q->stream && !p->call);
  tm_json_set_int(a, o, "status", p->call ? 200 : status);
  tm_json_set(a, o, "request_id",
              answer->request_id ? tm_json_new_str(a, answer->request_id) : tm_json_null(a));
  tm_json_set(a, o, "request", tm_attempt_bytes(a, wire->body, wire->body_len, wire->secret));
  tm_json_set(a, o, "response", tm_json_new_strn(a, response, len));
  tm_buf line = TM_BUF_INIT;
  tm_json_print(&line, o);
  write_line(r, &line);
  tm_buf_free(&line);
}

/* -- the file -------------------------------------------------------------------------- */

typedef struct tape {
  tm_arena arena;
  tm_map by_key; /* JSON arrays of lines, in `arena`; by "KEY of MODEL", too */
  tm_map uses;   /* how often a key was answered, as a number */
} tape;

typedef struct cassette {
  tm_provider base;
  const tm_provider *(*find)(void *ctx, const char *api);
  void *ctx;
  tm_map tapes; /* by path */
  tm_arena work;
} cassette;

static void free_tape(tape *t) {
  tm_map_free(&t->by_key);
  tm_map_free(&t->uses);
  tm_arena_free(&t->arena);
  tm_free(t);
}

static bool keep_line(tape *t, const char *key, const tm_json *line) {
  tm_json *list = tm_map_get(&t->by_key, key);
  if (!list) {
    list = tm_json_new_array(&t->arena);
    tm_map_set(&t->by_key, key, list);
  }
  return tm_json_push(&t->arena, list, line) != NULL;
}

static const char *of_model(tm_arena *a, const char *key, const char *model) {
  const char *both = model ? tm_arena_printf(a, "%s of %s", key, model) : NULL;
  return both ? both : key;
}

static int take_line(tape *t, const char *line, size_t len, tm_err *err) {
  tm_json *o;
  if (tm_json_parse(&o, &t->arena, line, len, NULL, err) < 0)
    return -1;
  const char *key = tm_json_get_str(o, "key");
  if (!key || !tm_json_get_str(o, "api") || !tm_json_get_str(o, "response"))
    return tm_err_set(err, TM_USAGE, "key, api or response is missing");
  const char *whose = of_model(&t->arena, key, tm_json_get_str(o, "model"));
  return keep_line(t, key, o) && (whose == key || keep_line(t, whose, o))
             ? 0
             : tm_err_set(err, TM_LIMIT, "it is larger than %zu bytes", FILE_MAX);
}

static int read_lines(tape *t, FILE *f, const char *path, tm_err *err) {
  char *line = NULL;
  size_t cap = 0, number = 0;
  int rc = 0;
  for (ssize_t n; rc == 0 && (n = getline(&line, &cap, f)) > 0;) {
    number++;
    if (take_line(t, line, (size_t)n, err) < 0)
      rc = tm_err_wrap(err, "the cassette %s, line %zu", path, number);
  }
  free(line);
  return rc;
}

static tape *tape_of(cassette *c, const char *path, tm_err *err) {
  tape *t = tm_map_get(&c->tapes, path);
  if (t)
    return t;
  FILE *f = tm_mem_fopen(path, "rbe");
  if (!f) {
    tm_err_set(err, TM_NOTFOUND, "the cassette %s cannot be read: %s", path, strerror(errno));
    return NULL;
  }
  t = tm_new(tape);
  tm_arena_init(&t->arena, FILE_MAX);
  int rc = read_lines(t, f, path, err);
  fclose(f);
  if (rc < 0) {
    free_tape(t);
    return NULL;
  }
  tm_map_set(&c->tapes, path, t);
  return t;
}

/* -- replaying ------------------------------------------------------------------------- */

static int build(tm_llm_wire *out, tm_arena *a, const tm_llm_question *q,
                 const tm_llm_settings *s, tm_err *err) {
  (void)s;
  *out = (tm_llm_wire){.method = "CALL"};
  out->url = tm_arena_printf(a, "cassette:%s", q->model);
  out->wrapped = q->shape && tm_shape_lower(q->shape, TM_DIALECT_OPENAI)->wrapped;
  return tm_llm_put_body(out, a, asked(a, q), err);
}

static const tm_json *next_line(tape *t, const char *key) {
  const tm_json *list = tm_map_get(&t->by_key, key);
  size_t n = tm_json_len(list), use = (size_t)(uintptr_t)tm_map_get(&t->uses, key);
  if (!n)
    return NULL;
  tm_map_set(&t->uses, key, (void *)(uintptr_t)(use + 1));
  return tm_json_at(list, use < n ? use : n - 1);
}

static void hear_again(cassette *c, tm_llm_answer *out, tm_arena *a, const tm_provider *p,
                       const tm_json *line, bool embedding) {
  const char *id = tm_json_get_str(line, "request_id");
  const tm_http_header header = {"x-request-id", id ? id : ""};
  tm_http_res res = {.status = (int)tm_json_int(tm_json_get(line, "status"), 200),
                     .headers = &header,
                     .header_count = id ? 1 : 0};
  res.body = tm_json_str(tm_json_get(line, "response"), &res.body_len);
  if (!tm_json_bool(tm_json_get(line, "streamed"), false)) {
    tm_llm_receive(out, a, p, &res, embedding);
    return;
  }
  tm_llm_stream *s = tm_llm_stream_new(p, &c->work);
  if (res.status < 300)
    tm_llm_stream_feed(s, res.body, res.body_len);
  tm_llm_stream_end(out, a, s, &res, NULL);
  tm_llm_stream_free(&s);
}

static void call(const tm_provider *p, tm_llm_answer *out, tm_arena *a,
                 const tm_llm_question *q) {
  cassette *c = (cassette *)(uintptr_t)p; /* p points into ours, which we may change */
  tm_err err = TM_ERR_INIT;
  tm_hash key = tm_json_hash(asked(a, q));
  tape *t = tape_of(c, q->model, &err);
  const char *as = tm_json_get_str(q->request, "as");
  const tm_json *line = t && as ? next_line(t, of_model(a, key.hex, as)) : NULL;
  if (t && !line)
    line = next_line(t, key.hex);
  const char *api = tm_json_get_str(line, "api");
  const tm_provider *reader = api ? c->find(c->ctx, api) : NULL;
  *out = (tm_llm_answer){.class = TM_LLM_INVALID};
  if (api && strcmp(api, "text") == 0) {
    *out = (tm_llm_answer){.finish = "stop", .model = tm_json_get_str(line, "model")};
    out->text = tm_json_str(tm_json_get(line, "response"), &out->text_len);
    tm_function_read(out, a, q);
  } else if (reader) {
    hear_again(c, out, a, reader, line, q->input != NULL);
  } else if (!t) {
    out->message = tm_arena_strdup(a, err.msg);
  } else {
    out->message = tm_arena_printf(
        a,
        "the cassette %s holds no answer to this request (key %.12s): the prompt, the schema "
        "or "
        "the configuration has changed since it was recorded; record it again with --record",
        q->model, key.hex);
  }
}

tm_provider *tm_cassette_new(const tm_provider *(*find)(void *ctx, const char *api),
                             void *ctx) {
  cassette *c = tm_new(cassette);
  c->base = (tm_provider){.name = "cassette", .build = build, .call = call};
  c->find = find;
  c->ctx = ctx;
  tm_arena_init(&c->work, WORK_MAX);
  return &c->base;
}

void tm_cassette_free(tm_provider **provider) {
  cassette *c = (cassette *)(void *)*provider;
  *provider = NULL;
  if (!c)
    return;
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&c->tapes, &i));)
    free_tape(e->value);
  tm_map_free(&c->tapes);
  tm_arena_free(&c->work);
  tm_free(c);
}
