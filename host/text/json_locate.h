/* json_locate.h - where in a JSON text a value stands, for messages about files. */
#ifndef TM_TEXT_JSON_LOCATE_H
#define TM_TEXT_JSON_LOCATE_H

#include <stddef.h>

/* The line, from 1, on which the value begins that an RFC 6901 pointer ("": the whole) names in a
 * valid JSON text; of a key that stands twice the first. 0 when nothing is there. Text that is not
 * valid gives 0 or any of its lines. Allocates nothing. */
int tm_json_locate(const char *text, size_t len, const char *pointer);

#endif
