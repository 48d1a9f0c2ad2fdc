/* schema_regex.c - `pattern` is written in ECMA-262's dialect; PCRE2 matches it. The only
 * file that includes pcre2.h.
 *
 * Translated where the two differ: \s and . know Unicode's spaces and line ends, \d and \w
 * are ASCII, \u1234 and \u{12345}, long names of categories (\p{Letter}), [] and [^], $ at
 * the very end only, \v, \b in a class. What ECMA-262 does not have (\Z, \A, possessive
 * repeats, (*VERBS)) is refused by name, so a schema means the same in every validator.
 *
 * No JIT: its code would live outside the arena and outlive the schema. A match that needs
 * more than MATCH_LIMIT steps gives up, which is an answer of its own.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "text/schema_program.h"

#define MATCH_LIMIT   3000000
#define MATCH_HEAP_KB (32 * 1024)
#define PATTERN_MAX   (256 * 1024)

struct regex {
  const plain_pattern *plain; /* NULL: PCRE2's */
  pcre2_code *code;
  pcre2_match_context *limits;
};

static const char no_memory[] = TM_SCHEMA_NO_MEMORY;

/* -- translation ----------------------------------------------------------------------- */

typedef struct translation {
  const char *s;
  size_t len, at;
  tm_buf out;
  tm_arena *a;
  const char *why; /* NULL: all well so far */
} translation;

static void fail(translation *t, const char *why) {
  if (!t->why)
    t->why = why;
}

static int peek(const translation *t, size_t ahead) {
  return t->at + ahead < t->len ? (unsigned char)t->s[t->at + ahead] : -1;
}

static int hex_value(int c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `digits` hex digits at t->at + ahead; -1 when they are not. */
static long hex_number(const translation *t, size_t ahead, size_t digits) {
  long n = 0;
  for (size_t i = 0; i < digits; i++) {
    int v = hex_value(peek(t, ahead + i));
    if (v < 0)
      return -1;
    n = n * 16 + v;
  }
  return n;
}

#define SPACES                                                                   \
  "\\x09-\\x0d\\x20\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}" \
  "\\x{205f}\\x{3000}\\x{feff}"
#define NOT_SPACES                                                                         \
  "\\x00-\\x08\\x0e-\\x1f\\x21-\\x9f\\xa1-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}" \
  "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}"           \
  "\\x{ff00}-\\x{10ffff}"

static void put_space(translation *t, bool in_class, bool negated) {
  if (in_class)
    tm_buf_puts(&t->out, negated ? NOT_SPACES : SPACES);
  else
    tm_buf_puts(&t->out, negated ? "[^" SPACES "]" : "[" SPACES "]");
}

/* \u1234, \u{12345}, and \ud83d\udc32, which is one character. t->at is behind the u. */
static void put_unicode(translation *t) {
  long n = -1;
  if (peek(t, 0) == '{') {
    size_t digits = 1;
    while (hex_value(peek(t, digits)) >= 0 && digits < 8)
      digits++;
    n = digits > 1 && peek(t, digits) == '}' ? hex_number(t, 1, digits - 1) : -1;
    t->at += digits + 1;
  } else {
    n = hex_number(t, 0, 4);
    t->at += 4;
    long low = peek(t, 0) == '\\' && peek(t, 1) == 'u' ? hex_number(t, 2, 4) : -1;
    if (n >= 0xd800 && n < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
      n = 0x10000 + ((n - 0xd800) << 10) + (low - 0xdc00);
      t->at += 6;
    }
  }
  if (n < 0 || n > 0x10ffff || (n >= 0xd800 && n < 0xe000))
    fail(t, "\\u needs four hex digits, or a code point in braces");
  else
    tm_buf_printf(&t->out, "\\x{%lx}", n);
}

static const struct {
  const char *name, *brief;
} categories[] = {
    {"Letter", "L"},
    {"Cased_Letter", "L&"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
    {"LC", "L&"},
};

/* \p{Letter}, \p{gc=Lu}, \p{Script=Greek}, \p{Alphabetic}. t->at is behind the p. */
static void put_property(translation *t, char p) {
  char name[64];
  size_t n = 0;
  if (peek(t, 0) != '{') {
    fail(t, "\\p needs a name in braces, like \\p{Letter}");
    return;
  }
  for (t->at++; t->at < t->len && t->s[t->at] != '}' && n < sizeof name - 1; t->at++)
    name[n++] = t->s[t->at];
  name[n] = 0;
  if (peek(t, 0) != '}' || n == 0) {
    fail(t, "\\p needs a name in braces, like \\p{Letter}");
    return;
  }
  t->at++;
  char *equals = strchr(name, '=');
  const char *value = equals ? equals + 1 : name;
  const char *kind = "";
  if (equals) {
    *equals = 0;
    bool script = strcmp(name, "Script") == 0 || strcmp(name, "sc") == 0;
    bool extended = strcmp(name, "Script_Extensions") == 0 || strcmp(name, "scx") == 0;
    kind = script ? "sc:" : extended ? "scx:" : "";
    if (!*kind && strcmp(name, "General_Category") != 0 && strcmp(name, "gc") != 0)
      fail(t, "\\p{name=value} knows General_Category, Script and Script_Extensions");
  }
  for (size_t i = 0; !*kind && i < sizeof categories / sizeof *categories; i++)
    if (strcmp(value, categories[i].name) == 0)
      value = categories[i].brief;
  tm_buf_printf(&t->out, "\\%c{%s%s}", p, kind, value);
}

static void put_backreference(translation *t) {
  tm_buf_puts(&t->out, "\\g{");
  while (peek(t, 0) >= '0' && peek(t, 0) <= '9')
    tm_buf_putc(&t->out, t->s[t->at++]);
  tm_buf_putc(&t->out, '}');
}

static void put_group_name(translation *t) {
  tm_buf_puts(&t->out, "\\k");
  if (peek(t, 0) != '<') {
    fail(t, "\\k needs a group name, like \\k<name>");
    return;
  }
  while (t->at < t->len && t->s[t->at] != '>')
    tm_buf_putc(&t->out, t->s[t->at++]);
}

static void unknown_escape(translation *t, int c) {
  char *why = tm_arena_printf(t->a, "\\%c is not in the dialect of JSON Schema (ECMA-262)%s", c,
                              c == 'Z' || c == 'z' ? "; write $"
                              : c == 'A'           ? "; write ^"
                                                   : "");
  fail(t, why ? why : no_memory);
}

/* A sequence that starts with a backslash, at t->at. True: it stood for a set of characters. */
static bool put_escape(translation *t, bool in_class) {
  int c = peek(t, 1);
  t->at += 2;
  switch (c) {
  case -1:
    fail(t, "a \\ at the end");
    return false;
  case 'd':
  case 'D':
  case 'w':
  case 'W':
    tm_buf_printf(&t->out, "\\%c", c);
    return true;
  case 's':
  case 'S':
    put_space(t, in_class, c == 'S');
    return true;
  case 'p':
  case 'P':
    put_property(t, (char)c);
    return true;
  case 'b':
    tm_buf_puts(&t->out, in_class ? "\\x08" : "\\b");
    return false;
  case 'B':
    tm_buf_puts(&t->out, "\\B");
    if (in_class)
      fail(t, "\\B inside [ ]");
    return false;
  case 't':
  case 'n':
  case 'r':
  case 'f':
    tm_buf_printf(&t->out, "\\%c", c);
    return false;
  case 'v':
    tm_buf_puts(&t->out, "\\x0b");
    return false;
  case '0':
    tm_buf_puts(&t->out, "\\x00");
    if (peek(t, 0) >= '0' && peek(t, 0) <= '9')
      fail(t, "octal escapes are not in the dialect of JSON Schema; write \\x00 to \\xff");
    return false;
  case 'c':
    if (((peek(t, 0) | 0x20) < 'a') || ((peek(t, 0) | 0x20) > 'z'))
      fail(t, "\\c needs a letter");
    else
      tm_buf_printf(&t->out, "\\x%02x", t->s[t->at++] & 0x1f);
    return false;
  case 'x':
    if (hex_number(t, 0, 2) < 0)
      fail(t, "\\x needs two hex digits");
    else
      tm_buf_printf(&t->out, "\\x%02lx", hex_number(t, 0, 2));
    t->at += 2;
    return false;
  case 'u':
    put_unicode(t);
    return false;
  case 'k':
    put_group_name(t);
    return false;
  default:
    break;
  }
  if (c >= '1' && c <= '9' && !in_class) {
    t->at--;
    put_backreference(t);
  } else if ((c >= '1' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) {
    unknown_escape(t, c);
  } else {
    if (c < 0x80)
      tm_buf_putc(&t->out, '\\');
    tm_buf_putc(&t->out, (char)c);
  }
  return false;
}

static void put_class(translation *t) {
  tm_buf_putc(&t->out, t->s[t->at++]);
  if (peek(t, 0) == '^')
    tm_buf_putc(&t->out, t->s[t->at++]);
  while (t->at < t->len && t->s[t->at] != ']' && !t->why) {
    bool set = false;
    if (t->s[t->at] == '\\') {
      set = put_escape(t, true);
    } else {
      if (t->s[t->at] == '[')
        tm_buf_putc(&t->out, '\\');
      tm_buf_putc(&t->out, t->s[t->at++]);
    }
    /* behind a set a dash cannot mean a range */
    if (set && peek(t, 0) == '-' && peek(t, 1) != ']') {
      tm_buf_puts(&t->out, "\\-");
      t->at++;
    }
  }
  if (peek(t, 0) != ']')
    fail(t, "a [ without its ]");
  tm_buf_putc(&t->out, ']');
  t->at++;
}

static void put_group(translation *t) {
  tm_buf_putc(&t->out, t->s[t->at++]);
  if (peek(t, 0) == '*')
    fail(t, "nothing to repeat behind (");
  if (peek(t, 0) != '?')
    return;
  tm_buf_putc(&t->out, t->s[t->at++]);
  int c = peek(t, 0);
  if (c == ':' || c == '=' || c == '!' || c == '<')
    return;
  size_t flags = 0;
  while (peek(t, flags) > 0 && strchr("ims-", peek(t, flags)))
    flags++;
  if (flags == 0 || (peek(t, flags) != ')' && peek(t, flags) != ':'))
    fail(t, "a group that starts with (? goes on with :, =, !, <=, <! or <name>");
}

/* Length of {n}, {n,} or {n,m} at t->at; 0 when it is a brace like any other. */
static size_t repeat_len(const translation *t) {
  size_t i = 1, digits = 0;
  for (; peek(t, i) >= '0' && peek(t, i) <= '9'; i++)
    digits++;
  if (digits == 0)
    return 0;
  if (peek(t, i) == ',')
    for (i++; peek(t, i) >= '0' && peek(t, i) <= '9';)
      i++;
  return peek(t, i) == '}' ? i + 1 : 0;
}

static size_t quantifier_len(const translation *t) {
  int c = peek(t, 0);
  if (c == '*' || c == '+' || c == '?')
    return 1;
  return c == '{' ? repeat_len(t) : 0;
}

static void put_quantifier(translation *t, size_t len) {
  tm_buf_put(&t->out, t->s + t->at, len);
  t->at += len;
  if (peek(t, 0) == '?')
    tm_buf_putc(&t->out, t->s[t->at++]);
  if (quantifier_len(t) > 0)
    fail(t, "nothing to repeat: two repeats in a row");
}

static void translate(translation *t) {
  while (t->at < t->len && !t->why) {
    size_t quantifier = quantifier_len(t);
    char c = t->s[t->at];
    if (quantifier) {
      put_quantifier(t, quantifier);
    } else if (c == '\\') {
      put_escape(t, false);
    } else if (c == '[') {
      put_class(t);
    } else if (c == '(') {
      put_group(t);
    } else if (c == '.') {
      tm_buf_puts(&t->out, "[^\\n\\r\\x{2028}\\x{2029}]");
      t->at++;
    } else {
      if (c == '{' || c == '}' || c == ']')
        tm_buf_putc(&t->out, '\\');
      tm_buf_putc(&t->out, c);
      t->at++;
    }
  }
}

/* -- compiling ------------------------------------------------------------------------- */

static void *from_arena(size_t size, void *arena) {
  return tm_arena_alloc(arena, size);
}

static void to_arena(void *p, void *arena) {
  (void)p;
  (void)arena;
}

static pcre2_code *compile(pcre2_compile_context *context, const translation *t,
                           const char **why) {
  int code;
  size_t where;
  uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY |
                     PCRE2_ALLOW_EMPTY_CLASS | PCRE2_MATCH_UNSET_BACKREF;
  pcre2_code *out = pcre2_compile((PCRE2_SPTR)tm_buf_str(&t->out), t->out.len, options, &code,
                                  &where, context);
  if (!out) {
    char message[128];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
    char *kept = code == PCRE2_ERROR_HEAP_FAILED ? NULL : tm_arena_strdup(t->a, message);
    *why = kept ? kept : no_memory;
  }
  return out;
}

const regex *tm_schema_regex_new(tm_arena *a, const char *text, size_t len, const char **why) {
  translation t = {.s = text, .len = len, .a = a};
  regex *re = NULL, *made = tm_arena_new(a, regex);
  *why = no_memory;
  if (!made)
    return NULL;
  made->plain = tm_schema_pattern_new(a, text, len);
  if (made->plain)
    return made;
  tm_buf_init(&t.out, PATTERN_MAX);
  translate(&t);
  if (t.out.failed)
    fail(&t, len > PATTERN_MAX / 128 ? "it is too long" : no_memory);
  *why = t.why;
  if (t.why)
    goto done;
  pcre2_general_context *memory = pcre2_general_context_create(from_arena, to_arena, a);
  pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
  pcre2_match_context *limits = context ? pcre2_match_context_create(memory) : NULL;
  *why = no_memory;
  if (!limits)
    goto done;
  pcre2_set_match_limit(limits, MATCH_LIMIT);
  pcre2_set_heap_limit(limits, MATCH_HEAP_KB);
  made->limits = limits;
  made->code = compile(context, &t, why);
  if (made->code)
    re = made;

done:
  tm_buf_free(&t.out);
  return re;
}

bool tm_schema_regex_valid(const char *text, size_t len) {
  tm_arena a;
  const char *why;
  tm_arena_init(&a, (size_t)4 << 20);
  bool valid = tm_schema_regex_new(&a, text, len, &why) != NULL;
  tm_arena_free(&a);
  return valid;
}

/* -- matching -------------------------------------------------------------------------- */

static void *from_room(size_t size, void *data) {
  regex_room *room = data;
  size = (size + 15) & ~(size_t)15;
  if (size > sizeof room->bytes - room->used)
    return tm_try_realloc(NULL, size);
  void *p = room->bytes + room->used;
  room->used += size;
  return p;
}

static void to_room(void *p, void *data) {
  const regex_room *room = data;
  const unsigned char *at = p;
  if (at && (at < room->bytes || at >= room->bytes + sizeof room->bytes))
    tm_free(p);
}

static bool open_room(regex_room *room) {
  pcre2_general_context *context = pcre2_general_context_create(from_room, to_room, room);
  room->context = context;
  room->data = context ? pcre2_match_data_create(1, context) : NULL;
  return room->data != NULL;
}

void tm_schema_regex_room_free(regex_room *room) {
  if (room->data)
    pcre2_match_data_free(room->data);
  if (room->context)
    pcre2_general_context_free(room->context);
  room->data = room->context = NULL;
}

int tm_schema_regex_match(regex_room *room, const regex *re, const char *s, size_t len) {
  if (re->plain)
    return tm_schema_pattern_match(re->plain, s, len);
  if (!room->data && !open_room(room))
    return -1;
  int rc =
      pcre2_match(re->code, (PCRE2_SPTR)s, len, 0, PCRE2_NO_UTF_CHECK, room->data, re->limits);
  if (rc >= 0)
    return 1;
  return rc == PCRE2_ERROR_NOMATCH ? 0 : -1;
}
