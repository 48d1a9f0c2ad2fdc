/* schema_program.h - what a compiled schema is made of; private to text/schema*.c and
 * checks.c.
 *
 *   schema document --survey--> nodes (one for each subschema, unfilled)
 *                   --fill----> nodes with rules grouped by the type they look at
 *                   --eval----> 0 valid, 1 invalid, -1 undecided
 *
 * A node answers three questions in this order, cheapest first:
 *
 *   light   may a value of this type pass with nothing more to look at?
 *   types   may a value of this type pass at all?
 *   rules   choice (enum, const), then the rules of the value's own type,
 *           then inplace (other schemas about the same value: $ref, anyOf ...)
 *
 * Everything lives in the arena of the compiled schema and is read-only there.
 * A run (one check) lives on the stack.
 */
#ifndef TM_TEXT_SCHEMA_PROGRAM_H
#define TM_TEXT_SCHEMA_PROGRAM_H

#include <math.h>
#include <string.h>

#include "text/schema.h"

#define SCHEMA_DEPTH   1024     /* schemas inside each other during a check */
#define SCHEMA_NESTING 512      /* subschemas inside each other in a document */
#define SCHEMA_STEPS   30000000 /* in-place schemas tried in one check */
#define SCHEMA_SCRATCH ((size_t)256 << 20)

/* -- words: strings found by their ends ------------------------------------------------ */

typedef struct word {
  const char *s;
  uint32_t len;
  uint64_t head, tail; /* the first and the last bytes; up to 16 bytes they say it all */
} word;

typedef struct word_set {
  word *list;
  uint32_t count;
  uint32_t *slots; /* index + 1; 0 free */
  uint32_t mask;
} word_set;

static inline uint64_t word_load(const char *s, size_t n) {
  uint64_t bits = 0;
  memcpy(&bits, s, n);
  return bits;
}

static inline word word_of(const char *s, uint32_t len) {
  if (len >= 8) {
    uint64_t head, tail;
    memcpy(&head, s, 8);
    memcpy(&tail, s + len - 8, 8);
    return (word){s, len, head, tail};
  }
  if (len >= 4) {
    uint32_t head, tail;
    memcpy(&head, s, 4);
    memcpy(&tail, s + len - 4, 4);
    return (word){s, len, head, tail};
  }
  if (len == 0)
    return (word){s, 0, 0, 0};
  uint64_t all = (unsigned char)s[0];
  all = all << 8 | (unsigned char)s[len / 2];
  return (word){s, len, all << 8 | (unsigned char)s[len - 1], 0};
}

static inline bool word_same(const word *a, const word *b) {
  return a->len == b->len && a->head == b->head && a->tail == b->tail &&
         (a->len <= 16 || memcmp(a->s + 8, b->s + 8, a->len - 16) == 0);
}

#define WORD_NONE UINT32_MAX

/* Index of the word, or WORD_NONE. */
uint32_t tm_schema_words_find(const word_set *set, const word *w);
/* The same word twice is kept once; returns its index, WORD_NONE when memory ran out.
 * `room` is how many the set may ever hold. */
int tm_schema_words_init(word_set *set, tm_arena *a, size_t room);
uint32_t tm_schema_words_add(word_set *set, const char *s, size_t len);

/* -- rules ----------------------------------------------------------------------------- */

typedef struct node node;
typedef struct resource resource;
typedef struct regex regex;
typedef struct plain_pattern plain_pattern;

/* type masks: one bit for each tm_json_type, and one for a double without a fraction */
#define TYPE_BIT(t)   (1u << (t))
#define TYPE_INTEGRAL 0x80u
#define TYPE_ALL      0x7fu

typedef struct number_rules {
  const tm_json *min, *max, *above, *below, *multiple; /* NULL: not said */
  bool simple;         /* only min and max, and both forms of them below are exact */
  int64_t least, most; /* for an int64 */
  double low, high;    /* for a double */
} number_rules;

typedef enum format_kind {
  FORMAT_NONE,
  FORMAT_DATE_TIME,
  FORMAT_DATE,
  FORMAT_TIME,
  FORMAT_DURATION,
  FORMAT_EMAIL,
  FORMAT_IDN_EMAIL,
  FORMAT_HOSTNAME,
  FORMAT_IDN_HOSTNAME,
  FORMAT_IPV4,
  FORMAT_IPV6,
  FORMAT_URI,
  FORMAT_URI_REFERENCE,
  FORMAT_IRI,
  FORMAT_IRI_REFERENCE,
  FORMAT_URI_TEMPLATE,
  FORMAT_UUID,
  FORMAT_POINTER,
  FORMAT_RELATIVE_POINTER,
  FORMAT_REGEX
} format_kind;

typedef struct string_rules {
  uint32_t min, max; /* code points */
  const regex *pattern;
  format_kind format; /* FORMAT_NONE unless it asserts */
} string_rules;

/* Which of some alternatives the value of a member names. */
typedef struct tag_table {
  word key;
  word_set values;
  uint32_t *which;
} tag_table;

typedef struct node_list {
  const node **list;
  uint32_t count;
  const tag_table *tags; /* of anyOf and oneOf; NULL: try one after the other */
} node_list;

typedef struct array_rules {
  node_list prefix;
  const node *items; /* of the rest; NULL: anything */
  const node *contains;
  uint32_t min_contains, max_contains;
  uint32_t min, max;
  bool unique;
} array_rules;

typedef struct property {
  const node *node; /* NULL: named by `required` only */
  bool required;
} property;

typedef struct pattern_rule {
  const regex *pattern;
  const node *node;
} pattern_rule;

typedef struct dependency {
  const char *key;
  uint32_t len;
  const tm_json *needs; /* array of names, or NULL */
  const node *node;     /* or a schema for the whole object */
  const char *keyword;
  struct dependency *next;
} dependency;

typedef struct object_rules {
  word_set names; /* index i is properties[i] */
  property *properties;
  uint32_t required; /* how many of them are */
  pattern_rule *patterns;
  uint32_t pattern_count;
  const node *additional; /* NULL: anything */
  const node *key;        /* propertyNames */
  dependency *dependencies;
  uint32_t min, max;
  bool walks; /* there is a reason to look at each member */
} object_rules;

/* enum or const */
typedef struct choice {
  const char *keyword;
  word_set strings;
  const tm_json **others; /* values that are not strings */
  uint32_t other_count;
  struct choice *next;
} choice;

typedef struct inplace {
  const node *ref;
  const node *dynamic;      /* where $dynamicRef lands when nothing in scope overrides it */
  const char *dynamic_name; /* NULL: it never is overridden */
  node_list all, any, one;
  const node *none;                         /* not */
  const node *condition, *then, *otherwise; /* if, then, else */
} inplace;

struct node {
  uint8_t light;
  uint8_t types;
  bool wide; /* has unevaluatedItems or unevaluatedProperties */
  bool filled;
  const choice *choices;
  number_rules *number;
  string_rules *string;
  array_rules *array;
  object_rules *object;
  inplace *same;
  const node *rest_items, *rest_members; /* unevaluated* */
  /* where it stands: for errors and for filling */
  const tm_json *source;
  resource *home;
  const node *up;      /* the schema around it */
  const char *keyword; /* the way from there: keyword, then a name or an index */
  const char *key;
  uint32_t key_len;
  int64_t index; /* -1: none */
  node *next;    /* in order of survey */
};

typedef struct anchor {
  const char *name;
  const node *node;
  struct anchor *next;
} anchor;

/* A document, or a part of one with its own $id. */
struct resource {
  const char *uri; /* absolute, without fragment; "" when it has no name */
  const tm_json *root;
  node *node;
  anchor *dynamic; /* its $dynamicAnchors */
  bool draft7;
  bool assert_format;
  uint32_t vocabularies;
  bool outside; /* not part of the document that was given: errors name its URI */
};

struct tm_schema {
  const node *root;
  bool dynamic; /* some $dynamicRef can be overridden: scopes must be kept */
};

/* -- compiling ------------------------------------------------------------------------- */

#define VOCABULARY_CORE        0x01u
#define VOCABULARY_APPLICATOR  0x02u
#define VOCABULARY_UNEVALUATED 0x04u
#define VOCABULARY_VALIDATION  0x08u
#define VOCABULARY_FORMAT      0x10u
#define VOCABULARY_OTHER       0x20u /* content and meta-data: annotations */
#define VOCABULARY_ALL         0x3fu

/* String keys to pointers, in the arena, for as long as compiling takes. */
typedef struct name_slot {
  const char *key;
  size_t len;
  void *value;
} name_slot;

typedef struct name_table {
  name_slot *slots;
  size_t cap, count;
} name_table;

void *tm_schema_names_get(const name_table *t, const void *key, size_t len);
/* The key is not copied. -1 when memory ran out. */
int tm_schema_names_put(name_table *t, tm_arena *a, const void *key, size_t len, void *value);

typedef struct compiler {
  tm_arena *a;
  const tm_schema_opts *opts;
  tm_err *err;
  name_table uris;   /* "uri" -> resource, "uri#anchor" -> node */
  name_table places; /* address of a tm_json -> node */
  node *first, *last;
  bool dynamic;
} compiler;

/* What a keyword holds, as far as subschemas go. */
typedef enum keyword_shape {
  SHAPE_PLAIN,
  SHAPE_SCHEMA,
  SHAPE_LIST,
  SHAPE_MAP,
  SHAPE_EITHER,      /* a schema or a list of them: draft-07 `items` */
  SHAPE_DEPENDENCIES /* a map to schemas or arrays of names */
} keyword_shape;

typedef struct keyword_rule {
  const char *name;
  uint8_t len;
  uint8_t drafts; /* 1: draft-07, 2: 2020-12 */
  uint8_t vocabulary;
  uint8_t shape;
  int (*fill)(compiler *c, node *n, const struct keyword_rule *k, const tm_json *value);
} keyword_rule;

/* NULL: not a keyword in the dialect of this resource. */
const keyword_rule *tm_schema_keyword(const resource *home, const char *name, size_t len);

/* Make nodes for `doc` and everything in it, as a resource under `uri`. NULL on error. */
resource *tm_schema_survey(compiler *c, const tm_json *doc, const char *uri,
                           const resource *from);
/* Where a reference from n leads; NULL with err set. */
node *tm_schema_resolve_ref(compiler *c, const node *n, const char *keyword, const char *ref,
                            size_t len, bool *dynamic_anchor);
/* The node that checks a subschema: its own, or the one it does nothing but refer to. NULL on
 * error. */
const node *tm_schema_child(compiler *c, const tm_json *schema);
/* The node of a subschema that was surveyed. */
node *tm_schema_node_at(const compiler *c, const tm_json *schema);
/* Set the error "schema <pointer>/<keyword>: ..."; returns -1. */
int tm_schema_bad(const compiler *c, const node *n, const char *keyword, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int tm_schema_no_memory(const compiler *c);

/* Look for a member that tells the alternatives apart; -1 when memory ran out. */
int tm_schema_tags_settle(compiler *c, node_list *l);
/* The only alternative that can hold; WORD_NONE: none can. *member is where the tag stands,
 * WORD_NONE when it does not. */
uint32_t tm_schema_tags_find(const tag_table *t, const tm_json *v, uint32_t *member);

/* Absolute URI of `ref` seen from `base`, without fragment. NULL when memory ran out. */
char *tm_schema_uri_join(tm_arena *a, const char *base, const char *ref, size_t len);
/* The text of a built-in metaschema, or NULL. */
const char *tm_schema_meta_text(const char *uri);

#define TM_SCHEMA_NO_MEMORY "out of memory"

/* Compile an ECMA-262 pattern; NULL with *why (static or in the arena) when it is not one,
 * TM_SCHEMA_NO_MEMORY when that is the reason. */
const regex *tm_schema_regex_new(tm_arena *a, const char *text, size_t len, const char **why);
/* Whether it is one: for `format: regex`. */
bool tm_schema_regex_valid(const char *text, size_t len);

/* A pattern that needs no regex engine; NULL: it does (or memory ran out). */
const plain_pattern *tm_schema_pattern_new(tm_arena *a, const char *s, size_t len);
bool tm_schema_pattern_match(const plain_pattern *p, const char *s, size_t len);

format_kind tm_schema_format_find(const char *name);
bool tm_schema_format_fits(format_kind kind, const char *s, size_t len);
/* The formats of names: addresses, hosts, URIs. */
bool tm_schema_format_email(const char *s, size_t len, bool international);
bool tm_schema_format_hostname(const char *s, size_t len, bool international);
bool tm_schema_format_ipv4(const char *s, size_t len);
bool tm_schema_format_ipv6(const char *s, size_t len);
bool tm_schema_format_uri(const char *s, size_t len, bool relative, bool international);
bool tm_schema_format_uri_template(const char *s, size_t len);
/* The code point at s[*at]; moves on. The text is valid UTF-8. */
uint32_t tm_schema_next_char(const char *s, size_t len, size_t *at);

/* -- checking -------------------------------------------------------------------------- */

/* The way from the root to a value, one link for each container, on the C stack. */
typedef struct place {
  const struct place *up;
  const tm_json *of; /* the container */
  uint32_t index;
} place;

/* Which members or items of one value have been evaluated. */
typedef struct marks {
  uint64_t *bits;
  uint32_t words;
} marks;

#define MARKS_LOCAL 8 /* words: 512 members without asking for memory */

typedef struct scope {
  const struct scope *up;
  const resource *of;
} scope;

/* Room for PCRE2's own state, so that matching does not ask malloc for it. */
typedef struct regex_room {
  void *context, *data;
  size_t used;
  _Alignas(16) unsigned char bytes[24 * 1024];
} regex_room;

typedef struct fault_list {
  tm_arena *arena;
  tm_schema_error *list;
  size_t count, cap, max;
} fault_list;

typedef struct run {
  const tm_schema *schema;
  fault_list *sink; /* NULL: only the answer counts */
  const scope *scopes;
  unsigned depth;
  uint32_t steps;
  tm_err *err;
  tm_arena scratch;
  regex_room regexes; /* last: large and not initialised */
} run;

/* 1 matches, 0 does not, -1 gave up. */
int tm_schema_regex_match(regex_room *room, const regex *re, const char *s, size_t len);
void tm_schema_regex_room_free(regex_room *room);

int tm_schema_eval(run *r, const node *n, const tm_json *v, const place *at, marks *m);
int tm_schema_eval_object(run *r, const node *n, const tm_json *v, const place *at, marks *m);
int tm_schema_eval_array(run *r, const node *n, const tm_json *v, const place *at, marks *m);
/* unevaluatedItems, unevaluatedProperties: what is not marked. */
int tm_schema_eval_rest(run *r, const node *n, const tm_json *v, const place *at, marks *m);
/* 1 all different, 0 not (and which two), -1 undecided. */
int tm_schema_unique(run *r, const tm_json *array, uint32_t *first, uint32_t *second);
/* The check gave up: sets the run's error, returns -1. */
int tm_schema_undecided(run *r, const place *at, const char *why);

/* Nothing more to look at? The common case, kept out of the function call. */
static inline bool node_passes(const node *n, const tm_json *v) {
  return (n->light >> v->type) & 1u;
}

static inline bool node_type_fits(const node *n, const tm_json *v) {
  if (n->types >> v->type & 1u)
    return true;
  return v->type == TM_JSON_DOUBLE && (n->types & TYPE_INTEGRAL) && v->u.d == floor(v->u.d);
}

static inline bool marks_has(const marks *m, uint32_t i) {
  return (m->bits[i / 64] >> (i % 64)) & 1u;
}
static inline void marks_set(marks *m, uint32_t i) {
  m->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* -- telling --------------------------------------------------------------------------- */

/* What is wrong: `keyword` of schema `n`, about `value` at `at`; `key` names a member when
 * the keyword is about one (required, dependentRequired). `first` and `second` are indexes
 * or counts, where the keyword has them. */
typedef struct fault {
  const node *n;
  const char *keyword;
  const place *at;
  const tm_json *value;
  const char *key;
  uint32_t key_len;
  uint32_t first, second;
} fault;

/* A fault in words. The place is the instance pointer. */
typedef struct telling {
  tm_buf place, message, advice;
} telling;

void tm_schema_telling_open(telling *t, const fault *f);
void tm_schema_telling_free(telling *t);
/* Message and advice for a fault, by its keyword. */
void tm_schema_say(telling *t, const fault *f);
/* The same for what several schemas have in common: types, or values. */
void tm_schema_say_type(telling *t, const fault *f, unsigned types);
void tm_schema_say_choice(telling *t, const fault *f, const tm_json *list);
/* The value's place, as a subject. */
const char *tm_schema_subject(const telling *t);
/* A string as JSON, cut when it is long. */
void tm_schema_put_string(tm_buf *out, const char *s, size_t len);
/* A sentence into the arena, as one line that does nothing to a terminal: names, patterns and
 * descriptions may hold anything. NULL: out of memory. */
char *tm_schema_keep_line(tm_arena *a, const tm_buf *b);
/* The start of a text, cut at a character when it is longer than `room` bytes. */
void tm_schema_put_start(tm_buf *out, const char *text, size_t room);

/* Note the fault. False: nobody collects (or they have enough), so stop here. */
bool tm_schema_tell(run *r, const fault *f);
/* Nothing matched among the alternatives: tell what is wrong with the one that was meant,
 * or that there is none. `tries` has one list for each alternative. */
bool tm_schema_tell_none(run *r, const fault *f, const fault_list *tries, uint32_t count);
/* The member at f->at tells alternatives apart, and its value is none of theirs. */
bool tm_schema_tell_tag(run *r, const fault *f, const tag_table *tags);
/* The member name at `at` is wrong for the reason in `why`. */
bool tm_schema_tell_name(run *r, const fault *f, const fault_list *why);

static inline bool run_collects(const run *r) {
  return r->sink && r->sink->count < r->sink->max;
}

/* A violation: tell it; without a listener (or when he has enough) that is the answer. */
#define VIOLATED(told) \
  do {                 \
    bad = 1;           \
    if (!(told))       \
      return 1;        \
  } while (0)

/* The answer of a part: undecided ends all, a violation was told already. */
#define PART(answer)        \
  do {                      \
    int part_ = (answer);   \
    if (part_ < 0)          \
      return -1;            \
    if (part_ > 0) {        \
      bad = 1;              \
      if (!run_collects(r)) \
        return 1;           \
    }                       \
  } while (0)

/* Pointer of a node in its document, with its URI in front when it is not the one given. */
void tm_schema_node_print(tm_buf *out, const node *n, const char *keyword);
void tm_schema_place_print(tm_buf *out, const place *at);
/* Cut a pointer that would fill a message. */
void tm_schema_pointer_clip(tm_buf *pointer);

#endif
