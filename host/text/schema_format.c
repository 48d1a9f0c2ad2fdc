/* schema_format.c - `format`: dates and times (RFC 3339), durations (ISO 8601), UUIDs, JSON
 * pointers, and which check belongs to which name. Names of hosts, people and resources are
 * in schema_format_net.c.
 */
#include "text/schema_program.h"

/* What is left to read. The helpers take from the front and say whether it was there. */
typedef struct rest {
  const char *s, *end;
} rest;

static bool take(rest *r, char c) {
  if (r->s == r->end || *r->s != c)
    return false;
  r->s++;
  return true;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* Exactly n digits; -1 when they are not there. */
static int take_digits(rest *r, int n) {
  int value = 0;
  for (; n > 0; n--) {
    if (r->s == r->end || !is_digit(*r->s))
      return -1;
    value = value * 10 + (*r->s++ - '0');
  }
  return value;
}

static size_t skip_digits(rest *r) {
  const char *start = r->s;
  while (r->s < r->end && is_digit(*r->s))
    r->s++;
  return (size_t)(r->s - start);
}

/* -- dates and times ------------------------------------------------------------------- */

static int days_of(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

static bool take_date(rest *r) {
  int year = take_digits(r, 4);
  if (year < 0 || !take(r, '-'))
    return false;
  int month = take_digits(r, 2);
  if (month < 1 || month > 12 || !take(r, '-'))
    return false;
  int day = take_digits(r, 2);
  return day >= 1 && day <= days_of(year, month);
}

/* Minutes east of UTC. */
static bool take_offset(rest *r, int *minutes) {
  *minutes = 0;
  if (take(r, 'Z') || take(r, 'z'))
    return true;
  int sign = take(r, '+') ? 1 : take(r, '-') ? -1 : 0;
  int hour = sign ? take_digits(r, 2) : -1;
  if (hour < 0 || hour > 23 || !take(r, ':'))
    return false;
  int minute = take_digits(r, 2);
  *minutes = sign * (hour * 60 + minute);
  return minute >= 0 && minute <= 59;
}

static bool take_time(rest *r) {
  int hour = take_digits(r, 2);
  if (hour < 0 || hour > 23 || !take(r, ':'))
    return false;
  int minute = take_digits(r, 2);
  if (minute < 0 || minute > 59 || !take(r, ':'))
    return false;
  int second = take_digits(r, 2), offset;
  if (second < 0 || second > 60 || (take(r, '.') && skip_digits(r) == 0) ||
      !take_offset(r, &offset))
    return false;
  /* a leap second is the last one of a day in UTC */
  int utc = (hour * 60 + minute - offset + 2 * 24 * 60) % (24 * 60);
  return second < 60 || utc == 23 * 60 + 59;
}

static bool is_date(rest r) {
  return take_date(&r) && r.s == r.end;
}

static bool is_time(rest r) {
  return take_time(&r) && r.s == r.end;
}

static bool is_date_time(rest r) {
  return take_date(&r) && (take(&r, 'T') || take(&r, 't')) && take_time(&r) && r.s == r.end;
}

/* Amounts in the order of `units`; how many there were, -1 for anything else. */
static int take_amounts(rest *r, const char *units) {
  int count = 0;
  while (r->s < r->end && is_digit(*r->s)) {
    skip_digits(r);
    if (r->s == r->end || *r->s == 'T')
      return -1;
    const char *unit = strchr(units, *r->s);
    if (!unit)
      return -1;
    units = unit + 1;
    r->s++;
    count++;
  }
  return count;
}

static bool is_duration(rest r) {
  if (!take(&r, 'P'))
    return false;
  rest weeks = r;
  if (take_amounts(&weeks, "W") == 1)
    return weeks.s == weeks.end;
  int dates = take_amounts(&r, "YMD");
  if (dates < 0)
    return false;
  if (!take(&r, 'T'))
    return dates > 0 && r.s == r.end;
  return take_amounts(&r, "HMS") > 0 && r.s == r.end;
}

/* -- identifiers ----------------------------------------------------------------------- */

static bool is_hex(char c) {
  return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_uuid(rest r) {
  if (r.end - r.s != 36)
    return false;
  for (int i = 0; i < 36; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? r.s[i] != '-' : !is_hex(r.s[i]))
      return false;
  }
  return true;
}

static bool is_pointer(rest r) {
  if (r.s == r.end)
    return true;
  if (*r.s != '/')
    return false;
  for (; r.s < r.end; r.s++)
    if (*r.s == '~' && (r.s + 1 == r.end || (r.s[1] != '0' && r.s[1] != '1')))
      return false;
  return true;
}

/* "1/a", "0#", and with an index to move by: "0+1/a" */
static bool is_relative_pointer(rest r) {
  const char *start = r.s;
  size_t digits = skip_digits(&r);
  if (digits == 0 || (digits > 1 && *start == '0'))
    return false;
  if (take(&r, '+') || take(&r, '-')) {
    start = r.s;
    digits = skip_digits(&r);
    if (digits == 0 || *start == '0')
      return false;
  }
  rest mark = r;
  return (take(&mark, '#') && mark.s == mark.end) || is_pointer(r);
}

/* -- names of formats ------------------------------------------------------------------ */

static const struct {
  const char *name;
  format_kind kind;
} formats[] = {
    {"date-time", FORMAT_DATE_TIME},
    {"date", FORMAT_DATE},
    {"time", FORMAT_TIME},
    {"duration", FORMAT_DURATION},
    {"email", FORMAT_EMAIL},
    {"idn-email", FORMAT_IDN_EMAIL},
    {"hostname", FORMAT_HOSTNAME},
    {"idn-hostname", FORMAT_IDN_HOSTNAME},
    {"ipv4", FORMAT_IPV4},
    {"ipv6", FORMAT_IPV6},
    {"uri", FORMAT_URI},
    {"uri-reference", FORMAT_URI_REFERENCE},
    {"iri", FORMAT_IRI},
    {"iri-reference", FORMAT_IRI_REFERENCE},
    {"uri-template", FORMAT_URI_TEMPLATE},
    {"uuid", FORMAT_UUID},
    {"json-pointer", FORMAT_POINTER},
    {"relative-json-pointer", FORMAT_RELATIVE_POINTER},
    {"regex", FORMAT_REGEX},
};

format_kind tm_schema_format_find(const char *name) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (strcmp(name, formats[i].name) == 0)
      return formats[i].kind;
  return FORMAT_NONE;
}

bool tm_schema_format_fits(format_kind kind, const char *s, size_t len) {
  rest r = {s, s + len};
  switch (kind) {
  case FORMAT_NONE:
    return true;
  case FORMAT_DATE_TIME:
    return is_date_time(r);
  case FORMAT_DATE:
    return is_date(r);
  case FORMAT_TIME:
    return is_time(r);
  case FORMAT_DURATION:
    return is_duration(r);
  case FORMAT_EMAIL:
    return tm_schema_format_email(s, len, false);
  case FORMAT_IDN_EMAIL:
    return tm_schema_format_email(s, len, true);
  case FORMAT_HOSTNAME:
    return tm_schema_format_hostname(s, len, false);
  case FORMAT_IDN_HOSTNAME:
    return tm_schema_format_hostname(s, len, true);
  case FORMAT_IPV4:
    return tm_schema_format_ipv4(s, len);
  case FORMAT_IPV6:
    return tm_schema_format_ipv6(s, len);
  case FORMAT_URI:
    return tm_schema_format_uri(s, len, false, false);
  case FORMAT_URI_REFERENCE:
    return tm_schema_format_uri(s, len, true, false);
  case FORMAT_IRI:
    return tm_schema_format_uri(s, len, false, true);
  case FORMAT_IRI_REFERENCE:
    return tm_schema_format_uri(s, len, true, true);
  case FORMAT_URI_TEMPLATE:
    return tm_schema_format_uri_template(s, len);
  case FORMAT_UUID:
    return is_uuid(r);
  case FORMAT_POINTER:
    return is_pointer(r);
  case FORMAT_RELATIVE_POINTER:
    return is_relative_pointer(r);
  case FORMAT_REGEX:
    return tm_schema_regex_valid(s, len);
  }
  return true;
}
