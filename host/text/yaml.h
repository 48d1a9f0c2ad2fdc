/* yaml.h - a strict little YAML: bytes to value tree (yaml.h of libyaml stays in yaml.c).
 *
 * One document; no aliases or anchors, no tags; duplicate keys refused; at most
 * 64 KiB and depth 64. Plain scalars follow the YAML 1.2 core schema: null/~,
 * true/false, decimal numbers; so `no`, `on`, `1:30`, `0o17` stay strings.
 */
#ifndef TM_TEXT_YAML_H
#define TM_TEXT_YAML_H

#include "text/json.h"

/* `first_line` is the line of the file that the text starts on (1-based): errors name the
 * file's lines. An empty document gives an empty object. */
int tm_yaml_parse(tm_json **out, tm_arena *a, const char *text, size_t len, int first_line,
                  tm_err *err);

#endif
