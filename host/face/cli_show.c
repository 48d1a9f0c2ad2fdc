/* cli_show.c - a run and its journal; what exactly went to a model, also as a curl command. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "face/cli.h"
#include "face/waits.h"

/* -- the journal as a table ------------------------------------------------------------ */

/* The member that says most about a record, by what kind of record it is. */
static const char *const telling[][2] = {
    {"start", "input"}, {"note", "value"}, {"open", "request"}, {"decided", "state"},
    {"done", "value"},  {"fail", "error"}, {"end", "value"},    {"end", "error"},
    {"cancel", "note"}, {"retry", "from"}, {"repin", "now"},
};

static const tm_json *telling_part(const tm_json *r) {
  const char *record = tm_json_get_str(r, "record");
  for (size_t i = 0; record && i < sizeof telling / sizeof telling[0]; i++) {
    const tm_json *part =
        strcmp(telling[i][0], record) == 0 ? tm_json_get(r, telling[i][1]) : NULL;
    if (part && tm_json_type_of(part) != TM_JSON_NULL)
      return tm_json_get_str(part, "message") ? tm_json_get(part, "message") : part;
  }
  return NULL;
}

static void put_attempt(tm_buf *b, const tm_json *a) {
  const char *model = tm_json_get_str(a, "model"), *provider = tm_json_get_str(a, "provider");
  const tm_json *error = tm_json_get(a, "error");
  if (provider && model && !strchr(model, '/'))
    tm_buf_printf(b, "%s/", provider);
  tm_buf_printf(b, "%s", model ? model : "");
  if (tm_json_int(tm_json_get(a, "status"), 0) > 0)
    tm_buf_printf(b, "  status %lld", (long long)tm_json_int(tm_json_get(a, "status"), 0));
  if (tm_json_get(a, "latency_ms")) {
    tm_buf_puts(b, "  ");
    tm_cli_text_duration(b, tm_json_int(tm_json_get(a, "latency_ms"), 0));
  }
  if (error)
    tm_buf_printf(b, "  %s",
                  tm_json_get_str(error, "message") ? tm_json_get_str(error, "message")
                                                    : "failed");
}

/* The attempt at a model that a record tells of, or NULL. */
static const tm_json *attempt_of(const tm_json *r) {
  const tm_json *a = tm_json_get(r, "attempt");
  return tm_json_get(a, "model") ? a : NULL;
}

/* A model's call that was put off. */
static void put_backoff(tm_buf *b, const tm_json *r) {
  const char *message =
      tm_json_get_str(tm_json_get(tm_json_get(r, "back"), "error"), "message");
  char until[TM_CLOCK_TEXT];
  tm_clock_format(tm_json_int(tm_json_get(r, "due"), 0), until);
  tm_buf_printf(b, "backs off until %s: %s", until, message ? message : "");
}

/* What a model asked tools for: "-> find_order {"number":"A-7"}". */
static void put_wishes(tm_buf *b, const tm_json *meta) {
  const tm_json *calls = tm_json_get(meta, "tool_calls");
  for (size_t i = 0; i < tm_json_len(calls); i++) {
    const tm_json *call = tm_json_at(calls, i);
    const char *name = tm_json_get_str(call, "name");
    tm_buf_printf(b, "%s-> %s ", b->len ? "  " : "", name ? name : "");
    tm_json_print(b, tm_json_get(call, "arguments"));
  }
  if (tm_json_bool(tm_json_get(meta, "unsure"), false))
    tm_buf_puts(b, "  unsure");
}

/* That an answer was another call's, and whose. */
static void put_hit(tm_buf *b, const tm_json *r) {
  const tm_json *cached = tm_json_get(tm_json_get(r, "meta"), "cached");
  const char *hit = tm_json_get_str(cached, "hit"), *run = tm_json_get_str(cached, "run");
  if (hit)
    tm_buf_printf(b, "used again (%s) from run %s: ", hit, run ? run : "?");
}

/* Another name answered than was asked: a dated one of the same model, or another model. */
static void put_answered(tm_buf *b, const tm_json *r) {
  const tm_json *meta = tm_json_get(r, "meta");
  const char *asked = tm_json_get_str(meta, "model");
  const char *answered = tm_json_get_str(meta, "model_answered");
  const char *provider = tm_json_get_str(meta, "provider");
  const char *name = asked ? strchr(asked, '/') : NULL;
  bool cassette = provider && strcmp(provider, "cassette") == 0;
  if (name && answered && !cassette && strcmp(name + 1, answered) != 0)
    tm_buf_printf(b, "[%s answered, asked was %s] ", answered, name + 1);
}

/* What happened, in one line. */
static void put_story(tm_buf *b, const tm_json *r) {
  const tm_json *attempt = tm_json_get(r, "attempt"), *part = telling_part(r);
  const tm_json *ms = tm_json_get(r, "ms");
  const char *by = tm_json_get_str(r, "by");
  put_hit(b, r);
  put_answered(b, r);
  if (attempt_of(r))
    put_attempt(b, attempt);
  else if (tm_json_get(r, "back"))
    put_backoff(b, r);
  else if (attempt)
    tm_json_print(b, attempt);
  else if (tm_json_str(part, NULL))
    tm_buf_puts(b, tm_json_str(part, NULL));
  else if (part)
    tm_json_print(b, part);
  put_wishes(b, tm_json_get(r, "meta"));
  if (by && *by)
    tm_buf_printf(b, " by %s", by);
  if (ms) {
    tm_buf_puts(b, "  ");
    tm_cli_text_duration(b, tm_json_int(ms, 0));
  }
}

static void print_record(tm_cli *c, const tm_json *r) {
  tm_buf b = TM_BUF_INIT, story = TM_BUF_INIT;
  tm_buf_printf(&b, "%5lld  ", (long long)tm_json_int(tm_json_get(r, "seq"), 0));
  tm_cli_text_cell(&b, tm_json_get_str(r, "place"), 8, true);
  tm_buf_putc(&b, ' ');
  tm_cli_text_cell(&b, tm_json_get_str(r, "record"), 8, true);
  tm_buf_putc(&b, ' ');
  tm_cli_text_cell(&b, tm_json_get_str(r, "kind"), 8, true);
  tm_buf_putc(&b, ' ');
  tm_cli_text_cell(&b, tm_json_get_str(r, "name"), 20, true);
  tm_buf_putc(&b, ' ');
  put_story(&story, r);
  tm_cli_text_cell(&b, tm_buf_str(&story), c->pretty ? 80 : 400, false);
  while (b.len > 0 && b.data[b.len - 1] == ' ')
    b.len--;
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  putchar('\n');
  tm_buf_free(&story);
  tm_buf_free(&b);
}

static void put_member(tm_buf *b, const char *label, const tm_json *v) {
  if (!v || tm_json_type_of(v) == TM_JSON_NULL)
    return;
  tm_buf_printf(b, "%-9s ", label);
  if (tm_json_str(v, NULL))
    tm_buf_puts(b, tm_json_str(v, NULL));
  else
    tm_json_print(b, v);
  tm_buf_putc(b, '\n');
}

/* A line for each unit whose model was another one than asked, or than in runs beside this. */
static void put_drift(tm_cli *c, tm_buf *b, const char *run) {
  char *text = NULL;
  size_t len = 0;
  if (tidemill_examine(c->engine, run, "drift", NULL, &text, &len) < 0)
    return; /* `doctor` tells what is wrong with a journal */
  const tm_json *findings = tm_json_get(tm_cli_take(c, text, len), "findings");
  for (size_t i = 0; i < tm_json_len(findings); i++)
    put_member(b, "answers", tm_json_get(tm_json_at(findings, i), "message"));
}

/* The reason of a run that waits, in words. */
static void put_waits(tm_cli *c, tm_buf *b, const tm_json *info) {
  const tm_json *reason = tm_json_get(info, "reason");
  tm_buf words = TM_BUF_INIT;
  tm_waits_put_all(&words, reason);
  if (words.len > 0 && !tm_cli_is_paused(info))
    put_member(b, "waits for", tm_json_new_str(&c->arena, tm_buf_str(&words)));
  tm_buf_free(&words);
}

static void print_head(tm_cli *c, const tm_json *info) {
  static const char *const members[] = {"id",           "workflow", "state",     "reason",
                                        "created",      "updated",  "result",    "error",
                                        "state_fields", "parent",   "continued", "sources"};
  tm_buf b = TM_BUF_INIT;
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
    put_member(&b, strcmp(members[i], "id") == 0 ? "run" : members[i],
               tm_json_get(info, members[i]));
  put_waits(c, &b, info);
  const tm_json *error = tm_json_get(info, "error");
  put_member(&b, "error",
             tm_json_get_str(error, "message") ? tm_json_get(error, "message") : error);
  put_drift(c, &b, tm_json_get_str(info, "id"));
  tm_buf_putc(&b, '\n');
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

/* -- exact bytes ----------------------------------------------------------------------- */

static int digit64(char c) {
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(digits, c) : NULL;
  return at ? (int)(at - digits) : -1;
}

static void put_base64(tm_buf *b, const char *text) {
  unsigned bits = 0, count = 0;
  for (int digit; (digit = digit64(*text)) >= 0; text++) {
    bits = bits << 6 | (unsigned)digit;
    count += 6;
    if (count >= 8) {
      count -= 8;
      tm_buf_putc(b, (char)(bits >> count & 0xff));
    }
  }
}

/* Request or response of an attempt: a string, or {"base64": …} when it is not UTF-8. */
static void print_bytes(tm_cli *c, const tm_json *v) {
  size_t len = 0;
  const char *s = tm_json_str(v, &len), *coded = tm_json_get_str(v, "base64");
  tm_buf b = TM_BUF_INIT;
  if (s)
    tm_buf_put(&b, s, len);
  else if (coded)
    put_base64(&b, coded);
  else
    return;
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  putchar('\n');
  tm_buf_free(&b);
}

static void print_headers(tm_cli *c, const tm_json *headers) {
  for (size_t i = 0; i < tm_json_len(headers); i++) {
    const tm_json_member *m = tm_json_member_at(headers, i);
    const char *value = m ? tm_json_str(&m->value, NULL) : NULL;
    if (!value)
      continue;
    char *text = tm_arena_printf(&c->arena, "> %s: %s\n", m->key, value);
    tm_cli_print_text(c, text, strlen(text));
  }
}

void tm_cli_print_attempt(tm_cli *c, const char *title, const tm_json *a) {
  const char *method = tm_json_get_str(a, "method"), *url = tm_json_get_str(a, "url");
  char *head = tm_arena_printf(&c->arena, "# %s\n> %s %s\n", title, method ? method : "ASK",
                               url ? url : "");
  tm_cli_print_text(c, head, strlen(head));
  print_headers(c, tm_json_get(a, "headers"));
  putchar('\n');
  print_bytes(c, tm_json_get(a, "request"));
  printf("\n< status %lld\n\n", (long long)tm_json_int(tm_json_get(a, "status"), 0));
  print_bytes(c, tm_json_get(a, "response"));
  putchar('\n');
}

static void print_raw(tm_cli *c, const tm_json *r, const tm_json *a) {
  const char *name = tm_json_get_str(r, "name");
  tm_cli_print_attempt(c,
                       tm_arena_printf(&c->arena, "record %lld: %s",
                                       (long long)tm_json_int(tm_json_get(r, "seq"), 0),
                                       name ? name : ""),
                       a);
}

/* A masked header becomes the shell variable that holds the key: "Bearer ***" of openai is
 * "Bearer $OPENAI_API_KEY". In double quotes, so that the shell fills it in. */
static void put_header(tm_buf *b, const char *name, const char *value, const char *provider) {
  const char *mask = strstr(value, "***");
  char *text = NULL;
  tm_buf_puts(b, " \\\n  -H ");
  if (mask) {
    const char *scheme =
        strcasecmp(name, "authorization") == 0 && mask == value ? "Bearer " : "";
    tm_buf_printf(b, "\"%s: %s%.*s$", name, scheme, (int)(mask - value), value);
    for (const char *p = provider; *p && *p != '-'; p++) /* openai-chat has openai's key */
      tm_buf_putc(b, isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_');
    tm_buf_puts(b, "_API_KEY\"");
    return;
  }
  tm_buf line = TM_BUF_INIT;
  tm_buf_printf(&line, "%s: %s", name, value);
  size_t len;
  text = tm_buf_take(&line, &len);
  tm_cli_text_shell(b, text, len);
  tm_free(text);
}

static void print_curl(tm_cli *c, const tm_json *a) {
  const char *url = tm_json_get_str(a, "url"), *method = tm_json_get_str(a, "method");
  const char *provider = tm_json_get_str(a, "provider");
  const tm_json *headers = tm_json_get(a, "headers");
  size_t len = 0;
  const char *body = tm_json_str(tm_json_get(a, "request"), &len);
  if (!url || strncmp(url, "http", 4) != 0) {
    tm_cli_note(c, "%s answers in this process: there is nothing to send",
                tm_json_get_str(a, "model"));
    return;
  }
  tm_buf b = TM_BUF_INIT;
  tm_buf_printf(&b, "curl -sS -X %s ", method ? method : "POST");
  tm_cli_text_shell(&b, url, strlen(url));
  for (size_t i = 0; i < tm_json_len(headers); i++) {
    const tm_json_member *m = tm_json_member_at(headers, i);
    const char *value = m ? tm_json_str(&m->value, NULL) : NULL;
    if (value)
      put_header(&b, m->key, value, provider ? provider : "MODEL");
  }
  if (body) {
    tm_buf_puts(&b, " \\\n  --data-binary ");
    tm_cli_text_shell(&b, body, len);
  }
  tm_buf_putc(&b, '\n');
  tm_cli_print_text(c, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
}

/* -- the command ----------------------------------------------------------------------- */

int tm_cli_split_record(tm_cli *c, const char *arg, const char **run, long long *seq) {
  const char *hash = strchr(arg, '#');
  char *end = NULL;
  *run = hash ? tm_arena_strndup(&c->arena, arg, (size_t)(hash - arg)) : arg;
  *seq = hash ? strtoll(hash + 1, &end, 10) : -1;
  if (hash && (!hash[1] || *end || *seq < 0))
    return tm_cli_fail(c, 2, "'%s': expected ID#SEQ with a record's number, such as %s#3", arg,
                       **run ? *run : "ID");
  return 0;
}

const tm_json *tm_cli_history(tm_cli *c, const char *run, bool raw, int *code) {
  char *text = NULL;
  size_t len = 0;
  int rc = tidemill_history(c->engine, run, raw ? "{\"raw\":true}" : NULL, &text, &len);
  *code = rc < 0 ? tm_cli_api_fail(c, rc) : 0;
  return rc < 0 ? NULL : tm_cli_take(c, text, len);
}

const tm_json *tm_cli_record(const tm_json *records, long long seq) {
  for (size_t i = 0; i < tm_json_len(records); i++)
    if (tm_json_int(tm_json_get(tm_json_at(records, i), "seq"), -1) == seq)
      return tm_json_at(records, i);
  return NULL;
}

/* Is the attempt the record that was named, or one of the call that ends with it? */
static bool belongs(const tm_json *attempt, const tm_json *named) {
  const char *place = tm_json_get_str(named, "place"), *kind = tm_json_get_str(named, "kind");
  bool call = place && kind && strcmp(kind, "llm") == 0 && !tm_json_get(named, "attempt");
  return attempt == named || (call && strcmp(tm_json_get_str(attempt, "place"), place) == 0);
}

/* Nothing went to a model for this record: why, and what to type instead. The exit code. */
static int no_attempt(tm_cli *c, const tm_json *named, long long seq) {
  const char *from = tm_json_get_str(tm_json_get(tm_json_get(named, "meta"), "cached"), "run");
  if (from)
    return tm_cli_fail(c, 4,
                       "record %lld is an answer that was used again, from run %s; `tidemill "
                       "show %s --raw` has what went to a model",
                       seq, from, from);
  return tm_cli_fail(c, 4,
                     "record %lld is no attempt at a model; `tidemill show %.*s` lists "
                     "the records",
                     seq, (int)strcspn(c->args[0], "#"), c->args[0]);
}

/* Every attempt of the selected records, raw or as curl. The exit code. */
static int show_attempts(tm_cli *c, const tm_json *records, long long seq) {
  size_t told = 0;
  const tm_json *named = seq >= 0 ? tm_cli_record(records, seq) : NULL;
  for (size_t i = 0; i < tm_json_len(records); i++) {
    const tm_json *r = tm_json_at(records, i), *a = attempt_of(r);
    if (!a || (seq >= 0 && !(named && belongs(r, named))))
      continue;
    told++;
    if (tm_cli_has(c, TM_FLAG_CURL))
      print_curl(c, a);
    else
      print_raw(c, r, a);
  }
  if (told == 0 && seq >= 0)
    return no_attempt(c, named, seq);
  if (told == 0)
    tm_cli_note(c, "no model was asked in this run");
  return 0;
}

static int show_one(tm_cli *c, const tm_json *records, long long seq) {
  const tm_json *r = tm_cli_record(records, seq);
  if (!r)
    return tm_cli_fail(c, 4, "the run has %zu records; there is none with number %lld",
                       tm_json_len(records), seq);
  tm_cli_print_value(c, r, false);
  return 0;
}

/* The run's mill.state: an object with --json, else a line for each field. The exit code. */
static int show_fields(tm_cli *c, const char *run) {
  int code = 0;
  const tm_json *info = tm_cli_get(c, run, &code), *fields = tm_json_get(info, "state_fields");
  if (!info)
    return code;
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, fields ? fields : tm_json_new_object(&c->arena), false);
    return 0;
  }
  tm_buf b = TM_BUF_INIT;
  for (size_t i = 0; i < tm_json_len(fields); i++) {
    const tm_json_member *m = tm_json_member_at(fields, i);
    tm_buf_printf(&b, "%s = ", m->key);
    tm_json_print(&b, &m->value);
    tm_buf_putc(&b, '\n');
  }
  if (b.len)
    tm_cli_print_text(c, tm_buf_str(&b), b.len);
  else
    tm_cli_note(c, "run %s has set no field of mill.state", run);
  tm_buf_free(&b);
  return 0;
}

int tm_cli_show(tm_cli *c) {
  const char *run;
  long long seq;
  bool raw = tm_cli_has(c, TM_FLAG_RAW) || tm_cli_has(c, TM_FLAG_CURL);
  int code = tm_cli_split_record(c, c->args[0], &run, &seq);
  if (code)
    return code;
  if (tm_cli_has(c, TM_FLAG_DIFF))
    return tm_cli_show_diff(c);
  if ((code = tm_cli_open(c)))
    return code;
  if (tm_cli_has(c, TM_FLAG_FIELDS))
    return show_fields(c, run);
  const tm_json *answer = tm_cli_history(c, run, raw || seq >= 0, &code);
  if (!answer)
    return code;
  const tm_json *records = tm_json_get(answer, "records");
  if (raw && !tm_cli_has(c, TM_FLAG_JSON))
    return show_attempts(c, records, seq);
  if (seq >= 0)
    return show_one(c, records, seq);
  if (tm_cli_has(c, TM_FLAG_JSON)) {
    tm_cli_print_value(c, answer, false);
    return 0;
  }
  const tm_json *info = tm_cli_get(c, run, &code);
  if (!info)
    return code;
  print_head(c, info);
  for (size_t i = 0; i < tm_json_len(records); i++)
    print_record(c, tm_json_at(records, i));
  return 0;
}
