#include "check.h"
#include "engine_kit.h"

static void a_run_goes_to_its_end(void) {
  kit_box box;
  kit *k = kit_box_open(&box, "{'flow': [['now'], ['llm', 'classify', {}], ['action', 'pay', {'key': 'k1', 'args': {}}],"
                              "['fork', [[['sleep', 5000]], [['gate', 'ask', {'ask': 'sure?'}]]]], ['log','',{}]]}");
  k->person = true;
  kit_play(k, "r");
  puts(kit_journal(&box.world, "r"));
  puts(kit_state(&box.world, "r"));
  puts(kit_result(&box.world, "r"));
  puts(kit_effects(&box.world));
  puts(tm_buf_str(&k->events));
  kit_box_close(&box);
}

CHECK_SUITE(engine) {
  CHECK_RUN(a_run_goes_to_its_end);
}
