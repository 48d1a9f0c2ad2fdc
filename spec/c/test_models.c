/* test_models.c - what models do not take: which rule counts, and what is no rule. */
#include "llm/models.h"

#include "llm_box.h"

static tm_json *json(tm_arena *a, const char *text) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&v, a, text, strlen(text), NULL, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
  return v;
}

static const char ours[] =
    "{\"as_of\":\"2026-01-01\",\"models\":{\"p/x-chat*\":{},\"p/x*\":{\"sampling\":false,"
    "\"stop\":false},\"p/y*\":{\"sampling\":\"effort_none\"},\"q/z\":{\"sampling\":"
    "\"version_2023\",\"forced_tool\":false},\"q/*\":{\"sampling\":true,\"stop\":false}}}";

static void the_first_rule_that_fits_counts(void) {
  static const struct {
    const char *provider, *model;
    unsigned flags;
  } cases[] = {
      {"p", "x-chat-1", 0},
      {"p", "x1", TM_MODEL_NO_SAMPLING | TM_MODEL_NO_STOP},
      {"p", "y", TM_MODEL_SAMPLING_BARE},
      {"p", "z", 0},
      {"q", "z", TM_MODEL_VERSION_2023 | TM_MODEL_NO_FORCED_TOOL},
      {"q", "z2", TM_MODEL_NO_STOP},
      {"q", "a/b", TM_MODEL_NO_STOP},
      {"r", "x", 0},
      {"p-chat", "y", TM_MODEL_SAMPLING_BARE}, /* a dialect of the service p */
      {"pp", "y", 0},
  };
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_models m = {0};
  tm_arena_init(&a, 0);
  CHECK_INT(tm_models_flags(&m, "p", "x"), 0);
  CHECK_INT(tm_models_add(&m, json(&a, ours), &err), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    CHECK_INT(tm_models_flags(&m, cases[i].provider, cases[i].model), cases[i].flags);
  tm_models_free(&m);
  tm_arena_free(&a);
}

static void what_is_given_last_counts_first(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_models m = {0};
  tm_arena_init(&a, 0);
  CHECK_INT(tm_models_add(&m, json(&a, ours), &err), 0);
  CHECK_INT(tm_models_add(&m,
                          json(&a, "{\"p/x1\":{\"forced_tool\":false},"
                                   "\"p-chat/y\":{\"stop\":false}}"),
                          &err),
            0);
  CHECK_INT(tm_models_flags(&m, "p", "x1"), TM_MODEL_NO_FORCED_TOOL);
  CHECK_INT(tm_models_flags(&m, "p", "x2"), TM_MODEL_NO_SAMPLING | TM_MODEL_NO_STOP);
  CHECK_INT(tm_models_flags(&m, "p-chat", "y"), TM_MODEL_NO_STOP);
  CHECK_INT(tm_models_flags(&m, "p", "y"), TM_MODEL_SAMPLING_BARE);
  tm_models_free(&m);
  tm_arena_free(&a);
}

static void a_rule_of_another_form_is_refused(void) {
  static const char *const cases[] = {
      "[]",
      "{\"p\":{}}",
      "{\"/x\":{}}",
      "{\"p/\":{}}",
      "{\"p/x\":true}",
      "{\"p/x\":{\"sampling\":\"never\"}}",
      "{\"p/x\":{\"sampling\":null}}",
      "{\"p/x\":{\"stop\":\"no\"}}",
      "{\"p/x\":{\"forced_tool\":0}}",
      "{\"p/x\":{\"smapling\":false}}",
      "{\"models\":[]}",
  };
  tm_arena a;
  tm_arena_init(&a, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_err err = TM_ERR_INIT;
    tm_models m = {0};
    if (tm_models_add(&m, json(&a, cases[i]), &err) == 0 || err.code != TM_USAGE)
      check_fail(__FILE__, __LINE__, "%s was taken", cases[i]);
    CHECK_INT(m.count, 0);
    tm_models_free(&m);
  }
  tm_arena_free(&a);
}

static void the_table_that_is_shipped_keeps_to_the_known_facts(void) {
  static const struct {
    const char *model, *setting;
    bool dropped;
  } cases[] = {
      {"openai/gpt-4.1", "temperature", false},
      {"openai/o3", "temperature", true},
      {"openai/o1", "temperature", true},
      {"openai/gpt-5", "temperature", true},
      {"openai/gpt-5-chat", "temperature", false},
      {"openai/gpt-5.4", "temperature", true},
      {"openai/gpt-6-sol", "temperature", true},
      {"anthropic/claude-opus-5", "temperature", true},
      {"openai-chat/o3", "stopSequences", true},
      {"openai-chat/o1", "stopSequences", false},
      {"anthropic/claude-sonnet-4-6", "temperature", false},
  };
  llm_box b;
  box_open(&b, NULL);
  box_set(&b, "OPENAI_API_KEY", "k");
  box_set(&b, "ANTHROPIC_API_KEY", "k");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_err err = TM_ERR_INIT;
    tm_json *list;
    if (tm_llm_drops(&list, &b.arena, b.llm, cases[i].model, &err) < 0)
      check_fail(__FILE__, __LINE__, "%s: %s", cases[i].model, err.msg);
    bool found = false;
    for (size_t k = 0; k < tm_json_len(list); k++)
      found = found || strcmp(tm_json_str(tm_json_at(list, k), NULL), cases[i].setting) == 0;
    if (found != cases[i].dropped)
      check_fail(__FILE__, __LINE__, "%s: %s", cases[i].model, cases[i].setting);
  }
  box_close(&b);
}

CHECK_SUITE(models) {
  CHECK_RUN(the_first_rule_that_fits_counts);
  CHECK_RUN(what_is_given_last_counts_first);
  CHECK_RUN(a_rule_of_another_form_is_refused);
  CHECK_RUN(the_table_that_is_shipped_keeps_to_the_known_facts);
}
