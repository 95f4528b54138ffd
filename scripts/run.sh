#!/bin/bash
# run.sh [--once]: builds the library and the examples and starts the chat server on $PORT (8080). A C client exchanges
# messages with it, and so do two tabs of a headless Chromium, if there is one. Each event is printed as it comes.
# Then the server goes on until Ctrl-C; with --once it ends here.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
once=${1:-}
case $once in '' | --once) ;; *) echo "usage: run.sh [--once]" >&2; exit 2 ;; esac

scripts/install.sh rust c
make --silent
target=$(realpath "${CARGO_TARGET_DIR:-target}")
programs=$target/examples-c
make --silent -C examples-c LIBRARY="$target/release" OUT="$programs"

# The server's words go to the terminal and, for its address, to a file.
rm -rf "$target/chat"
mkdir -p "$target/chat"
mkfifo "$target/chat/events"
tee "$target/chat/log" < "$target/chat/events" & printer=$!
"$programs/chat_server" "${PORT:-8080}" examples-c > "$target/chat/events" & server=$!

end_server() {
    local status=0
    trap '' INT TERM
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || status=$?
    wait "$printer" || true
    exit $((status || ${1:-0}))
}
trap 'end_server $?' EXIT
trap 'exit 0' INT TERM

until url=$(sed -n 's/^listening on //p' "$target/chat/log" 2>/dev/null) && [ -n "$url" ]; do
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.1
done
client=("$programs/pull_client" "${url/#http/ws}" "Hello from C")

echo "--- a C client"
"${client[@]}" | sed 's/^/client: /'
if command -v chromium >/dev/null && command -v python3 >/dev/null; then
    echo "--- two tabs of a headless Chromium, and the C client"
    python3 tests/interop/browser.py "$url" "$target/chat" "${client[@]}"
else
    echo "--- no browser: scripts/install.sh chromium would install one"
fi
if [ "$once" = --once ]; then exit 0; fi

echo "--- the chat is open at $url; Ctrl-C ends it"
wait "$server"
