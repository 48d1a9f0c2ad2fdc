/* template_lex.c - template text to tokens.
 *
 * Two modes: text up to the next {{ (where \{{ is literal text and \\{{ a backslash and a
 * tag), and the inside of a tag. Tokens are slices of the source; nothing is allocated.
 */
#include "text/template_tree.h"

static char peek(const lexer *l, size_t ahead) {
  return l->at + ahead < l->src->len ? l->src->text[l->at + ahead] : '\0';
}

static bool ahead_is(const lexer *l, size_t ahead, const char *word) {
  size_t n = strlen(word), at = l->at + ahead;
  return at <= l->src->len && n <= l->src->len - at && memcmp(l->src->text + at, word, n) == 0;
}

static bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_name_char(char c) {
  return c != '\0' && !is_space(c) && !strchr("!\"#%&'()*+,./;<=>@[\\]^`{|}~", c);
}

/* What may follow a name, so that foo"bar" is an error and not two words. */
static bool may_follow_name(char c) {
  return c == '\0' || is_space(c) || strchr("=~}/.)]|", c) != NULL;
}

static bool may_follow_literal(char c) {
  return c == '\0' || is_space(c) || strchr("~})]", c) != NULL;
}

static token make(lexer *l, token_kind kind, size_t len) {
  token t = {.kind = kind, .at = l->at, .text = {l->src->text + l->at, len}};
  l->at += len;
  return t;
}

static const char *find(const lexer *l, size_t from, const char *word) {
  size_t n = strlen(word);
  if (from > l->src->len || l->src->len - from < n)
    return NULL;
  return memmem(l->src->text + from, l->src->len - from, word, n);
}

static size_t offset_of(const lexer *l, const char *p) {
  return p ? (size_t)(p - l->src->text) : l->src->len;
}

/* -- text ------------------------------------------------------------------------------ */

/* \{{ makes literal text of all up to the next tag, escaped or not. */
static token lex_escaped(lexer *l) {
  size_t next = offset_of(l, find(l, l->at + 2, "{{"));
  for (int i = 0; i < 2 && next > l->at + 2 && next < l->src->len; i++)
    next -= l->src->text[next - 1] == '\\';
  l->escaped = false;
  return make(l, TOKEN_TEXT, next - l->at);
}

/* Text before the next tag; its slice is empty when the tag follows at once. */
static token lex_text(lexer *l) {
  if (l->escaped)
    return lex_escaped(l);
  size_t next = offset_of(l, find(l, l->at, "{{"));
  size_t slashes = 0;
  while (slashes < 2 && next < l->src->len && next - slashes > l->at &&
         l->src->text[next - slashes - 1] == '\\')
    slashes++;
  token t = make(l, TOKEN_TEXT, next - l->at);
  if (slashes > 0)
    t.text.len--;
  l->escaped = slashes == 1;
  return t;
}

/* -- tags ------------------------------------------------------------------------------ */

static int lex_comment(lexer *l, token *out, size_t bang, tm_err *err) {
  bool dashed = ahead_is(l, bang, "!--");
  size_t start = l->at, from = l->at + bang + 1;
  const char *end = find(l, from, "}}");
  while (dashed && end && !(end >= l->src->text + from + 2 && memcmp(end - 2, "--", 2) == 0) &&
         !(end >= l->src->text + from + 3 && memcmp(end - 3, "--~", 3) == 0))
    end = find(l, offset_of(l, end) + 1, "}}");
  if (!end)
    return tm_template_fail(err, l->src, start, TM_USAGE, "this comment is not closed by %s",
                            dashed ? "--}}" : "}}");
  *out = make(l, TOKEN_COMMENT, offset_of(l, end) + 2 - start);
  out->strip = (strip){.open = out->text.s[2] == '~', .close = end[-1] == '~'};
  return 0;
}

/* {{else}}, {{^}} or {{else: how long, or 0 when this is something else. `n` is what stands
 * before the word. */
static size_t lex_else(lexer *l, token *out, size_t n, strip s) {
  size_t word = n;
  if (peek(l, n) == '^') {
    word = n + 1;
  } else {
    while (is_space(peek(l, word)))
      word++;
    if (!ahead_is(l, word, "else"))
      return 0;
    word += 4;
  }
  size_t end = word;
  while (is_space(peek(l, end)))
    end++;
  bool tilde = peek(l, end) == '~';
  if (ahead_is(l, end + tilde, "}}")) {
    *out = make(l, TOKEN_ELSE, end + tilde + 2);
    out->strip = (strip){.open = s.open, .close = tilde};
    return word;
  }
  if (peek(l, n) == '^' || is_name_char(peek(l, word)) || strchr("=/.", peek(l, word)))
    return 0;
  *out = make(l, TOKEN_OPEN_ELSE, word);
  out->strip = s;
  l->in_tag = true;
  return word;
}

static int lex_open(lexer *l, token *out, tm_err *err) {
  strip s = {.open = peek(l, 2) == '~'};
  l->tag = l->at;
  size_t n = 2 + (size_t)s.open;
  char c = peek(l, n);
  if (ahead_is(l, 0, "{{{{"))
    return tm_template_fail(err, l->src, l->at, TM_USAGE,
                            "raw blocks {{{{ are not supported; write \\{{ for literal braces");
  if (ahead_is(l, n, "#>") || ahead_is(l, n, "#*") || c == '*')
    return tm_template_fail(err, l->src, l->at, TM_USAGE,
                            "partial blocks, inline partials and decorators are not supported; "
                            "use {{> name}} and a file of its own");
  if (c == '!')
    return lex_comment(l, out, n, err);
  if (lex_else(l, out, n, s))
    return 0;
  static const char marks[] = "#^/>&{";
  static const token_kind kinds[] = {TOKEN_OPEN_BLOCK,   TOKEN_OPEN_INVERSE, TOKEN_OPEN_END,
                                     TOKEN_OPEN_PARTIAL, TOKEN_OPEN,         TOKEN_OPEN};
  const char *mark = c ? strchr(marks, c) : NULL;
  *out = make(l, mark ? kinds[mark - marks] : TOKEN_OPEN, n + (mark != NULL));
  out->strip = s;
  l->in_tag = true;
  l->triple = c == '{';
  return 0;
}

static bool lex_close(lexer *l, token *out) {
  size_t brace = l->triple && peek(l, 0) == '}';
  size_t tilde = peek(l, brace) == '~';
  if ((l->triple && !brace) || !ahead_is(l, brace + tilde, "}}"))
    return false;
  *out = make(l, TOKEN_CLOSE, brace + tilde + 2);
  out->strip.close = tilde;
  l->in_tag = l->triple = false;
  return true;
}

static int lex_string(lexer *l, token *out, tm_err *err) {
  char quote = peek(l, 0);
  size_t n = 1;
  while (peek(l, n) != quote) {
    if (l->at + n >= l->src->len)
      return tm_template_fail(err, l->src, l->at, TM_USAGE, "this string is not closed");
    n += peek(l, n) == '\\' && peek(l, n + 1) == quote ? 2 : 1;
  }
  *out = make(l, TOKEN_STRING, n + 1);
  out->text = (slice){out->text.s + 1, n - 1};
  return 0;
}

static int lex_segment(lexer *l, token *out, tm_err *err) {
  size_t n = 1;
  while (peek(l, n) != ']') {
    if (l->at + n >= l->src->len)
      return tm_template_fail(err, l->src, l->at, TM_USAGE, "this [ is not closed by ]");
    n++;
  }
  *out = make(l, TOKEN_SEGMENT, n + 1);
  out->text = (slice){out->text.s + 1, n - 1};
  return 0;
}

static size_t number_length(const lexer *l) {
  size_t n = peek(l, 0) == '-', digits = n;
  while (peek(l, n) >= '0' && peek(l, n) <= '9')
    n++;
  if (n == digits)
    return 0;
  if (peek(l, n) == '.' && peek(l, n + 1) >= '0' && peek(l, n + 1) <= '9')
    for (n++; peek(l, n) >= '0' && peek(l, n) <= '9';)
      n++;
  return may_follow_literal(peek(l, n)) ? n : 0;
}

static bool lex_word(lexer *l, token *out) {
  static const char *const words[] = {"true", "false", "null", "undefined"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t n = strlen(words[i]);
    if (ahead_is(l, 0, words[i]) && may_follow_literal(peek(l, n))) {
      *out = make(l, TOKEN_WORD, n);
      return true;
    }
  }
  return false;
}

/* "as |" opens the names of a block; a variable may still be called as. */
static bool lex_as(lexer *l, token *out) {
  size_t n = 2;
  while (is_space(peek(l, n)))
    n++;
  if (!ahead_is(l, 0, "as") || n == 2 || peek(l, n) != '|')
    return false;
  *out = make(l, TOKEN_AS, n + 1);
  return true;
}

static bool lex_mark(lexer *l, token *out) {
  static const char marks[] = "=@()|/";
  static const token_kind kinds[] = {TOKEN_EQUALS, TOKEN_AT,   TOKEN_LEFT,
                                     TOKEN_RIGHT,  TOKEN_PIPE, TOKEN_SEPARATOR};
  char c = peek(l, 0);
  const char *mark = c ? strchr(marks, c) : NULL;
  if (mark)
    *out = make(l, kinds[mark - marks], 1);
  else if (ahead_is(l, 0, ".."))
    *out = make(l, TOKEN_ID, 2);
  else if (c == '.')
    *out = make(l, may_follow_name(peek(l, 1)) ? TOKEN_ID : TOKEN_SEPARATOR, 1);
  else
    return false;
  return true;
}

static int lex_name(lexer *l, token *out, tm_err *err) {
  size_t n = 0;
  while (is_name_char(peek(l, n)))
    n++;
  if (n > 0 && may_follow_name(peek(l, n))) {
    *out = make(l, TOKEN_ID, n);
    return 0;
  }
  unsigned char c = (unsigned char)peek(l, n);
  if (l->at + n >= l->src->len)
    return tm_template_fail(err, l->src, l->tag, TM_USAGE, "this tag is not closed by }}");
  if (c == '}' && l->triple)
    return tm_template_fail(err, l->src, l->at + n, TM_USAGE,
                            "a tag opened by {{{ is closed by }}}");
  return tm_template_fail(err, l->src, l->at + n, TM_USAGE,
                          "the character %c cannot stand here", c);
}

static int lex_tag(lexer *l, token *out, tm_err *err) {
  while (is_space(peek(l, 0)))
    l->at++;
  char c = peek(l, 0);
  if (lex_close(l, out))
    return 0;
  if (c == '"' || c == '\'')
    return lex_string(l, out, err);
  if (c == '[') {
    if (lex_segment(l, out, err) < 0)
      return -1;
  } else if (number_length(l)) {
    *out = make(l, TOKEN_NUMBER, number_length(l));
  } else if (!lex_word(l, out) && !lex_as(l, out) && !lex_mark(l, out) &&
             lex_name(l, out, err) < 0) {
    return -1;
  }
  size_t n = 0;
  while (is_space(peek(l, n)))
    n++;
  out->before_equals =
      (out->kind == TOKEN_ID || out->kind == TOKEN_SEGMENT) && peek(l, n) == '=';
  return 0;
}

int tm_template_lex(lexer *l, token *out, tm_err *err) {
  if (l->in_tag)
    return lex_tag(l, out, err);
  while (l->at < l->src->len) {
    if (!l->escaped && ahead_is(l, 0, "{{"))
      return lex_open(l, out, err);
    *out = lex_text(l);
    if (out->text.len)
      return 0;
  }
  *out = (token){.kind = TOKEN_END, .at = l->at, .text = {l->src->text + l->at, 0}};
  return 0;
}
