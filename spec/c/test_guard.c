/* test_guard.c - which addresses are of the open internet, and what a list adds to them. */
#include "check.h"

#include "net/guard.h"

static const struct sockaddr *at(struct sockaddr_storage *room, const char *text, int port) {
  if (!tm_guard_address(room, text, port))
    check_fail(__FILE__, __LINE__, "%s is no address", text);
  return (const struct sockaddr *)room;
}

static void only_addresses_of_the_internet_are_public(void) {
  static const struct {
    const char *address;
    bool public;
  } table[] = {
      {"1.1.1.1", true},
      {"8.8.8.8", true},
      {"172.15.255.255", true},
      {"172.32.0.1", true},
      {"100.63.255.255", true},
      {"100.128.0.1", true},
      {"169.253.1.1", true},
      {"192.167.1.1", true},
      {"223.255.255.255", true},
      {"126.255.255.255", true},
      {"128.0.0.1", true},
      {"11.0.0.1", true},
      {"0.0.0.0", false},
      {"0.1.2.3", false},
      {"10.0.0.1", false},
      {"10.255.255.255", false},
      {"100.64.0.1", false},
      {"100.127.255.255", false},
      {"127.0.0.1", false},
      {"127.255.255.254", false},
      {"169.254.169.254", false},
      {"172.16.0.1", false},
      {"172.31.255.255", false},
      {"192.0.0.8", false},
      {"192.168.0.1", false},
      {"198.18.0.1", false},
      {"224.0.0.1", false},
      {"240.0.0.1", false},
      {"255.255.255.255", false},
      {"2130706433", false},
      {"0177.0.0.1", false},
      {"0x7f.1", false},
      {"127.1", false},
      {"0xa9fea9fe", false},
      {"0", false},
      {"::", false},
      {"::1", false},
      {"::ffff:127.0.0.1", false},
      {"::ffff:10.0.0.1", false},
      {"::ffff:8.8.8.8", true},
      {"::127.0.0.1", false},
      {"fc00::1", false},
      {"fd12:3456::1", false},
      {"fe80::1", false},
      {"fe80::1%lo", false},
      {"febf::1", false},
      {"fec0::1", false},
      {"ff02::1", false},
      {"64:ff9b::10.0.0.1", false},
      {"64:ff9b::8.8.8.8", true},
      {"2002:7f00:1::", false},
      {"2002:808:808::", true},
      {"2001::1", false},
      {"2001:db8::1", false},
      {"2606:4700::1111", true},
      {"2001:4860:4860::8888", true},
      {"fd00:ec2::254", false},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct sockaddr_storage room;
    if (tm_guard_public(at(&room, table[i].address, 80)) != table[i].public)
      check_fail(__FILE__, __LINE__, "%s is taken for %s", table[i].address,
                 table[i].public ? "private" : "public");
  }
}

static void a_name_is_no_address(void) {
  static const char *const names[] = {"",        "localhost", "a.b",  "1.2.3.4.5",
                                      "256.1.1", "::g",       "10.x", "1.2.3.400"};
  struct sockaddr_storage room;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (tm_guard_address(&room, names[i], 1))
      check_fail(__FILE__, __LINE__, "%s is taken for an address", names[i]);
}

static void a_list_lets_through_what_it_names_and_nothing_else(void) {
  static const struct {
    const char *list, *host, *address;
    int port;
    bool lets;
  } table[] = {
      {"", "x", "8.8.8.8", 80, true},
      {"", "x", "127.0.0.1", 80, false},
      {"127.0.0.1", "x", "127.0.0.1", 9, true},
      {"127.0.0.1:80", "x", "127.0.0.1", 80, true},
      {"127.0.0.1:80", "x", "127.0.0.1", 81, false},
      {"127.0.0.1", "x", "127.0.0.2", 80, false},
      {"127.0.0.1", "x", "::ffff:127.0.0.1", 80, true},
      {"127.0.0.1", "x", "::1", 80, false},
      {"10.1.0.0/16", "x", "10.1.255.1", 80, true},
      {"10.1.0.0/16", "x", "10.2.0.1", 80, false},
      {"10.128.0.0/9", "x", "10.127.0.1", 80, false},
      {"0.0.0.0/0", "x", "169.254.169.254", 80, true},
      {"0.0.0.0/0", "x", "::1", 80, false},
      {"::/0", "x", "fe80::1", 80, true},
      {"[::1]:80", "x", "::1", 80, true},
      {"[::1]:80", "x", "::1", 8080, false},
      {"::1", "x", "::1", 8080, true},
      {"fc00::/7", "x", "fd12::1", 80, true},
      {"db.internal", "db.internal", "10.0.0.1", 80, true},
      {"db.internal", "DB.Internal.", "10.0.0.1", 80, true},
      {"db.internal", "xdb.internal", "10.0.0.1", 80, false},
      {"db.internal:5000", "db.internal", "10.0.0.1", 5001, false},
      {"*.internal", "a.b.internal", "10.0.0.1", 80, true},
      {"*.internal", "internal", "10.0.0.1", 80, false},
      {"*.internal", "ainternal", "10.0.0.1", 80, false},
      {"*.internal", "a.internal.evil.com", "10.0.0.1", 80, false},
      {"a, b.c\n10.0.0.1", "x", "10.0.0.1", 80, true},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct sockaddr_storage room;
    tm_err err = TM_ERR_INIT;
    tm_guard *g = tm_guard_new();
    CHECK_INT(tm_guard_allow(g, table[i].list, &err), 0);
    if (tm_guard_lets(g, table[i].host, at(&room, table[i].address, table[i].port)) !=
        table[i].lets)
      check_fail(__FILE__, __LINE__, "row %zu: %s, %s", i, table[i].list, table[i].address);
    tm_guard_free(&g);
    CHECK(!g);
  }
}

static void an_entry_that_cannot_be_read_is_named(void) {
  static const char *const table[] = {
      "http://x",   "a:b",       "a:0",          "a:65536",       "a:", "10.0.0.0/33", "::/129",
      "10.0.0.0/x", "name/8",    "[::1",         "[::1]x",        "*",  "*.",          "a*b",
      "[::1]:",     "10.0.0.0/", "127.0.0.1:-1", "10.0.0.0/8:80", "a@b"};
  char lang[400];
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_err err = TM_ERR_INIT;
    tm_guard *g = tm_guard_new();
    if (tm_guard_allow(g, table[i], &err) == 0)
      check_fail(__FILE__, __LINE__, "\"%s\" is taken", table[i]);
    CHECK_INT(err.code, TM_CONFIG);
    CHECK(strstr(err.msg, table[i]) != NULL);
    tm_guard_free(&g);
  }
  tm_err err = TM_ERR_INIT;
  tm_guard *g = tm_guard_new();
  memset(lang, 'a', sizeof lang - 1);
  lang[sizeof lang - 1] = '\0';
  CHECK_INT(tm_guard_allow(g, lang, &err), -1);
  tm_guard_free(&g);
}

static void a_url_shows_its_host_and_port(void) {
  static const struct {
    const char *url, *host; /* host NULL: it is not taken */
    int port;
  } table[] = {{"http://a.b/x", "a.b", 80},
               {"HTTPS://a.b", "a.b", 443},
               {"https://a.b:8443/x:1", "a.b", 8443},
               {"http://a.b?x", "a.b", 80},
               {"http://[::1]:8080/", "::1", 8080},
               {"http://[::1]", "::1", 80},
               {"http://a.b:/", "a.b", 80},
               {"ftp://a.b/", NULL, 0},
               {"a.b", NULL, 0},
               {"http://", NULL, 0},
               {"http:///x", NULL, 0},
               {"http://[]/", NULL, 0},
               {"http://[::1/x]", NULL, 0},
               {"http://[::1]x/", NULL, 0},
               {"http://u@a.b/", NULL, 0},
               {"http://a%2eb/", NULL, 0},
               {"http://a.b\\@c/", NULL, 0},
               {"http://:80/", NULL, 0}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_guard_place at;
    bool taken = tm_guard_place_of(&at, table[i].url);
    if (taken != (table[i].host != NULL) ||
        (taken && (strcmp(at.host, table[i].host) != 0 || at.port != table[i].port)))
      check_fail(__FILE__, __LINE__, "%s: %s", table[i].url, taken ? at.host : "not taken");
  }
}

static void what_somebody_else_will_fetch_is_judged_by_its_text(void) {
  static const struct {
    const char *list, *url;
    bool trusts;
  } table[] = {{"", "https://files.example/a.png", true},
               {"", "https://1.1.1.1/a.png", true},
               {"", "http://127.0.0.1/a.png", false},
               {"", "http://2130706433/a.png", false},
               {"", "http://[::ffff:10.0.0.1]/a.png", false},
               {"", "http://169.254.169.254/latest", false},
               {"", "http://localhost:9/a.png", false},
               {"", "http://a.LocalHost./a.png", false},
               {"", "http://notlocalhost/a.png", true},
               {"", "file:///etc/passwd", false},
               {"127.0.0.1", "http://127.0.0.1/a.png", true},
               {"127.0.0.1", "http://localhost/a.png", true},
               {"localhost:80", "http://localhost/a.png", true},
               {"localhost:80", "http://localhost:81/a.png", false}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    tm_err err = TM_ERR_INIT;
    tm_guard *g = tm_guard_new();
    CHECK_INT(tm_guard_allow(g, table[i].list, &err), 0);
    if (tm_guard_trusts(g, table[i].url) != table[i].trusts)
      check_fail(__FILE__, __LINE__, "\"%s\", %s", table[i].list, table[i].url);
    tm_guard_free(&g);
  }
}

CHECK_SUITE(guard) {
  CHECK_RUN(a_url_shows_its_host_and_port);
  CHECK_RUN(what_somebody_else_will_fetch_is_judged_by_its_text);
  CHECK_RUN(only_addresses_of_the_internet_are_public);
  CHECK_RUN(a_name_is_no_address);
  CHECK_RUN(a_list_lets_through_what_it_names_and_nothing_else);
  CHECK_RUN(an_entry_that_cannot_be_read_is_named);
}
