#!/bin/bash
# release.sh [linux|deb|aarch64|windows|macos]...: the archives of a release, in cargo's target folder under packages/, with SHA256SUMS.
#   linux    wsplug-VERSION-linux-ARCHITECTURE.tar.gz: what `make install` puts in place
#   deb      the same as a Debian package
#   aarch64  wsplug-VERSION-linux-aarch64.tar.gz, built with scripts/aarch64.sh
#   windows  wsplug-VERSION-windows-64.zip and -32.zip: what `scripts/windows.sh build` has made
#   macos    wsplug-VERSION-macos-arm64.tar.gz and -x86_64.tar.gz: what `scripts/macos.sh build` has made
# Without arguments: all five. Exit status 3: what it needs is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$target/packages
version=$(sed -n '0,/^version = /s/^version = "\(.*\)"/\1/p' Cargo.toml)
# Times of files in archives: those of the source.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

impossible() { echo "release.sh: $*" >&2; exit 3; }
built() { [ -n "${is_built:-}" ] || make --silent all; is_built=yes; }
pack() { # Independent of who packs and when.
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$stage" -cf - "$1" | gzip -n9 > "$out/$1.tar.gz"
    echo "release.sh: $out/$1.tar.gz"
}

for_linux() { # ARCHITECTURE [ARGUMENT OF MAKE]
    local name=wsplug-$version-linux-$1
    make --silent install DESTDIR="$stage" PREFIX="/$name" "${@:2}"
    pack "$name"
}
linux() {
    built
    for_linux "$(uname -m)"
}
aarch64() {
    scripts/aarch64.sh build
    for_linux aarch64 TRIPLE=aarch64-unknown-linux-gnu
}

deb() {
    command -v dpkg-deb >/dev/null || impossible "there is no dpkg-deb here"
    built
    local root=$stage/deb architecture libc triplet
    architecture=$(dpkg --print-architecture)
    triplet=$(gcc -print-multiarch)
    make --silent install DESTDIR="$root" PREFIX=/usr LIBDIR="/usr/lib/$triplet"
    gzip -n9 "$root"/usr/share/man/man1/*.1
    cat LICENSE-MIT LICENSE-APACHE > "$root/usr/share/doc/wsplug/copyright"
    rm "$root"/usr/share/doc/wsplug/LICENSE-*
    # The newest version of the C library that a symbol asks for.
    libc=$(readelf --wide --version-info "$root/usr/bin/wsplug" "$root/usr/lib/$triplet/libwsplug.so.$version" |
        grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
    mkdir "$root/DEBIAN"
    cat > "$root/DEBIAN/control" << END
Package: wsplug
Version: $version
Architecture: $architecture
Maintainer: The wsplug developers <wsplug@localhost>
Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1
Section: libs
Priority: optional
Description: WebSocket servers and clients behind a plain C ABI
 The library with its header, pkg-config and CMake files, and the command wsplug.
END
    echo "activate-noawait ldconfig" > "$root/DEBIAN/triggers"
    dpkg-deb --root-owner-group --build "$root" "$out" > /dev/null
    echo "release.sh: $out/wsplug_${version}_$architecture.deb"
}

documents() { # What the readme leads to, but for the tests.
    local places=(ARCHITECTURE.md benches/README.md benches/FIGURES.md docs examples-c examples-hosts include)
    git ls-files "${places[@]}" 2>/dev/null || find "${places[@]}" -type f
}

windows() {
    local bits root name file fill
    for bits in 64 32; do
        [ -e "$target/windows/wsplug$bits.dll" ] || impossible "there is no $target/windows/wsplug$bits.dll; scripts/windows.sh build makes it"
        name=wsplug-$version-windows-$bits
        root=$stage/$name
        install -d "$root/lib/cmake/wsplug" "$root/lib/pkgconfig"
        install -D -m 755 -t "$root/bin" "$target/windows/wsplug$bits.dll"
        install -m 755 "$target/windows/wsplug$bits.exe" "$root/bin/wsplug.exe"
        install -D -m 644 -t "$root/lib" "$target/windows/libwsplug$bits.dll.a" "$target/windows/wsplug$bits.def"
        install -D -m 644 -t "$root/include" include/wsplug.h
        install -D -m 644 -t "$root/doc" README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE
        for file in $(documents); do install -D -m 644 "$file" "$root/doc/$file"; done
        fill=(-e "s/@VERSION@/$version/g" -e "s/@BITS@/$bits/g" -e "s/@POINTER@/$((bits / 8))/g")
        sed -e "s/-lwsplug\$/-lwsplug$bits/" -e "s|@INCLUDE@|../../include|" "${fill[@]}" packaging/wsplug.pc.in > "$root/lib/pkgconfig/wsplug.pc"
        sed "${fill[@]}" packaging/wsplug-config-windows.cmake.in > "$root/lib/cmake/wsplug/wsplug-config.cmake"
        sed "${fill[@]}" packaging/wsplug-config-version.cmake.in > "$root/lib/cmake/wsplug/wsplug-config-version.cmake"
        find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
        rm -f "$out/$name.zip"
        # A zip has local times.
        (cd "$stage" && TZ=UTC python3 -m zipfile -c "$out/$name.zip" "$name")
        echo "release.sh: $out/$name.zip"
    done
}

macos() {
    local arch root name file fill
    for arch in arm64 x86_64; do
        [ -e "$target/macos/$arch/libwsplug.dylib" ] || impossible "there is no $target/macos/$arch/libwsplug.dylib; scripts/macos.sh build makes it"
        name=wsplug-$version-macos-$arch
        root=$stage/$name
        install -d "$root"/lib/{pkgconfig,cmake/wsplug}
        install -m 755 -t "$root/lib" "$target/macos/$arch/libwsplug.dylib"
        install -D -m 644 -t "$root/include" include/wsplug.h
        install -D -m 644 -t "$root/share/doc/wsplug" README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE
        fill=(-e "s|@VERSION@|$version|g" -e "s|@POINTER@|8|g" -e "s|@FILE@|libwsplug.dylib|g" -e "s|@NAME@|@rpath/libwsplug.dylib|g")
        sed "${fill[@]}" -e "s|@INCLUDE@|../../include|g" packaging/wsplug.pc.in > "$root/lib/pkgconfig/wsplug.pc"
        for file in wsplug-config wsplug-config-version; do
            sed "${fill[@]}" -e "s|@INCLUDE@|../../../include|g" "packaging/$file.cmake.in" > "$root/lib/cmake/wsplug/$file.cmake"
        done
        pack "$name"
    done
}

mkdir -p "$out"
for what in "${@:-all}"; do
    case $what in
        all) linux; deb; aarch64; windows; macos ;;
        linux | deb | aarch64 | windows | macos) "$what" ;;
        *) echo "release.sh: nothing is called '$what'" >&2; exit 2 ;;
    esac
done
(cd "$out" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%f\n' | sort | xargs sha256sum > SHA256SUMS)
