/* test_base.c - floor 0: errors, memory, buffers, maps, hashes, clock, dice, log, faults. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "check.h"

/* -- errors ---------------------------------------------------------------------------- */

static void wrapping_puts_the_context_in_front_and_keeps_the_code(void) {
  tm_err err = TM_ERR_INIT;
  CHECK_INT(tm_err_set(&err, TM_CONFLICT, "key %d is taken", 7), -1);
  CHECK_INT(tm_err_wrap(&err, "starting run %s", "a1"), -1);
  CHECK_STR(err.msg, "starting run a1: key 7 is taken");
  CHECK_INT(err.code, TM_CONFLICT);
  tm_err_clear(&err);
  CHECK_INT(err.code, TM_OK);
  CHECK_STR(err.msg, "");
}

static void a_message_may_be_made_from_itself(void) {
  tm_err err = TM_ERR_INIT;
  tm_err_set(&err, TM_FAILED, "inner");
  tm_err_set(&err, TM_CONFIG, "outer of %s", err.msg);
  CHECK_STR(err.msg, "outer of inner");
}

static void a_long_message_is_cut_before_a_character(void) {
  char text[TM_ERR_MAX * 2];
  for (size_t lead = 0; lead < 4; lead++) {
    memset(text, 'x', lead);
    for (size_t i = lead; i + 3 < sizeof text; i += 3)
      memcpy(text + i, "\xE2\x82\xAC", 4); /* the euro sign: three bytes */
    tm_err err = TM_ERR_INIT;
    tm_err_set(&err, TM_FAILED, "%s", text);
    size_t len = strlen(err.msg);
    CHECK(len < TM_ERR_MAX && len >= TM_ERR_MAX - 3);
    CHECK_INT((len - lead) % 3, 0);
  }
}

static void a_message_is_harmless_text_whatever_was_put_into_it(void) {
  static const struct {
    const char *text, *want;
  } cases[] = {{"a\xE2\x82\xAC", "a\xE2\x82\xAC"}, /* the euro sign */
               {"a\xE2\x82", "a?"},
               {"a\xE2\x82z", "a?z"},
               {"\xF0\x9F\x98", "?"},
               {"\x80\x80-\xFF-", "?-?-"},
               {"\xC0\xAF", "?"},           /* two bytes for a slash */
               {"\xED\xA0\x80", "?"},       /* half of a pair */
               {"\xF4\x90\x80\x80!", "?!"}, /* beyond Unicode */
               {"\x1B[2Ja\n\tb\x7F", "?[2Ja\n\tb?"},
               {"\xC2\x9B", "?"}}; /* the same in one character */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_err err = TM_ERR_INIT;
    tm_err_set(&err, TM_FAILED, "%s", cases[i].text);
    CHECK_STR(err.msg, cases[i].want);
  }
}

static void every_code_has_its_word(void) {
  CHECK_STR(tm_err_word(TM_OK), "ok");
  CHECK_STR(tm_err_word(TM_TEMP), "temporary");
  CHECK_STR(tm_err_word((tm_code)999), "internal");
}

/* -- memory ---------------------------------------------------------------------------- */

static void arena_pieces_are_aligned_and_apart(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  char *before = NULL;
  for (size_t size = 0; size < 3000; size += 7) {
    char *p = tm_arena_alloc(&a, size);
    CHECK_INT((uintptr_t)p % 16, 0);
    CHECK(p != before);
    memset(p, 0x5A, size);
    before = p;
  }
  char *zeros = tm_arena_zalloc(&a, 500);
  for (size_t i = 0; i < 500; i++)
    REQUIRE(zeros[i] == 0);
  CHECK_STR(tm_arena_printf(&a, "%s-%d", "run", 12), "run-12");
  CHECK_STR(tm_arena_strndup(&a, "abcdef", 3), "abc");
  CHECK(tm_arena_strdup(&a, NULL) == NULL);
  tm_arena_free(&a);
  CHECK(a.head == NULL && a.used == 0);
}

static void a_soft_arena_stops_at_its_limit(void) {
  tm_arena a;
  tm_arena_init(&a, 10000);
  size_t got = 0;
  while (tm_arena_alloc(&a, 100))
    got += 100;
  CHECK(a.failed);
  CHECK(a.used <= 10000);
  CHECK(got > 7000);
  CHECK(tm_arena_alloc(&a, SIZE_MAX) == NULL);
  tm_arena_reset(&a);
  CHECK(!a.failed);
  CHECK(tm_arena_alloc(&a, 100) != NULL);
  CHECK(tm_arena_alloc(&a, 20000) == NULL);
  tm_arena_free(&a);
  CHECK_INT(a.limit, 10000);
}

static void reset_keeps_one_chunk_and_reuses_it(void) {
  tm_arena a;
  tm_arena_init(&a, 0);
  for (int i = 0; i < 100; i++)
    tm_arena_alloc(&a, 1000);
  tm_arena_reset(&a);
  size_t kept = a.used;
  void *first = tm_arena_alloc(&a, 64);
  tm_arena_reset(&a);
  CHECK(tm_arena_alloc(&a, 64) == first);
  CHECK_INT(a.used, kept);
  tm_arena_alloc(&a, (size_t)8 << 20);
  tm_arena_reset(&a);
  CHECK_INT(a.used, 0); /* a giant is not kept */
  tm_arena_free(&a);
}

static void the_nth_fallible_allocation_fails(void) {
  tm_arena soft, firm;
  tm_arena_init(&soft, 1 << 20);
  tm_arena_init(&firm, 0);
  tm_mem_fail_at(1);
  CHECK(tm_arena_alloc(&firm, 10) != NULL);
  CHECK(tm_arena_alloc(&soft, 10) == NULL);
  CHECK(tm_arena_alloc(&soft, 10) != NULL);
  CHECK_INT(tm_mem_fail_at(0), 2);
  tm_arena_free(&soft);
  tm_arena_free(&firm);
}

/* -- buffers --------------------------------------------------------------------------- */

static void a_buffer_grows_and_ends_in_nul(void) {
  tm_buf b = TM_BUF_INIT;
  CHECK_STR(tm_buf_str(&b), "");
  for (int i = 0; i < 1000; i++)
    tm_buf_printf(&b, "%d,", i % 10);
  CHECK_INT(b.len, 2000);
  CHECK_INT(strlen(tm_buf_str(&b)), 2000);
  tm_buf_reset(&b);
  tm_buf_puts(&b, "one");
  tm_buf_putc(&b, '\0');
  tm_buf_put(&b, NULL, 0);
  size_t len;
  char *taken = tm_buf_take(&b, &len);
  CHECK_INT(len, 4);
  CHECK_STR(taken, "one");
  tm_free(taken);
  taken = tm_buf_take(&b, NULL);
  CHECK_STR(taken, "");
  tm_free(taken);
  tm_buf_free(&b);
}

static void a_soft_buffer_takes_its_limit_and_no_byte_more(void) {
  tm_buf b;
  tm_buf_init(&b, 10);
  tm_buf_puts(&b, "0123456789");
  CHECK(!b.failed);
  tm_buf_putc(&b, '!');
  CHECK(b.failed);
  tm_buf_puts(&b, "");
  CHECK_STR(tm_buf_str(&b), "0123456789");
  tm_buf_reset(&b);
  CHECK(!b.failed && tm_buf_reserve(&b, 10) && !tm_buf_reserve(&b, 11));
  tm_buf_free(&b);
}

/* -- maps ------------------------------------------------------------------------------ */

static void a_map_keeps_the_order_of_insertion(void) {
  tm_map m = TM_MAP_INIT;
  char key[16], want[16];
  int values[1000];
  CHECK(tm_map_get(&m, "none") == NULL);
  for (int i = 0; i < 1000; i++) {
    snprintf(key, sizeof key, "key %d", i * 7919 % 1000);
    CHECK(tm_map_set(&m, key, &values[i]) == NULL);
  }
  for (int i = 0; i < 1000; i += 2) {
    snprintf(key, sizeof key, "key %d", i * 7919 % 1000);
    CHECK(tm_map_remove(&m, key) == &values[i]);
    CHECK(tm_map_remove(&m, key) == NULL);
  }
  CHECK_INT(m.count, 500);
  int i = 1;
  tm_map_entry *e;
  for (size_t at = 0; (e = tm_map_next(&m, &at)); i += 2) {
    snprintf(want, sizeof want, "key %d", i * 7919 % 1000);
    CHECK_STR(e->key, want);
    CHECK(e->value == &values[i]);
  }
  CHECK_INT(i, 1001);
  tm_map_free(&m);
}

static void a_removed_key_comes_back_at_the_end(void) {
  tm_map m = TM_MAP_INIT;
  int one, two, three;
  tm_map_set(&m, "a", &one);
  tm_map_set(&m, "b", &two);
  CHECK(tm_map_set(&m, "a", &three) == &one); /* replaced: stays in front */
  size_t at = 0;
  CHECK_STR(tm_map_next(&m, &at)->key, "a");
  tm_map_remove(&m, "a");
  tm_map_setn(&m, "a\0x", 3, &one);
  CHECK(tm_map_get(&m, "a") == NULL);
  CHECK(tm_map_getn(&m, "a\0x", 3) == &one);
  for (int i = 0; i < 10000; i++) { /* churn does not grow the table */
    tm_map_set(&m, "churn", &three);
    tm_map_remove(&m, "churn");
  }
  CHECK(m.slot_cap <= 16);
  at = 0;
  CHECK_STR(tm_map_next(&m, &at)->key, "b");
  CHECK_INT(m.count, 2);
  tm_map_free(&m);
}

static void a_list_gives_its_members_in_order(void) {
  struct item {
    int n;
    tm_list link;
  } items[3] = {{1, {0}}, {2, {0}}, {3, {0}}};
  tm_list head;
  tm_list_init(&head);
  CHECK(tm_list_shift(&head) == NULL);
  for (int i = 0; i < 3; i++)
    tm_list_append(&head, &items[i].link);
  tm_list_remove(&items[1].link);
  CHECK_INT(TM_LIST_OF(tm_list_shift(&head), struct item, link)->n, 1);
  CHECK_INT(TM_LIST_OF(tm_list_shift(&head), struct item, link)->n, 3);
  CHECK(tm_list_empty(&head));
}

/* -- hashes ---------------------------------------------------------------------------------
 */

static void sha256_matches_the_published_vectors(void) {
  CHECK_STR(tm_hash_bytes("", 0).hex,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_STR(tm_hash_bytes("abc", 3).hex,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static tm_hash two_fields(const char *a, const char *b) {
  tm_hasher h;
  tm_hash_begin(&h);
  tm_hash_add_field(&h, a, strlen(a));
  tm_hash_add_field(&h, b, strlen(b));
  return tm_hash_end(&h);
}

static void fields_cannot_run_into_each_other(void) {
  CHECK(strcmp(two_fields("ab", "c").hex, two_fields("a", "bc").hex) != 0);
  CHECK_STR(two_fields("ab", "c").hex, two_fields("ab", "c").hex);
}

static void the_fast_hash_sees_each_bit_and_the_length(void) {
  unsigned char text[40] = {0};
  uint64_t plain = tm_hash_fast(text, sizeof text);
  for (size_t bit = 0; bit < sizeof text * 8; bit++) {
    text[bit / 8] ^= (unsigned char)(1u << bit % 8);
    CHECK(tm_hash_fast(text, sizeof text) != plain);
    text[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  for (size_t len = 0; len < sizeof text; len++)
    CHECK(tm_hash_fast(text, len) != tm_hash_fast(text, len + 1));
}

/* -- time
 * -------------------------------------------------------------------------------------- */

static void times_print_as_rfc_3339(void) {
  static const struct {
    int64_t ms;
    const char *text;
  } cases[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {-1, "1969-12-31T23:59:59.999Z"},
      {951827696789, "2000-02-29T12:34:56.789Z"},
      {1582934400000, "2020-02-29T00:00:00.000Z"},
      {4107542400000, "2100-03-01T00:00:00.000Z"},
      {1795158333123, "2026-11-20T07:05:33.123Z"},
      {253402300799999, "9999-12-31T23:59:59.999Z"},
      {INT64_MAX, "9999-12-31T23:59:59.999Z"},
      {INT64_MIN, "0000-01-01T00:00:00.000Z"},
  };
  char out[TM_CLOCK_TEXT];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tm_clock_format(cases[i].ms, out);
    CHECK_STR(out, cases[i].text);
  }
}

static void times_are_read_back_or_refused(void) {
  static const struct {
    const char *text;
    int64_t ms;
  } cases[] = {
      {"1970-01-01T00:00:00.000Z", 0},
      {"2000-02-29T12:34:56.789Z", 951827696789},
      {"2026-11-20T07:05:33.123Z", 1795158333123},
      {"2026-11-20T07:05:33Z", 1795158333000},
      {"2026-11-20T07:05:33.5Z", 1795158333500},
      {"2026-11-20T07:05:33.123999Z", 1795158333123},
      {"9999-12-31T23:59:59.999Z", 253402300799999},
      {"2026-11-20", 1795132800000},
      {"1970-01-01", 0},
      {"", -1},
      {"2026", -1},
      {"2026-11-2", -1},
      {"2026-02-29", -1},
      {"2026-13-01", -1},
      {"2026-00-10", -1},
      {"2026-11-31", -1},
      {"1969-12-31", -1},
      {"2026-11-20 07:05:33Z", -1},
      {"2026-11-20T07:05:33", -1},
      {"2026-11-20T24:00:00Z", -1},
      {"2026-11-20T07:60:00Z", -1},
      {"2026-11-20T07:05:33.Z", -1},
      {"2026-11-20T07:05:33+01:00", -1},
      {"2026-11-20T07:05:33Zx", -1},
      {"2026-11-20x", -1},
      {"yesterday", -1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (tm_clock_parse(cases[i].text) != cases[i].ms)
      check_fail(__FILE__, __LINE__, "time \"%s\": %lld", cases[i].text,
                 (long long)tm_clock_parse(cases[i].text));
}

static void durations_are_read_or_refused(void) {
  static const struct {
    const char *text;
    int64_t ms;
  } cases[] = {
      {"250ms", 250},
      {"30s", 30000},
      {"5m", 300000},
      {"2h", 7200000},
      {"7d", 604800000},
      {"1.5h", 5400000},
      {"90", 90000},
      {"0.25", 250},
      {"0", 0},
      {"1.0009s", 1000},
      {"0.1d", 8640000},
      {"1.123456789012s", 1123},
      {"", -1},
      {"s", -1},
      {"-5s", -1},
      {"5 s", -1},
      {"5S", -1},
      {"1.", -1},
      {".5", -1},
      {"1e3", -1},
      {"5sec", -1},
      {"1.5.5s", -1},
      {"99999999999999999999d", -1},
      {"999999999999999d", -1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (tm_clock_duration(cases[i].text, strlen(cases[i].text)) != cases[i].ms)
      check_fail(__FILE__, __LINE__, "duration \"%s\"", cases[i].text);
  CHECK_INT(tm_clock_duration("30seconds", 3), 30000); /* the length counts, not the NUL */
}

static void the_system_clock_runs(void) {
  CHECK(tm_clock_wall(&tm_clock_system) > INT64_C(1700000000000));
  CHECK(tm_clock_mono(&tm_clock_system) > 0);
  int64_t first = tm_clock_ns();
  CHECK(tm_clock_ns() >= first);
}

/* -- identifiers and dice
 * -------------------------------------------------------------------------- */

static void identifiers_are_sixteen_letters_and_differ(void) {
  tm_map seen = TM_MAP_INIT;
  char id[TM_ID_LEN + 1];
  for (int i = 0; i < 1000; i++) {
    tm_id_new(id);
    CHECK_INT(strlen(id), TM_ID_LEN);
    CHECK_INT(strspn(id, "0123456789abcdefghjkmnpqrstvwxyz"), TM_ID_LEN);
    CHECK(tm_map_set(&seen, id, &seen) == NULL);
  }
  tm_map_free(&seen);
}

/* These numbers may never change: replays of stored runs rest on them. */
static void dice_fall_as_they_always_fell(void) {
  tm_dice d;
  tm_dice_seed(&d, "run", 3);
  CHECK(tm_dice_next(&d) == UINT64_C(0x90E8D409DC2D9125));
  CHECK(tm_dice_next(&d) == UINT64_C(0x1F238E3585039937));
  CHECK(tm_dice_next(&d) == UINT64_C(0x043D738DFCA4C57E));
  tm_dice other;
  tm_dice_seed(&other, "rum", 3);
  CHECK(tm_dice_next(&other) != UINT64_C(0x90E8D409DC2D9125));
}

static void dice_stay_in_the_unit_and_spread(void) {
  tm_dice d;
  tm_dice_seed(&d, "spread", 6);
  int tenths[10] = {0};
  for (int i = 0; i < 10000; i++) {
    double u = tm_dice_unit(&d);
    REQUIRE(u >= 0 && u < 1);
    tenths[(int)(u * 10)]++;
  }
  for (int i = 0; i < 10; i++)
    CHECK(tenths[i] > 850 && tenths[i] < 1150);
}

/* -- log and faults
 * ------------------------------------------------------------------------------------ */

static void collect(void *ctx, tm_log_level level, const char *component, const char *msg) {
  tm_buf_printf(ctx, "%d %s %s\n", (int)level, component, msg);
}

static void the_log_keeps_what_is_at_or_above_its_level(void) {
  tm_buf got = TM_BUF_INIT;
  tm_log_set_sink(collect, &got);
  tm_log_set_level(TM_LOG_INFO);
  tm_log(TM_LOG_DEBUG, "base", "not shown");
  tm_log(TM_LOG_INFO, "base", "shown %d", 1);
  tm_log(TM_LOG_ERROR, "store", "shown too");
  tm_log_set_sink(NULL, NULL);
  tm_log_set_level(TM_LOG_WARN);
  CHECK_STR(tm_buf_str(&got), "1 base shown 1\n3 store shown too\n");
  tm_buf_free(&got);
}

/* What a child process writes to stderr, and its wait status. */
static int child_says(tm_buf *out, void (*child)(void)) {
  int fds[2], status = -1;
  if (pipe(fds) < 0)
    return -1;
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(fds[1], STDERR_FILENO);
    child();
    _exit(0);
  }
  close(fds[1]);
  char piece[512];
  for (ssize_t n; (n = read(fds[0], piece, sizeof piece)) > 0;)
    tm_buf_put(out, piece, (size_t)n);
  close(fds[0]);
  waitpid(pid, &status, 0);
  return status;
}

static void log_as_json(void) {
  setenv("TIDEMILL_LOG_FORMAT", "json", 1);
  tm_log(TM_LOG_ERROR, "base", "a \"quote\", a\nbreak, \x1B[31m, \xC3\xA9 and \xFF");
}

static void log_as_text(void) {
  unsetenv("TIDEMILL_LOG_FORMAT");
  tm_log(TM_LOG_ERROR, "base", "one\ntwo \x1B[31m");
}

static void a_log_line_is_one_line_in_both_forms(void) {
  tm_buf out = TM_BUF_INIT;
  CHECK_INT(child_says(&out, log_as_json), 0);
  CHECK(strstr(tm_buf_str(&out),
               "\"level\":\"error\",\"component\":\"base\",\"message\":\"a \\\"quote\\\", a\\n"
               "break, \\u001b[31m, \xC3\xA9 and \xEF\xBF\xBD\"}\n") != NULL);
  tm_buf_reset(&out);
  CHECK_INT(child_says(&out, log_as_text), 0);
  CHECK(strstr(tm_buf_str(&out), "Z error base: one\\ntwo \\u001b[31m\n") != NULL);
  tm_buf_free(&out);
}

static void pass_twice(void) {
  setenv("TIDEMILL_CRASH_AT", "commit:3", 1);
  tm_fault_init();
  for (int i = 0; i < 2; i++)
    TM_FAULT("commit");
  TM_FAULT("other");
}

static void pass_three_times(void) {
  pass_twice();
  TM_FAULT("commit");
}

static void misspell(void) {
  setenv("TIDEMILL_CRASH_AT", "commit:often", 1);
  tm_fault_init();
}

static void a_fault_point_kills_at_its_nth_passing(void) {
  tm_buf out = TM_BUF_INIT;
  CHECK_INT(child_says(&out, pass_twice), 0);
  int status = child_says(&out, pass_three_times);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  status = child_says(&out, misspell);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
  CHECK(strstr(tm_buf_str(&out), "commit:often") != NULL);
  CHECK(!tm_fault_armed);
  tm_buf_free(&out);
}

CHECK_SUITE(base) {
  CHECK_RUN(wrapping_puts_the_context_in_front_and_keeps_the_code);
  CHECK_RUN(a_message_may_be_made_from_itself);
  CHECK_RUN(a_long_message_is_cut_before_a_character);
  CHECK_RUN(a_message_is_harmless_text_whatever_was_put_into_it);
  CHECK_RUN(every_code_has_its_word);
  CHECK_RUN(arena_pieces_are_aligned_and_apart);
  CHECK_RUN(a_soft_arena_stops_at_its_limit);
  CHECK_RUN(reset_keeps_one_chunk_and_reuses_it);
  CHECK_RUN(the_nth_fallible_allocation_fails);
  CHECK_RUN(a_buffer_grows_and_ends_in_nul);
  CHECK_RUN(a_soft_buffer_takes_its_limit_and_no_byte_more);
  CHECK_RUN(a_map_keeps_the_order_of_insertion);
  CHECK_RUN(a_removed_key_comes_back_at_the_end);
  CHECK_RUN(a_list_gives_its_members_in_order);
  CHECK_RUN(sha256_matches_the_published_vectors);
  CHECK_RUN(fields_cannot_run_into_each_other);
  CHECK_RUN(the_fast_hash_sees_each_bit_and_the_length);
  CHECK_RUN(times_print_as_rfc_3339);
  CHECK_RUN(times_are_read_back_or_refused);
  CHECK_RUN(durations_are_read_or_refused);
  CHECK_RUN(the_system_clock_runs);
  CHECK_RUN(identifiers_are_sixteen_letters_and_differ);
  CHECK_RUN(dice_fall_as_they_always_fell);
  CHECK_RUN(dice_stay_in_the_unit_and_spread);
  CHECK_RUN(the_log_keeps_what_is_at_or_above_its_level);
  CHECK_RUN(a_log_line_is_one_line_in_both_forms);
  CHECK_RUN(a_fault_point_kills_at_its_nth_passing);
}
