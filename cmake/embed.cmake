# Writes files as one C source with a table sorted by name: the data behind script/embed.h.
#
#   cmake -DROOT=lua -DFILES=a.lua,b/c.lua -DOUT=embed.c -P embed.cmake
#
# In CMake itself, so that a build needs no xxd, ld tricks or a generator program.
string(REPLACE "," ";" FILES "${FILES}")
list(SORT FILES)

set(arrays "")
set(table "")
set(index 0)
foreach(name IN LISTS FILES)
  file(READ "${ROOT}/${name}" hex HEX)
  string(LENGTH "${hex}" length)
  math(EXPR length "${length} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND arrays "static const unsigned char f${index}[] = {\n${bytes}0x00};\n")
  string(APPEND table "  {\"${name}\", (const char *)f${index}, ${length}},\n")
  math(EXPR index "${index} + 1")
endforeach()

file(WRITE "${OUT}" "/* Generated from lua/ by cmake/embed.cmake. */
#include \"script/embed.h\"

#include <string.h>

${arrays}
static const tm_embed_file files[] = {
${table}  {NULL, NULL, 0},
};

const tm_embed_file *tm_embed_at(size_t i) {
  return i < sizeof files / sizeof files[0] - 1 ? &files[i] : NULL;
}

const tm_embed_file *tm_embed_find(const char *name) {
  for (const tm_embed_file *f = files; f->name; f++)
    if (strcmp(f->name, name) == 0)
      return f;
  return NULL;
}
")
