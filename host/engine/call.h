/* call.h - the kinds of durable step, in one table.
 *
 * An *awaited* call always yields, also when its answer is already in the journal. A *noted*
 * call answers at once and stands in the same ordered batch. A *verb* reaches the world and is
 * legal only inside an action's body; it has no place of its own. An *inner* call is pure
 * structure: it yields, and leaves no record.
 */
#ifndef TM_ENGINE_CALL_H
#define TM_ENGINE_CALL_H

#include <stdbool.h>

typedef enum tm_call_class {
  TM_CALL_AWAITED,
  TM_CALL_NOTED,
  TM_CALL_VERB,
  TM_CALL_INNER
} tm_call_class;

/* name, word in journal and messages, class, what the author calls it */
#define TM_CALL_KINDS(X)                               \
  X(LLM, "llm", AWAITED, "mill.llm")                   \
  X(ACTION, "action", AWAITED, "an action")            \
  X(FETCH, "fetch", AWAITED, "mill.fetch")             \
  X(GATE, "gate", AWAITED, "mill.gate")                \
  X(SLEEP, "sleep", AWAITED, "mill.sleep")             \
  X(RECALL, "recall", AWAITED, "mill.decide")          \
  X(DECIDE, "decide", AWAITED, "mill.decide")          \
  X(WAIT, "wait", AWAITED, "mill.wait")                \
  X(EMIT, "emit", AWAITED, "mill.emit")                \
  X(CALL, "call", AWAITED, "mill.call")                \
  X(START, "start", AWAITED, "mill.start")             \
  X(CONTINUE, "continue", AWAITED, "mill.continue_as") \
  X(LOCK, "lock", AWAITED, "mill.lock")                \
  X(EMBED, "embed", AWAITED, "mill.embed")             \
  X(UNLOCK, "unlock", NOTED, "the end of mill.lock")   \
  X(NOW, "now", NOTED, "mill.now")                     \
  X(RANDOM, "random", NOTED, "mill.random")            \
  X(UUID, "uuid", NOTED, "mill.uuid")                  \
  X(ENV, "env", NOTED, "mill.env")                     \
  X(STATE, "state", NOTED, "mill.state")               \
  X(LOG, "log", NOTED, "mill.log")                     \
  X(HTTP, "http", VERB, "mill.http")                   \
  X(EXEC, "exec", VERB, "mill.exec")                   \
  X(FILE, "file", VERB, "mill.file")                   \
  X(HOST, "host", VERB, "a host action")               \
  X(FORK, "fork", INNER, "mill.all")                   \
  X(OUTCOME, "outcome", INNER, "the end of an action")

typedef enum tm_call_kind {
#define X(name, word, class, author) TM_CALL_##name,
  TM_CALL_KINDS(X)
#undef X
      TM_CALL_KIND_COUNT
} tm_call_kind;

const char *tm_call_word(tm_call_kind k);
const char *tm_call_author(tm_call_kind k);
tm_call_class tm_call_class_of(tm_call_kind k);
/* The kind of a word; -1 for an unknown one. */
int tm_call_by_word(const char *word);

#endif
