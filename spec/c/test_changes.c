/* test_changes.c - what differs between two values, and between two texts. */
#include "check.h"
#include "text/changes.h"

static void diff_is(const char *was, const char *is, const char *want) {
  tm_buf out = TM_BUF_INIT;
  tm_changes_text(&out, "f", was, strlen(was), "f", is, strlen(is));
  CHECK_STR(tm_buf_str(&out), want);
  tm_buf_free(&out);
}

static void equal_texts_have_no_diff(void) {
  diff_is("", "", "");
  diff_is("a\nb\n", "a\nb\n", "");
}

static void a_changed_line_stands_between_its_neighbours(void) {
  diff_is("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
          "--- was/f\n+++ now/f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

static void lines_come_and_go_at_the_ends(void) {
  diff_is("b\n", "a\nb\nc\n", "--- was/f\n+++ now/f\n@@ -1 +1,3 @@\n+a\n b\n+c\n");
  diff_is("a\nb\nc\n", "b\n", "--- was/f\n+++ now/f\n@@ -1,3 +1 @@\n-a\n b\n-c\n");
  diff_is("", "a\n", "--- was/f\n+++ now/f\n@@ -0,0 +1 @@\n+a\n");
  diff_is("a\n", "", "--- was/f\n+++ now/f\n@@ -1 +0,0 @@\n-a\n");
}

static void far_changes_have_hunks_of_their_own(void) {
  diff_is("a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
          "--- was/f\n+++ now/f\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n"
          "@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
  diff_is("a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
          "--- was/f\n+++ now/f\n@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
}

static void a_missing_end_of_line_is_told(void) {
  diff_is("a", "a\n",
          "--- was/f\n+++ now/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
}

static void bytes_that_are_no_text_only_differ(void) {
  diff_is("a\xff\n", "b\n", "--- was/f\n+++ now/f\nFiles differ\n");
}

/* Applied to the first text by hand, a diff gives the second one. */
static void check_applies(const char *was, const char *is) {
  tm_buf out = TM_BUF_INIT, made = TM_BUF_INIT;
  tm_changes_text(&out, "f", was, strlen(was), "f", is, strlen(is));
  const char *line = tm_buf_str(&out), *from = was;
  size_t row = 1;
  for (; *line; line = strchr(line, '\n') + 1) {
    size_t len = (size_t)(strchr(line, '\n') - line) + 1, start, n = 1;
    if (line[0] == '@') {
      int got = sscanf(line, "@@ -%zu,%zu", &start, &n);
      for (size_t stop = got == 2 && n == 0 ? start + 1 : start; row < stop; row++) {
        size_t l = (size_t)(strchr(from, '\n') - from) + 1;
        tm_buf_put(&made, from, l);
        from += l;
      }
    } else if (line[0] == '+' && line[1] != '+') {
      tm_buf_put(&made, line + 1, len - 1);
    } else if (line[0] == ' ' || (line[0] == '-' && line[1] != '-')) {
      CHECK(strncmp(from, line + 1, len - 1) == 0);
      if (line[0] == ' ')
        tm_buf_put(&made, line + 1, len - 1);
      from += len - 1;
      row++;
    }
  }
  tm_buf_puts(&made, from);
  CHECK_STR(tm_buf_str(&made), is);
  tm_buf_free(&out);
  tm_buf_free(&made);
}

static void every_diff_leads_from_one_text_to_the_other(void) {
  unsigned dice = 12345;
  for (int round = 0; round < 3000; round++) {
    char texts[2][256] = {{0}};
    for (int t = 0; t < 2; t++) {
      dice = dice * 1103515245u + 12345u;
      size_t n = (dice >> 16) % 40;
      for (size_t i = 0; i < n; i++) {
        dice = dice * 1103515245u + 12345u;
        texts[t][2 * i] = (char)('a' + (dice >> 16) % 3);
        texts[t][2 * i + 1] = '\n';
      }
    }
    check_applies(texts[0], texts[1]);
  }
}

static void changes_are(const char *was, const char *is, const char *want) {
  tm_arena a;
  tm_json *v, *w;
  tm_err err = TM_ERR_INIT;
  tm_arena_init(&a, 0);
  REQUIRE(tm_json_parse(&v, &a, was, strlen(was), NULL, &err) == 0);
  REQUIRE(tm_json_parse(&w, &a, is, strlen(is), NULL, &err) == 0);
  CHECK_STR(tm_json_text(&a, tm_changes_of(&a, v, w, 3), NULL), want);
  tm_arena_free(&a);
}

static void values_are_compared_member_by_member(void) {
  changes_are("{\"a\":1}", "{\"a\":1}", "[]");
  changes_are("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1.0}", "[]");
  changes_are("{\"a\":{\"x/y\":[1,2]}}", "{\"a\":{\"x/y\":[1,3]}}",
              "[{\"at\":\"/a/x~1y/1\",\"was\":2,\"is\":3}]");
  changes_are("{\"a\":1}", "{\"b\":1}", "[{\"at\":\"/a\",\"was\":1},{\"at\":\"/b\",\"is\":1}]");
  changes_are("[1,2,3,4,5]", "[6,7,8,9,0]",
              "[{\"at\":\"/0\",\"was\":1,\"is\":6},{\"at\":\"/1\",\"was\":2,\"is\":7},"
              "{\"at\":\"/2\",\"was\":3,\"is\":8}]");
}

CHECK_SUITE(changes) {
  CHECK_RUN(equal_texts_have_no_diff);
  CHECK_RUN(a_changed_line_stands_between_its_neighbours);
  CHECK_RUN(lines_come_and_go_at_the_ends);
  CHECK_RUN(far_changes_have_hunks_of_their_own);
  CHECK_RUN(a_missing_end_of_line_is_told);
  CHECK_RUN(bytes_that_are_no_text_only_differ);
  CHECK_RUN(every_diff_leads_from_one_text_to_the_other);
  CHECK_RUN(values_are_compared_member_by_member);
}
