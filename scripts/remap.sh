#!/bin/bash
# remap.sh: prints what RUSTFLAGS needs so that no path of the machine that builds is in what is given to others.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fetch --locked --quiet
flags=()
for folder in "$PWD" "$("${RUSTC:-rustc}" --print sysroot)" "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
    flags+=("--remap-path-prefix=$folder/=")
done
echo "${flags[*]}"
