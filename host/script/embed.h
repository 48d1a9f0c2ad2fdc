/* embed.h - the files of lua/, inside the binary.
 *
 * Names are paths below lua/: "tidemill.lua", "tidemill/test.lua". The table is made at build
 * by cmake/embed.cmake; nothing here is ever freed.
 */
#ifndef TM_SCRIPT_EMBED_H
#define TM_SCRIPT_EMBED_H

#include <stddef.h>

typedef struct tm_embed_file {
  const char *name;
  const char *bytes; /* followed by a NUL that `len` does not count */
  size_t len;
} tm_embed_file;

/* NULL when there is none of that name. */
const tm_embed_file *tm_embed_find(const char *name);
/* All of them, sorted by name; NULL past the end. */
const tm_embed_file *tm_embed_at(size_t i);

#endif
