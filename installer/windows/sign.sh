#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# sign.sh FILE ... - Authenticode signatures for programs and the MSI, in place. Without a key it does
# nothing, and says so.
#
#   RDL_SIGN_PKCS12      the certificate with its key, a .p12 file
#   RDL_SIGN_PASSFILE    a file with its password; its permissions are the caller's business
#   RDL_SIGN_TIMESTAMP   URL of an RFC 3161 time stamp service; without one a signature ends with the
#                        certificate, and the result can be made again bit by bit
set -euo pipefail

if [ -z "${RDL_SIGN_PKCS12:-}" ]; then
    echo "sign: no RDL_SIGN_PKCS12, so nothing is signed"
    exit 0
fi
command -v osslsigncode >/dev/null || {
    echo "sign: osslsigncode is missing (Debian: osslsigncode)" >&2
    exit 1
}
options=(-pkcs12 "$RDL_SIGN_PKCS12" -h sha256 -n "Rancher Desktop Link")
[ -z "${RDL_SIGN_PASSFILE:-}" ] || options+=(-readpass "$RDL_SIGN_PASSFILE")
[ -z "${RDL_SIGN_TIMESTAMP:-}" ] || options+=(-ts "$RDL_SIGN_TIMESTAMP")
for file in "$@"; do
    osslsigncode sign "${options[@]}" -in "$file" -out "$file.signed" >/dev/null
    mv "$file.signed" "$file"
done
