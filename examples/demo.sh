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
touch "$REFUNDS_FILE"
unset TIDEMILL_CRASH_AT REFUNDS_URL

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  title() { printf '\n\033[1m%s\033[0m\n' "$*"; }
else
  title() { printf '\n== %s\n' "$*"; }
fi
say() { printf '   %s\n' "$*"; }

# -- the program ------------------------------------------------------------------

program=("$bin" -C "$root" --db "sqlite:$tmp/demo.db" --model scripted/demo)
tidemill() { "${program[@]}" "$@"; }

# typed ARGUMENT…: as a person would type it. Shows what happens; the result goes to $tmp/out.
typed() {
  local words='' word
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./@=-]+$ ]] && words+=" $word" || words+=" '$word'"
  done
  printf '   $ tidemill%s\n' "${words//$root\//}"
  local code=0
  # The braces keep the shell's own word about a kill away from the page.
  { "${program[@]}" "$@" >"$tmp/out" 2>"$tmp/err"; } 2>/dev/null || code=$?
  sed 's/^/   /' "$tmp/err"
  return "$code"
}

input_of() { printf '@%s/%s.json' "$samples" "$1"; }
paid() { wc -l <"$REFUNDS_FILE"; }

# word NAME JSON: the text, number or list under the first such name, without quotes; or nothing.
word() {
  local pattern="\"$1\":(\"[^\"]*\"|\\[[^]]*\\]|[^,}]*)"
  if [[ $2 =~ $pattern ]]; then tr -d '"[]' <<<"${BASH_REMATCH[1]}"; fi
}
state_of() { word state "$(tidemill --json show "$1")"; }

# The commit at which the refund is paid and the journal does not know it yet.
worst_moment() {
  local n dir
  for n in $(seq 1 40); do
    dir=$tmp/try-$n
    mkdir "$dir"
    touch "$dir/refunds"
    REFUNDS_FILE=$dir/refunds TIDEMILL_CRASH_AT=store.commit.pre:$n "$bin" -C "$root" \
      --db "sqlite:$dir/db" --model scripted/demo -q run support_ticket \
      --input "$(input_of ticket-03-refund-20)" >/dev/null 2>&1 || true
    [ ! -s "$dir/refunds" ] || break
  done
  echo "$n"
}

# -- the story ----------------------------------------------------------------------

title "Twelve tickets, one workflow: workflows/support_ticket.lua"
say "The model is scripted/demo: plain rules in prompts/scripted/demo.lua. No key, no network."

title "1. An angry customer"
say "Each result is on disk before the next step starts."
typed run support_ticket --id ticket-01 --input "$(input_of ticket-01-angry)"

title "2. A refund of 20 USD, and a kill -9 at the worst moment"
say "The money is out; the journal does not know it yet."
moment=$(worst_moment)
code=0
TIDEMILL_CRASH_AT=store.commit.pre:$moment typed run support_ticket --id ticket-03 \
  --input "$(input_of ticket-03-refund-20)" || code=$?
say "-> exit code $code (killed); refunds in the ledger: $(paid)"
say ""
say "Nothing that is known is asked again. The payment is in doubt, so its probe looks."
typed resume ticket-03
say "-> $(state_of ticket-03); refunds in the ledger: $(paid)"

title "3. The other ten"
for file in "$samples"/ticket-*.json; do
  name=$(basename "$file" .json) id=${file##*/} code=0
  id=${id:0:9}
  [ "$id" != ticket-01 ] && [ "$id" != ticket-03 ] || continue
  tidemill -q run support_ticket --id "$id" --input "@$file" >"$tmp/out" 2>"$tmp/err" || code=$?
  case $code in
    0) say "$name: done" ;;
    8) say "$name: waits for a person" ;;
    *) say "$name: exit code $code"; cat "$tmp/err"; exit 1 ;;
  esac
done

title "4. What waits for a person"
tidemill gates | grep -E '^[a-z]|^  (ask|show)' | cut -c 1-96 | sed 's/^/   /'

title "5. A person decides: a yes, a no, and two answers"
typed approve ticket-04 --note "the warehouse has it back"
typed reject ticket-08 --note "the ticket gave orders to the model"
typed approve ticket-05 --answer '"product"'
typed approve ticket-06 --answer '"account"'

title "6. The result"
row='   %-22s %-19s %-9s %-22s %s\n'
printf "$row" TICKET CATEGORIES REFUND GATE STATE
for file in "$samples"/ticket-*.json; do
  name=$(basename "$file" .json) id=${file##*/}
  id=${id:0:9}
  result=$(tidemill -q result "$id") || result=
  refund=${result##*\"refund\":}
  how=$(word state "$refund")
  [ "$how" != paid ] || how="$(word usd "$refund") USD"
  gate=$(tidemill --json gates "$id" --all)
  gate="$(word name "$gate") $(word state "$gate")"
  printf "$row" "${name#ticket-}" "$(word categories "$result")" "$how" "$gate" "$(state_of "$id")"
done
say ""
say "The ledger. 12 is the same ticket as 03: decided once, paid once."
sed 's/^/   /' "$REFUNDS_FILE"

title "Next"
say "./dev test"
say "build/dev/tidemill run git_helper --input '{\"request\":\"What has changed here?\"}'"
say "OPENAI_API_KEY=… build/dev/tidemill run support_ticket --model openai/gpt-4.1-mini \\"
say "  --input @workflows/samples/ticket-02-two-issues.json"
