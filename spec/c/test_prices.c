/* test_prices.c - tokens to USD: whose price, which tokens, and null for what is not known. */
#include "llm/prices.h"

#include "llm_box.h"

static tm_json *json(tm_arena *a, const char *text) {
  tm_json *v = NULL;
  tm_err err = TM_ERR_INIT;
  if (tm_json_parse(&v, a, text, strlen(text), NULL, &err) < 0)
    check_fail(__FILE__, __LINE__, "%s: %s", text, err.msg);
  return v;
}

static const char table[] =
    "{\"as_of\":\"2026-01-01\",\"models\":{\"p/exact\":{\"input\":2,\"output\":10},"
    "\"p/cached\":{\"input\":4,\"cached_input\":1,\"cache_write\":5,\"output\":20},"
    "\"p/star-*\":{\"input\":1,\"output\":1},\"p/in\":{\"input\":3},\"free/*\":{\"input\":0,"
    "\"output\":0}}}";

static void a_price_is_found_and_multiplied(void) {
  static const struct {
    const char *provider, *model, *usage;
    double usd; /* -1: not known */
  } cases[] = {
      {"p", "exact", "{\"input\":1000000,\"output\":100000}", 3},
      {"p", "exact", "{\"input\":0,\"output\":0}", 0},
      {"p", "exact-2026-03-04", "{\"input\":500000,\"output\":0}", 1},
      {"p", "exact-20260304", "{\"input\":500000,\"output\":0}", 1},
      {"p", "exact-2", "{\"input\":500000,\"output\":0}", -1},
      {"p", "star-x", "{\"input\":1000000,\"output\":1000000}", 2},
      {"q", "exact", "{\"input\":1,\"output\":1}", -1},
      {"free", "any/thing", "{\"input\":1,\"output\":1}", 0},
      {"p", "cached",
       "{\"input\":1000000,\"cached_input\":500000,\"cache_write\":100000,"
       "\"output\":0}",
       1.6 + 0.5 + 0.5},
      {"p", "exact", "{\"input\":1000000,\"cached_input\":500000,\"output\":0}", 2},
      {"p", "exact", "{\"input\":null,\"output\":5}", -1},
      {"p", "exact", "{\"input\":5,\"output\":null}", -1},
      {"p", "exact", "{}", -1},
      {"p", "in", "{\"input\":1000000,\"output\":0}", 3},
      {"p", "in", "{\"input\":1000000,\"output\":1}", -1},
      {"p", "cached", "{\"input\":10,\"cached_input\":1000000,\"output\":0}", 1},
  };
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_prices p = {0};
  tm_arena_init(&a, 0);
  CHECK_INT(tm_prices_add(&p, json(&a, table), &err), 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double usd = -1;
    bool known =
        tm_prices_usd(&usd, &p, cases[i].provider, cases[i].model, json(&a, cases[i].usage));
    double off = (known ? usd : -1) - cases[i].usd;
    if (known != (cases[i].usd >= 0) || off > 1e-9 || off < -1e-9)
      check_fail(__FILE__, __LINE__, "case %zu: %f, want %f", i, known ? usd : -1,
                 cases[i].usd);
  }
  double usd;
  CHECK(!tm_prices_usd(&usd, &p, "p", "exact", NULL));
  tm_prices_free(&p);
  tm_arena_free(&a);
}

static void what_is_given_last_counts_first(void) {
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_prices p = {0};
  double usd = 0;
  tm_arena_init(&a, 0);
  CHECK_INT(tm_prices_add(&p, json(&a, table), &err), 0);
  CHECK_INT(tm_prices_add(&p, json(&a, "{\"p/exact\":{\"input\":7,\"output\":0}}"), &err), 0);
  CHECK(tm_prices_usd(&usd, &p, "p", "exact", json(&a, "{\"input\":1000000,\"output\":0}")));
  CHECK(usd > 6.999 && usd < 7.001);
  CHECK(tm_prices_usd(&usd, &p, "p", "star-1", json(&a, "{\"input\":1000000,\"output\":0}")));
  CHECK_INT(tm_prices_add(&p, json(&a, "[]"), &err), -1);
  CHECK_INT(tm_prices_add(&p, json(&a, "{\"p/x\":7}"), &err), -1);
  CHECK(strstr(err.msg, "p/x"));
  CHECK_INT(tm_prices_add(&p, json(&a, "{\"p/x\":{\"input\":-1}}"), &err), -1);
  tm_prices_free(&p);
  tm_arena_free(&a);
}

static peer_then counts(peer *p, int n, const char *request, tm_buf *reply) {
  (void)p, (void)request;
  if (n == 1)
    return peer_reply(reply, 503, "", "");
  return openai_says(reply, "yes", "stop");
}

/* 10 tokens in, 4 of them from the cache, 5 out. */
static void each_attempt_and_the_whole_tell_their_cost(void) {
  static const char question[] = "{\"model\":\"openai/m\",\"messages\":[{\"role\":\"user\","
                                 "\"content\":[{\"text\":\"Hi\"}]}]}";
  llm_box b;
  tm_err err = TM_ERR_INIT;
  box_open(&b, counts);
  box_ask(&b, question);
  CHECK(tm_json_type_of(tm_json_get(b.meta, "usd")) == TM_JSON_NULL);
  CHECK_INT(tm_llm_set_prices(b.llm,
                              box_json(&b, "{\"openai/m\":{\"input\":1000000,\"cached_input\":"
                                           "500000,\"output\":2000000}}"),
                              &err),
            0);
  box_ask(&b, question);
  REQUIRE(b.attempt_count == 1);
  CHECK_INT(tm_json_number(tm_json_get(b.meta, "usd"), -1), 18);
  CHECK_INT(tm_json_number(tm_json_get(b.attempts[0], "usd"), -1), 18);
  box_close(&b);
}

/* The table that ships: every row can be used, and it has a date. */
static void the_shipped_table_is_good(void) {
  char text[16384];
  tm_arena a;
  tm_err err = TM_ERR_INIT;
  tm_prices p = {0};
  double usd = -1;
  FILE *f = fopen("lua/prices.json", "r");
  REQUIRE(f != NULL);
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  fclose(f);
  tm_arena_init(&a, 0);
  const tm_json *doc = json(&a, text);
  CHECK(tm_json_get_str(doc, "as_of") && strlen(tm_json_get_str(doc, "as_of")) == 10);
  CHECK_INT(tm_prices_add(&p, doc, &err), 0);
  const tm_json *usage = json(&a, "{\"input\":1000000,\"output\":1000000}");
  CHECK(tm_prices_usd(&usd, &p, "openai", "gpt-4.1-2025-04-14", usage) && usd > 9.99 &&
        usd < 10.01);
  CHECK(tm_prices_usd(&usd, &p, "anthropic", "claude-sonnet-4-5-20250929", usage) &&
        usd > 17.9);
  CHECK(tm_prices_usd(&usd, &p, "ollama", "llama3.2", usage));
  CHECK(usd >= 0 && usd <= 0);
  tm_prices_free(&p);
  tm_arena_free(&a);
}

CHECK_SUITE(prices) {
  CHECK_RUN(the_shipped_table_is_good);
  CHECK_RUN(a_price_is_found_and_multiplied);
  CHECK_RUN(what_is_given_last_counts_first);
  CHECK_RUN(each_attempt_and_the_whole_tell_their_cost);
}
