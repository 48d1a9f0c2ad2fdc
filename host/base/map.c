/* map.c - open addressing over a dense list of entries.
 *
 *   slots    [ 0 | 3 | 0 | 1 | 2 | 0 ... ]     hash -> index + 1, linear probing
 *   entries  [ a | b | (removed) | ...   ]     in the order of insertion
 *
 * A removed entry keeps its slot (that is its tombstone) until the next rehash
 * closes the gaps. So removing while iterating is safe, inserting is not.
 */
#include "base/map.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define SLOTS_MIN ((size_t)8)

/* The slot that holds the key, or the free slot where its search ends. */
static uint32_t *find_slot(const tm_map *m, const char *key, size_t len, uint64_t hash) {
  size_t mask = m->slot_cap - 1;
  for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
    uint32_t *slot = &m->slots[i];
    if (!*slot)
      return slot;
    const tm_map_entry *e = &m->entries[*slot - 1];
    if (e->key && e->hash == hash && e->key_len == len && memcmp(e->key, key, len) == 0)
      return slot;
  }
}

static tm_map_entry *find(const tm_map *m, const char *key, size_t len) {
  if (!m->count)
    return NULL;
  uint32_t slot = *find_slot(m, key, len, tm_hash_fast(key, len));
  return slot ? &m->entries[slot - 1] : NULL;
}

/* Close the gaps of removed entries. */
static void compact(tm_map *m) {
  size_t kept = 0;
  for (size_t i = 0; i < m->used; i++)
    if (m->entries[i].key)
      m->entries[kept++] = m->entries[i];
  m->used = kept;
}

static void rehash(tm_map *m) {
  compact(m);
  size_t slots = SLOTS_MIN;
  while (slots < m->used * 2 + 2)
    slots *= 2;
  assert(slots < UINT32_MAX);
  tm_free(m->slots);
  m->slots = tm_new_array(uint32_t, slots);
  m->slot_cap = slots;
  m->cap = slots / 4 * 3; /* at most three quarters of the slots are ever taken */
  m->entries = tm_realloc(m->entries, m->cap * sizeof *m->entries);
  for (size_t i = 0; i < m->used; i++) {
    const tm_map_entry *e = &m->entries[i];
    *find_slot(m, e->key, e->key_len, e->hash) = (uint32_t)i + 1;
  }
}

void *tm_map_getn(const tm_map *m, const char *key, size_t len) {
  const tm_map_entry *e = find(m, key, len);
  return e ? e->value : NULL;
}

void *tm_map_get(const tm_map *m, const char *key) {
  return tm_map_getn(m, key, strlen(key));
}

void *tm_map_setn(tm_map *m, const char *key, size_t len, void *value) {
  tm_map_entry *e = find(m, key, len);
  if (e) {
    void *before = e->value;
    e->value = value;
    return before;
  }
  if (m->used == m->cap)
    rehash(m);
  uint64_t hash = tm_hash_fast(key, len);
  uint32_t *slot = find_slot(m, key, len, hash);
  m->entries[m->used++] = (tm_map_entry){tm_strndup(key, len), len, hash, value};
  *slot = (uint32_t)m->used;
  m->count++;
  return NULL;
}

void *tm_map_set(tm_map *m, const char *key, void *value) {
  return tm_map_setn(m, key, strlen(key), value);
}

void *tm_map_remove(tm_map *m, const char *key) {
  tm_map_entry *e = find(m, key, strlen(key));
  if (!e)
    return NULL;
  void *value = e->value;
  tm_free(e->key);
  e->key = NULL;
  e->value = NULL;
  m->count--;
  return value;
}

tm_map_entry *tm_map_next(const tm_map *m, size_t *at) {
  while (*at < m->used) {
    tm_map_entry *e = &m->entries[(*at)++];
    if (e->key)
      return e;
  }
  return NULL;
}

void tm_map_free(tm_map *m) {
  for (size_t i = 0; i < m->used; i++)
    tm_free(m->entries[i].key);
  tm_free(m->entries);
  tm_free(m->slots);
  *m = TM_MAP_INIT;
}
