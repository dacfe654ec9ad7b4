#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sbom.py DIST: which libraries are in which package of DIST, as CycloneDX 1.5 and SPDX 2.3 (JSON).

THEORY
Three sources, and no fourth list to keep: cmake/deps.lock says which sources the static builds use
and where they come from; dpkg says which version of what Debian brings (the C library, llhttp, and
the shared libraries of the host's package) was there at this build; LIBRARIES below says only what
neither knows, a library's licence and which builds have it. A library of the lock file that is
missing below, or the other way round, is an error.

Identifiers and times come from the contents and SOURCE_DATE_EPOCH: the same packages give the same
documents.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "rdlink")

# Which build a file of DIST is from, by its name; what matches nothing here is no package.
BUILDS = (
    (r"rdlink-agent[-_].*(amd64|x86_64)\.(deb|rpm|tar\.gz)$", "x86_64"),
    (r"rdlink-agent[-_].*(arm64|aarch64)\.(deb|rpm|tar\.gz)$", "arm64"),
    (r"rdlink_.*\.deb$", "host"),
    (r"\.(msi|exe|zip)$|-windows-.*\.tar\.gz$", "windows"),
)
STATIC = ("x86_64", "arm64", "windows")
TESTS_ONLY = {"cmocka"}

# name: (licence, {build: Debian package it is from, or None for deps.lock})
LIBRARIES = {
    "libuv": ("MIT", {**dict.fromkeys(STATIC), "host": "libuv1"}),
    "protobuf-c": ("BSD-2-Clause", {**dict.fromkeys(STATIC), "host": "libprotobuf-c1"}),
    "cjson": ("MIT", {**dict.fromkeys(STATIC), "host": "libcjson1"}),
    "libsodium": ("ISC", {"x86_64": None, "arm64": None, "host": "libsodium23"}),
    "llhttp": ("MIT", dict.fromkeys((*STATIC, "host"), "node-llhttp")),
    "glibc": ("LGPL-2.1-or-later", {"x86_64": "libc6-dev", "arm64": "libc6-dev-arm64-cross",
                                    "host": "libc6"}),
    "libgcc": ("GPL-3.0-or-later WITH GCC-exception-3.1", {
        "x86_64": "libgcc-12-dev", "arm64": "libgcc-12-dev-arm64-cross",
        "windows": "gcc-mingw-w64-x86-64-posix-runtime"}),
    "mingw-w64": ("ZPL-2.1", {"windows": "mingw-w64-x86-64-dev"}),
}


def lock_rows():
    for line in (ROOT / "cmake/deps.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split()


def from_lock(name):
    """{version, sha256, where} of a library's source; the version names Debian's patches too."""
    rows = [row for row in lock_rows() if row[0] == name]
    source = next(row for row in rows if row[2] == "source")
    patches = next((row for row in rows if row[2] == "patches"), source)
    return {"version": patches[1], "sha256": source[3], "where": source[4]}


def from_debian(package):
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                           capture_output=True, text=True, check=False)
    if shown.returncode != 0:
        sys.exit(f"sbom: the Debian package {package} is not installed")
    return {"version": shown.stdout, "package": package}


class Library:
    """One library as one build has it."""

    def __init__(self, name, build):
        self.name = name
        self.licence, builds = LIBRARIES[name]
        origin = builds[build]
        self.facts = from_debian(origin) if origin else from_lock(name)
        self.version = self.facts["version"]
        if origin:
            self.purl = f"pkg:deb/debian/{origin}@{self.version.replace('+', '%2B').replace(':', '%3A')}"
        else:
            self.purl = f"pkg:generic/{name}@{self.version}"
        self.ref = re.sub(r"[^A-Za-z0-9.-]", "-", f"lib-{origin or name}-{self.version}")


def libraries_of(build):
    return [Library(name, build) for name, (_, builds) in LIBRARIES.items() if build in builds]


class Package:
    """One file of DIST."""

    def __init__(self, path, build):
        self.name = path.name
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.ref = re.sub(r"[^A-Za-z0-9.-]", "-", f"file-{path.name}")
        self.libraries = libraries_of(build)
        self.link = "DYNAMIC_LINK" if build == "host" else "STATIC_LINK"


def packages_of(dist):
    for path in sorted(dist.iterdir()):
        build = next((build for pattern, build in BUILDS if re.search(pattern, path.name)), None)
        if build:
            yield Package(path, build)


def check_complete():
    locked = {row[0] for row in lock_rows() if row[2] != "program"} - TESTS_ONLY
    known = {name for name, (_, builds) in LIBRARIES.items() if None in builds.values()}
    if locked != known:
        sys.exit(f"sbom: LIBRARIES and cmake/deps.lock differ in {sorted(locked ^ known)}")


def cyclonedx(version, created, packages, libraries):
    def library(lib):
        entry = {"type": "library", "bom-ref": lib.ref, "name": lib.name, "version": lib.version,
                 "purl": lib.purl, "licenses": [{"expression": lib.licence}]}
        if "sha256" in lib.facts:
            entry["hashes"] = [{"alg": "SHA-256", "content": lib.facts["sha256"]}]
            entry["externalReferences"] = [{"type": "distribution", "url": lib.facts["where"]}]
        return entry

    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, ''.join(p.sha256 for p in packages))}",
        "metadata": {
            "timestamp": created,
            "component": {"type": "application", "bom-ref": "rdlink", "name": "rdlink",
                          "version": version, "licenses": [{"expression": "Apache-2.0"}]},
        },
        "components": [
            *({"type": "application", "bom-ref": p.ref, "name": p.name, "version": version,
               "hashes": [{"alg": "SHA-256", "content": p.sha256}],
               "licenses": [{"expression": "Apache-2.0"}]} for p in packages),
            *map(library, libraries),
        ],
        "dependencies": [
            {"ref": "rdlink", "dependsOn": [p.ref for p in packages]},
            *({"ref": p.ref, "dependsOn": [lib.ref for lib in p.libraries]} for p in packages),
        ],
    }


def spdx(version, created, packages, libraries):
    def entry(ref, name, of_version, licence, where, sha256=None, purl=None):
        out = {"SPDXID": f"SPDXRef-{ref}", "name": name, "versionInfo": of_version,
               "downloadLocation": where, "filesAnalyzed": False, "licenseConcluded": licence,
               "licenseDeclared": licence, "copyrightText": "NOASSERTION"}
        if sha256:
            out["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
        if purl:
            out["externalRefs"] = [{"referenceCategory": "PACKAGE-MANAGER",
                                    "referenceType": "purl", "referenceLocator": purl}]
        return out

    digest = uuid.uuid5(NAMESPACE, "".join(p.sha256 for p in packages))
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"rdlink-{version}", "documentNamespace": f"urn:uuid:{digest}",
        "creationInfo": {"created": created, "creators": ["Tool: rdlink-sbom.py"]},
        "packages": [
            *(entry(p.ref, p.name, version, "Apache-2.0", "NOASSERTION", p.sha256)
              for p in packages),
            *(entry(lib.ref, lib.name, lib.version, lib.licence,
                    lib.facts.get("where", "NOASSERTION")
                    if lib.facts.get("where", "").startswith("http") else "NOASSERTION",
                    lib.facts.get("sha256"), lib.purl) for lib in libraries),
        ],
        "relationships": [
            *({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
               "relatedSpdxElement": f"SPDXRef-{p.ref}"} for p in packages),
            *({"spdxElementId": f"SPDXRef-{p.ref}", "relationshipType": p.link,
               "relatedSpdxElement": f"SPDXRef-{lib.ref}"}
              for p in packages for lib in p.libraries),
        ],
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    dist = pathlib.Path(sys.argv[1])
    check_complete()
    version = re.search(r"project\(rdlink VERSION ([0-9.]+)",
                        (ROOT / "CMakeLists.txt").read_text()).group(1)
    created = datetime.datetime.fromtimestamp(
        int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    packages = list(packages_of(dist))
    libraries = {lib.ref: lib for p in packages for lib in p.libraries}
    libraries = [libraries[ref] for ref in sorted(libraries)]
    for suffix, make in (("cdx", cyclonedx), ("spdx", spdx)):
        text = json.dumps(make(version, created, packages, libraries), indent=2)
        (dist / f"rdlink-{version}.{suffix}.json").write_text(f"{text}\n")


main()
