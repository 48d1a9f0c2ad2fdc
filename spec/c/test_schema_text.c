/* test_schema_text.c - numbers and strings under a schema: exact comparison, patterns, formats.
 */
#include "schema_kit.h"

/* -- numbers --------------------------------------------------------------------------- */

static void numbers_are_compared_exactly(void) {
  static const verdict cases[] = {
      {"{\"maximum\":9007199254740992}", "9007199254740993", 1},
      {"{\"exclusiveMinimum\":9007199254740992}", "9007199254740993", 0},
      {"{\"maximum\":9007199254740992.0}", "9007199254740993", 1},
      {"{\"minimum\":0.5}", "0.5", 0},
      {"{\"minimum\":1}", "0.99", 1},
      {"{\"maximum\":9223372036854775807}", "1e19", 1},
      {"{\"minimum\":-9223372036854775808}", "-1e19", 1},
      {"{\"const\":1}", "1.0", 0},
      {"{\"enum\":[1.5,null,[1],{\"b\":2}]}", "{\"b\":2.0}", 0},
      {"{\"type\":\"integer\"}", "1e300", 0},
      {"{\"type\":\"integer\"}", "1.5", 1},
      {"{\"multipleOf\":0.01}", "19.99", 0},
      {"{\"multipleOf\":0.01}", "4.35", 0},
      {"{\"multipleOf\":0.01}", "4.355", 1},
      {"{\"multipleOf\":0.0001}", "0.0075", 0},
      {"{\"multipleOf\":0.5}", "1e308", 0},
      {"{\"multipleOf\":3}", "1e20", 1},
      {"{\"multipleOf\":7}", "9223372036854775807", 0},
      {"{\"multipleOf\":1e-300}", "1e-299", 0},
      {"{\"multipleOf\":1e300}", "1e299", 1},
      {"{\"multipleOf\":2}", "-4", 0},
  };
  EXPECT_ALL(cases, NULL);
}

static void items_are_unique_by_value(void) {
  static const verdict cases[] = {
      {"{\"uniqueItems\":true}", "[1,true,\"1\",null,[1],{\"a\":1}]", 0},
      {"{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", 1},
      {"{\"uniqueItems\":true}", "[0,-0.0]", 1},
      /* more than are compared pair by pair */
      {"{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,0,-0.0]", 1},
      {"{\"uniqueItems\":true}",
       "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,{\"a\":1,\"b\":2},"
       "{\"b\":2.0,\"a\":1}]",
       1},
      {"{\"uniqueItems\":true}",
       "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,{\"a\":1,\"b\":2},"
       "{\"b\":1,\"a\":2}]",
       0},
      {"{\"uniqueItems\":false}", "[1,1]", 0},
  };
  EXPECT_ALL(cases, NULL);
}

/* -- strings --------------------------------------------------------------------------- */

static void patterns_are_ecma_262(void) {
  static const verdict cases[] = {
      {"{\"pattern\":\"^INV-[0-9]{4}-[0-9]+$\"}", "\"INV-2026-1\"", 0},
      {"{\"pattern\":\"^INV-[0-9]{4}-[0-9]+$\"}", "\"INV-2026-\"", 1},
      {"{\"pattern\":\"^INV-[0-9]{4}-[0-9]+$\"}", "\"INV-2026-1\\n\"", 1},
      {"{\"pattern\":\"^[^@ ]+@[^@ ]+$\"}", "\"ä@ö\"", 0},
      {"{\"pattern\":\"^[^@ ]+@[^@ ]+$\"}", "\"a@@b\"", 1},
      {"{\"pattern\":\"^a?b{2,3}c*$\"}", "\"bbb\"", 0},
      {"{\"pattern\":\"^a?b{2,3}c*$\"}", "\"abbbb\"", 1},
      {"{\"pattern\":\"^a*a$\"}", "\"aaa\"", 0}, /* overlapping sets */
      {"{\"pattern\":\"^.+$\"}", "\"ab\\u2028\"", 1},
      {"{\"pattern\":\"^.{2}$\"}", "\"é🐲\"", 0},
      {"{\"pattern\":\"^[a-]+$\"}", "\"a-\"", 0},
      {"{\"pattern\":\"^[\\\\w-]+$\"}", "\"a-_9\"", 0},
      {"{\"pattern\":\"^[\\\\s-x]+$\"}", "\" -x\"", 0},
      {"{\"pattern\":\"^[^\\\\S]+$\"}", "\"\\u00a0\\ufeff\"", 0},
      {"{\"pattern\":\"^x{,2}$\"}", "\"x{,2}\"", 0},
      {"{\"pattern\":\"^\\\\u{1F432}$\"}", "\"🐲\"", 0},
      {"{\"pattern\":\"^\\\\ud83d\\\\udc32$\"}", "\"🐲\"", 0},
      {"{\"pattern\":\"^\\\\p{Script=Greek}\\\\p{Lu}$\"}", "\"αA\"", 0},
      {"{\"pattern\":\"^(?<y>a)\\\\k<y>\\\\1$\"}", "\"aaa\"", 0},
      {"{\"pattern\":\"^[]$\"}", "\"\"", 1},
      {"{\"pattern\":\"^[^]$\"}", "\"\\n\"", 0},
      {"{\"pattern\":\"^[[]$\"}", "\"[\"", 0},
      {"{\"pattern\":\"^\\\\/\\\\-\\\\.$\"}", "\"/-.\"", 0},
      {"{\"pattern\":\"^(a|b)$\"}", "\"b\\n\"", 1},
      {"{\"pattern\":\"\"}", "\"\"", 0},
      {"{\"pattern\":\"^\"}", "\"x\"", 0},
      {"{\"pattern\":\"^$\"}", "\"x\"", 1},
      {"{\"pattern\":\"^\\\\v\\\\x41\\\\cJ$\"}", "\"\\u000bA\\n\"", 0},
      {"{\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"additionalProperties\":"
       "false}",
       "{\"x-a\":1}", 0},
      {"{\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}},\"additionalProperties\":"
       "false}",
       "{\"x-a\":1,\"y\":2}", 1},
  };
  EXPECT_ALL(cases, NULL);
}

static void what_ecma_262_does_not_have_is_refused(void) {
  static const char *const patterns[] = {
      "\\A",  "\\z",       "\\h",  "\\Qa\\E", "a++",   "a**",     "(?>a)", "(?#a)",
      "(?R)", "(*ACCEPT)", "a(",   "a)",      "[b-a]", "\\u12",   "\\x1",  "\\p{Nonsense}",
      "\\pL", "\\c1",      "\\01", "(?<n",    "\\",    "\\ud83d",
  };
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    tm_arena a;
    tm_schema *s;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, 0);
    tm_json *doc = tm_json_new_object(&a);
    tm_json_set_str(&a, doc, "pattern", patterns[i]);
    if (tm_schema_compile(&s, &a, doc, NULL, &err) == 0)
      check_fail(__FILE__, __LINE__, "accepted %s", patterns[i]);
    tm_arena_free(&a);
  }
}

static void formats_assert_only_when_asked(void) {
  CHECK_INT(check_one("{\"format\":\"ipv4\"}", "\"nonsense\""), 0);
  const tm_schema_opts opts = {.assert_format = true};
  CHECK_INT(check_opts("{\"format\":\"ipv4\"}", "\"nonsense\"", &opts), 1);
  CHECK_INT(check_opts("{\"format\":\"ipv4\"}", "12", &opts), 0);
  CHECK_INT(check_opts("{\"format\":\"no-such-format\"}", "\"x\"", &opts), 0);
}

static void formats_know_right_from_wrong(void) {
  /* format, then right ones, NULL, wrong ones, NULL */
  static const char *const cases[][20] = {
      {"date-time", "1998-12-31T23:59:60Z", "1998-12-31T15:59:60.123-08:00",
       "1963-06-19t08:30:06.28z", "2020-02-29T00:00:00+23:59", NULL, "1998-12-31T23:58:60Z",
       "1990-02-31T15:59:59Z", "1990-12-31T15:59:59-24:00", "06/19/1963 08:30:06 PST",
       "2013-350T01:01:01", "1963-06-1৪T00:00:00Z", "2021-02-29T00:00:00Z",
       "2020-01-01T00:00:00", NULL},
      {"date", "1963-06-19", "2020-02-29", NULL, "2021-02-29", "1998-13-01", "1998-1-20",
       "1963-06-1৪", "20230328", "2023-W01", NULL},
      {"time", "08:30:06Z", "23:59:60Z", "01:29:60+01:30", "23:20:50.52Z", "08:30:06-08:00",
       NULL, "24:00:00Z", "22:59:60Z", "08:30:06", "08:30:06+8:00", "12:00:00.Z", "0830:06Z",
       "01:02:03+24:00", NULL},
      {"duration", "P4DT12H30M5S", "P4Y",  "PT0S",        "P1M", "PT36H", "P2W",
       "P1DT12H",  NULL,           "PT1D", "4DT12H30M5S", "P",   "P1YT",  "PT",
       "P2D1Y",    "P1D2H",        "P2S",  "P1Y2W",       "P1",  NULL},
      {"email", "joe.bloggs@example.com", "te~st@example.com", "\"joe bloggs\"@example.com",
       "joe.bloggs@[127.0.0.1]", "joe.bloggs@[IPv6:::1]", NULL, "2962", ".test@example.com",
       "test.@example.com", "te..st@example.com", "joe.bloggs@invalid=domain.com",
       "joe.bloggs@[127.0.0.300]", "a@b, c@d", NULL},
      {"idn-email", "실례@실례.테스트", "joe@example.com", NULL, "2962", "@x", NULL},
      {"hostname", "www.example.com", "xn--4gbwdl.xn--wgbh1c", "a", "1host", "h-o-s-t", NULL,
       "-a-host-name", "a-", "not_valid", "a_b", "a..b", "example.", "", "xn--X",
       "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd", NULL},
      {"idn-hostname", "실례.테스트", "ßς་〇",         "l·l",          "α͵β",
       "א׳ב",          "・ぁ",        "ب٠ب",           "क्‍ष", "بي‌بي",
       "hostname",     NULL,          "〮실례.테스트", "̀hello",        "ـߺ",
       "a·l",          "α͵S",         "A׳ב",           "def・abc",     NULL},
      {"ipv4", "192.168.0.1", "0.0.0.0", NULL, "127.0.0.0.1", "256.256.256.256", "127.0",
       "087.10.0.1", "1.2.3.4 ", "1২7.0.0.1", "0x7f.0.0.1", NULL},
      {"ipv6", "::1", "::", "1:2:3:4:5:6:7:8", "::ffff:192.168.0.1", "1::", "::42:ff:1", NULL,
       "12345::", "1:1:1:1:1:1:1:1:1", "::abcef::", "1::1::1", ":2:3:4:5:6:7:8",
       "1:2:3:4:5:6:7", "::1%eth0", "1:2:3:4:1.2.3", NULL},
      {"uri", "http://foo.bar/?baz=qux#quux", "ldap://[2001:db8::7]/c=GB?objectClass?one",
       "urn:oasis:names", "mailto:a@b.c", "http://-.~_!$&'()*+,;=:%40:80%2f::::::@example.com",
       NULL, "//foo.bar/?baz=qux#quux", "/abc", "abc", "http:// shouldfail.com", "bar,baz:foo",
       "https://[@example.org/", "http://a/ä", "http://a/%g0", "http://a/<>", "http://a:b/",
       NULL},
      {"uri-reference", "/abc", "abc", "#frag", "?q", "//a/b", "", NULL, "\\\\WINDOWS\\x",
       "#frag\\ment", "1a:b", NULL},
      {"iri", "http://ƒøø.ßår/?∂éœ=πîx#πîüx", NULL, "/abc", "http://2001:0db8::7334", NULL},
      {"iri-reference", "/âππ", "#ƒrägmênt", NULL, "\\\\WINDOWS", NULL},
      {"uri-template", "http://a/{term:1}/{term}", "{+x,y*}{#h}", "plain", NULL,
       "http://a/{term", "{}", "{a b}", "}", NULL},
      {"uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2EB8AA08-AA98-11EA-B4AA-73B441D16380",
       NULL, "2eb8aa08-aa98-11ea-b4aa-73b441d1638", "2eb8aa08aa9811eab4aa73b441d16380",
       "2eb8aa08-aa98-11ea-b4ga-73b441d16380", NULL},
      {"json-pointer", "", "/foo/0", "/a~0b~1", "/", NULL, "a", "#/a", "/~", "/~2", NULL},
      {"relative-json-pointer", "1", "0/foo", "2/0/baz", "0#", "0+1/a", NULL, "/foo", "-1/x",
       "0##", "01/a", "", "+1/a", NULL},
      {"regex", "([abc])+\\s+$", "\\p{L}", NULL, "^(abc]", "\\a", "a{2,1}", NULL},
  };
  const tm_schema_opts opts = {.assert_format = true};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    tm_arena a;
    tm_err err = TM_ERR_INIT;
    tm_arena_init(&a, 0);
    tm_schema *s = NULL;
    tm_json *doc = tm_json_new_object(&a);
    tm_json_set_str(&a, doc, "format", cases[i][0]);
    CHECK_INT(tm_schema_compile(&s, &a, doc, &opts, &err), 0);
    int want = 0;
    for (size_t k = 1; s && want < 2; k++) {
      if (!cases[i][k])
        want++;
      else if (tm_schema_check(s, tm_json_new_str(&a, cases[i][k]), NULL, &err) != want)
        check_fail(__FILE__, __LINE__, "%s: %s is found %s", cases[i][0], cases[i][k],
                   want ? "right" : "wrong");
    }
    tm_arena_free(&a);
  }
}

CHECK_SUITE(schema_text) {
  CHECK_RUN(numbers_are_compared_exactly);
  CHECK_RUN(items_are_unique_by_value);
  CHECK_RUN(patterns_are_ecma_262);
  CHECK_RUN(what_ecma_262_does_not_have_is_refused);
  CHECK_RUN(formats_assert_only_when_asked);
  CHECK_RUN(formats_know_right_from_wrong);
}
