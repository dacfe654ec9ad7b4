#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# package.sh OUTDIR - makes the Linux packages of what `./dev package` has built.
#
#   OUTDIR/rdlink-agent_VERSION_{amd64,arm64}.deb   rdlink-agent-VERSION.{x86_64,aarch64}.rpm
#   OUTDIR/rdlink-agent-VERSION-linux-{x86_64,arm64}.tar.gz
#   OUTDIR/rdlink_VERSION_amd64.deb                 the host's side, rdlinkd and rdlink
#
# What is in them is what cmake/install.cmake installs. Everything is a function of the sources and
# SOURCE_DATE_EPOCH (default: the commit's time): names in order, owner root, one time for all files.
# RDL_RELEASE (default 1) is the packages' revision; RDL_ARCHES (default "x86_64 arm64") which agents.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: package.sh OUTDIR" >&2; exit 2; }
out=$(realpath "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/installer/linux
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
release=${RDL_RELEASE:-1}
read -ra arches <<<"${RDL_ARCHES:-x86_64 arm64}"
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
upstream=$(sed -n 's/^project(rdlink VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
version=$upstream-$release
export LC_ALL=C TZ=UTC
umask 022

debian_name() {
    case $1 in
    x86_64) echo amd64 ;;
    arm64) echo arm64 ;;
    esac
}

rpm_name() {
    case $1 in
    x86_64) echo x86_64 ;;
    arm64) echo aarch64 ;;
    esac
}

# fill FILE [NAME=VALUE ...]: the file with @NAME@ replaced, and a line `@include FILE@` by that file.
fill() {
    local file=$1 pair script=() text
    shift
    for pair in "$@"; do
        script+=(-e "s|@${pair%%=*}@|${pair#*=}|g")
    done
    text=$(sed -e "/^@include units.sh@\$/{
        r $here/agent/units.sh
        d
        }" "$file")
    sed -e "s|@VERSION@|$upstream|g" -e "s|@RELEASE@|$release|g" "${script[@]}" <<<"$text"
}

# stage BUILD COMPONENT DIR: a root directory with that component, stripped.
stage() {
    local program
    rm -rf "$3"
    DESTDIR=$3 cmake --install "$root/build/$1" --component "$2" >/dev/null
    for program in "$3"/usr/bin/*; do
        case $1 in
        arm64) aarch64-linux-gnu-strip "$program" ;;
        *) strip "$program" ;;
        esac
    done
}

set_times() {
    find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

# --- .deb ---------------------------------------------------------------------------------------

# size_of DIR: in KiB as dpkg-gencontrol counts, so that no filesystem has a say in it.
size_of() {
    find "$1" -mindepth 1 -not -path "$1/DEBIAN*" -printf '%y %s\n' |
        awk '{ sum += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print sum }'
}

# make_deb NAME ARCHITECTURE STAGE FOLDER [CONTROL_NAME=VALUE ...]: FOLDER has its control file and scripts.
make_deb() {
    local name=$1 architecture=$2 stage=$3 folder=$4 doc script
    shift 4
    doc=$stage/usr/share/doc/$name
    mkdir -p "$stage/DEBIAN" "$doc"
    find "$stage/usr/share/man" -type f -exec gzip -9n {} +
    install -m 644 "$folder/copyright" "$doc/copyright"
    printf '%s (%s) unstable; urgency=medium\n\n  * See the history of the repository.\n\n -- %s  %s\n' \
        rdlink "$version" "$(sed -n 's/^Maintainer: //p' "$folder/control.in")" \
        "$(date -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$doc/changelog.Debian.gz"
    chmod 644 "$doc/changelog.Debian.gz"
    if [ -f "$folder/lintian-overrides" ]; then
        install -D -m 644 "$folder/lintian-overrides" "$stage/usr/share/lintian/overrides/$name"
    fi
    fill "$folder/control.in" ARCHITECTURE="$architecture" \
        SIZE="$(size_of "$stage")" "$@" >"$stage/DEBIAN/control"
    (cd "$stage" && find etc -type f | sort | sed 's,^,/,') >"$stage/DEBIAN/conffiles"
    (cd "$stage" && find usr -type f | sort | xargs md5sum) >"$stage/DEBIAN/md5sums"
    for script in postinst prerm postrm; do
        install -m 755 "$folder/$script" "$stage/DEBIAN/$script"
    done
    set_times "$stage"
    dpkg-deb --root-owner-group -Zxz --build "$stage" "$out/${name}_${version}_$architecture.deb" >/dev/null
}

shlib_depends() {
    mkdir -p "$work/shlibs/debian"
    printf 'Source: rdlink\n\nPackage: rdlink\nArchitecture: any\n' >"$work/shlibs/debian/control"
    (cd "$work/shlibs" && dpkg-shlibdeps -O "$@") 2>/dev/null |
        sed -n 's/^shlibs:Depends=//p'
}

# --- .rpm ---------------------------------------------------------------------------------------

make_rpm() {
    local architecture=$1 stage=$2 top=$work/rpm-$1
    rm -rf "$top"
    mkdir -p "$top/SPECS"
    gzip -9n "$stage/usr/share/man/man8/rdlink-agent.8"
    install -D -m 644 "$root/LICENSE" "$stage/usr/share/licenses/rdlink-agent/LICENSE"
    install -m 644 "$here/agent/copyright" "$stage/usr/share/licenses/rdlink-agent/copyright"
    set_times "$stage"
    fill "$here/agent/rdlink-agent.spec.in" STAGE="$stage" \
        DATE="$(date -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" >"$top/SPECS/rdlink-agent.spec"
    rpmbuild -bb --quiet --target "$architecture-linux" --define "_topdir $top" \
        --define "_rpmdir $top" --define "_buildhost reproducible" \
        --define "_binary_payload w9.xzdio" --define "use_source_date_epoch_as_buildtime 1" \
        --define "clamp_mtime_to_source_date_epoch 1" --define "__os_install_post %{nil}" \
        --define "_build_id_links none" --define "debug_package %{nil}" --define "optflags -O2" \
        "$top/SPECS/rdlink-agent.spec" >"$top/log" 2>&1 || {
        cat "$top/log" >&2
        return 1
    }
    install -m 644 -t "$out" "$top/$architecture"/*.rpm
}

# --- .tar.gz ------------------------------------------------------------------------------------

make_tarball() {
    local name=rdlink-agent-$upstream-linux-$1 stage=$2 top=$work/tar-$1
    rm -rf "$top"
    mkdir -p "$top/$name"
    cp -R "$stage/." "$top/$name/root"
    install -m 644 "$root/LICENSE" "$here/agent/copyright" "$top/$name"
    install -m 644 "$here/agent/README" "$top/$name/README"
    fill "$here/agent/install.sh" >"$top/$name/install.sh"
    chmod 755 "$top/$name/install.sh"
    tar -C "$top" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        --format=ustar -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
}

# --- what is made -------------------------------------------------------------------------------

agent() {
    local arch=$1 kind
    for kind in deb rpm tar; do
        stage "$arch" agent "$work/agent-$arch-$kind"
        # What a cross-built program cannot print here, the native one has printed.
        install -D -m 644 -t "$work/agent-$arch-$kind/usr/share/man/man8" \
            "$root/build/x86_64/man/rdlink-agent.8"
    done
    make_deb rdlink-agent "$(debian_name "$arch")" "$work/agent-$arch-deb" "$here/agent"
    make_rpm "$(rpm_name "$arch")" "$work/agent-$arch-rpm"
    make_tarball "$arch" "$work/agent-$arch-tar"
}

host() {
    local stage=$work/host-deb
    stage release host "$stage"
    make_deb rdlink amd64 "$stage" "$here/host" \
        DEPENDS="$(shlib_depends "$stage/usr/bin/rdlinkd" "$stage/usr/bin/rdlink")"
}

mkdir -p "$out"
for arch in "${arches[@]}"; do
    agent "$arch"
done
host
