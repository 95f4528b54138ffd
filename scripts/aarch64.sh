#!/bin/bash
# The library for aarch64 Linux, made and tried on another Linux.
#   aarch64.sh setup        installs what the others need
#   aarch64.sh build        what `make` builds, in cargo's target folder, under aarch64-unknown-linux-gnu/
#   aarch64.sh cc …         the C compiler for it
#   aarch64.sh run FILE …   runs a program for it
# The compiler, the C library and qemu come by package name (scripts/install.sh aarch64); Rust's std goes into the toolchain or, where
# rustup has none, into ${WSPLUG_AARCH64:-~/.cache/wsplug/aarch64}. Exit status 3: it cannot be set up here, which says nothing about wsplug.
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")/.."
self=$PWD/scripts/aarch64.sh
prefix=$(realpath -m "${WSPLUG_AARCH64:-${XDG_CACHE_HOME:-$HOME/.cache}/wsplug/aarch64}")
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
targets=(aarch64-unknown-linux-gnu)
runner=(qemu-aarch64 -L /usr/aarch64-linux-gnu)

. scripts/cross.sh

setup() {
    alone
    scripts/install.sh aarch64 || impossible "the compiler, the C library or qemu cannot be installed"
    std
}

build() {
    setup
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar
    make --silent TRIPLE="${targets[0]}" RUNNER="${runner[*]}"
}

cc() { exec aarch64-linux-gnu-gcc "$@"; }
run() { exec "${runner[@]}" "$@"; }

case ${1:-} in
    setup | build) "$1" ;;
    run | cc) cd "$caller" && "$@" ;;
    *) sed -n '2,/^set/s/^# \?//p' "$0" >&2; exit 2 ;;
esac
