/* test_engine_crash.c - dying at every moment, and going on as if nothing had been. */
#include <stdio.h>

#include "check.h"
#include "engine_kit.h"

/* Keys begin with their action's policy: of p(robe) and a(sk) the other side may see one,
 * whatever happens; of r(etry) more than one, all alike. */
static void check_effects(kit_world *w) {
  tm_map_entry *e;
  for (size_t i = 0; (e = tm_map_next(&w->effects, &i));) {
    const kit_effect *seen = e->value;
    CHECK(seen->sends <= 1 || *e->key == 'r');
    if (seen->sends > 1 && *e->key != 'r')
      printf("    %s was sent %d times\n", e->key, seen->sends);
  }
}

/* What the other side saw, without how often. */
static const char *keys_of(kit_world *w) {
  char *text = tm_arena_strdup(&w->arena, kit_effects(w)), *to = text;
  for (const char *c = text; *c; c++)
    if (*c == 'x')
      c += strcspn(c, " ") - 1;
    else
      *to++ = *c;
  *to = 0;
  return text;
}

static void check_rest(kit_world *w, const char *run) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(kit_verify(w, run, &err), 0);
  CHECK_STR(err.msg, "");
  CHECK(!strstr(kit_gates(w), " open"));
  check_effects(w);
}

static const char *const everything =
    "{'flow': [['now'], ['log', '', {'m': 1}], ['llm', 'one', {'was': '$acc'}],"
    " ['action', 'pay', {'key': 'p1', 'args': {'of': '$acc'}, 'on_unknown': 'probe'}],"
    " ['fork', [[['sleep', 5000], ['llm', 'two', {}], ['state', 'x', {'value': 1}]],"
    "   [['gate', 'ask', {'ask': 'sure?', 'deadline_ms': 600000, 'on_timeout': 'reject'}],"
    "    ['action', 'mail', {'key': 'r1', 'args': {'of': '$acc'}, 'on_unknown': 'retry'}]],"
    "   [['action', 'book', {'key': 'a1', 'args': {}, 'on_unknown': 'ask'}],"
    "    ['fork', [[['sleep', 10]], [['random'], ['llm', 'three', {}]]], {'max': 1}]]],"
    "   {'max': 2}],"
    " ['action', 'send', {'key': 'p2', 'args': {'usd': 80}, 'on_unknown': 'probe', 'blast': 80,"
    "   'gate_above': 50}],"
    " ['fetch', 'look', {'body': [['http', 'GET', {'key': ''}], ['ok', 7]]}],"
    " ['recall', 'refund', {'key': 't1'}], ['decide', 'refund', {'key': 't1', 'value': 12}]]}";

typedef struct ending {
  char state[32], result[2048], effects[256];
} ending;

static void keep_ending(ending *e, kit_world *w) {
  snprintf(e->state, sizeof e->state, "%s", kit_state(w, "r"));
  snprintf(e->result, sizeof e->result, "%s", kit_result(w, "r"));
  snprintf(e->effects, sizeof e->effects, "%s", keys_of(w));
}

static void open_everything(kit_box *b, const char *url) {
  kit_world_open(&b->world, url, everything);
  kit_open(&b->kit, &b->world);
  b->kit.person = true;
}

static int count_steps(ending *e, const char *url) {
  kit_box box;
  int n = 0;
  open_everything(&box, url);
  kit_start(&box.kit, "r");
  while (kit_step(&box.kit))
    n++;
  keep_ending(e, &box.world);
  CHECK_STR(e->state, "done");
  CHECK_STR(kit_effects(&box.world), "a1 p1 p2 r1");
  check_rest(&box.world, "r");
  kit_box_close(&box);
  return n;
}

static void go_on(kit_box *b) {
  kit_boot(&b->kit);
  if (!*kit_state(&b->world, "r"))
    kit_start(&b->kit, "r"); /* whoever submitted it was told nothing, and asks again */
  kit_run(&b->kit);
}

static void check_same_end(const ending *want, kit_world *w) {
  ending got;
  keep_ending(&got, w);
  CHECK_STR(got.state, want->state);
  CHECK_STR(got.result, want->result);
  CHECK_STR(got.effects, want->effects);
  check_rest(w, "r");
}

static void a_crash_at_every_moment_changes_nothing(void) {
  ending want;
  int n = count_steps(&want, "memory:");
  CHECK(n > 60);
  for (int at = 0; at < n; at++) {
    kit_box box;
    open_everything(&box, "memory:");
    kit_start(&box.kit, "r");
    kit_steps(&box.kit, at);
    kit_crash(&box.kit);
    go_on(&box);
    check_same_end(&want, &box.world);
    kit_box_close(&box);
  }
}

static void a_crash_around_every_commit_changes_nothing(void) {
  ending want;
  count_steps(&want, "memory:");
  bool died = true;
  for (int i = 1; died; i++)
    for (int after = 0; after < 2; after++) {
      kit_box box;
      open_everything(&box, "memory:");
      *(after ? &box.kit.die_after : &box.kit.die_before) = i;
      kit_play(&box.kit, "r");
      died = box.kit.dead;
      kit_crash(&box.kit);
      go_on(&box);
      check_same_end(&want, &box.world);
      kit_box_close(&box);
    }
}

static void a_crash_during_recovery_changes_nothing(void) {
  ending want;
  int n = count_steps(&want, "memory:");
  for (int at = 5; at < n; at += 7)
    for (int again = 1; again < 12; again += 2) {
      kit_box box;
      open_everything(&box, "memory:");
      kit_start(&box.kit, "r");
      kit_steps(&box.kit, at);
      kit_crash(&box.kit);
      kit_boot(&box.kit);
      kit_steps(&box.kit, again);
      kit_crash(&box.kit);
      go_on(&box);
      check_same_end(&want, &box.world);
      kit_box_close(&box);
    }
}

static void a_stop_in_peace_changes_nothing(void) {
  ending want;
  int n = count_steps(&want, "memory:");
  for (int at = 0; at < n; at++) {
    kit_box box;
    open_everything(&box, "memory:");
    kit_start(&box.kit, "r");
    kit_steps(&box.kit, at);
    bool known = tm_engine_find(box.kit.engine, "r") != NULL;
    kit_close(&box.kit);
    if (known)
      CHECK_STR(kit_owner(&box.world, "r"), "");
    go_on(&box);
    check_same_end(&want, &box.world);
    kit_box_close(&box);
  }
}

/* -- random programs ------------------------------------------------------------------- */

typedef struct maker {
  tm_dice dice;
  tm_buf text;
  int keys, gates;
  bool shared; /* results may hang on who came first */
} maker;

static uint64_t draw(maker *m, uint64_t n) {
  return tm_dice_next(&m->dice) % n;
}

static void make_steps(maker *m, int depth);

static void make_fork(maker *m, int depth) {
  uint64_t n = draw(m, 4);
  tm_buf_puts(&m->text, "['fork',[");
  for (uint64_t i = 0; i < n; i++) {
    tm_buf_puts(&m->text, i ? "," : "");
    make_steps(m, depth - 1);
  }
  tm_buf_printf(&m->text, "],{'try':true,'max':%d,'race':%s}]", (int)draw(m, 3) + 1,
                m->shared && draw(m, 3) == 0 ? "true" : "false");
}

static void make_action(maker *m) {
  static const char *const policies[] = {"probe", "ask", "retry"};
  const char *policy = policies[draw(m, 3)];
  tm_buf_printf(&m->text,
                "['action','act',{'key':'%c%d','on_unknown':'%s','args':{'of':'%s'},"
                "'blast':%d,'gate_above':50,'host':%s}]",
                *policy, ++m->keys, policy, m->shared ? "$all" : "$acc",
                draw(m, 4) == 0 ? 60 : 40, draw(m, 4) == 0 ? "true" : "false");
}

static void make_step(maker *m, int depth) {
  const char *told = m->shared ? "$all" : "$acc";
  switch (draw(m, m->shared ? 14 : 12)) {
  case 0:
    tm_buf_printf(&m->text, "['now','',{'told':%s}]", m->shared ? "true" : "false");
    break;
  case 1:
    tm_buf_puts(&m->text, "['random','',{'m':1,'n':6}]");
    break;
  case 2:
    tm_buf_printf(&m->text, "['log','',{'m':'%s'}]", told);
    break;
  case 3:
    tm_buf_printf(&m->text, "['state','x',{'value':'%s'}]", told);
    break;
  case 4:
  case 5:
    tm_buf_printf(&m->text, "['llm','unit',{'of':'%s'}]", told);
    break;
  case 6:
    tm_buf_printf(&m->text, "['sleep',%d]", draw(m, 2) ? 50 : 9000);
    break;
  case 7:
    tm_buf_printf(&m->text, "['gate','g%d',{'ask':'?','show':'%s'}]", ++m->gates, told);
    break;
  case 8:
  case 9:
    make_action(m);
    break;
  case 10:
    tm_buf_puts(&m->text, "['fetch','look',{'body':[['http','GET',{'key':''}],['ok',1]]}]");
    break;
  case 12:
    tm_buf_puts(&m->text, "['raise','bad']");
    break;
  default:
    if (depth > 0)
      make_fork(m, depth);
    else
      tm_buf_puts(&m->text, "['step','s']");
  }
}

static void make_steps(maker *m, int depth) {
  uint64_t n = draw(m, 5) + 1;
  tm_buf_putc(&m->text, '[');
  for (uint64_t i = 0; i < n; i++) {
    tm_buf_puts(&m->text, i ? "," : "");
    make_step(m, depth);
  }
  tm_buf_putc(&m->text, ']');
}

static void make_program(maker *m, int seed, bool shared) {
  *m = (maker){.shared = shared};
  tm_dice_seed(&m->dice, &seed, sizeof seed);
  tm_buf_puts(&m->text, "{'flow':");
  make_steps(m, 2);
  tm_buf_putc(&m->text, '}');
}

/* The network is bad: one in four actions is cut off, one way or the other. */
static kit_reply bad_network(kit *k, const kit_task *t) {
  uint64_t x = tm_dice_next(&k->dice) % 8;
  if (t->task->kind == TM_CALL_LLM || !*tm_json_get_str(t->request, "key"))
    return KIT_OK;
  return x == 0 ? KIT_LOST : x == 1 ? KIT_CUT : KIT_OK;
}

static void open_random(kit_box *b, const maker *m, int seed) {
  kit_world_open(&b->world, "memory:", tm_buf_str(&m->text));
  kit_open(&b->kit, &b->world);
  b->kit.person = b->kit.random = true;
  b->kit.reply = bad_network;
  tm_dice_seed(&b->kit.dice, &seed, sizeof seed);
}

static void play_with_crashes(kit_box *b, maker *m, int crashes) {
  kit_start(&b->kit, "r");
  while (crashes-- > 0) {
    kit_steps(&b->kit, (int)draw(m, 60));
    kit_crash(&b->kit);
    kit_boot(&b->kit);
    if (!*kit_state(&b->world, "r"))
      kit_start(&b->kit, "r");
  }
  kit_run(&b->kit);
}

static void any_program_crashed_anywhere_ends_the_same(void) {
  for (int seed = 1; seed <= 150; seed++) {
    maker m;
    ending want;
    make_program(&m, seed, false);
    for (int crashes = 0; crashes < 4; crashes++) {
      kit_box box;
      open_random(&box, &m, seed + 1000 * crashes);
      play_with_crashes(&box, &m, crashes);
      if (crashes == 0)
        keep_ending(&want, &box.world);
      check_same_end(&want, &box.world);
      if (strcmp(want.state, "done") != 0 || strcmp(kit_state(&box.world, "r"), "done") != 0 ||
          box.world.breach[0])
        printf("    seed %d, %d crashes: %s\n", seed, crashes, tm_buf_str(&m.text));
      kit_box_close(&box);
    }
    tm_buf_free(&m.text);
  }
}

/* Branches that share a table, and fail, and are cancelled: what comes of it hangs on who came
 * first, but it comes to an end, and every life tells the same story. */
static void shared_state_never_diverges(void) {
  for (int seed = 1; seed <= 200; seed++) {
    maker m;
    make_program(&m, seed, true);
    for (int crashes = 0; crashes < 4; crashes++) {
      kit_box box;
      open_random(&box, &m, seed + 1000 * crashes);
      play_with_crashes(&box, &m, crashes);
      const char *state = kit_state(&box.world, "r");
      bool ended = strcmp(state, "done") == 0 || strcmp(state, "failed") == 0;
      CHECK(ended);
      check_rest(&box.world, "r");
      if (!ended || box.world.breach[0] || strstr(kit_gates(&box.world), " open"))
        printf("    seed %d, %d crashes: %s %s\n%s\n", seed, crashes, state,
               kit_reason(&box.world, "r"), tm_buf_str(&m.text));
      kit_box_close(&box);
    }
    tm_buf_free(&m.text);
  }
}

/* A cancel at any moment: the run ends, what it began is settled, and every life hears of it at
 * the same point of the story. */
static void cancelled_at_any_moment(void) {
  for (int seed = 1; seed <= 300; seed++) {
    maker m;
    kit_box box;
    tm_err err = TM_ERR_INIT;
    make_program(&m, seed, seed % 2 == 0);
    open_random(&box, &m, seed);
    kit_start(&box.kit, "r");
    kit_steps(&box.kit, 4 + (int)draw(&m, 40));
    bool cancelled =
        tm_control_give(box.kit.engine, "r", TM_ORDER_CANCEL, "no more", "kit", &err) == 0;
    for (int crashes = seed % 4; crashes > 0; crashes--) {
      kit_steps(&box.kit, (int)draw(&m, 12));
      kit_crash(&box.kit);
      kit_boot(&box.kit);
    }
    kit_run(&box.kit);
    const char *state = kit_state(&box.world, "r");
    bool ended = strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
                 strcmp(state, "cancelled") == 0;
    CHECK(ended);
    check_rest(&box.world, "r");
    if (!ended || box.world.breach[0] || strstr(kit_gates(&box.world), " open"))
      printf("    seed %d (%d): %s %s\n%s\n%s\n%s\n", seed, cancelled, state,
             kit_reason(&box.world, "r"), tm_buf_str(&m.text), kit_journal(&box.world, "r"),
             kit_gates(&box.world));
    kit_box_close(&box);
    tm_buf_free(&m.text);
  }
}

CHECK_SUITE(engine_crash) {
  CHECK_RUN(a_crash_at_every_moment_changes_nothing);
  CHECK_RUN(a_crash_around_every_commit_changes_nothing);
  CHECK_RUN(a_crash_during_recovery_changes_nothing);
  CHECK_RUN(a_stop_in_peace_changes_nothing);
  CHECK_RUN(any_program_crashed_anywhere_ends_the_same);
  CHECK_RUN(shared_state_never_diverges);
  CHECK_RUN(cancelled_at_any_moment);
}
