/* schema_meta.c - the metaschemas that are built in, so that a reference to them needs no
 * network: JSON Schema 2020-12 with its vocabularies, and draft-07.
 */
#include "text/schema_program.h"

#define BASE "https://json-schema.org/draft/2020-12/"
#define HEAD(name, title)                                      \
  "{\"$schema\":\"" BASE "schema\",\"$id\":\"" BASE name "\"," \
  "\"$dynamicAnchor\":\"meta\",\"title\":\"" title "\","       \
  "\"type\":[\"object\",\"boolean\"],"
#define ITSELF    "{\"$dynamicRef\":\"#meta\"}"
#define A_MAP     "{\"type\":\"object\",\"additionalProperties\":" ITSELF ",\"default\":{}}"
#define A_LIST    "{\"$ref\":\"#/$defs/schemaArray\"}"
#define A_COUNT   "{\"$ref\":\"#/$defs/nonNegativeInteger\"}"
#define COUNT_0   "{\"$ref\":\"#/$defs/nonNegativeIntegerDefault0\"}"
#define NAMES     "{\"$ref\":\"#/$defs/stringArray\"}"
#define A_STRING  "{\"type\":\"string\"}"
#define A_NUMBER  "{\"type\":\"number\"}"
#define NO        "{\"type\":\"boolean\",\"default\":false}"
#define REFERENCE "{\"$ref\":\"#/$defs/uriReferenceString\"}"

static const char schema_2020[] = HEAD(
    "schema",
    "Core and Validation specifications meta-schema") "\"$vocabulary\":{"
                                                      "\"" BASE "vocab/core\":true,\"" BASE
                                                      "vocab/applicator\":true,"
                                                      "\"" BASE
                                                      "vocab/unevaluated\":true,\"" BASE
                                                      "vocab/validation\":true,"
                                                      "\"" BASE "vocab/meta-data\":true,\"" BASE
                                                      "vocab/format-annotation\":true,"
                                                      "\"" BASE "vocab/content\":true},"
                                                      "\"allOf\":[{\"$ref\":\"meta/"
                                                      "core\"},{\"$ref\":\"meta/applicator\"},"
                                                      "{\"$ref\":\"meta/"
                                                      "unevaluated\"},{\"$ref\":\"meta/"
                                                      "validation\"},"
                                                      "{\"$ref\":\"meta/"
                                                      "meta-data\"},{\"$ref\":\"meta/"
                                                      "format-annotation\"},"
                                                      "{\"$ref\":\"meta/content\"}],"
                                                      "\"properties\":{\"definitions\":{"
                                                      "\"type\":\"object\","
                                                      "\"additionalProperties\":" ITSELF
                                                      ",\"deprecated\":true,\"default\":{}},"
                                                      "\"dependencies\":{\"type\":\"object\","
                                                      "\"additionalProperties\":{\"anyOf\":"
                                                      "[" ITSELF
                                                      ",{\"$ref\":\"meta/validation#/$defs/"
                                                      "stringArray\"}]},\"deprecated\":true,"
                                                      "\"default\":{}},"
                                                      "\"$recursiveAnchor\":{\"$ref\":\"meta/"
                                                      "core#/$defs/"
                                                      "anchorString\",\"deprecated\":true},"
                                                      "\"$recursiveRef\":{\"$ref\":\"meta/"
                                                      "core#/$defs/uriReferenceString\","
                                                      "\"deprecated\":true}}}";

static const char core[] = HEAD(
    "meta/core",
    "Core vocabulary meta-schema") "\"properties\":{"
                                   "\"$id\":{\"$ref\":\"#/$defs/"
                                   "uriReferenceString\",\"pattern\":\"^[^#]*#?$\"},"
                                   "\"$schema\":{\"$ref\":\"#/$defs/"
                                   "uriString\"},\"$ref\":" REFERENCE ","
                                   "\"$anchor\":{\"$ref\":\"#/$defs/"
                                   "anchorString\"},\"$dynamicRef\":" REFERENCE ","
                                   "\"$dynamicAnchor\":{\"$ref\":\"#/$defs/anchorString\"},"
                                   "\"$vocabulary\":{\"type\":\"object\",\"propertyNames\":{\"$"
                                   "ref\":\"#/$defs/uriString\"},"
                                   "\"additionalProperties\":{\"type\":\"boolean\"}},"
                                   "\"$comment\":" A_STRING ","
                                   "\"$defs\":{\"type\":\"object\","
                                   "\"additionalProperties\":" ITSELF "}},"
                                   "\"$defs\":{\"anchorString\":{\"type\":\"string\","
                                   "\"pattern\":\"^[A-Za-z_][-A-Za-z0-9._]*$\"},"
                                   "\"uriString\":{\"type\":\"string\",\"format\":\"uri\"},"
                                   "\"uriReferenceString\":{\"type\":\"string\",\"format\":"
                                   "\"uri-reference\"}}}";

static const char applicator[] =
    HEAD("meta/applicator",
         "Applicator vocabulary meta-schema") "\"properties\":{\"prefixItems\":" A_LIST
                                              ",\"items\":" ITSELF ",\"contains\":" ITSELF ","
                                              "\"additionalProperties\":" ITSELF
                                              ",\"properties\":" A_MAP ","
                                              "\"patternProperties\":{\"type\":\"object\","
                                              "\"additionalProperties\":" ITSELF ","
                                              "\"propertyNames\":{\"format\":\"regex\"},"
                                              "\"default\":{}},"
                                              "\"dependentSchemas\":" A_MAP
                                              ",\"propertyNames\":" ITSELF ",\"if\":" ITSELF ","
                                              "\"then\":" ITSELF ",\"else\":" ITSELF
                                              ",\"allOf\":" A_LIST ",\"anyOf\":" A_LIST ","
                                              "\"oneOf\":" A_LIST ",\"not\":" ITSELF "},"
                                              "\"$defs\":{\"schemaArray\":{\"type\":\"array\","
                                              "\"minItems\":1,\"items\":" ITSELF "}}}";

static const char unevaluated[] =
    HEAD("meta/unevaluated",
         "Unevaluated applicator vocabulary meta-schema") "\"properties\":{"
                                                          "\"unevaluatedItems\":" ITSELF
                                                          ",\"unevaluatedProperties\":" ITSELF
                                                          "}}";

static const char validation[] =
    HEAD("meta/validation",
         "Validation vocabulary meta-schema") "\"properties\":{"
                                              "\"type\":{\"anyOf\":[{\"$ref\":\"#/$defs/"
                                              "simpleTypes\"},{\"type\":\"array\","
                                              "\"items\":{\"$ref\":\"#/$defs/"
                                              "simpleTypes\"},\"minItems\":1,\"uniqueItems\":"
                                              "true}]},"
                                              "\"const\":true,\"enum\":{\"type\":\"array\","
                                              "\"items\":true},"
                                              "\"multipleOf\":{\"type\":\"number\","
                                              "\"exclusiveMinimum\":0},"
                                              "\"maximum\":" A_NUMBER
                                              ",\"exclusiveMaximum\":" A_NUMBER
                                              ",\"minimum\":" A_NUMBER ","
                                              "\"exclusiveMinimum\":" A_NUMBER
                                              ",\"maxLength\":" A_COUNT
                                              ",\"minLength\":" COUNT_0 ","
                                              "\"pattern\":{\"type\":\"string\",\"format\":"
                                              "\"regex\"},"
                                              "\"maxItems\":" A_COUNT ",\"minItems\":" COUNT_0
                                              ",\"uniqueItems\":" NO ","
                                              "\"maxContains\":" A_COUNT
                                              ",\"minContains\":{\"$ref\":\"#/$defs/"
                                              "nonNegativeInteger\","
                                              "\"default\":1},\"maxProperties\":" A_COUNT
                                              ",\"minProperties\":" COUNT_0 ","
                                              "\"required\":" NAMES
                                              ",\"dependentRequired\":{\"type\":\"object\","
                                              "\"additionalProperties\":" NAMES "}},"
                                              "\"$defs\":{\"nonNegativeInteger\":{\"type\":"
                                              "\"integer\",\"minimum\":0},"
                                              "\"nonNegativeIntegerDefault0\":{\"$ref\":\"#/"
                                              "$defs/nonNegativeInteger\",\"default\":0},"
                                              "\"simpleTypes\":{\"enum\":[\"array\","
                                              "\"boolean\",\"integer\",\"null\",\"number\","
                                              "\"object\",\"string\"]},"
                                              "\"stringArray\":{\"type\":\"array\","
                                              "\"items\":" A_STRING ",\"uniqueItems\":true,"
                                              "\"default\":[]}}}";

static const char meta_data[] = HEAD(
    "meta/meta-data",
    "Meta-data vocabulary meta-schema") "\"properties\":{\"title\":" A_STRING
                                        ",\"description\":" A_STRING ",\"default\":true,"
                                        "\"deprecated\":" NO ",\"readOnly\":" NO
                                        ",\"writeOnly\":" NO ","
                                        "\"examples\":{\"type\":\"array\",\"items\":true}}}";

static const char format_annotation[] =
    HEAD("meta/format-annotation",
         "Format vocabulary meta-schema for annotation results") "\"properties\":{"
                                                                 "\"format\":" A_STRING "}}";

static const char format_assertion[] =
    HEAD("meta/format-assertion",
         "Format vocabulary meta-schema for assertion results") "\"properties\":{"
                                                                "\"format\":" A_STRING "}}";

static const char content[] =
    HEAD("meta/content",
         "Content vocabulary meta-schema") "\"properties\":{\"contentEncoding\":" A_STRING
                                           ",\"contentMediaType\":" A_STRING ","
                                           "\"contentSchema\":" ITSELF "}}";

#define ROOT        "{\"$ref\":\"#\"}"
#define ROOT_MAP    "{\"type\":\"object\",\"additionalProperties\":" ROOT ",\"default\":{}}"
#define ROOT_LIST   "{\"$ref\":\"#/definitions/schemaArray\"}"
#define OLD_COUNT   "{\"$ref\":\"#/definitions/nonNegativeInteger\"}"
#define OLD_COUNT_0 "{\"$ref\":\"#/definitions/nonNegativeIntegerDefault0\"}"
#define OLD_NAMES   "{\"$ref\":\"#/definitions/stringArray\"}"
#define A_REFERENCE "{\"type\":\"string\",\"format\":\"uri-reference\"}"

static const char draft_07[] =
    "{\"$schema\":\"http://json-schema.org/draft-07/schema#\","
    "\"$id\":\"http://json-schema.org/draft-07/schema#\","
    "\"title\":\"Core schema meta-schema\",\"type\":[\"object\",\"boolean\"],\"default\":true,"
    "\"definitions\":{"
    "\"schemaArray\":{\"type\":\"array\",\"minItems\":1,\"items\":" ROOT "},"
    "\"nonNegativeInteger\":{\"type\":\"integer\",\"minimum\":0},"
    "\"nonNegativeIntegerDefault0\":{\"allOf\":[" OLD_COUNT ",{\"default\":0}]},"
    "\"simpleTypes\":{\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\","
    "\"object\",\"string\"]},"
    "\"stringArray\":{\"type\":\"array\",\"items\":" A_STRING ",\"uniqueItems\":true,"
    "\"default\":[]}},"
    "\"properties\":{\"$id\":" A_REFERENCE ",\"$schema\":{\"type\":\"string\","
    "\"format\":\"uri\"},\"$ref\":" A_REFERENCE ",\"$comment\":" A_STRING ","
    "\"title\":" A_STRING ",\"description\":" A_STRING ",\"default\":true,\"readOnly\":" NO ","
    "\"writeOnly\":" NO ",\"examples\":{\"type\":\"array\",\"items\":true},"
    "\"multipleOf\":{\"type\":\"number\",\"exclusiveMinimum\":0},\"maximum\":" A_NUMBER ","
    "\"exclusiveMaximum\":" A_NUMBER ",\"minimum\":" A_NUMBER ","
    "\"exclusiveMinimum\":" A_NUMBER ",\"maxLength\":" OLD_COUNT ",\"minLength\":" OLD_COUNT_0
    ",\"pattern\":{\"type\":\"string\",\"format\":\"regex\"},\"additionalItems\":" ROOT ","
    "\"items\":{\"anyOf\":[" ROOT "," ROOT_LIST "],\"default\":true},"
    "\"maxItems\":" OLD_COUNT ",\"minItems\":" OLD_COUNT_0 ",\"uniqueItems\":" NO ","
    "\"contains\":" ROOT ",\"maxProperties\":" OLD_COUNT ",\"minProperties\":" OLD_COUNT_0 ","
    "\"required\":" OLD_NAMES ",\"additionalProperties\":" ROOT ",\"definitions\":" ROOT_MAP ","
    "\"properties\":" ROOT_MAP ",\"patternProperties\":{\"type\":\"object\","
    "\"additionalProperties\":" ROOT ",\"propertyNames\":{\"format\":\"regex\"},"
    "\"default\":{}},\"dependencies\":{\"type\":\"object\",\"additionalProperties\":{\"anyOf\":"
    "[" ROOT "," OLD_NAMES "]}},\"propertyNames\":" ROOT ",\"const\":true,"
    "\"enum\":{\"type\":\"array\",\"items\":true},\"type\":{\"anyOf\":["
    "{\"$ref\":\"#/definitions/simpleTypes\"},{\"type\":\"array\","
    "\"items\":{\"$ref\":\"#/definitions/simpleTypes\"},\"minItems\":1,\"uniqueItems\":true}]},"
    "\"format\":" A_STRING ",\"contentMediaType\":" A_STRING ",\"contentEncoding\":" A_STRING
    ","
    "\"if\":" ROOT ",\"then\":" ROOT ",\"else\":" ROOT ",\"allOf\":" ROOT_LIST ","
    "\"anyOf\":" ROOT_LIST ",\"oneOf\":" ROOT_LIST ",\"not\":" ROOT "}}";

const char *tm_schema_meta_text(const char *uri) {
  static const struct {
    const char *uri, *text;
  } built_in[] = {
      {BASE "schema", schema_2020},
      {BASE "meta/core", core},
      {BASE "meta/applicator", applicator},
      {BASE "meta/unevaluated", unevaluated},
      {BASE "meta/validation", validation},
      {BASE "meta/meta-data", meta_data},
      {BASE "meta/format-annotation", format_annotation},
      {BASE "meta/format-assertion", format_assertion},
      {BASE "meta/content", content},
      {"http://json-schema.org/draft-07/schema", draft_07},
      {"https://json-schema.org/draft-07/schema", draft_07},
  };
  for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
    if (strcmp(uri, built_in[i].uri) == 0)
      return built_in[i].text;
  return NULL;
}
