/* list.h - an intrusive doubly linked ring.
 *
 * A tm_list is both the head of a list and the link inside a member; the list
 * owns nothing. An unlinked member points at itself.
 */
#ifndef TM_BASE_LIST_H
#define TM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tm_list {
  struct tm_list *prev, *next;
} tm_list;

#define TM_LIST_OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void tm_list_init(tm_list *l) {
  l->prev = l->next = l;
}
static inline bool tm_list_empty(const tm_list *l) {
  return l->next == l;
}
static inline void tm_list_append(tm_list *head, tm_list *link) {
  link->prev = head->prev;
  link->next = head;
  head->prev->next = link;
  head->prev = link;
}
static inline void tm_list_remove(tm_list *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  link->prev = link->next = link;
}
/* Take the first member off; NULL when empty. */
static inline tm_list *tm_list_shift(tm_list *head) {
  if (tm_list_empty(head))
    return NULL;
  tm_list *first = head->next;
  tm_list_remove(first);
  return first;
}

#endif
