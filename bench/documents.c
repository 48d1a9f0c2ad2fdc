/* documents.c - makes the benchmark documents. JSON stands here with single quotes for double.
 */
#include "documents.h"

#include "base/buf.h"
#include "base/mem.h"

/* -- ticket ---------------------------------------------------------------------------- */

static const char ticket[] =
    "{'id':'T-20431','received':'2026-03-14T09:26:53Z','channel':'email',"
    "'customer':{'id':88172,'name':'Ines Carvalho','email':'ines@example.com',"
    "'plan':'business','since':2019},'subject':'Charged twice, and the export hangs',"
    "'text':'Hello, my card was charged twice for order A-5521 (129.90 each). While you are "
    "at it: the CSV export has been stuck at 99 percent since Monday.\\nThanks, Ines',"
    "'order':{'number':'A-5521','usd':129.9,'items':2},'tags':['billing','bug'],"
    "'priority':2,'reopened':false,'assignee':null}";

static const char ticket_schema[] =
    "{'$schema':'https://json-schema.org/draft/2020-12/schema','type':'object',"
    "'required':['id','received','channel','customer','text'],'additionalProperties':false,"
    "'properties':{"
    "'id':{'type':'string','pattern':'^T-[0-9]{1,8}$'},"
    "'received':{'type':'string','minLength':20,'maxLength':40},"
    "'channel':{'enum':['email','chat','phone','form']},"
    "'customer':{'type':'object','required':['id','email'],'additionalProperties':false,"
    "'properties':{'id':{'type':'integer','minimum':1},"
    "'name':{'type':'string','minLength':1,'maxLength':200},"
    "'email':{'type':'string','pattern':'^[^@ ]+@[^@ ]+$'},"
    "'plan':{'enum':['free','team','business']},'since':{'type':'integer'}}},"
    "'subject':{'type':'string','maxLength':200},"
    "'text':{'type':'string','minLength':1,'maxLength':20000},"
    "'order':{'type':'object','required':['number'],'properties':{"
    "'number':{'type':'string'},'usd':{'type':'number','minimum':0},"
    "'items':{'type':'integer','minimum':1}}},"
    "'tags':{'type':'array','maxItems':10,'uniqueItems':true,'items':{'type':'string'}},"
    "'priority':{'type':'integer','minimum':1,'maximum':5},"
    "'reopened':{'type':'boolean'},'assignee':{'type':['string','null']}}}";

/* -- invoice --------------------------------------------------------------------------- */

#define INVOICE_ITEMS 50

static const char invoice_schema[] =
    "{'$schema':'https://json-schema.org/draft/2020-12/schema','type':'object',"
    "'required':['number','issued','currency','seller','buyer','items','total'],"
    "'additionalProperties':false,'properties':{"
    "'number':{'type':'string','pattern':'^INV-[0-9]{4}-[0-9]+$'},"
    "'issued':{'type':'string'},'due':{'type':'string'},"
    "'currency':{'enum':['EUR','USD','GBP','CHF']},"
    "'seller':{'$ref':'#/$defs/party'},'buyer':{'$ref':'#/$defs/party'},"
    "'items':{'type':'array','minItems':1,'maxItems':1000,'items':{'$ref':'#/$defs/item'}},"
    "'total':{'$ref':'#/$defs/money'},'paid':{'type':'boolean'},"
    "'note':{'type':['string','null']}},"
    "'$defs':{"
    "'money':{'type':'number','minimum':0,'maximum':1000000},"
    "'party':{'type':'object','required':['name','address'],'properties':{"
    "'name':{'type':'string','minLength':1},'vat_id':{'type':'string','maxLength':20},"
    "'address':{'type':'object','required':['street','city','zip','country'],'properties':{"
    "'street':{'type':'string'},'city':{'type':'string'},'zip':{'type':'string'},"
    "'country':{'type':'string','minLength':2,'maxLength':2}}}}},"
    "'item':{'type':'object','required':['line','sku','name','quantity','price','total'],"
    "'additionalProperties':false,'properties':{"
    "'line':{'type':'integer','minimum':1},"
    "'sku':{'type':'string','pattern':'^TM-[0-9]{5}$'},"
    "'name':{'type':'string','minLength':1,'maxLength':120},"
    "'quantity':{'type':'integer','minimum':1,'maximum':10000},"
    "'unit':{'enum':['piece','metre','hour']},"
    "'price':{'type':'object','required':['net','tax_rate'],'properties':{"
    "'net':{'$ref':'#/$defs/money'},'tax_rate':{'type':'number','minimum':0,'maximum':1},"
    "'discount':{'type':['number','null']}}},"
    "'total':{'$ref':'#/$defs/money'},"
    "'tags':{'type':'array','items':{'type':'string'}},"
    "'taxable':{'type':'boolean'}}}}}";

static void put_item(tm_buf *b, unsigned i) {
  static const char *const names[] = {"Oak gear wheel, 24 teeth", "Sluice gate, left",
                                      "Mill stone, dressed", "Fitting by two people",
                                      "Tide table 2026"};
  static const char *const units[] = {"piece", "piece", "piece", "hour", "metre"};
  unsigned quantity = i * 7 % 12 + 1, cents = i * 7919 % 49000 + 150;
  tm_buf_printf(b,
                "%s{'line':%u,'sku':'TM-%05u','name':'%s','quantity':%u,'unit':'%s',"
                "'price':{'net':%u.%02u,'tax_rate':%s,'discount':%s},'total':%u.%02u,"
                "'tags':['%s','%s'],'taxable':%s}",
                i ? "," : "", i + 1, i * 6151 % 100000, names[i % 5], quantity, units[i % 5],
                cents / 100, cents % 100, i % 3 ? "0.19" : "0.07", i % 4 ? "null" : "2.5",
                cents * quantity / 100, cents * quantity % 100, i % 2 ? "wood" : "iron",
                i % 7 ? "stock" : "made to order", i % 9 ? "true" : "false");
}

static void put_invoice(tm_buf *b) {
  tm_buf_puts(b,
              "{'number':'INV-2026-1047','issued':'2026-03-14','due':'2026-04-13',"
              "'currency':'EUR','seller':{'name':'Moulin à marée GmbH','vat_id':'DE129273398',"
              "'address':{'street':'Am Priel 3','city':'Husum','zip':'25813',"
              "'country':'DE'}},'buyer':{'name':'Eling Mill Trust','vat_id':'GB999999973',"
              "'address':{'street':'The Toll Bridge','city':'Totton','zip':'SO40 9HF',"
              "'country':'GB'}},'items':[");
  for (unsigned i = 0; i < INVOICE_ITEMS; i++)
    put_item(b, i);
  tm_buf_puts(b, "],'total':86143.27,'paid':false,'note':null}");
}

/* -- deep ------------------------------------------------------------------------------ */

#define DEEP_LEVELS 7

static const char deep_schema[] =
    "{'$schema':'https://json-schema.org/draft/2020-12/schema','$ref':'#/$defs/node',"
    "'$defs':{"
    "'node':{'oneOf':[{'$ref':'#/$defs/group'},{'$ref':'#/$defs/text'},"
    "{'$ref':'#/$defs/number'},{'$ref':'#/$defs/choice'}]},"
    "'meta':{'type':'object','patternProperties':{"
    "'^x-':{'anyOf':[{'type':'string'},{'type':'number'},{'type':'boolean'}]},"
    "'^l10n_[a-z]{2}$':{'type':'string','minLength':1}},'additionalProperties':false},"
    "'rule':{'anyOf':["
    "{'type':'object','required':['min'],'properties':{'min':{'type':'number'}}},"
    "{'type':'object','required':['max'],'properties':{'max':{'type':'number'}}},"
    "{'type':'object','required':['pattern'],'properties':{'pattern':{'type':'string'}}}]},"
    "'group':{'type':'object','required':['kind','id','children'],"
    "'additionalProperties':false,'properties':{'kind':{'const':'group'},"
    "'id':{'$ref':'#/$defs/id'},'title':{'type':'string'},'meta':{'$ref':'#/$defs/meta'},"
    "'children':{'type':'array','minItems':1,'items':{'$ref':'#/$defs/node'}}}},"
    "'text':{'type':'object','required':['kind','id'],'additionalProperties':false,"
    "'properties':{'kind':{'const':'text'},'id':{'$ref':'#/$defs/id'},"
    "'label':{'type':'string'},'meta':{'$ref':'#/$defs/meta'},"
    "'rules':{'type':'array','items':{'$ref':'#/$defs/rule'}}}},"
    "'number':{'type':'object','required':['kind','id'],'additionalProperties':false,"
    "'properties':{'kind':{'const':'number'},'id':{'$ref':'#/$defs/id'},"
    "'label':{'type':'string'},'value':{'type':'number'},"
    "'rules':{'type':'array','items':{'$ref':'#/$defs/rule'}}}},"
    "'choice':{'type':'object','required':['kind','id','options'],"
    "'additionalProperties':false,'properties':{'kind':{'const':'choice'},"
    "'id':{'$ref':'#/$defs/id'},'label':{'type':'string'},"
    "'options':{'type':'array','minItems':2,'items':{'oneOf':[{'type':'string'},"
    "{'type':'object','required':['value','label'],'properties':{"
    "'value':{'type':['string','integer']},'label':{'type':'string'}}}]}}}},"
    "'id':{'type':'string','pattern':'^[a-z][a-z0-9_]*$'}}}";

static void put_leaf(tm_buf *b, unsigned id) {
  switch (id % 3) {
  case 0:
    tm_buf_printf(b,
                  "{'kind':'text','id':'text_%u','label':'Answer %u','meta':{'x-width':%u,"
                  "'x-hint':'as on the bill','l10n_de':'Antwort %u'},"
                  "'rules':[{'max':%u},{'pattern':'^.+$'}]}",
                  id, id, id % 60 + 20, id, id % 500 + 80);
    break;
  case 1:
    tm_buf_printf(b,
                  "{'kind':'number','id':'number_%u','label':'Amount %u','value':%u.%u,"
                  "'rules':[{'min':0},{'max':%u}]}",
                  id, id, id * 37 % 1000, id % 9 + 1, id * 37 % 1000 + 1000);
    break;
  default:
    tm_buf_printf(b,
                  "{'kind':'choice','id':'choice_%u','label':'Pick %u','options':['none',"
                  "{'value':%u,'label':'the first'},{'value':'b%u','label':'the second'}]}",
                  id, id, id, id);
  }
}

/* A group has two leaves and, above the last level, two groups beside them. */
static void put_group(tm_buf *b, unsigned id, int levels) {
  tm_buf_printf(b,
                "{'kind':'group','id':'group_%u','title':'Section %u','meta':{'x-open':%s,"
                "'l10n_fr':'Partie %u'},'children':[",
                id, id, id % 2 ? "true" : "false", id);
  put_leaf(b, id * 2);
  tm_buf_putc(b, ',');
  put_leaf(b, id * 2 + 1);
  for (unsigned i = 0; levels > 1 && i < 2; i++) {
    tm_buf_putc(b, ',');
    put_group(b, id * 2 + i, levels - 1);
  }
  tm_buf_puts(b, "]}");
}

/* -- all ------------------------------------------------------------------------------- */

static char *quoted(tm_buf *b, size_t *len) {
  for (size_t i = 0; i < b->len; i++)
    if (b->data[i] == '\'')
      b->data[i] = '"';
  return tm_buf_take(b, len);
}

static void put_text(tm_buf *b, bench_kind kind) {
  if (kind == BENCH_TICKET)
    tm_buf_puts(b, ticket);
  else if (kind == BENCH_INVOICE)
    put_invoice(b);
  else
    put_group(b, 1, DEEP_LEVELS);
}

void bench_document_make(bench_document *out, bench_kind kind) {
  static const char *const names[] = {"ticket", "invoice", "deep"};
  static const char *const schemas[] = {ticket_schema, invoice_schema, deep_schema};
  tm_buf text = TM_BUF_INIT, schema = TM_BUF_INIT;
  put_text(&text, kind);
  tm_buf_puts(&schema, schemas[kind]);
  out->name = names[kind];
  out->text = quoted(&text, &out->len);
  out->schema = quoted(&schema, &out->schema_len);
}

void bench_document_free(bench_document *d) {
  tm_free(d->text);
  tm_free(d->schema);
  *d = (bench_document){0};
}
