#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# package.sh OUTDIR - everything that is published for Windows:
#
#   rdlink-VERSION-windows-x64.msi      the installer (msi.sh)
#   rdlink-VERSION-windows-x64.zip      the programs alone
#   winget/                             the three manifests for the Windows package manager
#
# Builds the programs first (./dev win), or takes those of the folder RDL_WIN_BIN. The same commit gives
# the same bytes wherever it is built, as long as nothing is signed with a time stamp.
#
#   SOURCE_DATE_EPOCH   the time of all files; default: of the last commit
#   RDL_RELEASE_URL     where the files will be downloaded from, for winget
#   RDL_SIGN_...        see sign.sh
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: package.sh OUTDIR" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
version=$(sed -n 's/^project(rdlink VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
name=rdlink-$version-windows-x64
export TZ=UTC LC_ALL=C
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH

for tool in wixl msibuild zip; do
    command -v "$tool" >/dev/null || {
        echo "package: $tool is missing: ./dev setup win" >&2
        exit 1
    }
done
if [ -z "${RDL_WIN_BIN:-}" ]; then
    (cd "$root" && ./dev win)
    RDL_WIN_BIN=$root/build/win/bin
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What a person gets: without debug information, and signed if there is a key.
mkdir "$work/$name"
for program in rdlinkd rdlink; do
    x86_64-w64-mingw32-strip --strip-all -o "$work/$name/$program.exe" "$RDL_WIN_BIN/$program.exe"
done
bash "$here/sign.sh" "$work/$name"/*.exe
bash "$here/msi.sh" "$work/$name" "$version" "$out/$name.msi"
bash "$here/sign.sh" "$out/$name.msi"

cp "$root/LICENSE" "$work/$name/LICENSE.txt"
cp "$root/docs/troubleshooting.md" "$work/$name"
chmod 644 "$work/$name"/*
find "$work/$name" -exec touch --date="@$SOURCE_DATE_EPOCH" {} +
rm -f "$out/$name.zip"
(cd "$work" && find "$name" -type f | sort | zip -q -X "$out/$name.zip" -@)

# ---- winget ----------------------------------------------------------------------------------------

mkdir -p "$out/winget"
product_code=$(msiinfo export "$out/$name.msi" Property | tr -d '\r' | awk -F '\t' '$1 == "ProductCode" { print $2 }')
upgrade_code=$(msiinfo export "$out/$name.msi" Property | tr -d '\r' | awk -F '\t' '$1 == "UpgradeCode" { print $2 }')
sha256=$(sha256sum "$out/$name.msi" | cut -d ' ' -f 1 | tr '[:lower:]' '[:upper:]')
for manifest in "$here"/winget/*.yaml; do
    sed -e "s|@VERSION@|$version|g" -e "s|@SHA256@|$sha256|g" -e "s|@PRODUCT_CODE@|$product_code|g" \
        -e "s|@UPGRADE_CODE@|$upgrade_code|g" \
        -e "s|@DATE@|$(date --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%d)|g" \
        -e "s|@URL@|${RDL_RELEASE_URL:-https://example.com/rdlink/releases/$version}/$name.msi|g" \
        "$manifest" >"$out/winget/${manifest##*/}"
done
echo "package: $name.msi, $name.zip and winget/ are in $out"
