/* documents.h - the three JSON documents that benchmarks measure, with their schemas.
 *
 * Made from nothing but arithmetic, so each run and each machine measures the same bytes:
 * a support ticket (0.5 KB), an invoice of 50 items (10 KB), and a form of groups seven deep
 * (50 KB) whose schema needs oneOf, anyOf, $ref and patternProperties.
 */
#ifndef BENCH_DOCUMENTS_H
#define BENCH_DOCUMENTS_H

#include <stddef.h>

typedef enum bench_kind { BENCH_TICKET, BENCH_INVOICE, BENCH_DEEP, BENCH_KINDS } bench_kind;

typedef struct bench_document {
  const char *name; /* "ticket", "invoice", "deep" */
  char *text;       /* compact JSON, valid under the schema */
  size_t len;
  char *schema; /* JSON Schema 2020-12 */
  size_t schema_len;
} bench_document;

void bench_document_make(bench_document *out, bench_kind kind);
void bench_document_free(bench_document *d);

#endif
