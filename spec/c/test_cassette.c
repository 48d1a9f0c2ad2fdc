/* test_cassette.c - recorded answers, replayed through the reading they first had. */
#include "mock_box.h"

#define QUESTION(text)                                                                    \
  "\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"" text "\"}]}],\"schema\":{" \
  "\"type\":\"array\",\"items\":{\"type\":\"string\"}}}"

typedef struct reel {
  mock_process mock;
  llm_box box;
  char path[64];
} reel;

/* The mock answers in turn: no good, good; the first of all requests is refused with 429. */
static bool reel_open(reel *r) {
  static const char rules[] =
      "[{\"times\":1,\"fault\":\"429ms\"},{\"match\":\"twice\",\"answer\":"
      "[\"nothing\",\"[\\\"a\\\",\\\"b\\\"]\"]},{\"answer\":\"[\\\"sk-"
      "secret-of-openai\\\"]\"}]";
  char file[] = "/tmp/test_cassette.XXXXXX";
  int fd = mkstemp(file);
  bool wrote = fd >= 0 && write(fd, rules, sizeof rules - 1) > 0;
  if (fd >= 0)
    close(fd);
  bool up = wrote && mock_start(&r->mock, file);
  unlink(file);
  snprintf(r->path, sizeof r->path, "/tmp/test_cassette_%d.jsonl", (int)getpid());
  unlink(r->path);
  if (up)
    mock_box_open(&r->box, &r->mock, "");
  else
    check_skip("mock-server is not beside this program (build it, or set TM_MOCK_SERVER)");
  return up;
}

static void reel_close(reel *r) {
  box_close(&r->box);
  mock_stop(&r->mock);
  unlink(r->path);
}

static void ask(reel *r, const char *model, const char *more) {
  box_ask(&r->box, tm_arena_printf(&r->box.arena, "{\"model\":\"%s\",%s", model, more));
}

static void replay(reel *r, const char *more) {
  ask(r, tm_arena_printf(&r->box.arena, "cassette/%s", r->path), more);
}

static char *file_text(const char *path) {
  tm_buf text = TM_BUF_INIT;
  char chunk[4096];
  FILE *f = fopen(path, "r");
  for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f));)
    tm_buf_put(&text, chunk, n);
  if (f)
    fclose(f);
  return tm_buf_take(&text, NULL);
}

static void what_was_recorded_is_replayed_without_a_network(void) {
  static const char *const ways[] = {"\"stream\":false,", "\"stream\":true,"};
  for (size_t d = 0; d < MOCK_DIALECTS * 2; d++) {
    reel r;
    tm_err err = TM_ERR_INIT;
    if (!reel_open(&r))
      return;
    const char *question =
        tm_arena_printf(&r.box.arena, "%s%s", ways[d % 2], QUESTION("twice"));
    CHECK_INT(tm_llm_record(r.box.llm, r.path, &err), 0);
    ask(&r, mock_dialects[d / 2].model, question);
    CHECK_STR(box_text(&r.box, r.box.value), "[\"a\",\"b\"]");
    CHECK_INT(r.box.attempt_count, 3); /* 429, no good, good */
    const char *usage = box_text(&r.box, tm_json_get(r.box.attempts[2], "usage"));
    CHECK_INT(tm_llm_record(r.box.llm, NULL, &err), 0);
    replay(&r, question);
    CHECK_STR(box_text(&r.box, r.box.value), "[\"a\",\"b\"]");
    CHECK_INT(r.box.attempt_count, 2); /* a 429 is not worth waiting for again */
    CHECK_STR(box_text(&r.box, tm_json_get(r.box.attempts[1], "usage")), usage);
    CHECK_STR(tm_json_get_str(r.box.meta, "model_answered"), "mock-1");
    reel_close(&r);
  }
}

static void a_request_that_is_not_on_file_is_an_error_that_says_so(void) {
  reel r;
  tm_err err = TM_ERR_INIT;
  if (!reel_open(&r))
    return;
  replay(&r, QUESTION("x"));
  CHECK_STR(box_class(&r.box), "invalid_request");
  CHECK(strstr(tm_json_get_str(r.box.error, "message"), "cannot be read"));
  CHECK_INT(tm_llm_record(r.box.llm, r.path, &err), 0);
  ask(&r, "openai/m", QUESTION("x"));
  CHECK(r.box.value != NULL);
  replay(&r, QUESTION("another"));
  CHECK_STR(box_class(&r.box), "invalid_request");
  CHECK_INT(r.box.attempt_count, 1);
  CHECK(strstr(tm_json_get_str(r.box.error, "message"), "--record"));
  CHECK_INT(tm_llm_record(r.box.llm, "/nowhere/at/all", &err), -1);
  CHECK_INT(err.code, TM_CONFIG);
  reel_close(&r);
}

static void no_key_is_ever_on_file(void) {
  reel r;
  tm_err err = TM_ERR_INIT;
  if (!reel_open(&r))
    return;
  CHECK_INT(tm_llm_record(r.box.llm, r.path, &err), 0);
  ask(&r, "openai/m", "\"stream\":true," QUESTION("sk-secret-of-openai"));
  ask(&r, "openai/m", QUESTION("sk-secret-of-openai"));
  CHECK_STR(box_text(&r.box, r.box.value), "[\"***\"]");
  char *text = file_text(r.path);
  CHECK(!strstr(text, "secret-of") && strstr(text, "***"));
  tm_free(text);
  reel_close(&r);
}

static void a_cassette_that_is_damaged_names_its_line(void) {
  reel r;
  if (!reel_open(&r))
    return;
  FILE *f = fopen(r.path, "w");
  fputs("{\"key\":\"k\",\"api\":\"openai-chat\",\"response\":\"x\"}\n{\"key\":\n", f);
  fclose(f);
  replay(&r, QUESTION("x"));
  CHECK_STR(box_class(&r.box), "invalid_request");
  CHECK(strstr(tm_json_get_str(r.box.error, "message"), "line 2"));
  reel_close(&r);
}

static int says(void *ctx, const char *model, const tm_json *request, tm_buf *answer,
                tm_err *err) {
  (void)ctx, (void)model, (void)request, (void)err;
  tm_buf_puts(answer, "[\"scripted\"]");
  return 0;
}

static void an_answer_of_a_function_can_be_recorded_too(void) {
  reel r;
  tm_err err = TM_ERR_INIT;
  if (!reel_open(&r))
    return;
  tm_llm_register(r.box.llm, "fn", says, NULL);
  CHECK_INT(tm_llm_record(r.box.llm, r.path, &err), 0);
  ask(&r, "fn/x", QUESTION("x"));
  replay(&r, QUESTION("x"));
  CHECK_STR(box_text(&r.box, r.box.value), "[\"scripted\"]");
  CHECK_STR(tm_json_get_str(r.box.meta, "model_answered"), "fn/x");
  reel_close(&r);
}

CHECK_SUITE(cassette) {
  CHECK_RUN(what_was_recorded_is_replayed_without_a_network);
  CHECK_RUN(a_request_that_is_not_on_file_is_an_error_that_says_so);
  CHECK_RUN(no_key_is_ever_on_file);
  CHECK_RUN(a_cassette_that_is_damaged_names_its_line);
  CHECK_RUN(an_answer_of_a_function_can_be_recorded_too);
}
