# SPDX-License-Identifier: Apache-2.0
"""The guest's transfers over a bad wire, over a link that is cut and a relay that is killed; and a
GiB each way over a good one. What arrives is compared by hash.

The bad wire's seed is in the failure's text and in RDL_SEED, which sets it."""

import collections
import hashlib
import os
import pathlib
import signal
import socket
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_net  # noqa: E402
from rdl_net import HOST  # noqa: E402

SEED = int(os.environ.get("RDL_SEED", time.time_ns() % 1_000_000))
DATA = os.urandom(5 << 20)
PIECE = 1 << 20
SO_RCVBUFFORCE = 33


def pieces(total):
    """`total` bytes in which every piece is another one, so that order counts."""
    view, at = memoryview(DATA), 0
    for sent in range(0, total, PIECE):
        yield view[at:at + min(PIECE, total - sent)]
        at = (at + 104729) % (len(DATA) - PIECE)


def digest_of(total):
    digest = hashlib.sha256()
    for piece in pieces(total):
        digest.update(piece)
    return digest.digest()


def receive(conn):
    """Length and hash of all that comes."""
    digest, total, space = hashlib.sha256(), 0, bytearray(1 << 19)
    while size := conn.recv_into(space):
        digest.update(memoryview(space)[:size])
        total += size
    return struct.pack(">Q", total) + digest.digest()


class Case(unittest.TestCase):
    """A switch and a guest for the tests of a class."""

    PROTOCOL = "v2"
    WIRE = None  # options of link_relay; None: nothing is between
    PROGRAM = staticmethod(rdl.binary)

    @classmethod
    def setUpClass(cls):
        cls.session = rdl.Session()
        cls.addClassCleanup(cls.session.close)
        cls.host = rdl_net.Host(cls.session)
        cls.switch, path = cls.host.start_switch(cls.PROTOCOL, program=cls.PROGRAM("rdlinkd"))
        if cls.WIRE is not None:
            path = cls.start_wire(path)
        cls.guest = rdl_net.Guest(cls.session, path, cls.PROTOCOL)

    @classmethod
    def start_wire(cls, link):
        path = cls.session.path("wire")
        cls.wire = cls.session.start("wire", [
            rdl_net.helper("link_relay"), "--protocol", cls.PROTOCOL, "--listen", path,
            "--connect", link, "--seed", SEED, *cls.WIRE])
        rdl.wait_until(lambda: os.path.exists(path), 10, "the wire")
        return path

    def setUp(self):
        self.assertTrue(self.switch.alive(), "the switch has ended")

    def serve(self, serve):
        server = rdl_net.Server(self.host.listen(HOST), serve)
        self.addCleanup(server.close)
        return server.port

    def send_up(self, total, timeout=60):
        port = self.serve(lambda conn: conn.sendall(receive(conn)))
        with self.guest.connect((HOST, port), timeout=timeout) as s:
            for piece in pieces(total):
                s.sendall(piece)
            s.shutdown(socket.SHUT_WR)
            answer = rdl_net.read_all(s)
        self.assertEqual(answer, struct.pack(">Q", total) + digest_of(total), f"seed {SEED}")

    def send_down(self, total, timeout=60):
        def serve(conn):
            for piece in pieces(total):
                conn.sendall(piece)

        with self.guest.connect((HOST, self.serve(serve)), timeout=timeout) as s:
            self.assertEqual(receive(s), struct.pack(">Q", total) + digest_of(total),
                             f"seed {SEED}")

    def measure(self, what, move, total):
        began = time.monotonic()
        move(total)
        rdl.measured(f"{type(self).__name__}: {total >> 20} MiB {what}", time.monotonic() - began)


class BadWire:
    """The guest has Reno: what the switch answers with neither SACK nor timestamps is as old. (BBR
    believes in ever more reordering there, and creeps.)"""

    WIRE = ["--loss", "1", "--reorder", "5", "--duplicate", "1", "--corrupt", "0.5"]
    BULK_BYTES = 4 << 20

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = cls.guest.run(["sh", "-c", "echo reno >/proc/sys/net/ipv4/tcp_congestion_control"])
        if done.returncode:
            raise OSError(done.stderr)
        print(f"seed {SEED}", flush=True)

    @classmethod
    def tearDownClass(cls):
        """Every fault was there, or the tests were of a good wire."""
        cls.wire.stop()
        counts = collections.Counter()
        for line in cls.wire.log().splitlines():
            words = line.split()
            if words[:1] in (["up"], ["down"]):
                counts.update({name: int(n) for name, n in zip(words[1::2], words[2::2])})
        for name in ("lost", "reordered", "duplicated", "corrupted"):
            if not counts[name]:
                raise AssertionError(f"seed {SEED}: no frame was {name}")

    def test_bulk_up_arrives_whole(self):
        self.measure("up over a bad wire", self.send_up, self.BULK_BYTES)

    def test_bulk_down_arrives_whole(self):
        self.measure("down over a bad wire", self.send_down, self.BULK_BYTES)

    def test_both_ways_at_once_over_several_connections(self):
        results = []

        def work(move):
            try:
                move(1 << 20)
                results.append(None)
            except (AssertionError, OSError) as error:
                results.append(error)

        threads = [threading.Thread(target=work, args=(move,))
                   for move in (self.send_up, self.send_down) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [None] * 6, f"seed {SEED}")

    def test_short_connections_are_all_served(self):
        port = self.serve(rdl_net.serve_echo)
        for i in range(40):
            with self.guest.connect((HOST, port)) as s:
                s.sendall(b"%4d" % i)
                s.shutdown(socket.SHUT_WR)
                self.assertEqual(rdl_net.read_all(s), b"%4d" % i, f"seed {SEED}")

    def test_names_resolve_by_asking_again(self):
        for how in ("+notcp", "+tcp"):
            done = self.guest.run([rdl.tool("dig", "bind9-dnsutils"), how, "+tries=8", "+time=1",
                                   "+short", *["host.docker.internal"] * 20], timeout=60)
            answers = [line for line in done.stdout.split("\n") if line and line[0] != ";"]
            self.assertEqual(answers, ["192.168.127.254"] * 20, f"seed {SEED}")

    def test_datagrams_arrive_unchanged_or_not_at_all(self):
        sent = {i: struct.pack(">I", i) + os.urandom(1 + i * 14) for i in range(200)}
        with self.host.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as server, \
                self.guest.open_socket(socket.AF_INET, socket.SOCK_DGRAM, timeout=0.5) as s:
            server.bind((HOST, 0))
            server.settimeout(1)
            for end in (server, s):  # a full socket is not what is looked at
                end.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
            came, back = [], []
            threads = [threading.Thread(target=self.take, args=words)
                       for words in ((server, came, server), (s, back, None))]
            for thread in threads:
                thread.start()
            for datagram in sent.values():
                s.sendto(datagram, server.getsockname())
            for thread in threads:
                thread.join()
        for data in came + back:
            self.assertEqual(data, sent[struct.unpack_from(">I", data)[0]], f"seed {SEED}")
        self.assertGreater(len(set(came)), 170, f"seed {SEED}")  # 2 of 100 are lost, or 4 in pieces
        self.assertGreater(len(set(back)), 150, f"seed {SEED}")

    @staticmethod
    def take(s, got, echo):
        """What comes until nothing does; `echo` sends it back."""
        try:
            while True:
                data, peer = s.recvfrom(65535)
                got.append(data)
                if echo:
                    echo.sendto(data, peer)
        except TimeoutError:
            pass


class BadWireQemu(BadWire, Case):
    PROTOCOL = "qemu"


class BadWireV2(BadWire, Case):
    PROTOCOL = "v2"
    BULK_BYTES = 8 << 20  # in frames of up to 64 KiB


class LongWire(Case):
    """40 ms there and back."""

    WIRE = ["--delay", "20"]

    def test_bulk_up_arrives_whole(self):
        self.measure("up over a long wire", self.send_up, 16 << 20)

    def test_bulk_down_arrives_whole(self):
        self.measure("down over a long wire", self.send_down, 16 << 20)


class Cut(Case):
    """iperf3 goes on while its link does not."""

    PROTOCOL = "qemu"
    WIRE = []
    PROGRAM = staticmethod(rdl_net.shipped)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host.start_iperf()

    def start_iperf(self, *words):
        client = self.guest.start(f"iperf3 {' '.join(words)}",
                                  self.guest.iperf_argv("-t", 60, *words))
        self.addCleanup(client.stop)
        carried = self.carried()
        rdl.wait_until(lambda: self.carried() > carried + (8 << 20), 10, "the flow flows")
        return client

    def carried(self):
        return self.host.device_bytes("lo")

    def interrupt(self, *words):
        """Three times; each time the flow is back within two seconds."""
        client = self.start_iperf(*words)
        for _ in range(3):
            began = time.monotonic()
            with rdl.Stalls() as stalls:
                self.break_link()
                carried = self.carried()
                rdl.wait_until(lambda: self.carried() > carried + (8 << 20), 20, "it goes on")
            took = time.monotonic() - began
            rdl.measured(f"{type(self).__name__} {' '.join(words) or 'up'}: 8 MiB after the break",
                         took)
            self.assertLess(took, 2 + stalls.worst_s)
        self.assertTrue(client.alive(), client.log())  # it ends when a connection of it does

    def break_link(self):
        cuts, links = self.wire.log().count("cut"), self.guest.relay.log().count("link up")
        self.wire.send(signal.SIGUSR1)
        rdl.wait_until(lambda: self.wire.log().count("cut") > cuts, 10, "the cut", every=0.002)
        rdl.wait_until(lambda: self.guest.relay.log().count("link up") > links, 10, "a new link",
                       every=0.002)

    def test_a_flow_up_survives_cuts_within_a_frame(self):
        self.interrupt()

    def test_a_flow_down_survives_cuts_within_a_frame(self):
        self.interrupt("-R")


class Killed(Cut):
    """The relay is the guest's network card: with it go the device, its address and its routes."""

    PROTOCOL = "v2"
    WIRE = None

    def break_link(self):
        self.guest.relay.kill()
        self.guest.start_relay()


class Gigabyte(Case):
    PROGRAM = staticmethod(rdl_net.shipped)

    def test_up(self):
        self.measure("up", self.send_up, 1 << 30)

    def test_down(self):
        self.measure("down", self.send_down, 1 << 30)


if __name__ == "__main__":
    rdl.main()
