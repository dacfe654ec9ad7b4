#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# finish.sh DIST - what every release has, whatever was packed: signatures, SBOMs, checksums.
#
# RDL_SIGN_HOOK is a program that signs the file it is given, in place or beside it. It is run for each
# Linux package before its hash is written down, and at last for SHA256SUMS. Without it nothing is
# signed. Windows' files were signed before, by windows/sign.sh: their manifests have their hashes.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: finish.sh DIST" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
export LC_ALL=C
cd "$1"

sign() {
    [ -z "${RDL_SIGN_HOOK:-}" ] || "$RDL_SIGN_HOOK" "$1"
}

for file in *.deb *.rpm *.tar.gz; do
    if [ -f "$file" ]; then sign "$file"; fi
done
python3 -B "$root/installer/sbom.py" .
sums=$(find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs -d '\n' sha256sum)
echo "$sums" >SHA256SUMS
sign SHA256SUMS
