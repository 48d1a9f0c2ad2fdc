/* heap.c - the two moves of a heap: up towards the root, down away from it.
 */
#include "base/heap.h"

#include "base/mem.h"

static void place(tm_heap *h, size_t i, tm_heap_node *n) {
  h->nodes[i] = n;
  n->at = i + 1;
}

static void up(tm_heap *h, size_t i) {
  tm_heap_node *n = h->nodes[i];
  while (i > 0 && h->nodes[(i - 1) / 2]->due > n->due) {
    place(h, i, h->nodes[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  place(h, i, n);
}

static void down(tm_heap *h, size_t i) {
  tm_heap_node *n = h->nodes[i];
  for (;;) {
    size_t child = 2 * i + 1;
    if (child + 1 < h->count && h->nodes[child + 1]->due < h->nodes[child]->due)
      child++;
    if (child >= h->count || h->nodes[child]->due >= n->due)
      break;
    place(h, i, h->nodes[child]);
    i = child;
  }
  place(h, i, n);
}

void tm_heap_put(tm_heap *h, tm_heap_node *n, int64_t due) {
  tm_heap_remove(h, n);
  if (h->count == h->cap) {
    h->cap = h->cap ? 2 * h->cap : 16;
    h->nodes = tm_realloc(h->nodes, h->cap * sizeof *h->nodes);
  }
  n->due = due;
  h->nodes[h->count] = n;
  up(h, h->count++);
}

void tm_heap_remove(tm_heap *h, tm_heap_node *n) {
  if (!n->at)
    return;
  size_t i = n->at - 1;
  n->at = 0;
  tm_heap_node *last = h->nodes[--h->count];
  if (last == n)
    return;
  place(h, i, last);
  up(h, i);
  down(h, last->at - 1);
}

tm_heap_node *tm_heap_first(const tm_heap *h) {
  return h->count ? h->nodes[0] : NULL;
}

void tm_heap_free(tm_heap *h) {
  tm_free(h->nodes);
  *h = (tm_heap){0};
}
