/* spelt.c - a key that comes back otherwise encoded: base64, hex, percent. */
#include "llm/spelt.h"

#include <ctype.h>
#include <string.h>

#include "llm/mask.h"

#define SECRET_MIN 8 /* bytes: less is too short to be told from chance */

/* -- spellings ------------------------------------------------------------------------- */

/* Those letters of base64 that the secret alone decides when `before` bytes stand in front of it. */
static void spell_base64(tm_buf *out, const char *secret, size_t before, const char *last_two) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  size_t n = strlen(secret), first = (before * 8 + 5) / 6, end = (before + n) * 8 / 6;
  for (size_t i = first; i < end; i++) {
    unsigned six = 0;
    for (size_t bit = i * 6; bit < i * 6 + 6; bit++) {
      unsigned byte = (unsigned char)secret[bit / 8 - before];
      six = six << 1 | (byte >> (7 - bit % 8) & 1U);
    }
    tm_buf_putc(out, six < 62 ? digits[six] : last_two[six - 62]);
  }
}

static void spell_hex(tm_buf *out, const char *secret, const char *before, bool upper) {
  for (const char *s = secret; *s; s++)
    tm_buf_printf(out, upper ? "%s%02X" : "%s%02x", before, (unsigned)(unsigned char)*s);
}

/* What has to be, in a URL. */
static void spell_percent(tm_buf *out, const char *secret, bool upper) {
  for (const char *s = secret; *s; s++)
    if (isalnum((unsigned char)*s) || strchr("-._~", *s))
      tm_buf_putc(out, *s);
    else
      tm_buf_printf(out, upper ? "%%%02X" : "%%%02x", (unsigned)(unsigned char)*s);
}

/* A slash may be escaped in JSON. */
static void escape_slashes(tm_buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '/')
      tm_buf_putc(out, '\\');
    tm_buf_putc(out, *text);
  }
}

/* The spelling of this number; false: there are no more. One may be as another, or as the secret. */
static bool spell(tm_buf *out, const char *secret, int number) {
  static const char *const last_two[] = {"+/", "-_"};
  tm_buf plain = TM_BUF_INIT;
  tm_buf_reset(out);
  if (number < 6) {
    spell_base64(out, secret, (size_t)(number % 3), last_two[number / 3]);
  } else if (number < 9) {
    spell_base64(&plain, secret, (size_t)(number % 3), last_two[0]);
    escape_slashes(out, tm_buf_str(&plain));
  } else if (number < 13) {
    spell_hex(out, secret, number < 11 ? "" : "%", number % 2);
  } else if (number < 15) {
    spell_percent(out, secret, number % 2);
  }
  tm_buf_free(&plain);
  return number < 15;
}

static bool spells(char c) {
  return isalnum((unsigned char)c) || (c && strchr("+/\\-_.~%", c));
}

/* Each spelling is a run of these letters, no shorter than the secret; most texts have none. */
static bool may_spell(const char *text, size_t len, const char *secret) {
  size_t n = strlen(secret);
  for (size_t at = 0; len - at >= n;) {
    size_t left = n;
    while (left && spells(text[at + left - 1]))
      left--;
    if (!left)
      return true;
    at += left;
  }
  return false;
}

const char *tm_llm_mask_spelt(tm_arena *a, const char *text, size_t *len, const char *secret) {
  tm_buf spelling = TM_BUF_INIT;
  if (!secret || strlen(secret) < SECRET_MIN || !text || *len < SECRET_MIN ||
      !may_spell(text, *len, secret))
    return text;
  for (int i = 0; spell(&spelling, secret, i); i++)
    text = tm_llm_mask(a, text, len, tm_buf_str(&spelling));
  tm_buf_free(&spelling);
  return text;
}

const char *tm_llm_scrub_spelt(tm_arena *a, const char *bytes, size_t *len, const tm_buf *said,
                               const char *secret) {
  tm_buf spelling = TM_BUF_INIT;
  if (!secret || strlen(secret) < SECRET_MIN || said->len < SECRET_MIN ||
      !may_spell(said->data, said->len, secret))
    return bytes;
  for (int i = 0; spell(&spelling, secret, i); i++)
    if (memmem(said->data, said->len, spelling.data, spelling.len))
      bytes = tm_llm_scrub(a, bytes, len, tm_buf_str(&spelling));
  tm_buf_free(&spelling);
  return bytes;
}
