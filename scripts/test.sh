#!/bin/bash
# test.sh: installs what the tests need, runs every check and every test, and says at the end what ran.
# It needs no terminal and leaves nothing behind outside of cargo's target folder and ~/.cache/wsplug.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
summary=() failures=0 missing=0

step() {
    local name=$1 start=$SECONDS verdict=ok
    shift
    echo "=== $name"
    "$@" < /dev/null || { verdict="FAILED ($?)" failures=$((failures + 1)); }
    summary+=("$(printf '%-42s %-12s %4d s' "$name" "$verdict" $((SECONDS - start)))")
}

did_not_run() { missing=$((missing + 1)); summary+=("$(printf '%-42s did not run: %s' "$1" "$2")"); }

# set_up SCRIPT TESTS: whether scripts/SCRIPT.sh could fetch what those tests need.
set_up() {
    local said status=0
    echo "=== scripts/$1.sh setup"
    said=$("scripts/$1.sh" setup 2>&1 < /dev/null) || status=$?
    echo "$said"
    [ "$status" != 3 ] || { did_not_run "$2" "${said##*$'\n'}"; return 1; }
}

documentation() { RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked; }
run_command() { PORT=0 scripts/run.sh --once; }

windows_under_wine() {
    local status=0
    cargo test --locked --workspace --test windows || status=$?
    scripts/windows.sh stop
    return "$status"
}

nightly_has_sources() {
    local root
    root=$(rustup run nightly rustc --print sysroot 2>/dev/null) && [ -e "$root/lib/rustlib/src/rust/library/std" ]
}

step "scripts/install.sh" scripts/install.sh
[ "$failures" = 0 ] || exit 1 # nothing below could tell anything
step "cargo fmt --check" cargo fmt --all --check
step "cargo clippy" cargo clippy --locked --workspace --all-targets --test aarch64 --test autobahn --test hosts --test macos --test packages --test size --test thread_sanitizer --test valgrind --test windows -- -D warnings
step "cargo test" cargo test --locked --workspace --no-fail-fast
step "cargo test, size" cargo test --locked --workspace --test size
step "cargo test, hosts" cargo test --locked --workspace --test hosts
step "cargo test, Autobahn" cargo test --locked --workspace --test autobahn
step "cargo test, valgrind" cargo test --locked --workspace --test valgrind
if set_up windows "cargo test, Windows under Wine"; then
    step "scripts/windows.sh build" scripts/windows.sh build
    step "cargo test, Windows under Wine" windows_under_wine
fi
step "cargo test, packages" cargo test --locked --workspace --test packages
if set_up aarch64 "cargo test, aarch64 under qemu"; then
    step "scripts/aarch64.sh build" scripts/aarch64.sh build
    step "cargo test, aarch64 under qemu" cargo test --locked --workspace --test aarch64
fi
if set_up macos "cargo test, macOS (not run)"; then
    step "scripts/macos.sh build" scripts/macos.sh build
    step "cargo test, macOS (not run)" cargo test --locked --workspace --test macos
fi
step "cargo doc" documentation
step "scripts/run.sh --once" run_command
if nightly_has_sources; then
    step "cargo test, ThreadSanitizer" cargo test --locked --workspace --test thread_sanitizer
else
    did_not_run "cargo test, ThreadSanitizer" "it takes a nightly toolchain with rust-src"
fi

echo "=== what ran"
printf '%s\n' "${summary[@]}"
if [ "$failures" != 0 ]; then
    echo "$failures failed"
elif [ "$missing" != 0 ]; then
    echo "all that ran passed; $missing did not run"
else
    echo "all passed"
fi
[ "$failures" = 0 ]
