# SPDX-License-Identifier: Apache-2.0
"""The bridge on real AF_VSOCK, from both sides: a connection from inside the machine (CID 1) is
closed before docker.sock is touched; one from the host (CID 2) is served, exactly, both ways."""

import hashlib
import json
import os
import pathlib
import re
import socket
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_qemu  # noqa: E402

BRIDGE, CONTROL = 6660, 6680
AGENT = "/bin/rdlink-agent bridge --target unix:/run/docker.sock"


def setUpModule():
    global session, guest
    session = rdl.Session()
    guest = rdl_qemu.Guest(session)
    guest.run("vsock_guest engine /run/docker.sock >/run/engine.log 2>&1 &")
    start_agent()


def tearDownModule():
    session.close()


def start_agent(options=""):
    guest.run(f"{AGENT} {options} >>/run/agent.log 2>&1 & echo $! >/run/agent.pid")
    rdl.wait_until(bridge_accepts, 20, "the bridge accepts")


def bridge_accepts():
    s = guest.connect(BRIDGE)
    if s:
        s.close()
    return s is not None


def foreign():
    """Connections that reached the stand-in for docker and asked nothing: of the agent's own each
    is an HTTP request (which ports are published), and it may ask at any time."""
    def count():
        lines = guest.run("cat /run/engine.log")
        return lines.count("engine: accepted") - lines.count("engine: asked")
    return min(count(), count())  # one may fall between the agent's connect and its request


def read_all(s):
    """What comes until the peer's end; the connection is closed then."""
    with s:
        return read_to_end(s)


def read_to_end(s):
    out = b""
    while piece := s.recv(65536):
        out += piece
    return out


class HostSide(unittest.TestCase):
    def test_an_answer_comes_back(self):
        s = guest.connect(BRIDGE)
        s.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertIn(b"200 OK", read_all(s))

    def test_the_end_of_our_data_comes_through_and_the_answer_after_it(self):
        data = os.urandom(4 << 20)
        s = guest.connect(BRIDGE)
        s.sendall(b"C" + data)
        s.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(s), b"%d %d\n" % (len(data), sum(data)))

    def test_the_other_end_first_and_our_data_after_it(self):
        s = guest.connect(BRIDGE)
        self.addCleanup(s.close)
        s.sendall(b"S")
        got = read_to_end(s)
        want = bytes((i * 31 >> 3) & 255 for i in range(8 << 20))
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(want).digest())
        s.sendall(b"still open in this direction")
        s.shutdown(socket.SHUT_WR)

    def test_echo_is_exact_in_both_directions_at_once(self):
        data = os.urandom(4 << 20)
        s = guest.connect(BRIDGE)
        s.sendall(b"E")

        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        got = read_all(s)
        sender.join()
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(data).digest())


class OtherDistributions(unittest.TestCase):
    """CID 1: whoever is in the same machine, which in WSL is every distribution."""

    def test_the_bridge_closes_them_before_docker_is_touched(self):
        before = foreign()
        out = guest.run(f"for i in 1 2 3 4 5; do vsock_guest connect 1 {BRIDGE}; done")
        self.assertEqual(len(re.findall(r"bytes=0 end=", out)), 5, out)
        self.assertEqual(foreign(), before)

    def test_the_control_port_closes_them_too(self):
        out = guest.run(f"vsock_guest connect 1 {CONTROL}")
        self.assertRegex(out, r"bytes=0 end=")

    def test_the_host_sees_how_many_there_were(self):
        guest.run(f"vsock_guest connect 1 {BRIDGE}")
        with Host() as host:
            rejected = rdl.wait_until(lambda: host.agent_counter("rejected_peers"), 20,
                                      "rejected peers are in the status")
            self.assertGreaterEqual(rejected, 1)


class Host:
    """rdlinkd on the host side of this guest."""

    def __enter__(self):
        self.endpoint, self.status = session.path("host.sock"), session.path("status.sock")
        self.process = session.start("rdlinkd", [
            rdl.binary("rdlinkd"), "run", "--vm-folder", guest.folder,
            "--endpoint", f"unix:{self.endpoint}", "--status", f"unix:{self.status}"])
        rdl.wait_until(lambda: os.path.exists(self.status), 20, "rdlinkd serves its status")
        return self

    def __exit__(self, *_):
        self.process.stop()

    def snapshot(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(self.status)
        s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        return json.loads(read_all(s).partition(b"\r\n\r\n")[2])

    def ready(self):
        return self.snapshot()["ready"]

    def agent_counter(self, name):
        for instance in self.snapshot()["instances"]:
            counters = (instance.get("agent") or {}).get("counters") or {}
            if name in counters:
                return counters[name]
        return None


class WholePath(unittest.TestCase):
    def test_rdlinkd_finds_the_guest_and_serves_docker_clients(self):
        with Host() as host:
            rdl.wait_until(host.ready, 30, "rdlinkd is ready")
            (instance,) = host.snapshot()["instances"]
            self.assertEqual(instance["generation"], "v2")
            self.assertTrue(instance["agent"]["serving"])
            data = os.urandom(1 << 20)
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(30)
            s.connect(host.endpoint)
            s.sendall(b"C" + data)
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(s), b"%d %d\n" % (len(data), sum(data)))

    def test_the_agent_s_end_is_noticed_and_its_return_too(self):
        with Host() as host:
            rdl.wait_until(host.ready, 30, "rdlinkd is ready")
            guest.run("kill -9 $(cat /run/agent.pid)")
            rdl.wait_until(lambda: not host.ready(), 10, "rdlinkd notices that the agent is gone")
            start_agent()
            rdl.wait_until(host.ready, 20, "rdlinkd is ready again")


class Restart(unittest.TestCase):
    def test_the_port_is_bound_again_at_once(self):
        for _ in range(10):
            out = guest.run("kill $(cat /run/agent.pid); wait $(cat /run/agent.pid); echo code=$?")
            self.assertIn("code=0", out)
            start_agent()
        self.assertNotIn("already taken", guest.run("cat /run/agent.log"))


if __name__ == "__main__":
    rdl.main()
