/* otlp.c - spans as OTLP/JSON writes them. */
#include "face/otlp.h"

#include <math.h>
#include <string.h>

/* -- ids ------------------------------------------------------------------------------- */

/* The beginning of a hash over fields. Ids must not be all zeros, which no hash has been seen to be. */
static void id_of(char *out, size_t size, const char *what, const char *run,
                  const char *chain) {
  tm_hasher h;
  tm_hash_begin(&h);
  tm_hash_add_field(&h, what, strlen(what));
  tm_hash_add_field(&h, run, strlen(run));
  tm_hash_add_field(&h, chain, strlen(chain));
  tm_hash hash = tm_hash_end(&h);
  memcpy(out, hash.hex, size - 1);
  out[size - 1] = '\0';
}

tm_otlp_trace_id tm_otlp_trace(const char *run, const char *chain) {
  tm_otlp_trace_id id = {""};
  id_of(id.hex, sizeof id.hex, "trace", run, chain);
  return id;
}

tm_otlp_span_id tm_otlp_span(const char *what, const char *run, const char *chain) {
  tm_otlp_span_id id = {""};
  id_of(id.hex, sizeof id.hex, what, run, chain);
  return id;
}

/* -- attributes ------------------------------------------------------------------------ */

static void put(tm_arena *a, tm_json *attributes, const char *key, const char *type,
                const tm_json *value) {
  tm_json *o = tm_json_new_object(a), *v = tm_json_new_object(a);
  tm_json_set(a, v, type, value);
  tm_json_set_str(a, o, "key", key);
  tm_json_set(a, o, "value", v);
  tm_json_push(a, attributes, o);
}

void tm_otlp_put_text(tm_arena *a, tm_json *attributes, const char *key, const char *s) {
  if (s)
    put(a, attributes, key, "stringValue", tm_json_new_str(a, s));
}

void tm_otlp_put_int(tm_arena *a, tm_json *attributes, const char *key, int64_t i) {
  put(a, attributes, key, "intValue",
      tm_json_new_str(a, tm_arena_printf(a, "%lld", (long long)i)));
}

void tm_otlp_put_double(tm_arena *a, tm_json *attributes, const char *key, double d) {
  if (isfinite(d))
    put(a, attributes, key, "doubleValue", tm_json_new_double(a, d));
}

void tm_otlp_put_bool(tm_arena *a, tm_json *attributes, const char *key, bool b) {
  put(a, attributes, key, "boolValue", tm_json_new_bool(a, b));
}

void tm_otlp_put_one(tm_arena *a, tm_json *attributes, const char *key, const char *s) {
  tm_json *item = tm_json_new_object(a), *items = tm_json_new_array(a);
  tm_json *list = tm_json_new_object(a);
  if (!s)
    return;
  tm_json_set_str(a, item, "stringValue", s);
  tm_json_push(a, items, item);
  tm_json_set(a, list, "values", items);
  put(a, attributes, key, "arrayValue", list);
}

void tm_otlp_put_value(tm_arena *a, tm_json *attributes, const char *key, const tm_json *v) {
  if (v && tm_json_type_of(v) == TM_JSON_STRING)
    put(a, attributes, key, "stringValue", v);
  else if (v)
    tm_otlp_put_text(a, attributes, key, tm_json_text(a, v, NULL));
}

/* -- spans ----------------------------------------------------------------------------- */

static void set_time(tm_arena *a, tm_json *o, const char *key, int64_t ms) {
  tm_json_set_str(a, o, key, ms > 0 ? tm_arena_printf(a, "%lld000000", (long long)ms) : "0");
}

void tm_otlp_put_event(tm_arena *a, tm_json *events, int64_t at, const char *name,
                       const tm_json *attributes) {
  tm_json *o = tm_json_new_object(a);
  set_time(a, o, "timeUnixNano", at);
  tm_json_set_str(a, o, "name", name);
  if (tm_json_len(attributes))
    tm_json_set(a, o, "attributes", attributes);
  tm_json_push(a, events, o);
}

static tm_json *link_json(tm_arena *a, const tm_otlp_link *link) {
  tm_json *o = tm_json_new_object(a), *list = tm_json_new_array(a);
  tm_json_set_str(a, o, "traceId", link->trace.hex);
  tm_json_set_str(a, o, "spanId", link->span.hex);
  tm_json_push(a, list, o);
  return list;
}

static tm_json *status_json(tm_arena *a, const char *message) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_int(a, o, "code", 2);
  if (message)
    tm_json_set_str(a, o, "message", message);
  return o;
}

tm_json *tm_otlp_json(tm_arena *a, const tm_otlp_record *r) {
  tm_json *o = tm_json_new_object(a);
  tm_json_set_str(a, o, "traceId", r->trace.hex);
  tm_json_set_str(a, o, "spanId", r->id.hex);
  if (r->parent)
    tm_json_set_str(a, o, "parentSpanId", r->parent);
  tm_json_set_str(a, o, "name", r->name);
  tm_json_set_int(a, o, "kind", r->kind);
  set_time(a, o, "startTimeUnixNano", r->start);
  set_time(a, o, "endTimeUnixNano", r->end > r->start ? r->end : r->start);
  tm_json_set(a, o, "attributes", r->attributes ? r->attributes : tm_json_new_array(a));
  if (tm_json_len(r->events))
    tm_json_set(a, o, "events", r->events);
  if (r->dropped_events)
    tm_json_set_int(a, o, "droppedEventsCount", r->dropped_events);
  if (r->link)
    tm_json_set(a, o, "links", link_json(a, r->link));
  if (r->failed)
    tm_json_set(a, o, "status", status_json(a, r->message));
  return o;
}
