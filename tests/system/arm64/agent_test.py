# SPDX-License-Identifier: Apache-2.0
"""The arm64 agent, emulated: it starts, is what it says it is, and bridges with an exact half-close."""

import os
import pathlib
import random
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402

AGENT = pathlib.Path(os.environ.get("RDL_BIN_ARM64", rdl.ROOT / "build/arm64/bin")) / "rdlink-agent"
EM_AARCH64 = 183
PT_INTERP = 3


def program_headers(elf):
    """Types of an ELF64 file's program headers."""
    offset, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    return [struct.unpack_from("<I", elf, offset + i * size)[0] for i in range(count)]


class Echo(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Stands in for docker.sock: answers only after its client has ended its half of the stream. The
    agent looks at the socket too, so there is more than one client."""

    daemon_threads = True

    class RequestHandlerClass(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(read_all(self.request))

    def __init__(self, path):
        super().__init__(path, self.RequestHandlerClass)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


def connected(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    try:
        client.connect(path)
    except OSError:
        client.close()
        raise
    return client


def read_all(peer):
    pieces = []
    while piece := peer.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


class AgentOnArm64(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not AGENT.exists():
            raise rdl.Skip(f"{AGENT} is not built (./dev arm64)")
        cls.qemu = rdl.tool("qemu-aarch64-static", "qemu-user-static")

    def test_it_is_a_static_arm64_program(self):
        elf = AGENT.read_bytes()
        self.assertEqual(struct.unpack_from("<H", elf, 18)[0], EM_AARCH64)
        self.assertNotIn(PT_INTERP, program_headers(elf))

    def test_it_says_its_version(self):
        said = subprocess.run([self.qemu, AGENT, "version"], capture_output=True, text=True, timeout=30)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("rdlink", said.stdout)

    def test_it_bridges_with_an_exact_half_close(self):
        with rdl.Session() as session:
            listen, target = session.path("bridge.sock"), session.path("docker.sock")
            echo = Echo(target)
            session.at_end(echo.close)
            agent = session.start("agent", [self.qemu, AGENT, "bridge", "--listen", f"unix:{listen}",
                                            "--target", f"unix:{target}"])
            payload = random.Random(1).randbytes(3 << 20)
            with rdl.wait_until(lambda: connected(listen), 30, "the agent accepts") as client:
                client.sendall(payload)
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(client), payload)
            self.assertEqual(agent.stop(), 0, agent.log())


if __name__ == "__main__":
    rdl.main()
