# SPDX-License-Identifier: Apache-2.0
"""Many connections of a guest at once: ten thousand that all work, and hundreds whose destination
never answers beside those whose does."""

import errno
import os
import pathlib
import select
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_net  # noqa: E402
from rdl_net import HOST  # noqa: E402

PORT = 9000
FLOWS = 10000
MEMORY_KIB = 24 * 1024


class Case(unittest.TestCase):
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        cls.session = rdl.Session()
        cls.addClassCleanup(cls.session.close)
        cls.host = rdl_net.Host(cls.session)
        cls.switch, path = cls.host.start_switch(
            "v2", *cls.OPTIONS, program=rdl_net.shipped("rdlinkd"))
        cls.guest = rdl_net.Guest(cls.session, path, "v2")
        cls.host.start_load_server(PORT)
        with cls.guest.connect((HOST, PORT)) as s:
            s.sendall(b"x")
            s.recv(1)

    def setUp(self):
        self.assertTrue(self.switch.alive(), "the switch has ended")


class TenThousand(Case):
    OPTIONS = ("--limit", "tcp_flows=12000")

    def start(self):
        client = self.guest.popen([rdl_net.helper("switch_load"), "echo", HOST, PORT, FLOWS],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.stdin.close)
        return client

    def line(self, client, timeout=60):
        self.assertTrue(select.select([client.stdout], [], [], timeout)[0], "no answer in time")
        return client.stdout.readline().strip()

    def test_all_echo_and_none_is_reset(self):
        idle = rdl_net.resident_kib(self.switch)
        client = self.start()
        self.assertEqual(self.line(client), f"open {FLOWS}")
        self.check_memory("opened", idle, MEMORY_KIB)
        for _ in range(3):
            client.stdin.write("again\n")
            client.stdin.flush()
            self.assertEqual(self.line(client), f"echoed {FLOWS} wrong 0 lost 0")
        # Every flow had a word under way at once, in a page of its own; the next quiet look gives
        # them back.
        self.expect_memory("after their exchange", idle, MEMORY_KIB)

    def expect_memory(self, what, idle, most):
        rdl.wait_until(lambda: rdl_net.resident_kib(self.switch) - idle < most, 20,
                       f"memory {what} is below {most} KiB")
        self.check_memory(what, idle, most)

    def check_memory(self, what, idle, most):
        more = rdl_net.resident_kib(self.switch) - idle
        print(f"measured: {FLOWS} flows, {what}: {more} KiB over {idle} KiB", flush=True)
        self.assertLess(more, most)


class Dials(Case):
    def begin(self, address, count, port=80):
        """Connects that are under way, each to an address of its own."""
        base = int.from_bytes(socket.inet_aton(address), "big")
        pending = []
        for i in range(1, count + 1):
            s = self.guest.open_socket(socket.AF_INET, socket.SOCK_STREAM, timeout=0)
            self.addCleanup(s.close)
            s.connect_ex((socket.inet_ntoa((base + i).to_bytes(4, "big")), port))
            pending.append(s)
        return pending

    def live(self, count=20):
        """The slowest of so many connections to somebody who answers, and an echo over each."""
        worst = 0
        for _ in range(count):
            began = time.monotonic()
            with self.guest.connect((HOST, PORT), timeout=20) as s:
                s.sendall(b"x")
                s.recv(1)
            worst = max(worst, time.monotonic() - began)
        return worst

    def check_black_holes(self, count):
        """Half of them to the port of somebody who will answer later."""
        began = time.monotonic()
        pending = (self.begin("10.98.1.0", count // 2, PORT), self.begin("10.98.2.0", count // 2))
        with rdl.Stalls() as stalls:
            worst = self.live()
        rdl.measured(f"beside {count} silent destinations: slowest connect and echo", worst)
        self.assertLess(worst, 0.1 + stalls.worst_s)
        # Nobody answers, and nobody says otherwise: no connection, no refusal.
        self.assertEqual(select.select([], [*pending[0], *pending[1]], [], 0)[1], [])
        self.assertLess(time.monotonic() - began, 9, "too slow to have seen them all pending")
        return pending

    def check_truth(self, answered, refused):
        """All of them are somebody from now on, who listens at one of the ports."""
        self.host.ip(f"route add local {rdl_net.SILENT}/16 dev lo")
        self.addCleanup(self.host.ip, f"route del local {rdl_net.SILENT}/16 dev lo")
        codes = {s: 0 for s in answered} | {s: errno.ECONNREFUSED for s in refused}
        began = time.monotonic()
        while codes and time.monotonic() - began < 30:
            for s in select.select([], list(codes), [], 1)[1]:
                self.assertEqual(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), codes.pop(s))
        rdl.measured("until all of them knew", time.monotonic() - began)
        self.assertEqual(len(codes), 0)

    def test_16_silent_destinations_delay_nobody(self):
        self.check_truth(*self.check_black_holes(16))

    def test_512_silent_destinations_delay_nobody(self):
        self.check_truth(*self.check_black_holes(512))

    def test_who_cannot_be_reached_is_known_at_once_beside_them(self):
        self.check_black_holes(64)
        for address, port, error in (("10.97.0.1", 80, "No route"), (HOST, 7, "refused")):
            with rdl.Stalls() as stalls:
                began = time.monotonic()
                with self.assertRaisesRegex(OSError, error):
                    self.guest.connect((address, port))
                self.assertLess(time.monotonic() - began, 0.5 + stalls.worst_s)

    def test_a_burst_to_one_destination_is_served(self):
        """A thousand connects within one batch of frames, before any can have been answered."""
        burst = []
        for _ in range(1000):
            s = self.guest.open_socket(socket.AF_INET, socket.SOCK_STREAM, timeout=0)
            self.addCleanup(s.close)
            burst.append(s)
        began = time.monotonic()
        for s in burst:
            s.connect_ex((HOST, PORT))
        left = set(burst)
        poll = select.poll()
        for s in burst:
            poll.register(s, select.POLLOUT)
        failed = []
        by_number = {s.fileno(): s for s in burst}
        while left and time.monotonic() - began < 30:
            for number, _ in poll.poll(1000):
                s = by_number[number]
                poll.unregister(s)
                left.discard(s)
                error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    failed.append(os.strerror(error))
        rdl.measured("1000 connects at once", time.monotonic() - began)
        self.assertEqual((failed, len(left)), ([], 0))


if __name__ == "__main__":
    rdl.main()
