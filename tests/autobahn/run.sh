#!/bin/bash
# run.sh SERVER CLIENT FOLDER: the Autobahn suite against both roles at once; reports go into FOLDER.
# SERVER echoes, printing "listening PORT" first; CLIENT is called with the suite's URL and the name of its report.
# AUTOBAHN_CASES names the cases, e.g. "1.* 12.1.*" (default: all). AUTOBAHN_MESSAGES is the number of messages in each
# case of the sections 12 and 13 (default: 100, to be done in minutes; the suite's own number is 1000).
set -euo pipefail
server=$1 client=$2 out=$3
here=$(cd "$(dirname "$0")" && pwd)
wstest=${WSPLUG_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/wsplug}/autobahn/wstest
cases=${AUTOBAHN_CASES:-1.* 2.* 3.* 4.* 5.* 6.* 7.* 8.* 9.* 10.* 12.* 13.*}
export AUTOBAHN_MESSAGES=${AUTOBAHN_MESSAGES:-100}
[ -x "$wstest" ] || { echo "run.sh: the Autobahn suite is missing: run scripts/install.sh autobahn" >&2; exit 1; }

rm -rf "$out"
mkdir -p "$out"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait' EXIT

answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
wait_until() {
    for _ in {1..300}; do "$@" && return; sleep 0.1; done
    echo "run.sh: waited in vain for: $*" >&2
    tail -n 5 "$out"/*.log >&2
    exit 1
}

"$server" > "$out/server.log" 2>&1 & pids+=($!)
wait_until grep -q '^listening' "$out/server.log"
port=$(sed -n 's/^listening //p' "$out/server.log")
free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

quoted=\"${cases// /\", \"}\"
settings='"cases": ['$quoted'], "exclude-cases": [], "exclude-agent-cases": {}'
echo "{\"outdir\": \"$out/server\", \"servers\": [{\"agent\": \"wsplug\", \"url\": \"ws://127.0.0.1:$port\"}], $settings}" > "$out/fuzzingclient.json"
echo "{\"outdir\": \"$out/client\", \"url\": \"ws://127.0.0.1:$free\", $settings}" > "$out/fuzzingserver.json"

"$wstest" -m fuzzingserver -s "$out/fuzzingserver.json" -u 0 > "$out/fuzzingserver.log" 2>&1 & pids+=($!)
timeout 1500 "$wstest" -m fuzzingclient -s "$out/fuzzingclient.json" -u 0 > "$out/fuzzingclient.log" 2>&1 & suite=$!; pids+=($suite)
wait_until answers "$free"
status=0
timeout 1500 "$client" "ws://127.0.0.1:$free" wsplug > "$out/client.log" 2>&1 || { echo "the client ended with $?"; tail -n 5 "$out/client.log"; status=1; }
wait $suite || { echo "fuzzingclient ended with $?"; tail -n 5 "$out/fuzzingclient.log"; status=1; }
answers "$port" || { echo "the server is gone"; tail -n 5 "$out/server.log"; status=1; }
# shellcheck disable=SC2086 # one argument for each pattern
(set -f; python3 "$here/check.py" "$here/expected.txt" "$out" $cases) || status=1
exit $status
