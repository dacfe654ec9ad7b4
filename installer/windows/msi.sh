#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# msi.sh PROGRAMS VERSION OUT.msi - makes the MSI of the folder PROGRAMS, which holds rdlinkd.exe and
# rdlink.exe as they are to be installed.
#
# The same files, version and sources give the same MSI, byte for byte: file times are
# SOURCE_DATE_EPOCH, the product and package codes are derived from what goes in. A product code so
# differs exactly where the content does, as Windows Installer wants it.
set -euo pipefail

if [ $# -ne 3 ]; then
    echo "usage: msi.sh PROGRAMS VERSION OUT.msi" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
programs=$(cd "$1" && pwd)
version=$2
out=$(realpath "$3")
export TZ=UTC LC_ALL=C SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:?the time of the commit, in seconds}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# guid TEXT: a UUID (version 8, RFC 9562) from the text's hash.
guid() {
    local h
    h=$(printf '%s' "$1" | sha256sum)
    printf '{%s-%s-8%s-8%s-%s}' "${h:0:8}" "${h:8:4}" "${h:13:3}" "${h:17:3}" "${h:20:12}" | tr '[:lower:]' '[:upper:]'
}

# wixl warns on stderr of what it does not know and goes on; for us that is an error.
run_wixl() {
    (cd "$work" && wixl --arch x64 -D "Version=$version" -D "ProductCode=$1" -o made.msi product.wxs) \
        2>"$work/wixl.log" || true
    if [ -s "$work/wixl.log" ]; then
        cat "$work/wixl.log" >&2
        echo "msi: wixl is not content with product.wxs" >&2
        exit 1
    fi
}

# filled FILE: with the version and the upgrade code put in.
filled() {
    sed -e "s/@VERSION@/$version/g" -e "s/@UPGRADE_CODE@/{$upgrade_code}/g" "$1"
}

cp "$here/product.wxs" "$programs/rdlinkd.exe" "$programs/rdlink.exe" "$work"
cp "$root/LICENSE" "$work/LICENSE.txt"
cp "$root/docs/troubleshooting.md" "$work"
upgrade_code=$(sed -n 's/.*UpgradeCode="\([^"]*\)".*/\1/p' "$here/product.wxs")
find "$work" -type f -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
content=$version/$SOURCE_DATE_EPOCH/$({ cd "$work" && sha256sum -- *; cat "$here"/tables/*; } | sha256sum)

run_wixl "$(guid "rdlink product $content")"
for table in "$here"/tables/*.idt; do
    filled "$table" >"$work/${table##*/}"
    msibuild "$work/made.msi" -i "$work/${table##*/}"
done
while read -r query; do
    msibuild "$work/made.msi" -q "$query"
done < <(filled "$here/tables/changes.sql")

# Package code and times of the summary.
when=$(date --date="@$SOURCE_DATE_EPOCH" '+%Y/%m/%d %H:%M:%S')
msiinfo export "$work/made.msi" _SummaryInformation | tr -d '\r' | awk -F '\t' -v OFS='\t' \
    -v code="$(guid "rdlink package $content")" -v when="$when" '
        $1 == 9 { $2 = code }
        $1 == 12 || $1 == 13 { $2 = when }
        { print }' >"$work/_SummaryInformation.idt"
msibuild "$work/made.msi" -i "$work/_SummaryInformation.idt"
mv "$work/made.msi" "$out"
chmod 644 "$out"
