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
}
keep() { for id; do tidemill export "$id" >"$out/$id.capsule"; done; }

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
sed -i 's/golden-1/golden-2/' workflows/golden.lua
run approved '{"text":"hello","usd":90}' 8
tidemill -q approve approved
serve Retry-After 3600
tidemill -q run patient --id away --timeout 1s --input '{"text":"hello"}' || test $? = 8
kill $server
serve Retry-After-Ms 50
TIDEMILL_LONG_WAIT_MS=1 tidemill -q run patient --id patient --input '{"text":"hello"}'
kill $server
keep away patient
keep whole conflict asked moved refused ended again forked approved
