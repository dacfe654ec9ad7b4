#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh [--uninstall | --purge] [--prefix DIR] [--root DIR] - README beside this file says it all.
# The list of files is the tree itself, so that what installs and what removes cannot differ.
set -eu
cd "$(dirname "$0")"
what=install prefix=/usr/local root=''
folders=share/doc/rdlink-agent/folders # below the prefix: what make_folder() made

@include units.sh@

usage() {
    echo "usage: install.sh [--uninstall | --purge] [--prefix DIR] [--root DIR]" >&2
    exit 2
}

# The files of the prefix and of /etc, as paths below root/usr and root/etc.
files_of() {
    (cd "root/$1" && find . -type f | sed 's,^\./,,' | sort)
}

# A folder with its parents; those that were not there are written down, so that the removal takes
# away just these.
make_folder() {
    if [ -d "$1" ]; then return 0; fi
    make_folder "$(dirname "$1")"
    mkdir "$1"
    echo "${1#"$root"}" >>"$made"
}

# A unit names its program where it is.
put() {
    make_folder "$(dirname "$2")"
    if [ -e "$2" ]; then rm -f "$2"; fi # a program that runs cannot be written over
    case $1 in
    *.service | *.socket) sed "s,/usr/bin/,$prefix/bin/,g" "$1" >"$2" ;;
    *) cp "$1" "$2" ;;
    esac
    if [ -x "$1" ]; then chmod 755 "$2"; else chmod 644 "$2"; fi
}

install_files() {
    made=$(mktemp)
    files_of usr | while read -r file; do put "root/usr/$file" "$root$prefix/$file"; done
    files_of etc | while read -r file; do
        # What somebody may have changed stays; the new text lies beside it.
        if [ ! -e "$root/etc/$file" ]; then
            put "root/etc/$file" "$root/etc/$file"
        elif ! cmp -s "root/etc/$file" "$root/etc/$file"; then
            put "root/etc/$file" "$root/etc/$file.new"
        fi
    done
    cat "$made" >>"$root$prefix/$folders"
    rm -f "$made"
}

remove_files() {
    files_of usr | while read -r file; do rm -f "$root$prefix/$file"; done
}

remove_folders() {
    if [ ! -e "$root$prefix/$folders" ]; then return 0; fi
    list=$(sort -r "$root$prefix/$folders")
    rm -f "$root$prefix/$folders"
    echo "$list" | while read -r folder; do
        if [ -d "$root$folder" ]; then rmdir "$root$folder" 2>/dev/null || true; fi
    done
}

remove_configuration() {
    files_of etc | while read -r file; do rm -f "$root/etc/$file" "$root/etc/$file.new"; done
    rm -f "$root/etc/rdlink/agent.key"
    # By name, because an earlier --uninstall has taken the list of folders.
    if [ -d "$root/etc/rdlink" ]; then rmdir "$root/etc/rdlink" 2>/dev/null || true; fi
}

while [ $# -gt 0 ]; do
    case $1 in
    --uninstall) what=uninstall ;;
    --purge) what=purge ;;
    --prefix | --root)
        [ $# -gt 1 ] || usage
        if [ "$1" = --root ]; then root=${2%/}; else prefix=$2; fi
        shift
        ;;
    *) usage ;;
    esac
    shift
done
case $prefix in
/*) ;;
*) usage ;;
esac
umask 022

if [ "$what" = install ]; then
    first=yes
    if [ -e "$root$prefix/bin/rdlink-agent" ]; then first=no; fi
    install_files
    [ -z "$root" ] || exit 0
    if [ "$first" = yes ]; then units_install; else units_upgrade; fi
    exit 0
fi
[ -n "$root" ] || units_stop
remove_files
if [ "$what" = purge ]; then remove_configuration; fi
remove_folders
[ -n "$root" ] || units_gone
