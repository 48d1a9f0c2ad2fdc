/* map.h - string keys to pointers, open addressing, in insertion order.
 *
 * The map owns copies of its keys, never its values. Iteration is in the order
 * of insertion (deterministic; removal leaves the order of the rest). While
 * iterating, the current entry may be removed; nothing may be inserted.
 */
#ifndef TM_BASE_MAP_H
#define TM_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tm_map_entry {
  char *key; /* NULL: removed */
  size_t key_len;
  uint64_t hash;
  void *value;
} tm_map_entry;

typedef struct tm_map {
  tm_map_entry *entries; /* in insertion order, `used` of them, some removed */
  uint32_t *slots;       /* index + 1 into entries; 0 free */
  size_t count, used, cap, slot_cap;
} tm_map;

#define TM_MAP_INIT ((tm_map){0})

void *tm_map_get(const tm_map *m, const char *key);
void *tm_map_getn(const tm_map *m, const char *key, size_t len);
/* Insert or replace; returns the value that stood there before, or NULL. */
void *tm_map_set(tm_map *m, const char *key, void *value);
void *tm_map_setn(tm_map *m, const char *key, size_t len, void *value);
void *tm_map_remove(tm_map *m, const char *key); /* the removed value or NULL */
/* for (size_t i = 0; (e = tm_map_next(&m, &i));) ... */
tm_map_entry *tm_map_next(const tm_map *m, size_t *at);
void tm_map_free(tm_map *m);

#endif
