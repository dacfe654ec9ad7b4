# SPDX-License-Identifier: Apache-2.0
"""One GiB through the chain and back: docker load, docker save, compared by hash."""

import hashlib
import io
import json
import pathlib
import random
import subprocess
import sys
import tarfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_link

LAYER_BYTES = 1 << 30
TAG = "rdl/bulk:1"

stack = None


def setUpModule():
    global stack
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    stack = rdl_link.Stack(session)


class Layer:
    """A layer's tar as a file to read from: one file of random bytes, hashed on the way. It is
    never on disk nor whole in memory."""

    def __init__(self, count):
        info = tarfile.TarInfo("payload")
        info.size = count
        self.size = 512 + count + 1024  # header, data (a multiple of 512), end of archive
        self.hash = hashlib.sha256()
        self._random = random.Random(2)
        self._left = count
        self._ready = io.BytesIO(info.tobuf())

    def read(self, count):
        piece = self._ready.read(count)
        if not piece and self._left:
            self._left -= (take := min(self._left, 1 << 20))
            self._ready = io.BytesIO(self._random.randbytes(take))
            piece = self._ready.read(count)
        elif not piece:
            piece = bytes(count)
        self.hash.update(piece)
        return piece if len(piece) == count else piece + self.read(count - len(piece))


def send_image(out, layer):
    """An image of that one layer in docker's archive format. The layer goes first because its hash,
    which the other two files name, is known only afterwards."""
    with tarfile.open(fileobj=out, mode="w|", bufsize=1 << 20) as tar:
        def add(name, size, source):
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, source)

        add("layer.tar", layer.size, layer)
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
            "type": "layers", "diff_ids": [f"sha256:{layer.hash.hexdigest()}"]}}).encode()
        manifest = json.dumps([{"Config": "config.json", "RepoTags": [TAG],
                                "Layers": ["layer.tar"]}]).encode()
        add("config.json", len(config), io.BytesIO(config))
        add("manifest.json", len(manifest), io.BytesIO(manifest))


def hash_of_layer(archive):
    """Reads an image archive to its end; the SHA-256 and size of its only layer."""
    found = None
    with tarfile.open(fileobj=archive, mode="r|", bufsize=1 << 20) as tar:
        for member in tar:
            if member.name.endswith("layer.tar") and member.isfile():
                digest, source = hashlib.sha256(), tar.extractfile(member)
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                found = digest.hexdigest(), member.size
    return found


class Bulk(unittest.TestCase):
    def test_a_gigabyte_image_loads_and_saves_with_the_same_hash(self):
        layer = Layer(LAYER_BYTES)
        began = time.monotonic()
        load = stack.docker.start("load", stdin=subprocess.PIPE)
        with load.popen.stdin as pipe:
            send_image(pipe, layer)
        self.assertEqual(load.popen.wait(120), 0, load.log())
        rdl.measured("docker load of 1 GiB", time.monotonic() - began)

        began = time.monotonic()
        save = stack.docker.start("save", TAG, stdout=subprocess.PIPE)
        with save.popen.stdout as pipe:
            found = hash_of_layer(pipe)
        self.assertEqual(save.popen.wait(30), 0, save.log())
        rdl.measured("docker save of 1 GiB", time.monotonic() - began)
        self.assertEqual(found, (layer.hash.hexdigest(), layer.size))


if __name__ == "__main__":
    rdl.main()
