/* fuzz_sse.c - a stream, split in any way, is the same events as in one piece, and ends the
 * same. The first byte chooses: events or lines, and how large the pieces are.
 */
#include "fuzz.h"
#include "text/sse.h"

static int note(void *ctx, const tm_sse_event *e, tm_err *err) {
  tm_buf *seen = ctx;
  (void)err;
  MUST(e->data[e->len] == '\0');
  tm_buf_printf(seen, "[%zu %zu %zu]", strlen(e->event), e->len, strlen(e->id));
  tm_buf_puts(seen, e->event);
  tm_buf_put(seen, e->data, e->len);
  tm_buf_puts(seen, e->id);
  return 0;
}

/* In pieces of 1 to `most` bytes, each in memory of its own. Small limits, so that they are
 * met. */
static int feed(tm_buf *seen, const uint8_t *bytes, size_t len, size_t most, bool ndjson,
                tm_err *err) {
  tm_sse s;
  int rc = 0;
  tm_sse_init(&s, ndjson);
  s.max_line = 40;
  s.max_event = 60;
  for (size_t at = 0, n = 0; at < len && rc == 0; at += n) {
    n = 1 + (at * 7 + n) % most;
    if (n > len - at)
      n = len - at;
    char *piece = fuzz_text(bytes + at, n);
    rc = tm_sse_feed(&s, piece, n, note, seen, err);
    free(piece);
  }
  if (rc == 0)
    rc = tm_sse_end(&s, note, seen, err);
  tm_sse_free(&s);
  return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len == 0)
    return 0;
  bool ndjson = bytes[0] & 1;
  size_t most = 1 + (bytes[0] >> 1) % 16;
  tm_buf whole = TM_BUF_INIT, pieces = TM_BUF_INIT;
  tm_err err = TM_ERR_INIT, other = TM_ERR_INIT;
  int rc = feed(&whole, bytes + 1, len - 1, len, ndjson, &err);
  MUST(feed(&pieces, bytes + 1, len - 1, most, ndjson, &other) == rc);
  MUST(fuzz_same(&whole, &pieces));
  if (rc < 0) {
    fuzz_must_explain(&err);
    MUST(strcmp(err.msg, other.msg) == 0);
  }
  tm_buf_free(&whole);
  tm_buf_free(&pieces);
  return 0;
}
