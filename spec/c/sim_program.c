/* sim_program.c - workflows nobody would write: every kind of call, nested and in parallel. */
#include <stdio.h>

#include "sim.h"

typedef struct writer {
  tm_dice *dice;
  tm_buf text;
  int workflow, keys, gates, workflows, runs, links;
  bool shared, locked, races, undoes;
  const char *told; /* what requests hang on: the branch's own past, or the whole run's */
} writer;

static int draw(writer *w, int n) {
  return (int)(tm_dice_next(w->dice) % (uint64_t)n);
}

static const char *yes(writer *w, int of_ten) {
  return draw(w, 10) < of_ten ? "true" : "false";
}

static void write_step(writer *w, int depth);
static void write_steps(writer *w, int depth);

static void write_fork(writer *w, int depth) {
  int n = draw(w, 4);
  tm_buf_puts(&w->text, "['fork',[");
  for (int i = 0; i < n; i++) {
    tm_buf_puts(&w->text, i ? "," : "");
    write_steps(w, depth - 1);
  }
  tm_buf_printf(&w->text, "],{'try':%s,'max':%d,'race':%s}]", yes(w, 7), draw(w, 3) + 1,
                w->races ? yes(w, 5) : "false");
}

/* Keys begin with their action's policy. Those of a workflow that several runs have come with
 * the same arguments in each; an "x" is asked for at several places. */
static void write_action(writer *w) {
  static const char *const policies[] = {"probe", "ask", "retry"};
  const char *policy = policies[draw(w, 3)];
  bool again = draw(w, 6) == 0;
  int n = again ? 0 : ++w->keys;
  tm_buf_printf(&w->text, "['action','act',{'key':'%c%d_%d','on_unknown':'%s',",
                again ? 'x' : *policy, w->workflow, n, policy);
  tm_buf_printf(&w->text, "'args':{'of':'%s'},'blast':%d,'gate_above':50,'host':%s,'try':%s,",
                w->shared || again ? "all" : w->told, draw(w, 4) == 0 ? 60 : 40, yes(w, 2),
                yes(w, 7));
  tm_buf_printf(&w->text, "'undo':%s}]", w->undoes ? yes(w, 5) : "false");
}

static void write_gate(writer *w) {
  static const char *const ends[] = {"'reject'", "'fail'", "{'answer':'late'}"};
  tm_buf_printf(&w->text, "['gate','g%d',{'ask':'?','show':'%s','try':%s", ++w->gates, w->told,
                yes(w, 7));
  if (draw(w, 3) == 0)
    tm_buf_printf(&w->text, ",'deadline_ms':%d,'on_timeout':%s", draw(w, 2) ? 300 : 600000,
                  ends[draw(w, 3)]);
  tm_buf_puts(&w->text, "}]");
}

static void write_decide(writer *w) {
  int key = draw(w, 2);
  tm_buf_printf(&w->text, "['recall','d',{'key':'k%d','try':true}],", key);
  tm_buf_printf(&w->text, "['decide','d',{'key':'k%d','value':'%s','try':true%s}]", key,
                w->told, draw(w, 3) ? "" : ",'ttl_ms':700");
}

/* One whose answer is kept is asked alike by all runs of the workflow. */
static void write_llm(writer *w) {
  bool kept = draw(w, 3) == 0;
  tm_buf_printf(&w->text, "['llm','unit',{'of':'%s'%s,'try':%s}]", kept ? "all" : w->told,
                !kept        ? ""
                : draw(w, 2) ? ",'cache':{}"
                             : ",'cache':{'ttl_ms':900}",
                yes(w, 8));
}

static void write_emit(writer *w) {
  int run = draw(w, w->runs);
  tm_buf_printf(&w->text, "['emit','paid',{'run':'w%d.r%d','payload':%s,'try':%s}]",
                1 + run % w->workflows, run + 1, draw(w, 8) ? "7" : "'no number'", yes(w, 9));
}

static void write_lock(writer *w) {
  w->locked = true;
  tm_buf_puts(&w->text, "['lock','l'],");
  write_step(w, 0);
  tm_buf_puts(&w->text, ",['unlock','l']");
  w->locked = false;
}

/* A child, an event, a turn at a lock, or the run that goes on for this one. Only what has no
 * children of its own is a child. */
static void write_company(writer *w, int depth) {
  int what = draw(w, 9);
  if (what < 2 && w->workflow > 0) {
    tm_buf_printf(&w->text, "['call','w0',{'input':{},'try':%s", yes(w, 7));
    tm_buf_puts(&w->text, draw(w, 3) ? "}]" : ",'timeout_ms':900}]");
  } else if (what == 2 && w->workflow > 0) {
    tm_buf_printf(&w->text, "['start','w0',{'input':{},'try':%s}]", yes(w, 7));
  } else if (what < 5 && !w->locked && depth > 0) {
    write_lock(w);
  } else if (what < 7) {
    tm_buf_printf(&w->text, "['wait','paid',{'timeout_ms':%d,'try':%s}]",
                  draw(w, 2) ? 400 : 90000, yes(w, 8));
  } else if (what == 7 && w->links > 0) {
    tm_buf_printf(&w->text, "['again',%d,{'try':%s}]", w->links--, yes(w, 5));
  } else {
    write_emit(w);
  }
}

static void write_note(writer *w) {
  switch (draw(w, 5)) {
  case 0:
    tm_buf_printf(&w->text, "['now','',{'told':%s}]", yes(w, 5));
    break;
  case 1:
    tm_buf_puts(&w->text, "['random','',{'m':1,'n':6}]");
    break;
  case 2:
    tm_buf_printf(&w->text, "['log','',{'m':'%s'}]", w->told);
    break;
  case 3:
    tm_buf_printf(&w->text, "['state','x',{'value':'%s'}]", w->told);
    break;
  default:
    tm_buf_puts(&w->text, "['env','COLOUR']");
  }
}

static void write_step(writer *w, int depth) {
  switch (draw(w, 17)) {
  case 0:
  case 1:
    write_note(w);
    break;
  case 2:
  case 3:
    write_llm(w);
    break;
  case 4:
    tm_buf_printf(&w->text, "['sleep',%d]", draw(w, 2) ? 50 : 9000);
    break;
  case 5:
    write_gate(w);
    break;
  case 6:
  case 7:
  case 8:
    write_action(w);
    break;
  case 9:
    tm_buf_printf(&w->text, "['fetch','look',{'body':[['http','GET',{'key':''}],['ok',1]],");
    tm_buf_printf(&w->text, "'try':%s}]", yes(w, 8));
    break;
  case 10:
    write_decide(w);
    break;
  case 11:
    tm_buf_puts(&w->text, draw(w, 4) == 0 ? "['raise','bad']" : "['step','s']");
    break;
  case 12:
  case 13:
  case 14:
    write_company(w, depth);
    break;
  default:
    if (depth > 0)
      write_fork(w, depth);
    else
      tm_buf_puts(&w->text, "['step','s']");
  }
}

static void write_steps(writer *w, int depth) {
  int n = draw(w, 5) + 1;
  tm_buf_putc(&w->text, '[');
  for (int i = 0; i < n; i++) {
    tm_buf_puts(&w->text, i ? "," : "");
    write_step(w, depth);
  }
  tm_buf_putc(&w->text, ']');
}

char *sim_program(tm_dice *dice, int workflows, int runs, bool shared) {
  writer w = {.dice = dice, .workflows = workflows, .runs = runs};
  w.races = draw(&w, 2);
  w.undoes = draw(&w, 2);
  tm_buf_puts(&w.text, "{'events':{'paid':{'type':'integer'}},");
  for (w.workflow = 0; w.workflow <= workflows; w.workflow++) {
    w.told = draw(&w, 2) ? "$acc" : "$all";
    w.links = draw(&w, 3);
    w.shared = shared || w.workflow == 0; /* children may be many */
    tm_buf_printf(&w.text, "%s'w%d':", w.workflow > 0 ? "," : "", w.workflow);
    write_steps(&w, w.workflow > 0 ? 2 : 1);
  }
  tm_buf_putc(&w.text, '}');
  return tm_buf_take(&w.text, NULL);
}
