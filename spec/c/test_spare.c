/* test_spare.c - vms that wait for a run: how many there are, and for how long. */
#include "script.h"

#include "script/spare.h"

#define CROWD 20

typedef struct stock {
  tm_spares spares;
  tm_list looked_at;
  int made;
} stock;

/* False, and the case is skipped, below the address sanitizer, where no vm can be kept. */
static bool open_stock(stock *s) {
  tm_vm *vm;
  tm_err err = TM_ERR_INIT;
  *s = (stock){.made = 0};
  tm_list_init(&s->looked_at);
  tm_spare_init(&s->spares);
  if (tm_vm_open(&vm, &(tm_vm_opts){.seed = "spec"}, &err) < 0)
    return false;
  bool kept = tm_vm_keep(vm);
  tm_vm_close(&vm);
  if (!kept)
    check_skip("no vm can be kept in this build");
  return kept;
}

static tm_spare *take_or_make(stock *s, const char *workflow) {
  tm_vm *vm;
  tm_err err = TM_ERR_INIT;
  tm_spare *spare = tm_spare_take(&s->spares, workflow);
  if (spare || tm_vm_open(&vm, &(tm_vm_opts){.seed = "spec"}, &err) < 0)
    return spare;
  s->made++;
  tm_vm_keep(vm);
  return tm_spare_new(&s->spares, &s->looked_at, workflow, vm, 1, 2);
}

/* As many runs at once. */
static void crowd(stock *s, int runs) {
  tm_spare *with[CROWD];
  for (int i = 0; i < runs; i++)
    with[i] = take_or_make(s, "x");
  for (int i = 0; i < runs; i++)
    tm_spare_give(&s->spares, &with[i]);
}

static void a_run_gets_the_vm_of_one_before_it(void) {
  stock s;
  if (!open_stock(&s))
    return;
  for (int i = 0; i < 5; i++)
    crowd(&s, CROWD);
  CHECK_INT(s.made, CROWD);
  CHECK_INT(s.spares.idle, CROWD);
  tm_spare_free(&s.spares);
  CHECK_INT(s.spares.all, 0);
}

static void each_workflow_has_its_own(void) {
  stock s;
  if (!open_stock(&s))
    return;
  crowd(&s, 1);
  CHECK(tm_spare_take(&s.spares, "y") == NULL);
  tm_spare *x = tm_spare_take(&s.spares, "x");
  REQUIRE(x);
  CHECK_INT(x->flow * 10 + x->library, 12);
  tm_spare_give(&s.spares, &x);
  CHECK(x == NULL);
  tm_spare_free(&s.spares);
}

static void one_that_lacks_something_makes_room_for_a_better_one(void) {
  stock s;
  if (!open_stock(&s))
    return;
  tm_spare *x = take_or_make(&s, "x");
  x->lacks = true;
  tm_spare_give(&s.spares, &x);
  CHECK_INT(s.spares.all, 0);
  crowd(&s, 1);
  CHECK_INT(s.made, 2);
  tm_spare_free(&s.spares);
}

static void what_nobody_needs_goes_and_a_few_stay(void) {
  stock s;
  if (!open_stock(&s))
    return;
  crowd(&s, CROWD);
  tm_spare_trim(&s.looked_at); /* until now they were needed */
  CHECK_INT(s.spares.idle, CROWD);
  crowd(&s, CROWD);
  tm_spare_trim(&s.looked_at);
  CHECK_INT(s.spares.idle, CROWD);
  crowd(&s, CROWD / 2);
  tm_spare_trim(&s.looked_at); /* half of them lay about */
  CHECK_INT(s.spares.idle, CROWD - CROWD / 2 + 8);
  tm_spare_trim(&s.looked_at);
  CHECK_INT(s.spares.idle, 8);
  tm_spare_trim(&s.looked_at);
  CHECK_INT(s.spares.idle, 8);
  CHECK_INT(s.made, CROWD);
  tm_spare_free(&s.spares);
}

static void there_are_only_so_many(void) {
  stock s;
  if (!open_stock(&s))
    return;
  tm_spare *with[200];
  int n = 0;
  for (; n < 200 && tm_spare_wanted(&s.spares); n++)
    with[n] = take_or_make(&s, "x");
  CHECK_INT(n, 128);
  while (n > 0)
    tm_spare_give(&s.spares, &with[--n]);
  CHECK(!tm_spare_wanted(&s.spares));
  tm_spare_free(&s.spares);
}

CHECK_SUITE(spare) {
  CHECK_RUN(a_run_gets_the_vm_of_one_before_it);
  CHECK_RUN(each_workflow_has_its_own);
  CHECK_RUN(one_that_lacks_something_makes_room_for_a_better_one);
  CHECK_RUN(what_nobody_needs_goes_and_a_few_stay);
  CHECK_RUN(there_are_only_so_many);
}
