#!/bin/bash
# Installs what the build and the tests need, by package name; what is there already is left alone.
#   install.sh [rust|c|cpp|curl|chromium|python|node|csharp|lua|java|pascal|proxies|packages|autobahn|aarch64]...
# Without arguments: all but aarch64, which scripts/aarch64.sh asks for.
# System packages come through apt (as root or with sudo); the rest goes into ${WSPLUG_PEERS:-~/.cache/wsplug}.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
peers=${WSPLUG_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/wsplug}
rust_needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/../Cargo.toml")
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH

# A program, not one of the functions here.
has() { type -P "$1" >/dev/null; }

apt_get() {
    local sudo=
    has apt-get || { echo "install.sh: there is no apt-get here: install what is missing by hand" >&2; return 1; }
    if [ "$(id -u)" != 0 ]; then
        has sudo || { echo "install.sh: run this as root, or install sudo" >&2; return 1; }
        sudo=sudo
    fi
    # RUNLEVEL=1: no package starts a service.
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq "$@" >/dev/null
}

apt() {
    echo "install.sh: apt-get install $*"
    apt_get update # a fresh machine has no package lists, an old one stale ones
    apt_get install -y --no-install-recommends "$@"
}

at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

rust_is_there() {
    local version
    version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) && at_least "$rust_needed" "$version" &&
        cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1
}

rust() {
    rust_is_there && return
    if has rustup; then
        rustup component add rustfmt clippy
    elif apt_get update && at_least "$rust_needed" "$(apt-cache policy rustc | sed -n 's/ *Candidate: //p')"; then
        apt cargo rustc rustfmt rust-clippy
    fi
    rust_is_there && return
    echo "install.sh: wsplug needs Rust $rust_needed or newer, with cargo, rustfmt and clippy; this system's own packages are" >&2
    echo "older. Install it with rustup ('rustup default stable'), then run this again." >&2
    exit 1
}

c() {
    has gcc && has g++ && has make && has valgrind && [ -e /usr/include/stdlib.h ] ||
        apt gcc g++ libc6-dev make valgrind
}

curl() { has curl || apt curl; }

chromium() { has chromium && has certutil || apt chromium libnss3-tools; }

python() {
    local venv=$peers/python wanted=websockets==17.4
    [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c 'import websockets' && return
    python3 -c 'import ensurepip' 2>/dev/null || apt python3 python3-venv
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check "$wanted"
    echo "$wanted" > "$venv/installed"
}

node() {
    local folder=$peers/node wanted="ws@8.23.0 bun@1.4.5 koffi@3.3.4"
    has node || apt nodejs
    [ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ] && return
    has npm || apt npm
    rm -rf "$folder"
    mkdir -p "$folder"
    npm install --prefix "$folder" --no-save --no-package-lock --no-audit --no-fund --silent $wanted
    echo "$wanted" > "$folder/installed"
}

# What the programs of examples-hosts are built and run with.
cpp() {
    c
    [ -e /usr/include/nlohmann/json.hpp ] || apt nlohmann-json3-dev
}

csharp() {
    has mcs && has mono && [ -e /usr/lib/mono/4.5/System.Runtime.Serialization.dll ] &&
        [ -e /usr/lib/mono/4.5/System.Xml.Linq.dll ] ||
        apt mono-mcs mono-runtime libmono-system-runtime-serialization4.0-cil libmono-system-xml-linq4.0-cil
}

lua() { has luajit && luajit -e 'require("cjson")' 2>/dev/null || apt luajit lua-cjson; }

java() {
    has javac && [ -e /usr/share/java/jna.jar ] && [ -e /usr/share/java/gson.jar ] ||
        apt default-jdk-headless libjna-java libgoogle-gson-java
}

pascal() {
    has fpc && ls /usr/lib/*/fpc/*/units/*/fcl-json/fpjson.ppu >/dev/null 2>&1 || apt fp-compiler fp-units-rtl fp-units-fcl
}

proxies() {
    has tinyproxy && has microsocks && has stunnel && has nginx ||
        apt tinyproxy-bin microsocks stunnel4 nginx-light
}

packages() {
    c
    has cmake && has pkg-config && has dpkg-deb || apt cmake pkg-config dpkg
}

autobahn() {
    c
    python
    "$here/install-wstest.sh" "$peers/autobahn" "$peers/python/bin/python"
}

aarch64() {
    has aarch64-linux-gnu-gcc && has qemu-aarch64 && [ -e /usr/aarch64-linux-gnu/include/stdlib.h ] ||
        apt gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
}

for part in "${@:-all}"; do
    case $part in
        all) rust; c; cpp; curl; chromium; python; node; csharp; lua; java; pascal; proxies; packages; autobahn ;;
        rust | c | cpp | curl | chromium | python | node | csharp | lua | java | pascal | proxies | packages | autobahn | aarch64) "$part" ;;
        *) echo "install.sh: nothing is called '$part'" >&2; exit 2 ;;
    esac
done
