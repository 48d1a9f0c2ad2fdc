/* spare.c - lists of idle vms.
 */
#include "script/spare.h"

#include <string.h>

#include "base/mem.h"

#define SPARES_MAX  128 /* of a program */
#define SPARES_LEFT 8   /* for the next runs, however quiet it was */

void tm_spare_init(tm_spares *s) {
  *s = (tm_spares){.first = NULL};
  tm_list_init(&s->link);
}

static void drop(tm_spares *s, tm_spare *spare) {
  s->all--;
  tm_vm_close(&spare->vm);
  tm_free(spare->workflow);
  tm_free(spare);
}

static tm_spare *unlink_at(tm_spares *s, tm_spare **at) {
  tm_spare *spare = *at;
  *at = spare->next;
  s->idle--;
  return spare;
}

void tm_spare_free(tm_spares *s) {
  while (s->first)
    drop(s, unlink_at(s, &s->first));
  tm_list_remove(&s->link);
}

bool tm_spare_wanted(const tm_spares *s) {
  return s->all < SPARES_MAX;
}

tm_spare *tm_spare_new(tm_spares *s, tm_list *looked_at, const char *workflow, tm_vm *vm,
                       int flow, int library) {
  tm_spare *spare = tm_new(tm_spare);
  *spare =
      (tm_spare){.workflow = tm_strdup(workflow), .vm = vm, .flow = flow, .library = library};
  if (s->all++ == 0) {
    tm_list_remove(&s->link);
    tm_list_append(looked_at, &s->link);
  }
  return spare;
}

tm_spare *tm_spare_take(tm_spares *s, const char *workflow) {
  tm_spare **at = &s->first;
  while (*at && strcmp((*at)->workflow, workflow) != 0)
    at = &(*at)->next;
  tm_spare *spare = *at ? unlink_at(s, at) : NULL;
  if (s->idle < s->least)
    s->least = s->idle;
  return spare;
}

void tm_spare_give(tm_spares *s, tm_spare **spare) {
  tm_spare *given = *spare;
  *spare = NULL;
  if (given->lacks || !tm_vm_rewind(given->vm)) {
    drop(s, given);
    return;
  }
  given->next = s->first;
  s->first = given;
  s->idle++;
}

/* How many went. */
static int trim(tm_spares *s) {
  int gone = s->least > SPARES_LEFT ? s->least - SPARES_LEFT : 0;
  for (int i = 0; i < gone; i++)
    drop(s, unlink_at(s, &s->first));
  s->least = s->idle;
  return gone;
}

void tm_spare_trim(tm_list *looked_at) {
  int gone = 0;
  for (tm_list *l = looked_at->next; l != looked_at; l = l->next)
    gone += trim(TM_LIST_OF(l, tm_spares, link));
  if (gone)
    tm_mem_release();
}
