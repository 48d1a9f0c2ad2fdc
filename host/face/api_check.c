/* api_check.c - all the mistakes in a project's files, with file and line, before any run meets them.
 *
 * The floors below each stop at the first mistake and name it in a sentence that begins with
 * where it is: "FILE:LINE: …", "FILE: line N, …", "FILE: schema /POINTER: …", one within the other
 * when a file fails because of another one. Here such sentences are taken apart again, so that a
 * mistake is told once, in the file that has it.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face/api.h"
#include "text/json_locate.h"

typedef struct checking {
  tidemill *t;
  tm_closure *sources;
  tm_arena arena;
  tm_json *findings;
  int64_t files;
} checking;

/* -- where a sentence points ------------------------------------------------------------ */

typedef struct place {
  const tm_source *file;
  long line; /* 0: not known */
  const char *message;
} place;

/* The line of a schema's pointer, or of the nearest thing above it. A key may hold ": ", too. */
static long schema_line(const tm_source *file, const char *sentence) {
  for (const char *colon = strstr(sentence, ": "); colon; colon = strstr(colon + 1, ": ")) {
    char pointer[TM_ERR_MAX];
    snprintf(pointer, sizeof pointer, "%.*s", (int)(colon - sentence), sentence);
    int line =
        tm_json_locate(file->bytes, file->len, strcmp(pointer, "(root)") == 0 ? "" : pointer);
    if (line > 0)
      return line;
  }
  return tm_json_locate(file->bytes, file->len, "");
}

/* Behind "FILE:": "12: …" or "12:7: …", or nothing of the kind. */
static void read_numbers(place *p) {
  char *end;
  p->line = 0;
  if (isdigit((unsigned char)*p->message)) {
    p->line = strtol(p->message, &end, 10);
    p->message = end + (*end == ':');
    if (isdigit((unsigned char)*p->message)) { /* the column: lines are short */
      strtol(p->message, &end, 10);
      p->message = end + (*end == ':');
    }
  }
  p->message += strspn(p->message, " ");
}

/* Does the sentence go on with a file of the project? Then the mistake is there. */
static bool step_into(const checking *x, place *p) {
  const char *at = p->message, *behind;
  if (strncmp(at, "module \"", 8) == 0 && (behind = strstr(at, "\": ")))
    at = behind + 3;
  size_t n = strcspn(at, ":");
  const tm_source *file = at[n] ? tm_map_getn(&x->sources->files, at, n) : NULL;
  if (!file)
    return false;
  p->file = file;
  p->message = at + n + 1;
  read_numbers(p);
  return true;
}

static void find_line(place *p) {
  int used = 0;
  long line;
  if (p->line > 0)
    return;
  if (sscanf(p->message, "line %ld, %n", &line, &used) == 1 && used > 0) {
    p->line = line;
    p->message += used;
  } else if (strncmp(p->message, "schema ", 7) == 0 &&
             strncmp(p->file->name, "workflows/schemas/", 18) == 0) {
    p->line = schema_line(p->file, p->message + 7);
  }
}

static bool is_known(const checking *x, const tm_json *finding) {
  for (size_t i = 0; i < tm_json_len(x->findings); i++)
    if (tm_json_equal(tm_json_at(x->findings, i), finding))
      return true;
  return false;
}

static void report(checking *x, const tm_source *file, const tm_err *err) {
  place p = {.file = file, .message = err->msg};
  while (step_into(x, &p))
    ;
  find_line(&p);
  tm_json *o = tm_json_new_object(&x->arena);
  tm_json_set_str(&x->arena, o, "file", p.file->name);
  if (p.line > 0)
    tm_json_set_int(&x->arena, o, "line", p.line);
  tm_json_set(
      &x->arena, o, "message",
      tm_json_new_strn(&x->arena, p.message, tm_json_utf8_valid(p.message, strlen(p.message))));
  if (!is_known(x, o))
    tm_json_push(&x->arena, x->findings, o);
}

/* -- looking ----------------------------------------------------------------------------- */

/* "prompts/a/b.prompt" -> "a/b" */
static const char *inner_name(checking *x, const char *file, const char *folder,
                              const char *ending) {
  size_t n = strlen(file), before = strlen(folder), after = strlen(ending);
  return tm_arena_strndup(&x->arena, file + before, n - before - after);
}

static void check_file(checking *x, const tm_source *file) {
  tm_program *program = tm_program_of(x->sources);
  const char *dot = strrchr(file->name, '.'), *hash;
  const tm_prompt *unit;
  const tm_contract *contract;
  tm_err err = TM_ERR_INIT;
  int rc;
  if (strcmp(dot, ".prompt") == 0)
    rc = tm_program_unit(&unit, &hash, program,
                         inner_name(x, file->name, "prompts/", ".prompt"), &err);
  else if (strcmp(dot, ".json") == 0)
    rc = tm_program_schema(&contract, program,
                           inner_name(x, file->name, "workflows/schemas/", ".json"), &err);
  else
    rc = tm_guest_check(x->sources, &x->t->guest, x->t->engine, file->name, &err);
  x->files++;
  if (rc < 0)
    report(x, file, &err);
}

static void check_below(checking *x, const char *folder) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&x->sources->files, &i));)
    if (strncmp(e->key, folder, strlen(folder)) == 0)
      check_file(x, e->value);
}

static int check_named(checking *x, const char *name, tm_err *err) {
  bool prompt = strncmp(name, "prompts/", 8) == 0;
  if (strcmp(name, "prompts") == 0) {
    check_below(x, "prompts/");
    return 0;
  }
  const char *path =
      tm_arena_printf(&x->arena, prompt ? "%s.prompt" : "workflows/%s.lua", name);
  const tm_source *file = tm_closure_file(x->sources, path);
  if (!file)
    return tm_err_set(err, TM_NOTFOUND, "there is no %s \"%s\": %s does not exist",
                      prompt ? "prompt unit" : "workflow", prompt ? name + 8 : name, path);
  check_file(x, file);
  return 0;
}

static int check_list(checking *x, const char *what, tm_err *err) {
  if (!what || !*what)
    check_below(x, "");
  for (size_t n; what && *what; what += n + (what[n] == ',')) {
    n = strcspn(what, ",");
    if (n && check_named(x, tm_arena_strndup(&x->arena, what, n), err) < 0)
      return -1;
  }
  return 0;
}

int tidemill_check(tidemill *t, const char *what, char **out, size_t *len) {
  checking x = {.t = t};
  tm_err err = TM_ERR_INIT;
  int rc = tm_api_enter(t);
  if (rc < 0)
    return rc;
  tm_arena_init(&x.arena, 0);
  x.findings = tm_json_new_array(&x.arena);
  rc = tm_api_sources(t, &x.sources, &err);
  if (rc == 0)
    rc = check_list(&x, what, &err);
  if (rc < 0) {
    rc = tm_api_fail(t, &err);
  } else {
    tm_json *o = tm_json_new_object(&x.arena);
    tm_json_set_str(&x.arena, o, "schema", "tidemill.check/1");
    tm_json_set_bool(&x.arena, o, "ok", tm_json_len(x.findings) == 0);
    tm_json_set_int(&x.arena, o, "files", x.files);
    tm_json_set(&x.arena, o, "findings", x.findings);
    rc = tm_api_give(o, out, len);
  }
  tm_closure_release(&x.sources);
  tm_arena_free(&x.arena);
  return rc;
}
