# SPDX-License-Identifier: Apache-2.0
"""A guest's network through rdlinkd.exe: handshake of generation B, switch worker, data link. The
guest is a script on loopback TCP, which stands in for hvsock (tcp-hybrid of port/addr.h)."""

import contextlib
import pathlib
import socket
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rancher_guest  # noqa: E402

MAC = bytes.fromhex("5a94efe40cee")
GUEST, GATEWAY = socket.inet_aton("192.168.127.2"), socket.inet_aton("192.168.127.1")


def arp(operation, to, target_mac, target):
    return (to + MAC + struct.pack(">HHHBBH", 0x0806, 1, 0x0800, 6, 4, operation) +
            MAC + GUEST + target_mac + target)


class Guest:
    """network-setup and vm-switch of generation B in one, again and again. Answers ARP like a
    kernel; `links` are the data links so far, `replies` the gateway's answers to ours."""

    def __init__(self, base):
        self.base = base
        self.links = []
        self.replies = 0
        self._listener = socket.create_server(("127.0.0.1", base))
        threading.Thread(target=self._run, daemon=True).start()

    def close(self):
        self._listener.close()
        for link in self.links:
            link.close()

    def asks_for_the_gateway(self):
        self._send(self.links[-1], arp(1, b"\xff" * 6, bytes(6), GATEWAY))

    @staticmethod
    def _send(link, frame):
        link.sendall(struct.pack("<H", len(frame)) + frame)

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with contextlib.suppress(OSError), s:
            s.settimeout(60)
            reader = s.makefile("rb")
            if reader.readline() != b"CONNECT %d\n" % rancher_guest.HANDSHAKE_PORT["B"]:
                return
            s.sendall(b"OK 1\n" + rancher_guest.PHRASE["B"])
            if reader.read(len(rancher_guest.READY)) == rancher_guest.READY:
                self._carry()

    def _carry(self):
        port = self.base + rancher_guest.DATA_PORT["B"]
        with socket.create_connection(("127.0.0.1", port), 20) as link:
            link.settimeout(None)
            self.links.append(link)
            reader = link.makefile("rb")
            while len(head := reader.read(2)) == 2:
                self._take(link, reader.read(struct.unpack("<H", head)[0]))

    def _take(self, link, frame):
        if frame[12:14] != b"\x08\x06":
            return
        operation, = struct.unpack(">H", frame[20:22])
        if operation == 2 and frame[28:32] == GATEWAY:
            self.replies += 1
        elif operation == 1 and frame[38:42] == GUEST:
            self._send(link, arp(2, frame[6:12], frame[22:28], frame[28:32]))


def free_base():
    """With room for the ports above it."""
    while (base := wine_support.free_port()) > 65535 - 7000:
        pass
    return base


def switch_of(status):
    """Its component, or None."""
    return next((c for c in status["components"]
                 if any(d["type"] == "NetworkReady" for d in c["conditions"])), None)


def is_online(status):
    worker = switch_of(status)
    return worker and any(d["type"] == "NetworkReady" and d["reason"] == "GuestOnline"
                          for d in worker["conditions"])


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.session = cls.enterClassContext(rdl.Session())
        cls.guest = Guest(free_base())
        cls.addClassCleanup(cls.guest.close)
        cls.wine = wine_support.Wine(cls.session)
        cls.host = wine_support.Host(
            cls.wine, "--vm", f"vm1=tcp-hybrid:127.0.0.1:{cls.guest.base}")
        cls.status = cls.host.wait_for(is_online, "the guest is online")

    def test_the_gateway_answers(self):
        before = self.guest.replies
        self.guest.asks_for_the_gateway()
        rdl.wait_until(lambda: self.guest.replies > before, 10, "the gateway's answer")

    def test_the_worker_says_how_it_is(self):
        worker = switch_of(self.status)
        reasons = {c["type"]: c["reason"] for c in worker["conditions"]}
        self.assertEqual(reasons["LinkUp"], "Linked")
        self.assertEqual(reasons["ForwardsBound"], "AllBound")
        self.assertIn("SubnetClear", reasons)
        self.assertGreater(worker["counters"]["rx_frames"], 0)

    def test_a_killed_worker_is_replaced_and_the_guest_linked_again(self):
        links, old = len(self.guest.links), switch_of(self.host.status())["pid"]
        self.wine.client("kill", old)
        began = time.monotonic()
        rdl.wait_until(lambda: len(self.guest.links) > links, 20, "a new link")
        rdl.measured("worker killed to new link", time.monotonic() - began)
        self.host.wait_for(lambda s: is_online(s) and switch_of(s)["pid"] != old,
                           "online with another worker")


if __name__ == "__main__":
    rdl.main()
