#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deps.sh mingw|arm64|x86_64 - fetch, verify, patch and build the libraries of a cross or static build.
#
# Reads cmake/deps.lock. Leaves build/deps/TARGET/{include,lib}, laid out as Debian's packages are
# (cjson/cJSON.h, protobuf-c/protobuf-c.h, uv.h, sodium.h), and libuv.a libprotobuf-c.a libcjson.a
# libcmocka-static.a, and for Linux libsodium.a (Windows has BCrypt). Downloads are kept in build/downloads
# (or $RDL_DOWNLOADS), named by their sha256; with that folder filled, no network is used. A library whose
# lock rows and toolchain file have not changed is not built again.
set -euo pipefail

target=${1:-}
case $target in
mingw | arm64 | x86_64) ;;
*)
    echo "usage: deps.sh mingw|arm64|x86_64" >&2
    exit 2
    ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
lock=$root/cmake/deps.lock
toolchain=$root/cmake/toolchain-$target.cmake
downloads=${RDL_DOWNLOADS:-$root/build/downloads}
prefix=$root/build/deps/$target
work=$prefix/work
jobs=$(nproc)
unset CMAKE_C_COMPILER_LAUNCHER # a compiler's cache may change paths, which are in the output then
mkdir -p "$downloads" "$prefix/include" "$prefix/lib" "$work"

toolchain_value() {
    sed -n "s/^set($1 \([^ )]*\)).*/\1/p" "$toolchain"
}
cc=$(toolchain_value CMAKE_C_COMPILER)
ar=${cc%-gcc*}-ar
cflags=(-O2 -g -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
    -ftrivial-auto-var-init=zero "-ffile-prefix-map=$root=." "-ffile-prefix-map=$work=deps")
case $target in
mingw) cflags+=(-fcf-protection=full) ;;
esac

# rows NAME KIND: "sha256 where" of each alternative.
rows() {
    awk -v name="$1" -v kind="$2" '!/^#/ && $1 == name && $3 == kind { print $4, $5 }' "$lock"
}

archives() {
    apt-get indextargets --format "\$(REPO_URI)" "Origin: Debian" "Identifier: Packages" |
        sed 's,/*$,,' | sort -u
}

has_sha256() {
    [ -f "$1" ] && echo "$2  $1" | sha256sum --check --status
}

# download URL SHA256 FILE. apt's own downloader: it is on every Debian, and knows the proxies.
download() {
    local part=$3.part
    rm -f "$part"
    if ! /usr/lib/apt/apt-helper -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=30 \
        -o Acquire::https::Timeout=30 -o APT::Sandbox::User=root \
        download-file "$1" "$part" 2>"$work/download.log"; then
        echo "deps: $1: $(sed -n 's/^E: \(Failed to fetch [^ ]*  *\)\{0,1\}//p' "$work/download.log" |
            head -n 1); trying the next place" >&2
        return 1
    fi
    if ! has_sha256 "$part" "$2"; then
        echo "deps: $1: sha256 is not the one in deps.lock; thrown away" >&2
        rm -f "$part"
        return 1
    fi
    mv "$part" "$3"
}

# fetch NAME KIND: prints the path of a verified file.
fetch() {
    local sha where archive file
    while read -r sha where; do
        file=$downloads/$sha-${where##*/}
        if has_sha256 "$file" "$sha"; then
            echo "$file"
            return 0
        fi
    done < <(rows "$1" "$2")
    while read -r sha where; do
        file=$downloads/$sha-${where##*/}
        case $where in
        pool/*)
            for archive in $(archives); do
                if download "$archive/$where" "$sha" "$file"; then
                    echo "$file"
                    return 0
                fi
            done
            ;;
        *)
            if download "$where" "$sha" "$file"; then
                echo "$file"
                return 0
            fi
            ;;
        esac
    done < <(rows "$1" "$2")
    echo "deps: $1 ($2): no place in deps.lock delivered it" >&2
    return 1
}

# unpack NAME: $work/NAME holds the patched source.
unpack() {
    local name=$1 source patches patch
    source=$(fetch "$name" source)
    rm -rf "${work:?}/$name"
    mkdir -p "$work/$name"
    tar -xf "$source" -C "$work/$name" --strip-components=1
    [ -n "$(rows "$name" patches)" ] || return 0
    patches=$(fetch "$name" patches)
    tar -xf "$patches" -C "$work/$name" debian/patches
    while read -r patch; do
        patch --quiet --strip=1 --directory="$work/$name" <"$work/$name/debian/patches/$patch"
    done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$work/$name/debian/patches/series")
}

# compile_one LIBRARY SOURCE [FLAG ...]: a library of a single file.
compile_one() {
    local library=$1 source=$2
    shift 2
    "$cc" "${cflags[@]}" "$@" -c "$source" -o "$work/$library.o"
    rm -f "$prefix/lib/lib$library.a"
    "$ar" rcs "$prefix/lib/lib$library.a" "$work/$library.o"
}

cmake_build() {
    local name=$1
    shift
    rm -rf "${work:?}/$name-build" # its cache names the folder it was made in
    cmake -S "$work/$name" -B "$work/$name-build" -G Ninja --log-level=ERROR \
        -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
        -DCMAKE_C_FLAGS_RELEASE="${cflags[*]}" -Wno-dev "$@"
}

build_protobuf_c() {
    compile_one protobuf-c "$work/protobuf-c/protobuf-c/protobuf-c.c" -I"$work/protobuf-c" \
        -DPACKAGE_VERSION='"1.4.1"' -DPACKAGE_STRING='"protobuf-c 1.4.1"'
    install -D -m 644 -t "$prefix/include/protobuf-c" "$work/protobuf-c/protobuf-c/protobuf-c.h"
}

build_cjson() {
    compile_one cjson "$work/cjson/cJSON.c"
    install -D -m 644 -t "$prefix/include/cjson" "$work/cjson/cJSON.h"
}

build_libuv() {
    cmake_build libuv -DLIBUV_BUILD_TESTS=OFF -DLIBUV_BUILD_BENCH=OFF -DBUILD_TESTING=OFF || return 1
    ninja -C "$work/libuv-build" -j "$jobs" uv_a || return 1
    install -m 644 "$work/libuv-build/libuv_a.a" "$prefix/lib/libuv.a"
    cp -R "$work/libuv/include/." "$prefix/include/"
}

build_cmocka() {
    cmake_build cmocka -DWITH_STATIC_LIB=ON -DWITH_EXAMPLES=OFF -DUNIT_TESTING=OFF || return 1
    ninja -C "$work/cmocka-build" -j "$jobs" cmocka-static || return 1
    install -m 644 "$(find "$work/cmocka-build" -name libcmocka-static.a)" "$prefix/lib/"
    install -m 644 -t "$prefix/include" "$work"/cmocka/include/cmocka*.h
}

# The repository's archive has no configure, and making one needs autotools. The portable C files
# need nothing that it finds out; those for processors of another kind compile to nothing.
build_libsodium() {
    local src=$work/libsodium/src/libsodium object source
    local -a objects=()
    sed -e 's/@VERSION@/1.0.18/' -e 's/@SODIUM_LIBRARY_VERSION_MAJOR@/10/' \
        -e 's/@SODIUM_LIBRARY_VERSION_MINOR@/3/' -e '/@SODIUM_LIBRARY_MINIMAL_DEF@/d' \
        "$src/include/sodium/version.h.in" >"$src/include/sodium/version.h"
    while read -r source; do
        object=${source//\//-}
        object=$work/libsodium/${object%.c}.o
        "$cc" "${cflags[@]}" -w -DCONFIGURED=1 -DSODIUM_STATIC=1 -DNATIVE_LITTLE_ENDIAN=1 \
            -DHAVE_WEAK_SYMBOLS=1 -DHAVE_TI_MODE=1 -DHAVE_EXPLICIT_BZERO=1 -D_GNU_SOURCE \
            -I"$src/include/sodium" -I"$src/include" -c "$src/$source" -o "$object"
        objects+=("$object")
    done < <(cd "$src" && find . -name '*.c' | sort)
    rm -f "$prefix/lib/libsodium.a"
    "$ar" rcs "$prefix/lib/libsodium.a" "${objects[@]}"
    install -D -m 644 -t "$prefix/include" "$src/include/sodium.h"
    install -D -m 644 -t "$prefix/include/sodium" "$src"/include/sodium/*.h
}

names=(protobuf-c cjson libuv cmocka)
[ "$target" = mingw ] || names+=(libsodium)
for name in "${names[@]}"; do
    stamp=$prefix/.$name
    key=$({ awk -v name="$name" '$1 == name' "$lock"; cat "$toolchain" "$0"; } | sha256sum)
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then
        continue
    fi
    echo "deps: $target: $name"
    unpack "$name"
    "build_${name//-/_}" >"$work/$name.log" 2>&1 || {
        tail -n 40 "$work/$name.log" >&2
        echo "deps: $target: building $name failed; the whole log is $work/$name.log" >&2
        exit 1
    }
    echo "$key" >"$stamp"
done
echo "deps: $target: ready in ${prefix#"$root"/}"
