#!/bin/sh
# Builds wsplug, the load generator and the peers, then measures: `benches/run.sh --quick`, see README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
library=${CARGO_TARGET_DIR:-$root/target}/release
programs=${CARGO_TARGET_DIR:-$here/target}/release
CC=${CC:-cc}

if [ "$(id -u)" -eq 0 ]; then sudo=; else sudo=sudo; fi
missing=
for package in gcc libc6-dev libwebsockets-dev nodejs npm; do
    case $package in
        gcc) command -v "$CC" >/dev/null && continue ;;
        nodejs | npm) command -v "${package%js}" >/dev/null && continue ;;
        *) dpkg -s $package >/dev/null 2>&1 && continue ;;
    esac
    missing="$missing $package"
done
if [ -n "$missing" ]; then
    $sudo apt-get update -q >&2
    # shellcheck disable=SC2086 # the list is meant to be split
    $sudo apt-get install -y -q --no-install-recommends $missing >&2
fi

(cd "$root" && cargo build --release --locked --quiet)
cd "$here"
cargo build --release --locked --quiet
[ -x servers/node_modules/.bin/bun ] || npm --prefix servers ci >&2
$CC -O2 -Wall -Wextra -Werror servers/raw.c -o "$programs/raw"
$CC -O2 -Wall -Wextra -Werror servers/lws_echo.c -o "$programs/lws_echo" -lwebsockets
[ "$library" = "$programs" ] || ln -sf "$library/libwsplug.so" "$programs/libwsplug.so"
$CC -O2 -Wall -Wextra -Werror wsplug_host.c -o "$programs/wsplug_host" -L"$library" -lwsplug -Wl,-rpath,"$programs"

$CC -O2 -Wall -Wextra -Werror scaling.c -o "$programs/scaling" -L"$library" -lwsplug -Wl,-rpath,"$programs" -pthread

if [ "${1:-}" = --scaling ]; then exec "$programs/scaling" 3; fi
exec "$programs/wsplug-bench" "$@"
