/* template_tree.h - what the template files share: the tree of a compiled template.
 *
 *   text ──lex──► tokens ──parse──► tree ──strip──► tree ──check──► tree      (compile)
 *                                   tree + data ──render──► pieces ──message──► messages
 *
 * Everything lives in the arena of the compile and is read-only afterwards; text
 * nodes and names are slices of the source, which is copied into the arena once.
 */
#ifndef TM_TEXT_TEMPLATE_TREE_H
#define TM_TEXT_TEMPLATE_TREE_H

#include "text/template.h"

#define TM_TEMPLATE_NESTING 100 /* blocks in blocks (and their else if), parentheses */

typedef struct slice {
  const char *s;
  size_t len;
} slice;

static inline bool slice_is(slice a, const char *word) {
  return a.len == strlen(word) && memcmp(a.s, word, a.len) == 0;
}
static inline bool slice_equal(slice a, slice b) {
  return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

/* One file's text; places in it are byte offsets, and become line and column in messages. */
typedef struct tm_template_source {
  const char *file;
  const char *text;
  size_t len;
  int first_line;
} tm_template_source;

/* "file:line:column: ..."; always -1. */
int tm_template_fail(tm_err *err, const tm_template_source *src, size_t at, tm_code code,
                     const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* -- helpers --------------------------------------------------------------------------- */

typedef enum tm_template_helper {
  HELPER_NONE,
  HELPER_SECTION_OF, /* {{#value}} … {{/value}}: no helper, the value decides */
  HELPER_IF,
  HELPER_UNLESS,
  HELPER_EACH,
  HELPER_WITH,
  HELPER_LOOKUP,
  HELPER_LOG,
  HELPER_ROLE,
  HELPER_HISTORY,
  HELPER_MEDIA,
  HELPER_SECTION,
  HELPER_JSON,
  HELPER_IF_EQUALS,
  HELPER_UNLESS_EQUALS
} tm_template_helper;

/* -- expressions ----------------------------------------------------------------------- */

typedef enum expr_kind { EXPR_LITERAL, EXPR_PATH, EXPR_DATA, EXPR_PARAM, EXPR_CALL } expr_kind;

typedef struct expr expr;

typedef struct hash_pair {
  slice name;
  expr *value;
  struct hash_pair *next;
} hash_pair;

struct expr {
  expr_kind kind;
  bool scoped; /* the path began with this, . or .. and cannot name a helper */
  size_t at;   /* offset in the source */
  slice text;  /* as written, for messages, partial names and closing tags */
  expr *next;  /* the next argument */

  const tm_json *literal; /* EXPR_LITERAL; NULL: undefined */

  size_t depth; /* EXPR_PATH, EXPR_DATA: how many "..". EXPR_PARAM: how many scopes out */
  size_t param; /* EXPR_PARAM: first or second name */
  slice *parts;
  size_t part_count;

  tm_template_helper helper; /* EXPR_CALL */
  expr *args;
  size_t arg_count;
  hash_pair *hash;
};

/* -- nodes ----------------------------------------------------------------------------- */

typedef enum node_kind {
  NODE_TEXT,
  NODE_COMMENT,
  NODE_PRINT,
  NODE_BLOCK,
  NODE_PARTIAL
} node_kind;

/* The tildes of one tag. */
typedef struct strip {
  bool open, close;
} strip;

typedef struct node node;

typedef struct program {
  node *first, *last;
  bool chained; /* the inverse that {{else if}} makes: holds exactly one block */
} program;

/* A partial: compiled once, shared by every call of it. */
typedef struct unit {
  slice name;
  tm_template_source source;
  program *body;
  const tm_template_source *caller; /* the first place that asked for it */
  size_t at;
  bool checked;
  struct unit *next;
} unit;

struct node {
  node_kind kind;
  strip strip;
  size_t at;
  node *prev, *next;

  slice text;     /* NODE_TEXT: what is left to print; NODE_PARTIAL: the indent */
  slice original; /* NODE_TEXT: as written */
  bool left_stripped, right_stripped;

  expr *call;              /* NODE_PRINT, NODE_BLOCK */
  program *body, *inverse; /* NODE_BLOCK; one of them may be NULL */
  strip inverse_strip, close_strip;
  size_t param_count; /* names in `as |a b|` */

  unit *partial; /* NODE_PARTIAL */
  expr *context; /* NULL: the current one */
  hash_pair *hash;
};

struct tm_template {
  tm_template_source source;
  program *body;
  unit *units;
};

/* -- lexing ---------------------------------------------------------------------------- */

typedef enum token_kind {
  TOKEN_END,
  TOKEN_TEXT,
  TOKEN_COMMENT,
  TOKEN_OPEN,         /* {{ {{& {{{ */
  TOKEN_OPEN_BLOCK,   /* {{# */
  TOKEN_OPEN_INVERSE, /* {{^ */
  TOKEN_ELSE,         /* {{else}} or {{^}}, whole */
  TOKEN_OPEN_ELSE,    /* {{else */
  TOKEN_OPEN_END,     /* {{/ */
  TOKEN_OPEN_PARTIAL, /* {{> */
  TOKEN_CLOSE,
  TOKEN_ID,      /* also . and .. */
  TOKEN_SEGMENT, /* [any text]; the slice is without brackets */
  TOKEN_STRING,  /* without quotes; escapes still in it */
  TOKEN_NUMBER,
  TOKEN_WORD, /* true false null undefined */
  TOKEN_SEPARATOR,
  TOKEN_AT,
  TOKEN_EQUALS,
  TOKEN_LEFT,
  TOKEN_RIGHT,
  TOKEN_AS, /* as | */
  TOKEN_PIPE
} token_kind;

typedef struct token {
  token_kind kind;
  size_t at;
  slice text;
  strip strip;
  bool before_equals; /* an ID or SEGMENT that names a hash argument */
} token;

typedef struct lexer {
  const tm_template_source *src;
  size_t at, tag; /* the next byte; where the open tag began */
  bool in_tag, triple, escaped;
} lexer;

int tm_template_lex(lexer *l, token *out, tm_err *err);

/* -- the passes ------------------------------------------------------------------------ */

/* Parse a source into a program; partials it calls are added to t->units, unparsed. */
int tm_template_parse(program **out, tm_arena *a, tm_template *t, const tm_template_source *src,
                      tm_err *err);
/* Apply ~ and the removal of lines that hold nothing but a block, partial or comment tag. */
void tm_template_strip(program *root);
/* Refuse variables at the root that `known` does not have. */
int tm_template_check(const tm_template *t, const tm_json *known, tm_err *err);

/* What is wrong with this use of a helper, or 0. `form` is '#' block, '(' subexpression, '{'.
 */
int tm_template_check_call(const tm_template_source *src, const expr *call, char form,
                           size_t param_count, tm_err *err);
int tm_template_unknown_helper(const tm_template_source *src, const expr *call, tm_err *err);
tm_template_helper tm_template_helper_named(slice name);
bool tm_template_is_role(slice name);

/* -- values ---------------------------------------------------------------------------- */

/* Length of the white space character at s, as JavaScript's trim() sees it; 0 when none. */
size_t tm_template_blank_at(const char *s, size_t len);
bool tm_template_is_blank(const char *s, size_t len);
slice tm_template_trim(slice s);

/* NULL is undefined in all of these. */
bool tm_template_truthy(const tm_json *v, bool zero_counts);
/* JavaScript's ===: containers by identity. */
bool tm_template_same(const tm_json *a, const tm_json *b);
/* A member, item or `length`; NULL when there is none. Scratch holds a made-up length. */
const tm_json *tm_template_member(tm_arena *scratch, const tm_json *v, slice name);
/* As {{value}} prints it. */
void tm_template_print(tm_buf *out, const tm_json *v);
/* As JSON.stringify prints it, `indent` 0 to 10; undefined prints as null. A soft `out` says
 * by `failed` that memory ran out. */
void tm_template_print_json(tm_buf *out, tm_arena *scratch, const tm_json *v, size_t indent);

/* -- rendering ------------------------------------------------------------------------- */

typedef enum piece_kind {
  PIECE_TEXT,
  PIECE_ROLE,
  PIECE_HISTORY,
  PIECE_MEDIA,
  PIECE_SECTION
} piece_kind;

/* One piece of the output stream. Structure is in `kind`, which no text can change. */
typedef struct piece {
  piece_kind kind;
  size_t start, len;    /* PIECE_TEXT: in the stream's text */
  const char *name;     /* role, section, or media URL */
  const char *type;     /* media content type or NULL */
  const tm_json *extra; /* role metadata or NULL */
  struct piece *next;
} piece;

typedef struct stream {
  tm_buf text;
  piece *first, *last;
} stream;

/* Render into pieces; everything but `out->text` lives in `scratch`. */
int tm_template_run(stream *out, tm_arena *scratch, const tm_template *t, const tm_json *data,
                    const tm_json *context, tm_err *err);
/* Pieces to messages, by Dotprompt's rules. NULL when memory ran out. */
tm_json *tm_template_messages(tm_arena *a, const stream *s, const tm_json *history);

#endif
