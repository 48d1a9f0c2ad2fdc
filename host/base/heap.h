/* heap.h - an intrusive binary heap by due time: what is due first is found at once, and any member
 * can leave in logarithmic time.
 *
 * A tm_heap owns its array of pointers, never its members. A member that is in no heap has `at` 0.
 */
#ifndef TM_BASE_HEAP_H
#define TM_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct tm_heap_node {
  int64_t due;
  size_t at; /* its index + 1; 0: in no heap */
} tm_heap_node;

typedef struct tm_heap {
  tm_heap_node **nodes;
  size_t count, cap;
} tm_heap;

#define TM_HEAP_OF(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Put the node in, or move it to its new due time. */
void tm_heap_put(tm_heap *h, tm_heap_node *n, int64_t due);
void tm_heap_remove(tm_heap *h, tm_heap_node *n); /* in no heap: fine */
/* The one that is due first, or NULL. */
tm_heap_node *tm_heap_first(const tm_heap *h);
void tm_heap_free(tm_heap *h);

#endif
