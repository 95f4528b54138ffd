#!/bin/bash
# The Windows libraries, made and tried on Linux.
#   windows.sh setup        fetches what the others need
#   windows.sh build        wsplug64.dll and wsplug32.dll with what programs link against, and the command as wsplug64.exe and
#                           wsplug32.exe, in cargo's target folder, under windows/
#   windows.sh cc 64|32 …   the C compiler for Windows; objdump … what looks into its files; with COMMAND … a command that finds
#                           those tools by their usual names, such as x86_64-w64-mingw32-gcc
#   windows.sh run FILE …   runs a Windows program, of 64 or 32 bits, without a display
#   windows.sh stop         ends what Wine has left running
# What is missing is fetched by package name with this Debian's apt, into a folder of its own (${WSPLUG_WINDOWS:-~/.cache/wsplug/windows},
# 2 GB); nothing is installed on the system. Exit status 3: it cannot be set up here, which says nothing about wsplug.
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")/.."
self=$PWD/scripts/windows.sh
umask 022
prefix=$(realpath -m "${WSPLUG_WINDOWS:-${XDG_CACHE_HOME:-$HOME/.cache}/wsplug/windows}")
PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$prefix/mingw/usr/bin:$PATH
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
targets=(x86_64-pc-windows-gnu i686-pc-windows-gnu)
wine_suite=trixie                # the first Debian whose Wine has all that Rust's std calls
. scripts/cross.sh

# ---- packages ----

unpack() { # FOLDER FILE…
    local root=$1 name file
    mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
    for name in bin sbin lib lib64; do [ -e "$root/$name" ] || ln -s "usr/$name" "$root/$name"; done
    for file in "${@:2}"; do
        dpkg-deb --fsys-tarfile "$file" |
            tar -C "$root" --keep-directory-symlink --exclude='./usr/share/doc' --exclude='./usr/share/man' -xf -
    done
}

# ---- the compiler ----

mingw() {
    is_ready mingw && return
    local codename packages="gcc-mingw-w64-base mingw-w64-common" arch file
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    for arch in x86-64 i686; do
        packages+=" binutils-mingw-w64-$arch gcc-mingw-w64-$arch-win32 gcc-mingw-w64-$arch-win32-runtime mingw-w64-$arch-dev"
    done
    echo "windows.sh: mingw-w64, of $codename"
    rm -rf "$prefix"/{mingw,packages}
    apt_for mingw "$codename" amd64 || impossible "apt cannot read $codename"
    fetch mingw "$prefix/packages" $packages
    unpack "$prefix/mingw" "$prefix"/packages/*.deb
    for file in "$prefix"/mingw/usr/bin/*-win32; do ln -sf "$(basename "$file")" "${file%-win32}"; done
    rm -rf "$prefix"/{packages,apt-mingw}
    echo 'int main(void) { return 0; }' > "$prefix/try.c"
    for arch in x86_64 i686; do
        "$arch-w64-mingw32-gcc" "$prefix/try.c" -o "$prefix/try.exe" || impossible "gcc of mingw-w64 does not run here"
    done
    rm "$prefix"/try.*
    ready mingw
}

cc() {
    local arch=x86_64
    [ "$1" = 32 ] && arch=i686
    exec "$arch-w64-mingw32-gcc" "${@:2}"
}
with() { exec "$@"; }
objdump() { exec x86_64-w64-mingw32-objdump "$@"; }

# ---- the libraries ----

# The module definition of a library: its name and, as the header has them, its functions. Those of 32 bits with the bytes
# of their arguments, all of which have four.
definition() {
    local bits=$1
    printf 'LIBRARY wsplug%s.dll\nEXPORTS\n' "$bits"
    sed -e 's://.*::' include/wsplug.h | tr '\n' ' ' | grep -o 'WSPLUG_API wsplug_[a-z_]*([^)]*)' |
        sed -e 's/WSPLUG_API //' -e 's/(void)/()/' | while IFS='()' read -r name arguments; do
        if [ "$bits" = 64 ]; then
            echo "    $name"
        else
            local commas=${arguments//[!,]/}
            echo "    $name@$((4 * (${#commas} + (${#arguments} > 0))))"
        fi
    done
}

setup() {
    alone
    mingw
    std
    wine
}

build() {
    alone
    mingw
    std
    local out=$target/windows version pair bits arch triple remap file
    version=$(sed -n '0,/^version = /s/^version = "\(.*\)"/\1/p' Cargo.toml)
    mkdir -p "$out"
    remap=$(scripts/remap.sh)
    for pair in 64:x86_64 32:i686; do
        bits=${pair%:*} arch=${pair#*:}
        triple=${arch^^}_PC_WINDOWS_GNU
        definition "$bits" > "$out/wsplug$bits.def"
        head -n 1 "$out/wsplug$bits.def" > "$out/name$bits.def"
        sed -e "s/@VERSION@/$version/g" -e "s/@COMMAS@/${version//./,},0/" -e "s/@NAME@/wsplug$bits.dll/" scripts/windows.rc > "$out/wsplug$bits.rc"
        "$arch-w64-mingw32-windres" "$out/wsplug$bits.rc" -o "$out/version$bits.o"
        # In environment variables, so that cargo builds both at once.
        export "CARGO_TARGET_${triple}_RUSTFLAGS=$remap" "CARGO_TARGET_${triple}_LINKER=$arch-w64-mingw32-gcc"
        export "CC_${arch}_pc_windows_gnu=$arch-w64-mingw32-gcc" "AR_${arch}_pc_windows_gnu=$arch-w64-mingw32-ar"
    done
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
    WSPLUG_WINDOWS_FILES=$out CARGO_TARGET_DIR=$target \
        cargo build --release --locked --workspace --target "${targets[0]}" --target "${targets[1]}"
    for pair in 64:x86_64 32:i686; do
        bits=${pair%:*} arch=${pair#*:}
        for file in dll exe; do cp "$target/$arch-pc-windows-gnu/release/wsplug.$file" "$out/wsplug$bits.$file"; done
        # --kill-at: programs say name@bytes, the library's functions have plain names.
        "$arch-w64-mingw32-dlltool" --kill-at -d "$out/wsplug$bits.def" -l "$out/libwsplug$bits.dll.a"
        rm "$out/wsplug$bits.rc" "$out/name$bits.def" "$out/version$bits.o"
        echo "windows.sh: $out/wsplug$bits.dll, $(stat -c %s "$out/wsplug$bits.dll") bytes"
    done
}

# ---- Wine ----

# In a tree of its own with the libraries that it was built for, and with this machine's folders in it at their usual places
# (drive Z:). Needs root, or user namespaces.
wine_run() {
    local tree=$prefix/wine/tree enter=(unshare -m)
    [ "$(id -u)" = 0 ] && unshare -m true 2> /dev/null || enter=(unshare -rm)
    env -u DISPLAY -u WAYLAND_DISPLAY HOME="$prefix/wine/home" WINEPREFIX="$prefix/wine/prefix" WINESERVER=/usr/lib/wine/wineserver64 \
        WINEDEBUG="${WINEDEBUG:--all}" WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe= \
        "${enter[@]}" bash -c '
            tree=$1 folder=$2
            for place in /*; do
                case $place in /bin | /sbin | /lib* | /usr | /etc | /lost+found) continue ;; esac
                [ -d "$place" ] && [ ! -L "$place" ] || continue
                mkdir -p "$tree$place"
                mount --rbind "$place" "$tree$place"
            done
            exec unshare --root="$tree" --wd="$folder" "${@:3}"' wine-run "$tree" "$PWD" "$@"
}

run() {
    local file header machine
    file=$(realpath "$1")
    header=$(od -An -tu4 -j60 -N4 "$file")
    machine=$(od -An -tx2 -j$((header + 4)) -N2 "$file")
    # The services first, away from the program: else they would hold its pipes.
    wine_run /usr/lib/wine/wine64 wineboot.exe < /dev/null > /dev/null 2>&1
    case $machine in
        *014c) wine_run /usr/lib/wine/wine "$file" "${@:2}" ;;
        *) wine_run /usr/lib/wine/wine64 "$file" "${@:2}" ;;
    esac
}

stop() { wine_run /usr/lib/wine/wineserver64 -k < /dev/null > /dev/null 2>&1 || true; }

wine() {
    is_ready wine && return
    local tree=$prefix/wine/tree arch pair lib dll file
    unshare -m true 2> /dev/null || unshare -rm true 2> /dev/null || impossible "Wine needs root or user namespaces here"
    echo "windows.sh: Wine, of $wine_suite"
    rm -rf "$prefix"/{wine,packages}
    mkdir -p "$prefix/wine/home"
    apt_for wine "$wine_suite" "amd64 i386" || impossible "apt cannot read $wine_suite"
    # What it needs without a display, then Wine itself. With FreeType it would want fonts.
    apt_in wine apt-get -qq -y --download-only install libz-mingw-w64 {libc6,libgcc-s1,libunwind8,libgnutls30t64}{,:i386} > /dev/null ||
        impossible "apt cannot fetch what Wine needs"
    mkdir -p "$prefix/packages"
    mv "$prefix"/apt-wine/cache/archives/*.deb "$prefix/packages/"
    fetch wine "$prefix/packages" libwine wine64 libwine:i386 wine32:i386
    unpack "$tree" "$prefix"/packages/*.deb
    rm -rf "$prefix"/{packages,apt-wine}
    for pair in x86_64:x86_64:x86_64 i686:i386:i386; do
        IFS=: read -r arch lib dll <<< "$pair"
        dll=$tree/usr/lib/$lib-linux-gnu/wine/$dll-windows
        # As the package's own script does: zlib, marked as one of Wine's own.
        file=$tree/usr/$arch-w64-mingw32/lib/zlib1.dll
        { head -c 64 "$file"; printf 'Wine builtin DLL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'; tail -c +97 "$file"; } > "$dll/zlib1.dll"
        # Debugging sections are the better half of it, and would be copied along.
        find "$dll" -type f -regex '.*\.\(dll\|exe\|drv\|sys\|ocx\|cpl\|acm\|ax\)' -print0 |
            xargs -0 -n 40 -P 2 "$arch-w64-mingw32-strip" --strip-debug
    done
    ln -sf wineserver64 "$tree/usr/lib/wine/wineserver"
    mkdir -p "$tree"/{etc,tmp,dev,proc}
    printf '127.0.0.1 localhost\n::1 localhost\n' > "$tree/etc/hosts"
    printf 'hosts: files dns\npasswd: files\ngroup: files\n' > "$tree/etc/nsswitch.conf"
    printf 'root:x:0:0:root:/root:/bin/sh\n' > "$tree/etc/passwd"
    timeout 300 "$self" wine-boot < /dev/null > /dev/null 2>&1 || impossible "Wine does not start here"
    ready wine
}

# Windows without a display; a crash ends the program and opens no dialog.
wine_boot() {
    wine_run /usr/lib/wine/wine64 wineboot.exe -i
    set_key 'HKCU\Software\Wine\Drivers' Graphics REG_SZ null
    set_key 'HKCU\Software\Wine\WineDbg' ShowCrashDialog REG_DWORD 0
    set_key 'HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug' Debugger REG_SZ false
    set_key 'HKLM\Software\Wow6432Node\Microsoft\Windows NT\CurrentVersion\AeDebug' Debugger REG_SZ false
    stop
}
set_key() { wine_run /usr/lib/wine/wine64 reg.exe add "$1" /v "$2" /t "$3" /d "$4" /f; }

case ${1:-} in
    setup | build | stop) "$1" ;;
    wine-boot) wine_boot ;;
    run | cc | with | objdump) cd "$caller" && "$@" ;;
    *) sed -n '2,/^set/s/^# \?//p' "$0" >&2; exit 2 ;;
esac
