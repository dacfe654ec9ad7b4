# SPDX-License-Identifier: Apache-2.0
"""Fetches a file that cmake/deps.lock pins from npm's registry, or the one configured on this machine,
without npm: a package is a tar at a fixed path there. It is kept in build/downloads by its SHA-256.

Configured means, as for npm: `npm_config_registry` in the environment, else `registry=` in ~/.npmrc;
with the `//HOST/PATH/:_authToken=` line of ~/.npmrc that belongs to it. Proxies are the environment's.
"""

import hashlib
import os
import pathlib
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import rdl

UPSTREAM = "https://registry.npmjs.org/"
DOWNLOADS = rdl.ROOT / "build/downloads"
TIMEOUT_S = 60


def locked(name):
    """(version, sha256, URL upstream) of a program of deps.lock."""
    for line in (rdl.ROOT / "cmake/deps.lock").read_text().splitlines():
        words = line.split()
        if words[:1] == [name] and words[2] == "program":
            return words[1], words[3], words[4]
    raise AssertionError(f"cmake/deps.lock has no program {name}")


def settings():
    """~/.npmrc as a dictionary."""
    try:
        lines = (pathlib.Path.home() / ".npmrc").read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", ";")))
    return {key.strip(): os.path.expandvars(value.strip().strip('"')) for key, _, value in pairs}


def request_of(url):
    """The request for a file that is at `url` upstream."""
    npmrc = settings()
    environment = {key.lower(): value for key, value in os.environ.items()}
    registry = environment.get("npm_config_registry") or npmrc.get("registry") or UPSTREAM
    registry = registry.rstrip("/") + "/"
    request = urllib.request.Request(registry + url.removeprefix(UPSTREAM))
    place = "//" + registry.partition("//")[2]
    token = npmrc.get(place + ":_authToken") or npmrc.get(place.rstrip("/") + ":_authToken")
    if token:  # for the registry alone, not for where it sends us
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return request


def fetch(name):
    """(version, path of the package). rdl.Skip: this machine has no network."""
    version, sha256, url = locked(name)
    path = DOWNLOADS / f"{sha256}-{url.rpartition('/')[2]}"
    if path.exists():
        return version, path
    request = request_of(url)
    host = urllib.parse.urlsplit(request.full_url).hostname
    with tempfile.NamedTemporaryFile(dir=DOWNLOADS) as part:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                shutil.copyfileobj(answer, part)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{request.full_url}: {error}") from None
        except OSError as error:
            raise rdl.Skip(f"no network for {name}: {host}: {error}") from None
        part.flush()
        found = hashlib.sha256(pathlib.Path(part.name).read_bytes()).hexdigest()
        if found != sha256:
            raise AssertionError(f"{request.full_url} is another file: {found}")
        os.link(part.name, path)
    return version, path
