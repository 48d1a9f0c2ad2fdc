/* test_prompt.c - prompt files: the two halves, keys, settings, schemas, rendering. */
#include <stdlib.h>

#include "check.h"
#include "text/prompt.h"

static const char *find_partial(void *ctx, const char *name, size_t *len) {
  (void)ctx;
  if (strcmp(name, "greet") != 0)
    return NULL;
  *len = strlen("Hi {{name}}!");
  return "Hi {{name}}!";
}

static const tm_json *find_schema(void *ctx, const char *name) {
  return strcmp(name, "Category") == 0 ? ctx : NULL;
}

typedef struct made {
  tm_arena arena;
  tm_err err;
  tm_prompt *unit;
  tm_json *messages;
} made;

static int parse(made *m, const char *text, bool keep_unknown) {
  *m = (made){0};
  tm_arena_init(&m->arena, 0);
  tm_json *category = NULL;
  const char *schema = "{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}";
  if (tm_json_parse(&category, &m->arena, schema, strlen(schema), NULL, &m->err) < 0)
    return -1;
  tm_prompt_source src = {find_partial, find_schema, category, keep_unknown};
  return tm_prompt_parse(&m->unit, &m->arena, "unit", "p/unit.prompt", text, strlen(text), &src,
                         &m->err);
}

static int render(made *m, const char *vars, const char *context, const char *history) {
  const char *texts[] = {vars, context, history};
  tm_json *values[3] = {NULL};
  for (int i = 0; i < 3; i++)
    if (texts[i] &&
        tm_json_parse(&values[i], &m->arena, texts[i], strlen(texts[i]), NULL, &m->err) < 0)
      return -1;
  return tm_prompt_render(&m->messages, &m->arena, m->unit, values[0], values[1], values[2],
                          &m->err);
}

static const char *json(made *m, const tm_json *v) {
  return v ? tm_json_text(&m->arena, v, NULL) : NULL;
}

static const char *first_text(const made *m) {
  return tm_json_str(tm_json_pointer(m->messages, "/0/content/0/text"), NULL);
}

/* -- the two halves -------------------------------------------------------------------- */

static void front_matter_and_body_are_told_apart(void) {
  static const struct {
    const char *text, *model, *body;
  } cases[] = {
      {"---\nmodel: m/x\n---\n  body\n\n", "m/x", "body"},
      {"---\r\nmodel: m/x\r\n---\r\nbody\r\n", "m/x", "body"},
      {"\n# Licence: none\n#\n\n---  \nmodel: m/x\n--- \nbody", "m/x", "body"},
      {"\xEF\xBB\xBF---\nmodel: m/x\n---\nbody", "m/x", "body"},
      {"---\nmodel: m/x\n---", "m/x", NULL},
      {"---\n---\nbody", NULL, "body"},
      {"---\nmodel: m/x\n---\na\n---\nb", "m/x", "a\n---\nb"},
      {"  body \n\n", NULL, "  body \n\n"},
      {"# not front matter\nbody\n", NULL, "# not front matter\nbody\n"},
      {"----\nbody", NULL, "----\nbody"},
      {"--- x\nbody", NULL, "--- x\nbody"},
      {"", NULL, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    made m;
    CHECK_INT(parse(&m, cases[i].text, false) || render(&m, NULL, NULL, NULL), 0);
    CHECK_STR(m.err.msg, "");
    const char *model = m.unit ? m.unit->model : "?", *body = first_text(&m);
    if (cases[i].model)
      CHECK_STR(model, cases[i].model);
    else
      CHECK(model == NULL);
    if (cases[i].body)
      CHECK_STR(body, cases[i].body);
    else
      CHECK_STR(json(&m, m.messages), "[]");
    tm_arena_free(&m.arena);
  }
}

static const char whole[] = "# Copyright nobody\n"
                            "---\n"
                            "model: openai/gpt-4.1-mini\n"
                            "description: sorts tickets\n"
                            "config: { temperature: 0, maxOutputTokens: 800 }\n"
                            "input:\n"
                            "  schema:\n"
                            "    text: string, the ticket\n"
                            "    lang?: string\n"
                            "    n(enum): [1, 2]\n"
                            "  default: { lang: en, n: 1 }\n"
                            "output:\n"
                            "  format: json\n"
                            "  schema:\n"
                            "    category: Category\n"
                            "    why?: string\n"
                            "tidemill.mode: reason_then_extract\n"
                            "tidemill.repair: 2\n"
                            "tidemill.retries: 3\n"
                            "tidemill.timeout: 1m\n"
                            "tidemill.tries: [a/b, { model: c/d }]\n"
                            "tidemill.fallback: [e/f]\n"
                            "tidemill.checks: { max_chars: 50 }\n"
                            "tidemill.seed: 7\n"
                            "tidemill.cache: { ttl: 2h, similar: 0.9, of: text, embed: a/b }\n"
                            "team.owner.name: ops\n"
                            "---\n"
                            "{{role \"system\"}}Sort. {{lang}} {{n}}\n"
                            "{{role \"user\"}}{{text}}\n";

static void a_whole_unit_is_read(void) {
  made m;
  CHECK_INT(parse(&m, whole, false), 0);
  CHECK_STR(m.err.msg, "");
  REQUIRE(m.unit);
  CHECK_STR(m.unit->name, "unit");
  CHECK_STR(m.unit->model, "openai/gpt-4.1-mini");
  CHECK_STR(m.unit->description, "sorts tickets");
  CHECK_STR(json(&m, m.unit->config), "{\"temperature\":0,\"maxOutputTokens\":800}");
  CHECK_STR(json(&m, m.unit->input_default), "{\"lang\":\"en\",\"n\":1}");
  CHECK_STR(
      tm_json_str(tm_json_pointer(m.unit->input_schema, "/properties/text/description"), NULL),
      "the ticket");
  CHECK_STR(json(&m, tm_json_pointer(m.unit->output_schema, "/properties/category/enum")),
            "[\"a\",\"b\"]");
  CHECK_STR(m.unit->output_format, "json");
  CHECK(m.unit->input && m.unit->output);
  CHECK_STR(json(&m, m.unit->settings), "{\"mode\":\"reason_then_extract\",\"repair\":2,"
                                        "\"retries\":3,\"timeout\":60000,\"tries\":["
                                        "\"a/b\",{\"model\":\"c/d\"}],\"fallback\":[\"e/"
                                        "f\"],\"checks\":{\"max_chars\":50},\"seed\":7,"
                                        "\"cache\":{\"ttl_ms\":7200000,\"similar\":0.9,"
                                        "\"of\":\"text\",\"embed\":\"a/b\"}}");
  CHECK_STR(json(&m, tm_json_get(m.unit->ext, "team.owner")), "{\"name\":\"ops\"}");
  CHECK_STR(json(&m, tm_json_get(m.unit->meta, "tidemill.timeout")), "\"1m\"");
  CHECK_INT(tm_schema_check(m.unit->output, tm_json_new_object(&m.arena), NULL, &m.err), 1);
  CHECK_INT(render(&m, "{\"text\":\"help\",\"n\":2}", NULL, NULL), 0);
  CHECK_STR(
      json(&m, m.messages),
      "[{\"role\":\"system\",\"content\":[{\"text\":\"Sort. en 2\\n\"}]},{\"role\":\"user\","
      "\"content\":[{\"text\":\"help\"}]}]");
  tm_arena_free(&m.arena);
}

static void a_file_without_front_matter_is_a_template(void) {
  made m;
  CHECK_INT(parse(&m, "{{> greet}}\n", false), 0);
  REQUIRE(m.unit);
  CHECK(!m.unit->model && !m.unit->input && !m.unit->output && !m.unit->output_schema);
  CHECK_STR(json(&m, m.unit->config), "{}");
  CHECK_STR(json(&m, m.unit->settings), "{}");
  CHECK_INT(render(&m, "{\"name\":\"Ann\"}", NULL, NULL), 0);
  CHECK_STR(first_text(&m), "Hi Ann!");
  tm_arena_free(&m.arena);
}

static void timeouts_are_milliseconds(void) {
  static const struct {
    const char *text;
    long long ms;
  } cases[] = {
      {"250", 250}, {"250ms", 250}, {"60s", 60000}, {"\"1.5h\"", 5400000}, {"2m", 120000}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    made m;
    char text[128];
    snprintf(text, sizeof text, "---\ntidemill.timeout: %s\n---\n", cases[i].text);
    CHECK_INT(parse(&m, text, false), 0);
    CHECK_INT(m.unit ? tm_json_int(tm_json_get(m.unit->settings, "timeout"), -1) : -2,
              cases[i].ms);
    tm_arena_free(&m.arena);
  }
}

/* -- refusals ---------------------------------------------------------------------------------
 */

#define KEYS                                                                           \
  "the keys are config, description, ext, input, metadata, model, name, output, raw, " \
  "toolDefs, "                                                                         \
  "tools, variant, version, and keys of your own have a dot, as in my.key"
#define SETTINGS                                                                          \
  "the settings are tidemill.mode, tidemill.repair, tidemill.retries, tidemill.timeout, " \
  "tidemill.tries, tidemill.fallback, tidemill.checks, "                                  \
  "tidemill.stream, tidemill.timeouts, tidemill.seed, tidemill.confidence, tidemill.cache"
#define CONFIDENCE                                                              \
  "p/unit.prompt:2: tidemill.confidence must be { of: a member of the answer, " \
  "at_least: a number, else: return or review }"

static void mistakes_name_the_file_and_the_line(void) {
  static const struct {
    const char *text, *want;
  } cases[] = {
      {"\n---\nmodel: x\nbody",
       "p/unit.prompt:2: this --- opens the front matter, but no second --- "
       "line ends it"},
      {"---\nmodel: x\nmodel: y\n---\n",
       "p/unit.prompt: line 3, column 1: the key \"model\" stands here "
       "twice; keep one of them"},
      {"#\n---\na: [1\n---\n",
       "p/unit.prompt: line 4, column 1: did not find expected ',' or ']' while "
       "parsing a flow sequence that starts on line 3; a list in brackets is not "
       "closed"},
      {"---\n- a\n---\n", "p/unit.prompt:2: the front matter must be keys and values"},
      {"---\nmodel: x\ncustom: prop\n---\n", "p/unit.prompt:3: unknown key \"custom\"; " KEYS},
      {"---\n\"custom\" : prop\n---\n", "p/unit.prompt:2: unknown key \"custom\"; " KEYS},
      {"---\nrepair: 2\n---\n",
       "p/unit.prompt:2: unknown key \"repair\"; do you mean tidemill.repair?"},
      {"---\ntidemill:\n  mode: direct\n---\n",
       "p/unit.prompt:2: settings are not nested; write tidemill.mode: … as a key of its own"},
      {"---\nmodel: x\n\ntidemill.retry: 2\n---\n",
       "p/unit.prompt:4: there is no setting \"tidemill.retry\"; " SETTINGS},
      {"---\ntidemill.checks.words: 2\n---\n",
       "p/unit.prompt:2: there is no setting \"tidemill.checks.words\"; " SETTINGS},
      {"---\ntidemill.mode: fast\n---\n",
       "p/unit.prompt:2: tidemill.mode must be direct or reason_then_extract"},
      {"---\ntidemill.repair: many\n---\n", "p/unit.prompt:2: tidemill.repair must be a number "
                                            "of rounds to mend a bad answer, 0 to 10"},
      {"---\ntidemill.repair: 11\n---\n", "p/unit.prompt:2: tidemill.repair must be a number "
                                          "of rounds to mend a bad answer, 0 to 10"},
      {"---\ntidemill.timeout: soon\n---\n",
       "p/unit.prompt:2: tidemill.timeout must be a duration such as 60s, or milliseconds"},
      {"---\ntidemill.timeout: 0\n---\n",
       "p/unit.prompt:2: tidemill.timeout must be a duration such as 60s, or milliseconds"},
      {"---\ntidemill.fallback: [a/b, 3]\n---\n",
       "p/unit.prompt:2: tidemill.fallback must be a list of model names"},
      {"---\ntidemill.fallback: a/b\n---\n",
       "p/unit.prompt:2: tidemill.fallback must be a list of model names"},
      {"---\ntidemill.fallback: { a: b }\n---\n",
       "p/unit.prompt:2: tidemill.fallback must be a list of model names"},
      {"---\nmodel: a/b\ntidemill.checks: { max_chars: many }\n---\n",
       "p/unit.prompt:3: tidemill.checks: the check max_chars takes a whole number of "
       "characters"},
      {"---\ntidemill.checks: 7\n---\n", "p/unit.prompt:2: tidemill.checks must be an object "
                                         "of content checks, or a list of them"},
      {"---\ntidemill.cache: often\n---\n",
       "p/unit.prompt:2: tidemill.cache must be exact, or an object of ttl, similar, of and "
       "embed"},
      {"---\ntools: [a]\ntidemill.cache: exact\n---\n",
       "p/unit.prompt:3: tidemill.cache does not go with tools: a call of a tool is never used "
       "again"},
      {"---\ntidemill.seed: 1.5\n---\n",
       "p/unit.prompt:2: tidemill.seed must be a whole number"},
      {"---\ntidemill.confidence: 0.8\n---\n", CONFIDENCE},
      {"---\ntidemill.confidence: { of: a }\n---\n", CONFIDENCE},
      {"---\ntidemill.confidence: { at_least: 1 }\n---\n", CONFIDENCE},
      {"---\ntidemill.confidence: { of: a, at_least: high }\n---\n", CONFIDENCE},
      {"---\ntidemill.confidence: { of: a, at_least: 1, else: pay }\n---\n", CONFIDENCE},
      {"---\ntidemill.confidence: { of: a, at_least: 1, gate: none }\n---\n", CONFIDENCE},
      {"---\ntidemill.confidence: { of: a, at_least: 1 }\n---\n",
       "p/unit.prompt:2: tidemill.confidence needs an output.schema with the member that says "
       "how sure the answer is"},
      {"---\noutput: { schema: { sure: number } }\n"
       "tidemill.confidence: { of: /shure, at_least: 1 }\n---\n",
       "p/unit.prompt:3: tidemill.confidence: the output schema has no member \"shure\""},
      {"---\ntools: [a, 7]\n---\n", "p/unit.prompt:2: tools must be a list of tool names"},
      {"---\ntoolDefs: [{ description: x }]\n---\n",
       "p/unit.prompt:2: toolDefs must be a list of { name, description, inputSchema }"},
      {"---\nmodel:\n---\n",
       "p/unit.prompt:2: model is empty; give it a value or leave the key out"},
      {"---\nmodel: [a]\n---\n",
       "p/unit.prompt:2: model must be the name of a model, as in openai/gpt-4.1-mini"},
      {"---\nconfig: fast\n---\n",
       "p/unit.prompt:2: config must be an object of model parameters"},
      {"---\ninput:\n  schema: { a: string }\n  defaults: { a: b }\n---\n",
       "p/unit.prompt:4: there is no input.defaults; input must be an object with schema and "
       "default"},
      {"---\ninput:\n  default: x\n---\n",
       "p/unit.prompt:3: input.default must be an object of variables"},
      {"---\ninput:\n  schema: string\n---\n", "p/unit.prompt:3: input.schema must describe an "
                                               "object whose properties are the variables; it "
                                               "describes a value of type string"},
      {"---\noutput: { format: xml }\n---\n",
       "p/unit.prompt:2: output.format must be json or text"},
      {"---\nmodel: a\n---\n\n\n  {{upper x}}",
       "p/unit.prompt:6:3: there is no helper \"upper\"; the "
       "helpers are if, unless, each, with, lookup, log, role, "
       "history, media, section, json, ifEquals, unlessEquals"},
      {"---\ninput: { schema: { text: string } }\n---\na\n{{txt}}",
       "p/unit.prompt:5:3: there is no variable \"txt\"; the input schema has text"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    made m;
    CHECK_INT(parse(&m, cases[i].text, false), -1);
    CHECK_STR(m.err.msg, cases[i].want);
    CHECK_INT(m.err.code, TM_USAGE);
    tm_arena_free(&m.arena);
  }
}

static void bad_schemas_name_their_line(void) {
  static const char *const cases[] = {
      "---\nmodel: a\ninput:\n  schema:\n    text: strin\n---\n",
      "---\nmodel: a\noutput:\n  schema:\n    type: object\n    properties: 3\n---\n",
  };
  for (size_t i = 0; i < 2; i++) {
    made m;
    CHECK_INT(parse(&m, cases[i], false), -1);
    const char *want =
        i ? "p/unit.prompt:4: output.schema: " : "p/unit.prompt:4: input.schema: ";
    if (strncmp(m.err.msg, want, strlen(want)) != 0)
      CHECK_STR(m.err.msg, want);
    CHECK(strlen(m.err.msg) > strlen(want));
    tm_arena_free(&m.arena);
  }
}

static void files_of_other_tools_may_have_other_keys(void) {
  made m;
  CHECK_INT(parse(&m, "---\ncustom: prop\ninput: { schema: string, x: 1 }\n---\nhi", true), 0);
  CHECK_STR(m.err.msg, "");
  REQUIRE(m.unit);
  CHECK_STR(tm_json_get_str(m.unit->meta, "custom"), "prop");
  CHECK_INT(render(&m, NULL, NULL, NULL), 0);
  tm_arena_free(&m.arena);
  CHECK_INT(parse(&m, "---\ntidemill.x: 1\n---\nhi", true), -1);
  tm_arena_free(&m.arena);
}

static void only_closed_schemas_make_unknown_variables_errors(void) {
  static const struct {
    const char *schema;
    int rc;
  } cases[] = {
      {"{ text: string }", -1},
      {"{ text: string, (*): any }", 0},
      {"{ type: object, properties: { text: {} } }", -1},
      {"{ type: object, properties: { text: {} }, additionalProperties: true }", 0},
      {"{ type: object, properties: { text: {} }, additionalProperties: { type: string } }", 0},
      {"{ type: object, properties: { text: {} }, additionalProperties: false }", -1},
      {"{ type: object, properties: { text: {} }, patternProperties: { \"^x\": {} } }", 0},
      {"{ type: object, properties: { text: {} }, anyOf: [ {} ] }", 0},
      {"{ type: object }", 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    made m;
    char text[256];
    snprintf(text, sizeof text, "---\ninput: { schema: %s }\n---\n{{other}}", cases[i].schema);
    int rc = parse(&m, text, false);
    if (rc != cases[i].rc)
      check_fail(__FILE__, __LINE__, "%s: %d %s", cases[i].schema, rc, m.err.msg);
    tm_arena_free(&m.arena);
  }
}

/* -- rendering
 * ----------------------------------------------------------------------------------- */

static void variables_are_checked_after_the_defaults(void) {
  made m;
  CHECK_INT(parse(&m, whole, false), 0);
  REQUIRE(m.unit);
  CHECK_INT(render(&m, "{\"lang\":\"de\"}", NULL, NULL), -1);
  CHECK_INT(m.err.code, TM_USAGE);
  CHECK(strncmp(m.err.msg, "prompt unit: its variables do not fit the input schema: ", 56) ==
        0);
  CHECK(strstr(m.err.msg, "text") != NULL);
  CHECK_INT(render(&m, "{\"text\":\"a\",\"txt\":1,\"n\":9}", NULL, NULL), -1);
  CHECK(strstr(m.err.msg, "txt") != NULL && strstr(m.err.msg, "/n") != NULL);
  CHECK_INT(render(&m, "[1]", NULL, NULL), -1);
  CHECK_STR(m.err.msg, "prompt unit: its variables must be an object, not array");
  CHECK_INT(render(&m, "{\"text\":\"a\",\"lang\":null}", NULL, NULL), 0);
  CHECK_STR(first_text(&m), "Sort.  1\n");
  tm_arena_free(&m.arena);
}

static void rendering_twice_gives_the_same(void) {
  made m;
  CHECK_INT(parse(&m, whole, false), 0);
  REQUIRE(m.unit);
  CHECK_INT(render(&m, "{\"text\":\"a\"}", NULL, NULL), 0);
  const char *once = json(&m, m.messages);
  CHECK_INT(render(&m, "{\"text\":\"b\",\"lang\":\"x\"}", NULL, NULL), 0);
  CHECK_INT(render(&m, "{\"text\":\"a\"}", NULL, NULL), 0);
  CHECK_STR(json(&m, m.messages), once);
  tm_arena_free(&m.arena);
}

static void context_and_metadata_are_at_variables(void) {
  made m;
  const char *text =
      "---\nmodel: m/x\ninput: { default: { a: 1 } }\nconfig: { temperature: 0 }\n---\n"
      "{{@state.n}} {{@metadata.prompt.model}} {{@metadata.prompt.config.temperature}} "
      "[{{@metadata.prompt.input}}] {{@metadata.messages.length}} {{a}}";
  CHECK_INT(parse(&m, text, false), 0);
  REQUIRE(m.unit);
  const char *earlier = "[{\"role\":\"model\",\"content\":[{\"text\":\"q\"}]}]";
  CHECK_INT(render(&m, NULL, "{\"state\":{\"n\":5}}", earlier), 0);
  CHECK_STR(tm_json_str(tm_json_pointer(m.messages, "/1/content/0/text"), NULL),
            "5 m/x 0 [] 1 1");
  CHECK_INT(render(&m, NULL, "{\"metadata\":{\"prompt\":{\"model\":\"own\"}}}", NULL), 0);
  CHECK_STR(first_text(&m), " own  []  1");
  tm_arena_free(&m.arena);
}

/* Read and render in an arena of `limit` bytes. */
static int try_within(size_t limit, tm_err *err) {
  const char *text =
      "---\nmodel: a\ninput: { schema: { t: string } }\ntidemill.timeout: 5s\nx.y: 1\n"
      "---\n{{role \"system\"}}a {{t}} {{> greet name=t}}";
  tm_prompt_source src = {find_partial, NULL, NULL, false};
  tm_prompt *unit;
  tm_json *messages, *vars = NULL;
  tm_arena firm, soft;
  tm_arena_init(&firm, 0);
  tm_arena_init(&soft, limit);
  int rc = tm_json_parse(&vars, &firm, "{\"t\":\"x\"}", 9, NULL, err);
  if (rc == 0)
    rc = tm_prompt_parse(&unit, &soft, "u", "u.prompt", text, strlen(text), &src, err);
  if (rc == 0)
    rc = tm_prompt_render(&messages, &soft, unit, vars, NULL, NULL, err);
  tm_arena_free(&soft);
  tm_arena_free(&firm);
  return rc;
}

static void running_out_of_memory_is_an_error_and_leaks_nothing(void) {
  size_t fails = 0;
  int rc = -1;
  for (size_t limit = 64; rc < 0 && limit < 1 << 20; limit += 400) {
    tm_err err = TM_ERR_INIT;
    rc = try_within(limit, &err);
    CHECK_INT(err.code, rc == 0 ? TM_OK : TM_LIMIT);
    fails += rc < 0;
  }
  CHECK(rc == 0 && fails > 5);
}

static void a_failing_allocation_is_an_error_and_leaks_nothing(void) {
  bool finished = false;
  size_t fails = 0;
  for (size_t fail = 1; !finished && fail < 1000; fail++) {
    tm_err err = TM_ERR_INIT;
    tm_mem_fail_at(fail);
    int rc = try_within(1 << 20, &err);
    finished = tm_mem_fail_at(0) < fail;
    CHECK_INT(err.code, rc == 0 ? TM_OK : TM_LIMIT);
    fails += rc < 0;
  }
  CHECK(finished && fails > 3);
}

CHECK_SUITE(prompt) {
  CHECK_RUN(front_matter_and_body_are_told_apart);
  CHECK_RUN(a_whole_unit_is_read);
  CHECK_RUN(a_file_without_front_matter_is_a_template);
  CHECK_RUN(timeouts_are_milliseconds);
  CHECK_RUN(mistakes_name_the_file_and_the_line);
  CHECK_RUN(bad_schemas_name_their_line);
  CHECK_RUN(files_of_other_tools_may_have_other_keys);
  CHECK_RUN(only_closed_schemas_make_unknown_variables_errors);
  CHECK_RUN(variables_are_checked_after_the_defaults);
  CHECK_RUN(rendering_twice_gives_the_same);
  CHECK_RUN(context_and_metadata_are_at_variables);
  CHECK_RUN(running_out_of_memory_is_an_error_and_leaks_nothing);
  CHECK_RUN(a_failing_allocation_is_an_error_and_leaks_nothing);
}
