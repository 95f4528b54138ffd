#!/bin/bash
# install-wstest.sh FOLDER PYTHON3: puts the Autobahn test suite (wstest) into FOLDER; PYTHON3 must have pip.
# The suite runs on Python 2.7 only: one that the machine has, else Debian 11's packages, unpacked below the
# folder (WSTEST_PYTHON=debian asks for that). With AUTOBAHN_MESSAGES set, the cases of sections 12 and 13 send that
# many messages each, instead of 1,000.
set -euo pipefail
umask 022
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
prefix=$(cd "$1" && pwd)
pins=$here/tests/autobahn/requirements.txt
recipe=$(cat "$0" "$pins" <(echo "$prefix ${WSTEST_PYTHON:-}") | sha256sum)

exec 9> "$prefix/.lock"
flock 9
if [ "$(cat "$prefix/.recipe" 2>/dev/null)" = "$recipe" ] && "$prefix/wstest" -a >/dev/null 2>&1; then exit 0; fi
rm -rf "$prefix"/{site,download,debian,wstest,.recipe}
mkdir -p "$prefix"/{site,download}

is_python27() { "$1" -c 'import sys, ssl, zlib; sys.exit(sys.version_info[:2] != (2, 7))' >/dev/null 2>&1; }

# Debian 11 is named in a source list of our own, made from the machine's; nothing of the machine is changed.
unpack_debian_python() {
    local root=$prefix/debian apt=$prefix/debian/apt source
    mkdir -p "$apt"/{lists/partial,cache/archives/partial,sources,debs}
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        awk 'BEGIN { RS = "" } !/security/ { print; exit }' /etc/apt/sources.list.d/debian.sources |
            sed -E 's/^Suites:.*/Suites: bullseye/; s/^Components:.*/Components: main/' > "$apt/sources/bullseye.sources"
    else
        source=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
            grep -E '^deb .* main( |$)' | grep -v security | head -n 1)
        sed -E 's/^(deb( \[[^]]*\])? [^ ]+) .*/\1 bullseye main/' <<< "$source" > "$apt/sources/bullseye.list"
    fi
    local options=(-qq -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o Dir::Etc::sourcelist=/dev/null
        -o Dir::Etc::sourceparts="$apt/sources" -o Acquire::Languages=none -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update
    (cd "$apt/debs" && apt-get "${options[@]}" download \
        python2.7-minimal libpython2.7-minimal libpython2.7-stdlib libpython2.7-dev libssl1.1 libffi7)
    for deb in "$apt"/debs/*.deb; do dpkg -x "$deb" "$root"; done
    rm -rf "$apt"
}

python= libraries=
if [ "${WSTEST_PYTHON:-}" != debian ]; then
    for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7 python2.7; do
        if is_python27 "$candidate"; then python=$candidate; break; fi
    done
fi

# The last pip for Python 2.7 is fetched by today's pip and runs from its wheel.
"$2" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$prefix/download" --require-hashes \
    -r <(echo 'pip==20.3.4 --hash=sha256:217ae5161a0e08c0fb873858806e3478c9775caffce5168b50ec885e358c199d')

if [ -z "$python" ]; then
    unpack_debian_python
    python=$prefix/debian/usr/bin/python2.7
    libraries=$prefix/debian/usr/lib/$(uname -m)-linux-gnu
    export LD_LIBRARY_PATH=$libraries CPATH=$prefix/debian/usr/include:$prefix/debian/usr/include/python2.7
    is_python27 "$python" || { echo "$0: Debian 11's python2.7 does not run here" >&2; exit 1; }
fi

pip27() {
    PYTHONPATH=$prefix/site PYTHONNOUSERSITE=1 PYTHONWARNINGS=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
        "$python" "$prefix/download/pip-20.3.4-py2.py3-none-any.whl/pip" install -q --no-deps --require-hashes \
        --no-build-isolation --no-warn-script-location --target "$prefix/site" -r "$1" 2> "$prefix/download/log" ||
        { cat "$prefix/download/log" >&2; exit 1; }
}
pip27 <(grep '^setuptools' "$pins") # the source packages are built with it
pip27 <(grep -v '^setuptools' "$pins")

cat > "$prefix/wstest" <<END
#!/bin/sh
${libraries:+export LD_LIBRARY_PATH='$libraries'}
exec env PYTHONPATH='$prefix/site' '$python' -s -u -c 'import os, site, sys
site.addsitedir("$prefix/site")
sys.argv[0] = "wstest"
from autobahntestsuite import wstest
from autobahntestsuite.case import Case12_X_X, Case13_X_X
for case in Case12_X_X + Case13_X_X:
    case.COUNT = int(os.environ.get("AUTOBAHN_MESSAGES", case.COUNT))
sys.exit(wstest.run())' "\$@"
END
chmod +x "$prefix/wstest"
"$prefix/wstest" -a >/dev/null
echo "$recipe" > "$prefix/.recipe"
