/* checks.c - content checks: read once, then held against answers.
 *
 *   spec ──compile──> sets, one for each object ──run──> texts of the answer ──> report
 */
#include "text/checks.h"

#include <math.h>

#include "text/schema_program.h"
#include "text/wording.h"

#define SCRATCH_MAX   ((size_t)64 << 20)
#define TEXT_MAX      4096 /* bytes of a message */
#define REPORT_MAX    20
#define PATTERN_SHOWN 300 /* bytes of a pattern in a message */
#define NAME_SHOWN    80
#define AT_LEAST      0.5 /* of similar_to */

typedef struct pattern {
  const regex *re;
  const char *text;
  struct pattern *next;
} pattern;

/* One object of the spec. */
typedef struct check_set {
  const char *at;            /* where it stands in the spec: "" or "/1" */
  const char *of;            /* member or pointer; NULL: the whole answer */
  pattern *wanted, *refused; /* must_match, must_not_match */
  int64_t most, least;       /* characters; -1: not said */
  const tm_json *sources;    /* grounded_in: a name or a list; NULL: not said */
  const char *like_name;     /* similar_to: the variable, or NULL */
  const tm_json *like_text;  /* ... or the text itself */
  double share;              /* ... and how much of it */
  struct check_set *next;
} check_set;

struct tm_checks {
  check_set *first;
};

/* -- reading the spec -----------------------------------------------------------------------
 */

typedef struct reader {
  tm_arena *a;
  check_set *set;
  tm_err *err;
} reader;

typedef int (*read_fn)(reader *r, const char *name, const tm_json *v);

static int no_memory(const reader *r) {
  return tm_err_set(r->err, TM_LIMIT, "no memory is left to read the checks");
}

static int takes(const reader *r, const char *name, const char *what) {
  return tm_err_set(r->err, TM_USAGE, "the check %s takes %s", name, what);
}

/* How many entries "x" or ["x", …] has; 0: it is neither, or too long. */
static size_t entries(const tm_json *v) {
  if (tm_json_type_of(v) == TM_JSON_STRING)
    return 1;
  size_t n = tm_json_type_of(v) == TM_JSON_ARRAY ? tm_json_len(v) : 0;
  for (size_t i = 0; i < n; i++)
    if (tm_json_type_of(tm_json_at(v, i)) != TM_JSON_STRING)
      return 0;
  return n <= TM_CHECKS_MAX ? n : 0;
}

static const char *entry(const tm_json *v, size_t i, size_t *len) {
  return tm_json_str(tm_json_type_of(v) == TM_JSON_ARRAY ? tm_json_at(v, i) : v, len);
}

static int read_patterns(reader *r, const char *name, const tm_json *v, pattern **list) {
  size_t n = entries(v);
  if (n == 0)
    return takes(r, name, "a regular expression, or a list of up to 64 of them");
  for (size_t i = 0; i < n; i++) {
    size_t len;
    const char *why, *text = entry(v, i, &len);
    pattern *p = tm_arena_new(r->a, pattern);
    if (!p)
      return no_memory(r);
    *p = (pattern){tm_schema_regex_new(r->a, text, len, &why), text, NULL};
    if (!p->re && strcmp(why, TM_SCHEMA_NO_MEMORY) == 0)
      return no_memory(r);
    if (!p->re)
      return tm_err_set(r->err, TM_USAGE,
                        "the check %s: \"%.200s\" is not a regular expression: %s", name, text,
                        why);
    *list = p;
    list = &p->next;
  }
  return 0;
}

static int read_must_match(reader *r, const char *name, const tm_json *v) {
  return read_patterns(r, name, v, &r->set->wanted);
}

static int read_must_not_match(reader *r, const char *name, const tm_json *v) {
  return read_patterns(r, name, v, &r->set->refused);
}

static int read_count(reader *r, const char *name, const tm_json *v, int64_t *out) {
  *out = tm_json_int(v, -1);
  return *out >= 0 ? 0 : takes(r, name, "a whole number of characters");
}

static int read_max_chars(reader *r, const char *name, const tm_json *v) {
  return read_count(r, name, v, &r->set->most);
}

static int read_min_chars(reader *r, const char *name, const tm_json *v) {
  return read_count(r, name, v, &r->set->least);
}

static int read_grounded_in(reader *r, const char *name, const tm_json *v) {
  r->set->sources = v;
  return entries(v) ? 0 : takes(r, name, "the name of a variable, or a list of up to 64");
}

static bool is_share(double d) {
  return d > 0 && d <= 1;
}

static int read_similar_to(reader *r, const char *name, const tm_json *v) {
  check_set *s = r->set;
  const tm_json *least = tm_json_get(v, "at_least");
  s->like_name = tm_json_str(v, NULL);
  if (!s->like_name)
    s->like_name = tm_json_get_str(v, "variable");
  if (tm_json_get_str(v, "text"))
    s->like_text = tm_json_get(v, "text");
  s->share = least ? tm_json_number(least, 0) : AT_LEAST;
  size_t known = 1u + (least != NULL);
  bool fits = !s->like_name != !s->like_text && is_share(s->share) &&
              (tm_json_str(v, NULL) || tm_json_len(v) == known);
  return fits
             ? 0
             : takes(r, name,
                     "the name of a variable, or {variable or text, at_least: a number above 0 "
                     "and up to 1}");
}

static int read_of(reader *r, const char *name, const tm_json *v) {
  r->set->of = tm_json_str(v, NULL);
  return r->set->of && *r->set->of
             ? 0
             : takes(r, name, "the name of a member of the answer, or a JSON pointer");
}

static const struct {
  const char *name;
  read_fn read;
} kinds[] = {{"must_match", read_must_match},
             {"must_not_match", read_must_not_match},
             {"max_chars", read_max_chars},
             {"min_chars", read_min_chars},
             {"grounded_in", read_grounded_in},
             {"similar_to", read_similar_to},
             {"of", read_of}};

#define KINDS (sizeof kinds / sizeof kinds[0])

static int read_member(reader *r, const tm_json_member *m) {
  for (size_t i = 0; i < KINDS; i++)
    if (strcmp(m->key, kinds[i].name) == 0)
      return kinds[i].read(r, m->key, &m->value);
  return tm_err_set(r->err, TM_USAGE,
                    "there is no check \"%.80s\"; the checks are must_match, must_not_match, "
                    "max_chars, min_chars, grounded_in, similar_to, and `of` for where",
                    m->key);
}

static int read_set(reader *r, const tm_json *v, const char *at) {
  if (tm_json_type_of(v) != TM_JSON_OBJECT)
    return tm_err_set(r->err, TM_USAGE, "checks are an object, or a list of objects");
  *r->set = (check_set){.at = at, .most = -1, .least = -1};
  for (size_t i = 0; i < tm_json_len(v); i++)
    if (read_member(r, tm_json_member_at(v, i)) < 0)
      return -1;
  return 0;
}

int tm_checks_compile(tm_checks **out, tm_arena *a, const tm_json *spec, tm_err *err) {
  tm_checks *c = tm_arena_new(a, tm_checks);
  reader r = {.a = a, .err = err};
  bool list = tm_json_type_of(spec) == TM_JSON_ARRAY;
  size_t n = list ? tm_json_len(spec) : 1;
  if (n > TM_CHECKS_MAX)
    return tm_err_set(err, TM_USAGE, "there may be at most %d objects of checks",
                      TM_CHECKS_MAX);
  check_set **end = c ? &c->first : NULL;
  for (size_t i = 0; i < n && c; i++) {
    char *at = list ? tm_arena_printf(a, "/%zu", i) : tm_arena_strdup(a, "");
    r.set = tm_arena_new(a, check_set);
    if (!at || !r.set)
      return no_memory(&r);
    if (read_set(&r, list ? tm_json_at(spec, i) : spec, at) < 0)
      return -1;
    *end = r.set;
    end = &r.set->next;
  }
  *out = c;
  return c ? 0 : no_memory(&r);
}

/* -- the texts of an answer -------------------------------------------------------------------
 */

typedef struct text {
  tm_wording span;
  const char *pointer;
  struct text *next;
} text;

typedef struct run_of_checks {
  tm_arena scratch;
  const check_set *set;
  const tm_json *vars;
  const char *pointer; /* of the value that the set looks at */
  text *texts;
  tm_schema_report *report;
  regex_room *room;
  tm_err *err;
  bool wrong;
} run_of_checks;

static int ran_out(const run_of_checks *r) {
  return tm_err_set(r->err, TM_LIMIT, "no memory is left to check the answer");
}

/* Pointer to a member; NULL: out of memory. */
static char *pointer_to(tm_arena *a, const char *up, const tm_json_member *m) {
  tm_buf b = TM_BUF_INIT;
  tm_buf_puts(&b, up);
  tm_buf_putc(&b, '/');
  for (size_t i = 0; i < m->key_len; i++)
    if (m->key[i] == '~' || m->key[i] == '/')
      tm_buf_puts(&b, m->key[i] == '~' ? "~0" : "~1");
    else
      tm_buf_putc(&b, m->key[i]);
  char *out = tm_arena_strndup(a, tm_buf_str(&b), b.len);
  tm_buf_free(&b);
  return out;
}

/* Every string in v, in order, linked at *end. NULL: out of memory. */
static text **collect(tm_arena *a, text **end, const tm_json *v, const char *pointer) {
  if (tm_json_type_of(v) == TM_JSON_STRING) {
    text *t = tm_arena_new(a, text);
    if (!t)
      return NULL;
    t->span.s = tm_json_str(v, &t->span.len);
    t->pointer = pointer;
    *end = t;
    return &t->next;
  }
  for (size_t i = 0; i < tm_json_len(v) && end; i++) {
    const tm_json_member *m = tm_json_member_at(v, i);
    char *to = m ? pointer_to(a, pointer, m) : tm_arena_printf(a, "%s/%zu", pointer, i);
    end = to ? collect(a, end, m ? &m->value : tm_json_at(v, i), to) : NULL;
  }
  return end;
}

/* All the strings of v as one text, each on a line of its own. */
static tm_wording join(tm_arena *a, const tm_json *v) {
  text *first = NULL;
  tm_wording out = {NULL, 0};
  size_t total = 0;
  if (v && !collect(a, &first, v, ""))
    return out;
  for (const text *t = first; t; t = t->next)
    total += t->span.len + 1;
  char *all = tm_arena_alloc(a, total + 1);
  for (const text *t = first; t && all; t = t->next) {
    memcpy(all + out.len, t->span.s, t->span.len);
    out.len += t->span.len;
    all[out.len++] = '\n';
  }
  out.s = all;
  return out;
}

static size_t chars_of(const text *t) {
  size_t n = 0;
  for (; t; t = t->next)
    for (size_t i = 0; i < t->span.len; i++)
      n += ((unsigned char)t->span.s[i] & 0xc0) != 0x80;
  return n;
}

/* -- telling ---------------------------------------------------------------------------------
 */

/* Add an error to the report; one that is full, or out of memory, takes no more. */
static void add_error(tm_schema_report *p, tm_schema_error e) {
  size_t max = p->max ? p->max : REPORT_MAX;
  tm_schema_error *list =
      p->count < max ? tm_arena_array(p->arena, tm_schema_error, p->count + 1) : NULL;
  if (!list || !e.instance || !e.schema || !e.message || !e.advice)
    return;
  if (p->count)
    memcpy(list, p->errors, p->count * sizeof *list);
  list[p->count++] = e;
  p->errors = list;
}

/* What is wrong at `pointer`; takes the sentences. */
static void tell(run_of_checks *r, const char *keyword, const char *pointer, tm_buf *message,
                 tm_buf *advice) {
  r->wrong = true;
  if (r->report) {
    tm_arena *a = r->report->arena;
    add_error(r->report,
              (tm_schema_error){.instance = tm_arena_strdup(a, pointer),
                                .schema = tm_arena_printf(a, "%s/%s", r->set->at, keyword),
                                .keyword = keyword,
                                .message = tm_schema_keep_line(a, message),
                                .advice = tm_schema_keep_line(a, advice)});
  }
  tm_buf_free(message);
  tm_buf_free(advice);
}

static const char *subject(const char *pointer) {
  return *pointer ? pointer : "the answer";
}

static tm_buf sentence(void) {
  tm_buf b;
  tm_buf_init(&b, TEXT_MAX);
  return b;
}

static void tell_pattern(run_of_checks *r, const char *keyword, const char *pointer,
                         const pattern *p, bool wanted) {
  tm_buf message = sentence(), advice = sentence();
  tm_buf_printf(&message, "%s must %smatch the pattern ", subject(pointer),
                wanted ? "" : "not ");
  tm_schema_put_start(&message, p->text, PATTERN_SHOWN);
  tm_buf_printf(&advice, "Rewrite %s so that %s the regular expression ", subject(pointer),
                wanted ? "it matches" : "nothing in it matches");
  tm_schema_put_start(&advice, p->text, PATTERN_SHOWN);
  tm_buf_putc(&advice, '.');
  tell(r, keyword, pointer, &message, &advice);
}

static void tell_chars(run_of_checks *r, const char *keyword, const char *most, int64_t limit,
                       size_t chars) {
  tm_buf message = sentence(), advice = sentence();
  tm_buf_printf(&message, "%s must have %s %lld characters; it has %zu", subject(r->pointer),
                most, (long long)limit, chars);
  tm_buf_printf(&advice, "Rewrite %s with %s %lld characters; it has %zu.", subject(r->pointer),
                most, (long long)limit, chars);
  tell(r, keyword, r->pointer, &message, &advice);
}

static void tell_ungrounded(run_of_checks *r, const text *t, tm_wording quotation) {
  tm_buf message = sentence(), advice = sentence();
  tm_buf_printf(&message, "%s quotes ", subject(t->pointer));
  tm_schema_put_string(&message, quotation.s, quotation.len);
  tm_buf_puts(&message, ", which does not stand in ");
  tm_json_print(&message, r->set->sources);
  tm_buf_puts(&advice, "Quote only what stands in the source, word for word: ");
  tm_schema_put_string(&advice, quotation.s, quotation.len);
  tm_buf_printf(&advice, " in %s does not. Correct the quotation or leave it out.",
                subject(t->pointer));
  tell(r, "grounded_in", t->pointer, &message, &advice);
}

static void tell_unlike(run_of_checks *r, double share) {
  tm_buf message = sentence(), advice = sentence();
  const char *what = r->set->like_name ? r->set->like_name : "the expected text";
  tm_buf_printf(&message, "%s must share %.0f %% of its words or more with ",
                subject(r->pointer), r->set->share * 100);
  tm_schema_put_start(&message, what, NAME_SHOWN);
  tm_buf_printf(&message, "; it shares %.0f %%", floor(share * 100));
  tm_buf_printf(&advice, "Keep the wording of %s closer to ", subject(r->pointer));
  tm_schema_put_start(&advice, what, NAME_SHOWN);
  tm_buf_putc(&advice, '.');
  tell(r, "similar_to", r->pointer, &message, &advice);
}

/* -- the checks: 0, or -1 when one could not be decided -------------------------------- */

static int matches(run_of_checks *r, const pattern *p, const text *t) {
  int rc = tm_schema_regex_match(r->room, p->re, t->span.s, t->span.len);
  if (rc < 0)
    tm_err_set(r->err, TM_LIMIT, "the pattern %.200s takes too long on %s", p->text,
               subject(t->pointer));
  return rc;
}

static int check_wanted(run_of_checks *r) {
  for (const pattern *p = r->set->wanted; p; p = p->next) {
    int found = 0;
    for (const text *t = r->texts; t && found == 0; t = t->next)
      found = matches(r, p, t);
    if (found < 0)
      return -1;
    if (found == 0)
      tell_pattern(r, "must_match", r->pointer, p, true);
  }
  return 0;
}

static int check_refused(run_of_checks *r) {
  for (const pattern *p = r->set->refused; p; p = p->next)
    for (const text *t = r->texts; t; t = t->next) {
      int found = matches(r, p, t);
      if (found < 0)
        return -1;
      if (found == 1)
        tell_pattern(r, "must_not_match", t->pointer, p, false);
    }
  return 0;
}

static void check_chars(run_of_checks *r) {
  const check_set *s = r->set;
  size_t n = s->most >= 0 || s->least >= 0 ? chars_of(r->texts) : 0;
  if (s->most >= 0 && n > (uint64_t)s->most)
    tell_chars(r, "max_chars", "at most", s->most, n);
  if (s->least >= 0 && n < (uint64_t)s->least)
    tell_chars(r, "min_chars", "at least", s->least, n);
}

/* The text of a variable, folded; one that was not given is empty. */
static tm_wording source_named(run_of_checks *r, const char *name) {
  const tm_json *v = *name == '/' ? tm_json_pointer(r->vars, name) : tm_json_get(r->vars, name);
  tm_wording joined = join(&r->scratch, v);
  return joined.s ? tm_wording_fold(&r->scratch, joined) : joined;
}

static bool is_grounded(run_of_checks *r, const tm_wording *sources, size_t count,
                        tm_wording quotation) {
  for (size_t i = 0; i < count; i++)
    if (tm_wording_holds(&r->scratch, sources[i], quotation))
      return true;
  return false;
}

static int check_grounded(run_of_checks *r) {
  tm_wording sources[TM_CHECKS_MAX], quotation;
  size_t count = r->set->sources ? entries(r->set->sources) : 0;
  for (size_t i = 0; i < count; i++) {
    sources[i] = source_named(r, entry(r->set->sources, i, NULL));
    if (!sources[i].s)
      return ran_out(r);
  }
  for (const text *t = r->texts; t && count; t = t->next)
    for (size_t at = 0; tm_wording_quoted(t->span, &at, &quotation);)
      if (!is_grounded(r, sources, count, quotation)) {
        if (r->scratch.failed)
          return ran_out(r);
        tell_ungrounded(r, t, quotation);
      }
  return 0;
}

static int check_similar(run_of_checks *r, const tm_json *value) {
  const check_set *s = r->set;
  tm_words here, there;
  if (!s->like_name && !s->like_text)
    return 0;
  tm_wording own = join(&r->scratch, value);
  tm_wording other =
      s->like_name ? source_named(r, s->like_name) : join(&r->scratch, s->like_text);
  if (own.s && other.s) {
    own = tm_wording_fold(&r->scratch, own);
    other = tm_wording_fold(&r->scratch, other);
  }
  if (!own.s || !other.s || tm_wording_words(&here, &r->scratch, own) < 0 ||
      tm_wording_words(&there, &r->scratch, other) < 0)
    return ran_out(r);
  double share = tm_wording_similar(&here, &there);
  if (share < s->share)
    tell_unlike(r, share);
  return 0;
}

/* What the set looks at; NULL: there is nothing. Sets the pointer. */
static const tm_json *subject_of(run_of_checks *r, const tm_json *answer) {
  const char *of = r->set->of;
  r->pointer = "";
  if (!of)
    return answer;
  if (*of == '/') {
    r->pointer = of;
    return tm_json_pointer(answer, of);
  }
  const tm_json_member name = {.key = of, .key_len = (uint32_t)strlen(of)};
  r->pointer = pointer_to(&r->scratch, "", &name);
  return tm_json_get(answer, of);
}

static int run_set(run_of_checks *r, const tm_json *answer) {
  const tm_json *value = subject_of(r, answer);
  r->texts = NULL;
  if (!value)
    return 0;
  if (!r->pointer || !collect(&r->scratch, &r->texts, value, r->pointer))
    return ran_out(r);
  check_chars(r);
  bool decided = check_wanted(r) == 0 && check_refused(r) == 0 && check_grounded(r) == 0 &&
                 check_similar(r, value) == 0;
  return decided ? 0 : -1;
}

int tm_checks_run(const tm_checks *c, const tm_json *answer, const tm_json *vars,
                  tm_schema_report *report, tm_err *err) {
  regex_room room;
  room.context = room.data = NULL;
  room.used = 0;
  run_of_checks r = {.vars = vars, .report = report, .room = &room, .err = err};
  int rc = 0;
  tm_arena_init(&r.scratch, SCRATCH_MAX);
  for (r.set = c->first; r.set && rc == 0; r.set = r.set->next)
    rc = run_set(&r, answer);
  tm_schema_regex_room_free(&room);
  tm_arena_free(&r.scratch);
  return rc < 0 ? -1 : r.wrong;
}
