/* template_strip.c - which white space around tags is not part of the text.
 *
 * Two rules, both Handlebars'. A tilde takes all white space on its side of the tag. A line
 * that holds nothing but one block, else, closing, comment or partial tag goes as a whole:
 *
 *   Dear {{name}},\n          kept
 *   ␣␣{{#if late}}\n          gone, with its line end
 *   Sorry.\n                  kept
 *   {{/if}}\n                 gone
 *
 * "Is it alone on its line" is asked of the text as written, so that what one tag removes
 * never changes the answer for its neighbour.
 */
#include "text/template_tree.h"

static void strip_program(program *p, bool root);

/* -- what a text begins and ends with -------------------------------------------------- */

static size_t leading_blank(slice t) {
  size_t n = 0;
  for (size_t w; n < t.len && (w = tm_template_blank_at(t.s + n, t.len - n)) > 0;)
    n += w;
  return n;
}

/* Where the white space at the end of t begins. */
static size_t trailing_blank(slice t) {
  size_t end = t.len;
  while (end > 0) {
    size_t at = end - 1;
    while (at > 0 && ((unsigned char)t.s[at] & 0xC0) == 0x80)
      at--;
    if (tm_template_blank_at(t.s + at, end - at) != end - at)
      break;
    end = at;
  }
  return end;
}

static bool has_newline(const char *s, size_t len) {
  return len > 0 && memchr(s, '\n', len) != NULL;
}

/* Does a line end right before this place? `prev` is the node before it. The start of the
 * whole template counts as the end of a line. */
static bool line_ends_before(const node *prev, bool root) {
  if (!prev)
    return root;
  if (prev->kind != NODE_TEXT)
    return false;
  size_t blank = trailing_blank(prev->original);
  if (root && !prev->prev && blank == 0)
    return true;
  return has_newline(prev->original.s + blank, prev->original.len - blank);
}

static bool line_ends_after(const node *next, bool root) {
  if (!next)
    return root;
  if (next->kind != NODE_TEXT)
    return false;
  size_t blank = leading_blank(next->original);
  if (root && !next->next && blank == next->original.len)
    return true;
  return has_newline(next->original.s, blank);
}

/* -- taking it away -------------------------------------------------------------------- */

/* The start of the text that follows a tag: all white space, or the rest of the tag's line. */
static void cut_start(node *n, bool all) {
  if (!n || n->kind != NODE_TEXT || (!all && n->right_stripped))
    return;
  size_t cut = 0, len = n->text.len;
  const char *s = n->text.s;
  if (all) {
    cut = leading_blank(n->text);
  } else {
    while (cut < len && (s[cut] == ' ' || s[cut] == '\t'))
      cut++;
    cut += cut < len && s[cut] == '\r';
    cut += cut < len && s[cut] == '\n';
  }
  n->text = (slice){s + cut, len - cut};
  n->right_stripped = cut > 0;
}

/* The end of the text before a tag: all white space, or the tag's indent. */
static bool cut_end(node *n, bool all) {
  if (!n || n->kind != NODE_TEXT || (!all && n->left_stripped))
    return false;
  size_t len = n->text.len;
  if (all)
    len = trailing_blank(n->text);
  else
    while (len > 0 && (n->text.s[len - 1] == ' ' || n->text.s[len - 1] == '\t'))
      len--;
  n->left_stripped = len < n->text.len;
  n->text.len = len;
  return n->left_stripped;
}

static node *first_of(const program *p) {
  return p ? p->first : NULL;
}

static node *last_of(const program *p) {
  return p ? p->last : NULL;
}

/* -- blocks ---------------------------------------------------------------------------- */

typedef struct edges {
  bool open, close;             /* tildes outside the block */
  bool open_alone, close_alone; /* its tags may stand alone on their lines */
  bool inline_alone;            /* a comment or partial */
} edges;

/* The tags between the two parts of a block. */
static void strip_else(const node *block, program *body, program *first, program *last) {
  if (block->inverse_strip.open)
    cut_end(last_of(body), true);
  if (block->inverse_strip.close)
    cut_start(first_of(first), true);
  if (block->close_strip.open)
    cut_end(last_of(last), true);
  if (line_ends_before(last_of(body), false) && line_ends_after(first_of(first), false)) {
    cut_end(last_of(body), false);
    cut_start(first_of(first), false);
  }
}

static edges strip_block(node *block) {
  if (block->body)
    strip_program(block->body, false);
  if (block->inverse)
    strip_program(block->inverse, false);
  program *body = block->body ? block->body : block->inverse;
  program *inverse = block->body ? block->inverse : NULL;
  program *first = inverse, *last = inverse;
  if (inverse && inverse->chained) {
    first = inverse->first->body;
    while (last && last->chained)
      last = last->last->body;
  }
  edges e = {.open = block->strip.open,
             .close = block->close_strip.close,
             .open_alone = line_ends_after(first_of(body), false),
             .close_alone = line_ends_before(last_of(first ? first : body), false)};
  if (block->strip.close)
    cut_start(first_of(body), true);
  if (inverse)
    strip_else(block, body, first, last);
  else if (block->close_strip.open)
    cut_end(last_of(body), true);
  return e;
}

static edges edges_of(node *n) {
  switch (n->kind) {
  case NODE_BLOCK:
    return strip_block(n);
  case NODE_PRINT:
    return (edges){.open = n->strip.open, .close = n->strip.close};
  case NODE_PARTIAL:
  case NODE_COMMENT:
    return (edges){.open = n->strip.open, .close = n->strip.close, .inline_alone = true};
  default:
    return (edges){0};
  }
}

/* The white space that a partial stood behind: all its lines get it. */
static slice indent_of(slice text) {
  size_t from = text.len;
  while (from > 0 && (text.s[from - 1] == ' ' || text.s[from - 1] == '\t'))
    from--;
  return (slice){text.s + from, text.len - from};
}

static void strip_node(node *n, bool root) {
  edges e = edges_of(n);
  bool before = line_ends_before(n->prev, root), after = line_ends_after(n->next, root);
  if (e.close)
    cut_start(n->next, true);
  if (e.open)
    cut_end(n->prev, true);
  if (e.inline_alone && before && after) {
    cut_start(n->next, false);
    if (cut_end(n->prev, false) && n->kind == NODE_PARTIAL)
      n->text = indent_of(n->prev->original);
  }
  if (e.open_alone && before) {
    cut_start(first_of(n->body ? n->body : n->inverse), false);
    cut_end(n->prev, false);
  }
  if (e.close_alone && after) {
    cut_start(n->next, false);
    cut_end(last_of(n->inverse ? n->inverse : n->body), false);
  }
}

static void strip_program(program *p, bool root) {
  for (node *n = p->first; n; n = n->next)
    strip_node(n, root);
}

void tm_template_strip(program *root) {
  strip_program(root, true);
}
