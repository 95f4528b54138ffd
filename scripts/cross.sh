# What the scripts have in common that build for another system: packages of this machine's own apt sources in a folder of
# one's own, and Rust's std for that system. To be sourced, in the project's folder, with
#   prefix    the folder for what is fetched
#   targets   the triples
#   self      the script itself, for what it says
# Exit status 3: it cannot be set up here, which says nothing about wsplug.

impossible() { echo "${self##*/}: $*" >&2; exit 3; }
is_ready() { [ "$(cat "$prefix/ready-$1" 2>/dev/null)" = "${2:-yes}" ]; }
ready() { echo "${2:-yes}" > "$prefix/ready-$1"; }
alone() { # What changes the folder, one at a time.
    mkdir -p "$prefix"
    exec 9> "$prefix/lock"
    flock 9
}

# ---- packages, from this machine's own sources, checked by apt as usual ----

# The address and the key of the source that has a suite.
source_of() {
    local file
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] && sed '/^#/d' "$file" | awk -v RS= -v suite="$1" '{
            address = suites = key = ""
            count = split($0, line, "\n")
            for (i = 1; i <= count; i++) {
                split(line[i], word, /[ \t]+/)
                if (line[i] ~ /^URIs:/) address = word[2]
                if (line[i] ~ /^Suites:/) suites = " " substr(line[i], 8) " "
                if (line[i] ~ /^Signed-By:/) key = word[2]
            }
            if (index(suites, " " suite " ")) print address, key
        }'
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$file" ] && awk -v suite="$1" '$1 == "deb" {
            key = ""
            if (match($0, /signed-by=[^] ]*/)) key = substr($0, RSTART + 10, RLENGTH - 10)
            sub(/^deb[ \t]+(\[[^]]*\][ \t]*)?/, "")
            if ($2 == suite) print $1, key
        }' "$file"
    done
    true
}

# An apt of its own for a suite, which knows of no installed package: apt_for NAME SUITE ARCHITECTURES.
apt_for() {
    local folder=$prefix/apt-$1 address key codename
    command -v apt-get > /dev/null || impossible "there is no apt-get here"
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    read -r address key < <(source_of "$codename" | head -n 1) || impossible "apt has no source for $codename"
    case $key in /*) ;; *) key=/usr/share/keyrings/debian-archive-keyring.gpg ;; esac
    mkdir -p "$folder"/{lists/partial,cache/archives/partial}
    : > "$folder/status"
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$address" "$2" "$key" > "$folder/the.sources"
    cat > "$folder/apt.conf" << END
Dir::State "$folder";
Dir::State::lists "$folder/lists";
Dir::State::status "$folder/status";
Dir::Cache "$folder/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$folder";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures { $(printf '"%s"; ' $3) };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
END
    apt_in "$1" apt-get -qq update 2> /dev/null
}
apt_in() { APT_CONFIG=$prefix/apt-$1/apt.conf "${@:2}"; }
fetch() { # NAME FOLDER PACKAGE…
    mkdir -p "$2"
    (cd "$2" && apt_in "$1" apt-get -qq download "${@:3}" > /dev/null) || impossible "apt cannot fetch ${*:3}"
}
# ---- Rust's std ----

has_std() {
    local name
    for name in "${targets[@]}"; do
        ls "$("${1:-rustc}" --print sysroot)/lib/rustlib/$name/lib"/libstd-*.rlib > /dev/null 2>&1 || return
    done
}

# Sets RUSTC, if it has to be another one than usual.
std() {
    if [ "${WSPLUG_STD:-}" != source ]; then
        has_std && return
        command -v rustup > /dev/null && timeout 300 rustup -q target add "${targets[@]}" && has_std && return
    fi
    std_from_source
    export RUSTC=$prefix/rust/bin/rustc
}

# The same toolchain, and std built from its own source, as far as Debian has it.
std_from_source() {
    local root release suite version="" name file rust=$prefix/rust
    root=$(rustc --print sysroot)
    release=$(rustc -vV | sed -n 's/^release: //p')
    is_ready std "$release" && return
    for suite in trixie-backports sid forky trixie; do
        apt_for rust "$suite" amd64 || continue
        version=$(apt_in rust apt-cache madison rust-src | awk -F ' *[|] *' -v release="$release" '$2 ~ "^" release "[+~-]" { print $2; exit }')
        [ -n "$version" ] && break
    done
    [ -n "$version" ] || impossible "there is no std for another system: rustup has no ${targets[*]}, and Debian no source of Rust $release"
    echo "${self##*/}: Rust's std for ${targets[*]}, from rust-src $version of $suite"
    rm -rf "$prefix"/{rust,rust-src,packages}
    fetch rust "$prefix/packages" "rust-src=$version"
    mkdir -p "$rust"/{bin,lib/rustlib} "$prefix/rust-src"
    dpkg-deb --fsys-tarfile "$prefix"/packages/rust-src_*.deb |
        tar -C "$prefix/rust-src" --strip-components=4 --wildcards -xf - './usr/src/rustc-*/library'
    for file in "$root"/bin/*; do cp -alL "$file" "$rust/bin/" 2> /dev/null || cp -aL "$file" "$rust/bin/"; done
    for file in "$root"/lib/*.so*; do cp -alL "$file" "$rust/lib/" 2> /dev/null || cp -aL "$file" "$rust/lib/"; done
    ln -s "$root/lib/rustlib/x86_64-unknown-linux-gnu" "$rust/lib/rustlib/"
    # The dynamic std would have to be linked, and is not for us.
    sed -i 's/crate-type = \["dylib", "rlib"\]/crate-type = ["rlib"]/' "$prefix/rust-src/library/std/Cargo.toml"
    for name in "${targets[@]}"; do
        local lib=$rust/lib/rustlib/$name/lib
        mkdir -p "$lib"
        (cd "$prefix/rust-src/library" && RUSTC=$rust/bin/rustc RUSTC_BOOTSTRAP=1 __CARGO_DEFAULT_LIB_METADATA=stablestd \
            CARGO_TARGET_DIR=$prefix/rust-src/target RUSTFLAGS="-Cembed-bitcode=yes -Zforce-unstable-if-unmarked --cap-lints=allow \
            --remap-path-prefix=$prefix/rust-src/=/rustc/ --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src/=/rustc/deps/" \
            "$root/bin/cargo" build --quiet --locked --manifest-path sysroot/Cargo.toml --release --target "$name" \
            --features panic-unwind,backtrace) || impossible "std for $name does not build"
        cp "$prefix/rust-src/target/$name"/release/deps/*.rlib "$lib/"
        [[ $name == *-windows-gnu ]] && for file in rsbegin rsend; do
            RUSTC_BOOTSTRAP=1 "$rust/bin/rustc" --target "$name" -O --emit=obj -o "$lib/$file.o" "$prefix/rust-src/library/rtstartup/$file.rs"
        done
    done
    rm -rf "$prefix"/{rust-src,packages,apt-rust}
    ready std "$release"
}
