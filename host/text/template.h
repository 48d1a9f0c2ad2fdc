/* template.h - the Handlebars subset of Dotprompt, compiled once, rendered to parts.
 *
 * Structure is never text: role, history, media and section are markers in the
 * output stream that only the template itself can write. A variable's text stays
 * text, whatever it contains, and is never expanded again.
 */
#ifndef TM_TEXT_TEMPLATE_H
#define TM_TEXT_TEMPLATE_H

#include "text/json.h"

typedef struct tm_template tm_template;

/* Finds the source of a partial `{{> name}}`; NULL when there is none. */
typedef const char *(*tm_template_partial)(void *ctx, const char *name, size_t *len);

/* Compile; the template lives in `a`. Errors name file, line and column. `file` is for
 * messages, `first_line` the line of the file that the text starts on. Unknown helpers are
 * errors; with `known` (an object schema's properties, may be NULL) so are unknown variables.
 */
int tm_template_compile(tm_template **out, tm_arena *a, const char *text, size_t len,
                        const char *file, int first_line, const tm_json *known,
                        tm_template_partial partial, void *ctx, tm_err *err);

/* Render to Dotprompt messages: an array of {role, content:[{text}|{media:{url,contentType}}|
 * {metadata:{…}}], metadata?}. `data` is the input object; `context` the @variables object (may
 * be NULL); `history` an array of messages to splice (may be NULL). */
int tm_template_render(tm_json **messages, tm_arena *a, const tm_template *t,
                       const tm_json *data, const tm_json *context, const tm_json *history,
                       tm_err *err);

#endif
