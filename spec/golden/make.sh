#!/bin/sh
# make.sh - new golden capsules from project/, into the folder named. Those that are kept here were
# made once, by the tidemill of their time, and are never made again: they show that what was
# recorded then replays now.
set -e
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "${1:?usage: make.sh FOLDER}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/project/." "$work"
cd "$work"

export GOLDEN_NAME=golden
run() { tidemill -q run golden --id "$1" --input "$2" || test $? = "$3"; }
# A model that sends away what asks for it first; `mock-server` has to be on the path.
serve() {
  printf '[{"times":1,"fault":"429","headers":{"%s":"%s"}},{"answer":"It answers."}]' "$1" "$2" >rules
  rm -f said && mkfifo said
  mock-server --no-log --rules rules </dev/zero >said & server=$!
  read -r _ port <said
  export OPENAI_API_KEY=no-secret-4711 OPENAI_BASE_URL="http://127.0.0.1:$port/v1"
  export TIDEMILL_HTTP_PRIVATE="127.0.0.1:$port"
}
with() { # ID INPUT CODE: a run of company
  tidemill -q run company --id "$1" --input "{\"id\":\"$1\",\"text\":\"hello\",$2}" || test $? = "$3"
}
keep() { for id; do tidemill export "$id" >"$out/$(echo "$id" | tr ':~' '--').capsule"; done; }

run whole '{"text":"hello","usd":10}' 0
run conflict '{"text":"hello","usd":11}' 1 # the key of another payment
run asked '{"text":"hello","usd":10,"ask":true}' 8
run moved '{"text":"hello","usd":10,"ask":true}' 8
run refused '{"text":"hello","usd":10,"ask":true}' 8
run ended '{"text":"hello","usd":10,"ask":true}' 8
run again '{"text":"hello","usd":10,"fail":true}' 1
tidemill -q reject refused --note no || true
tidemill -q cancel ended --note enough || true
sed -i 's|return { noted|return { moved = true, noted|' workflows/golden.lua
tidemill -q repin moved || test $? = 8
tidemill -q approve moved
sed -i 's/error "no"/return "yes"/' prompts/scripted/golden.lua
tidemill -q retry again
tidemill -q fork whole --from fee --id forked
tidemill -q fork whole --from ledger --id timed
sed -i 's/golden-1/golden-2/' workflows/golden.lua
run approved '{"text":"hello","usd":90}' 8
tidemill -q approve approved
serve Retry-After 3600
tidemill -q run patient --id away --timeout 1s --input '{"text":"hello"}' || test $? = 8
kill $server
serve Retry-After-Ms 50
TIDEMILL_LONG_WAIT_MS=1 tidemill -q run patient --id patient --input '{"text":"hello"}'
kill $server

with events '"events":true' 0
with children '"children":true' 0
with branches '"branches":true' 0
with questions '"questions":true' 0
with undone '"fail":true' 1
with first '"again":"second"' 0
with lost '"lost":true' 8
tidemill -q resolve lost --applied '{"seat":"found"}'
with given_up '"wait":true' 8
tidemill -q cancel given_up --note enough || true
with cut_off '"wait":true' 8
tidemill -q terminate cut_off --note enough || true
tidemill -q run company --id stored --input '{"id":"events"}' # the key of another run
tidemill -q run helper --id mended --input '{"fail":true,"text":"hello"}' || test $? = 1
sed -i 's/if x.fail then/if x.fail == "again" then/' workflows/helper.lua
tidemill -q retry mended --to disk
tidemill -q fork whole --edit say='"another word"' --id edited
serve Retry-After-Ms 50
tidemill -q run kept --id kept --input '{"id":"kept","embed":true}'
tidemill -q reopen kept fee customer --note "too low"
tidemill -q run kept --id reopened --input '{"id":"kept"}'
with web "\"web\":true,\"url\":\"http://127.0.0.1:$port\"" 0
kill $server

keep events children children:5 children:6 children:7 branches questions undone first first~2 lost
keep given_up cut_off stored mended edited kept reopened web
tidemill -q run heir --id left --input '{"odd":true}' || test $? = 8
tidemill -q terminate left
tidemill -q run heir --id heir --input '{"odd":true}' || test $? = 8 # it takes over the key in doubt
tidemill -q resolve heir --applied '"seen"'
keep heir
keep away patient
keep whole conflict asked moved refused ended again forked timed approved
