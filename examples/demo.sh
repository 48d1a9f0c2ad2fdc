#!/usr/bin/env bash
# demo.sh - twelve support tickets through one workflow, offline: gates, a crash, one payment each.
#
#   examples/demo.sh PATH/TO/tidemill
#
# Everything it writes is in a folder under /tmp that goes away at the end.
set -euo pipefail

bin=$(realpath "${1:?usage: examples/demo.sh PATH/TO/tidemill}")
root=$(cd "$(dirname "$0")/.." && pwd)
samples=$root/workflows/samples
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export REFUNDS_FILE=$tmp/refunds.jsonl

bold() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || bold() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
tidemill() { "$bin" -C "$root" --db "sqlite:$tmp/demo.db" --model scripted/demo "$@"; }
quietly() { tidemill --quiet "$@" 2>"$tmp/err"; }

# As a person would type it, and then do it.
typed() {
  printf '   $ tidemill %s\n' "$*"
  tidemill "$@" 2>&1 >"$tmp/out" | sed 's/^/   /'
  return "${PIPESTATUS[0]}"
}

input_of() { printf '@%s/%s.json' "$samples" "$1"; }
state_of() { tidemill --json show "$1" | grep -oE '"state":"[a-z]+"' | head -n 1 | cut -d '"' -f 4; }

# field NAME JSON: the text or number under a name, the first that comes.
field() {
  local re="\"$1\":(\"([^\"\\\\]|\\\\.)*\"|\\[[^]]*\\]|[^,}]*)"
  [[ $2 =~ $re ]] && printf '%s' "${BASH_REMATCH[1]}" | tr -d '"[]'
}

bold "Twelve tickets, one workflow: workflows/support_ticket.lua"
say "The model is scripted/demo: plain rules in prompts/scripted/demo.lua. No key, no network."

bold "1. An angry customer: every step is in the journal before the next one starts"
typed run support_ticket --id ticket-01 --input "$(input_of ticket-01-angry)"

bold "2. A refund of 20 USD, and the machine dies in the middle (SIGKILL)"
code=0
TIDEMILL_CRASH_AT=record.post:9 typed run support_ticket --id ticket-03 \
  --input "$(input_of ticket-03-refund-20)" || code=$?
say "-> exit $code; refunds paid so far: $(cat "$REFUNDS_FILE" 2>/dev/null | wc -l)"
typed resume ticket-03
say "-> $(state_of ticket-03); refunds paid: $(wc -l <"$REFUNDS_FILE")"

bold "3. The other ten"
for file in "$samples"/ticket-*.json; do
  name=$(basename "$file" .json)
  id=${name:0:9}
  [ "$id" = ticket-01 ] || [ "$id" = ticket-03 ] && continue
  code=0
  quietly run support_ticket --id "$id" --input "$(input_of "$name")" >/dev/null || code=$?
  case $code in
    0) say "$name: done" ;;
    8) say "$name: waits for a person" ;;
    *) say "$name: exit $code"; cat "$tmp/err"; exit 1 ;;
  esac
done

bold "4. What waits for a person"
tidemill gates | grep -E '^[a-z]|^  ask' | cut -c 1-110 | sed 's/^/   /'

bold "5. A person decides: a yes, a no, and two answers"
typed approve ticket-04 --note "the warehouse has it"
typed reject ticket-08 --note "the ticket gave orders to the model"
typed approve ticket-05 --answer '"product"'
typed approve ticket-06 --answer '"account"'

bold "6. The result"
printf '   %-26s %-18s %-13s %-9s %s\n' TICKET CATEGORIES REFUND STATE GATE
for file in "$samples"/ticket-*.json; do
  name=$(basename "$file" .json)
  id=${name:0:9}
  result=$(quietly result "$id") || result='{}'
  refund=${result#*\"refund\":}
  usd=$(field usd "$refund") how=$(field state "$refund")
  gate=$(tidemill --json gates "$id" --all | grep -oE '"name":"[a-z_]+"|"state":"[a-z]+"' |
    cut -d '"' -f 4 | tr '\n' ' ')
  [ "$how" = paid ] && how="$usd USD"
  printf '   %-26s %-18s %-13s %-9s %s\n' "${name#ticket-}" "$(field categories "$result")" \
    "$how" "$(state_of "$id")" "$gate"
done
say ""
say "refunds in the ledger: $(wc -l <"$REFUNDS_FILE"), each ticket once:"
sed 's/^/     /' "$REFUNDS_FILE"

bold "Next"
say "./build/dev/tidemill run git_helper --input '{\"request\":\"What has changed here?\"}'"
say "OPENAI_API_KEY=... ./build/dev/tidemill run support_ticket --model openai/gpt-4.1-mini \\"
say "  --input @workflows/samples/ticket-02-two-issues.json"
