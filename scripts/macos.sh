#!/bin/bash
# The libraries for macOS, linked on Linux without Apple's SDK. They have never been run.
#   macos.sh setup    fetches what build needs
#   macos.sh build    libwsplug.dylib, in cargo's target folder, under macos/arm64/ and macos/x86_64/
# The C compiler, and the names that macOS's libSystem has, are those of zig, which comes from PyPI into a folder of its own
# (${WSPLUG_MACOS:-~/.cache/wsplug/macos}, 500 MB); the linker is the Rust toolchain's rust-lld. Exit status 3: it cannot be set up here, which
# says nothing about wsplug.
set -euo pipefail
cd "$(dirname "$0")/.."
self=$PWD/scripts/macos.sh
umask 022
prefix=$(realpath -m "${WSPLUG_MACOS:-${XDG_CACHE_HOME:-$HOME/.cache}/wsplug/macos}")
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
targets=(aarch64-apple-darwin x86_64-apple-darwin)
zig_version=0.17.0
oldest=11.0                      # the first macOS for arm64
. scripts/cross.sh

zig() {
    is_ready zig "$zig_version" && return
    echo "macos.sh: zig $zig_version, from PyPI"
    rm -rf "$prefix"/zig
    python3 -m venv "$prefix/zig" && "$prefix/zig/bin/python" -m pip install -q --disable-pip-version-check "ziglang==$zig_version" ||
        impossible "zig cannot be installed"
    ready zig "$zig_version"
}

linker() { echo "$("${RUSTC:-rustc}" --print target-libdir)/../bin/rust-lld"; }

setup() {
    alone
    zig
    std
    [ -x "$(linker)" ] || impossible "this Rust toolchain has no rust-lld"
}

# ---- what is linked against: lists of names, which the linker takes for the libraries themselves. The code is the Mac's own. ----

# What wsplug calls of a framework. One that is missing here is an error of the linker, which says its name.
framework() { # NAME SYMBOL…
    local folder=$prefix/sdk/System/Library/Frameworks/$1.framework
    mkdir -p "$folder"
    cat > "$folder/$1.tbd" << END
--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: '/System/Library/Frameworks/$1.framework/Versions/A/$1'
exports:
  - targets: [ x86_64-macos, arm64-macos ]
    symbols: [ $(printf '_%s, ' "${@:2}") ]
...
END
}

sdk() {
    local name
    mkdir -p "$prefix/sdk/usr/lib"
    # Without the kinds of processor that this linker does not know yet.
    sed -Ez 's/,\s*arm64e\.x1-\w+//g' "$prefix"/zig/lib/python*/site-packages/ziglang/lib/libc/darwin/libSystem.tbd > "$prefix/sdk/usr/lib/libSystem.tbd"
    # The same library by other names; of iconv nothing is used.
    for name in c m iconv; do ln -sf libSystem.tbd "$prefix/sdk/usr/lib/lib$name.tbd"; done
    framework Security SecCertificateCopyData SecCopyErrorMessageString SecTrustSettingsCopyCertificates SecTrustSettingsCopyTrustSettings
    framework CoreFoundation CFArrayCreate CFArrayGetCount CFArrayGetValueAtIndex CFDataGetBytePtr CFDataGetLength CFDictionaryGetValueIfPresent \
        CFEqual CFNumberGetValue CFRelease CFRetain CFStringCreateWithBytesNoCopy CFStringGetBytes CFStringGetCStringPtr CFStringGetLength \
        kCFAllocatorDefault kCFAllocatorNull kCFTypeArrayCallBacks
}

# ---- the libraries ----

build() {
    setup
    sdk
    local zig remap pair arch triple out
    zig=$(ls "$prefix"/zig/lib/python*/site-packages/ziglang/zig)
    remap=$(scripts/remap.sh)
    for arch in aarch64 x86_64; do
        # The linker strips: whoever does it later has to sign anew what it signs for arm64.
        triple=${arch^^}_APPLE_DARWIN
        export "CARGO_TARGET_${triple}_RUSTFLAGS=$remap -Clinker=$(linker) -Clinker-flavor=ld64.lld -Clink-arg=-S -Clink-arg=-x"
        export "CC_${arch}_apple_darwin=$zig cc -target $arch-macos.$oldest -O2 -fPIC" "AR_${arch}_apple_darwin=$zig ar"
    done
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
    # CRATE_CC_NO_DEFAULTS: zig does not know the names that others have for a target.
    CARGO_TARGET_DIR=$target CARGO_PROFILE_RELEASE_STRIP=none CRATE_CC_NO_DEFAULTS=1 ZIG_GLOBAL_CACHE_DIR=$prefix/cache ZIG_LOCAL_CACHE_DIR=$prefix/cache \
        SDKROOT=$prefix/sdk MACOSX_DEPLOYMENT_TARGET=$oldest \
        cargo build --release --lib --locked --target "${targets[0]}" --target "${targets[1]}"
    for pair in arm64:aarch64 x86_64:x86_64; do
        out=$target/macos/${pair%:*}/libwsplug.dylib
        install -D -m 755 "$target/${pair#*:}-apple-darwin/release/libwsplug.dylib" "$out"
        echo "macos.sh: $out, $(stat -c %s "$out") bytes"
    done
}

case ${1:-} in
    setup | build) "$1" ;;
    *) sed -n '2,/^set/s/^# \?//p' "$0" >&2; exit 2 ;;
esac
