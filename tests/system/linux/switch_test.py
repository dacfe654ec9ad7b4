# SPDX-License-Identifier: Apache-2.0
"""The switch as a guest sees it: the guest is the kernel's own stack behind a tap device, the host
is this machine's loopback, which the guest reaches as 192.168.127.254. Every framing takes the same
tests."""

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
import rdl_tap  # noqa: E402

GATEWAY, HOST = "192.168.127.1", "192.168.127.254"
HOST6 = "fd00:72:64::254"
BULK_BYTES = 64 << 20
CHUNK = os.urandom(1 << 20)


def start_server(serve, family=socket.AF_INET, host="127.0.0.1"):
    return rdl_net.Server(socket.create_server((host, 0), family=family, backlog=128), serve)


def serve_digest(conn):
    """Reads to the end, then answers with length and SHA-256 of what came."""
    digest, total = hashlib.sha256(), 0
    while data := conn.recv(1 << 18):
        digest.update(data)
        total += len(data)
    conn.sendall(struct.pack(">Q", total) + digest.digest())


def serve_bulk(conn):
    for _ in range(BULK_BYTES // len(CHUNK)):
        conn.sendall(CHUNK)


def read_exactly(conn, size):
    """MSG_WAITALL does not wait on a socket with a time-out."""
    data = b""
    while len(data) < size and (piece := conn.recv(size - len(data))):
        data += piece
    return data


def bulk_digest():
    digest = hashlib.sha256()
    for _ in range(BULK_BYTES // len(CHUNK)):
        digest.update(CHUNK)
    return digest.digest()


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def dns_question(name, number, kind=1):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1)


class SwitchCase:
    """The tests; one subclass a framing."""

    PROTOCOL = None
    TRANSPORT, SOCKET_TYPE = "unix", socket.SOCK_STREAM
    MTU = 1500
    OPTIONS = ("--search-domain", "corp.example,lab.example", "--log-level", "debug")

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise rdl.Skip("needs root and /dev/net/tun")
        cls.session = rdl.Session()
        cls.addClassCleanup(cls.session.close)
        link = cls.start_switch()
        cls.guest = rdl_tap.Guest(cls.session, link, cls.PROTOCOL, cls.MTU)
        rdl.wait_until(cls.guest.ready, 20, "the guest's interface is up")
        rdl.wait_until(lambda: "link attached" in cls.switch.log(), 20, "the link is attached")
        cls.echo = start_server(rdl_net.serve_echo)
        cls.addClassCleanup(cls.echo.close)

    @classmethod
    def start_switch(cls):
        """Sets cls.switch; returns where its link is."""
        cls.path = cls.session.path("link")
        cls.switch = cls.session.start(
            "switch", [rdl.binary("rdlinkd"), "switch", "--link",
                       f"{cls.PROTOCOL}:{cls.TRANSPORT}:{cls.path}", "--mtu", cls.MTU, *cls.OPTIONS])
        return cls.path

    @classmethod
    def connect_link(cls):
        s = socket.socket(socket.AF_UNIX, cls.SOCKET_TYPE)
        s.connect(cls.path)
        return s

    def setUp(self):
        self.assertTrue(self.switch.alive(), "the switch has ended")

    def server(self, serve):
        server = start_server(serve)
        self.addCleanup(server.close)
        return server

    def test_gateway_answers_echo(self):
        with self.guest.open_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
            body = struct.pack(">BBHHH", 8, 0, 0, 77, 1) + b"12345678"
            s.sendto(body[:2] + struct.pack(">H", checksum(body)) + body[4:], (GATEWAY, 0))
            while True:
                packet = s.recv(2048)
                if packet[20] == 0:
                    break
            self.assertEqual(packet[24:28], struct.pack(">HH", 77, 1))
            self.assertEqual(packet[28:], b"12345678")

    def test_tcp_echo(self):
        with self.guest.connect((HOST, self.echo.port)) as s:
            for size in (1, 1459, 1460, 1461, 20000):
                data = os.urandom(size)
                s.sendall(data)
                self.assertEqual(read_exactly(s, size), data)

    def test_bulk_up_arrives_whole(self):
        server = self.server(serve_digest)
        began = time.monotonic()
        with self.guest.connect((HOST, server.port), timeout=60) as s:
            for _ in range(BULK_BYTES // len(CHUNK)):
                s.sendall(CHUNK)
            s.shutdown(socket.SHUT_WR)
            answer = rdl_net.read_all(s)
        rdl.measured(f"{self.PROTOCOL}: 64 MiB up", time.monotonic() - began)
        self.assertEqual(answer, struct.pack(">Q", BULK_BYTES) + bulk_digest())

    def test_bulk_down_arrives_whole(self):
        server = self.server(serve_bulk)
        digest, total = hashlib.sha256(), 0
        began = time.monotonic()
        with self.guest.connect((HOST, server.port), timeout=60) as s:
            while data := s.recv(1 << 18):
                digest.update(data)
                total += len(data)
        rdl.measured(f"{self.PROTOCOL}: 64 MiB down", time.monotonic() - began)
        self.assertEqual(total, BULK_BYTES)
        self.assertEqual(digest.digest(), bulk_digest())

    def test_half_close_leaves_the_answer_time(self):
        go = threading.Event()

        def serve(conn):
            asked = rdl_net.read_all(conn)
            go.wait(20)
            conn.sendall(b"late answer to " + asked)

        server = self.server(serve)
        with self.guest.connect((HOST, server.port)) as s:
            s.sendall(b"question")
            s.shutdown(socket.SHUT_WR)
            go.set()
            self.assertEqual(rdl_net.read_all(s), b"late answer to question")

    def test_host_side_may_end_first(self):
        heard = []

        def serve(conn):
            conn.sendall(b"greeting")
            conn.shutdown(socket.SHUT_WR)
            heard.append(rdl_net.read_all(conn))

        server = self.server(serve)
        with self.guest.connect((HOST, server.port)) as s:
            self.assertEqual(rdl_net.read_all(s), b"greeting")
            s.sendall(b"goodbye")
        rdl.wait_until(lambda: heard, 20, "the server heard the end")
        self.assertEqual(heard, [b"goodbye"])

    def test_refused_port_is_refused_at_once(self):
        with socket.socket() as deaf, rdl.Stalls() as stalls:
            deaf.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
            began = time.monotonic()
            with self.assertRaises(ConnectionRefusedError):
                self.guest.connect((HOST, deaf.getsockname()[1]))
            took = time.monotonic() - began
        self.assertLess(took, 0.5 + stalls.worst_s)

    def test_reset_by_the_server_arrives(self):
        def serve(conn):
            conn.recv(1)
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        server = self.server(serve)
        with self.guest.connect((HOST, server.port)) as s:
            s.sendall(b"x")
            with self.assertRaises(ConnectionResetError):
                s.recv(1)

    def test_reset_by_the_guest_arrives(self):
        seen = []

        def serve(conn):
            try:
                conn.sendall(b"x")
                seen.append(conn.recv(1))
            except ConnectionResetError as error:
                seen.append(error)

        server = self.server(serve)
        with self.guest.connect((HOST, server.port)) as s:
            s.recv(1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rdl.wait_until(lambda: seen, 20, "the server noticed")
        self.assertIsInstance(seen[0], ConnectionResetError)

    def test_many_connections_at_a_time(self):
        conns = [self.guest.connect((HOST, self.echo.port)) for _ in range(100)]
        for i, s in enumerate(conns):
            s.sendall(b"%4d" % i)
        for i, s in enumerate(conns):
            self.assertEqual(read_exactly(s, 4), b"%4d" % i)
            s.close()

    def test_ip6_by_advertisement_and_to_the_host(self):
        server = start_server(rdl_net.serve_echo, socket.AF_INET6, "::1")
        self.addCleanup(server.close)
        rdl.wait_until(lambda: "fd00:72:64:" in self.guest.run(
            ["ip", "-6", "address", "show", "dev", rdl_tap.DEVICE]).stdout, 20, "an address")
        with self.guest.connect((HOST6, server.port), socket.AF_INET6) as s:
            s.sendall(b"six")
            self.assertEqual(read_exactly(s, 3), b"six")

    def test_udp_echo_of_small_and_fragmented_datagrams(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, \
                self.guest.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            server.bind(("127.0.0.1", 0))
            server.settimeout(20)
            for size in (0, 1, 1472, 1473, 8000, 60000):
                data = os.urandom(size)
                s.sendto(data, (HOST, server.getsockname()[1]))
                got, peer = server.recvfrom(65535)
                self.assertEqual(got, data)
                server.sendto(got[::-1], peer)
                got, peer = s.recvfrom(65535)
                self.assertEqual(got, data[::-1])
                self.assertEqual(peer[0], HOST)

    def test_udp_to_a_closed_port_is_refused(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        with self.guest.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((HOST, port))
            s.send(b"x")
            with self.assertRaises(ConnectionRefusedError):
                s.recv(1)

    def test_own_names_resolve(self):
        with self.guest.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            question = dns_question("Host.Docker.Internal", 4711)
            s.sendto(question, (GATEWAY, 53))
            answer = s.recv(2048)
        number, flags, _, answers = struct.unpack_from(">4H", answer)
        self.assertEqual((number, flags & 0x800F, answers), (4711, 0x8000, 1))
        self.assertEqual(answer[-4:], socket.inet_aton(HOST))

    def test_dhcp_gives_the_guest_its_address(self):
        script = pathlib.Path(self.session.path("lease"))
        script.write_text('#!/bin/sh\n[ "$1" = bound ] && echo "$ip $router $dns $mtu $domain; $search"; exit 0\n')
        script.chmod(0o755)
        client = self.guest.run([rdl.tool("busybox", "busybox-static"), "udhcpc", "-i", rdl_tap.DEVICE,
                                 "-n", "-q", "-f", "-O", "mtu", "-O", "domain", "-O", "search",
                                 "-s", str(script)])
        self.assertEqual(client.returncode, 0, client.stderr)
        self.assertIn(f"192.168.127.2 {GATEWAY} {GATEWAY} {self.MTU} corp.example; "
                      "corp.example lab.example\n", client.stdout)

    def test_flows_survive_a_new_link(self):
        with self.guest.connect((HOST, self.echo.port)) as s:
            s.sendall(b"before")
            self.assertEqual(read_exactly(s, 6), b"before")
            attached = self.switch.log().count("link attached")
            with self.connect_link():  # takes the place of the guest's
                rdl.wait_until(lambda: self.switch.log().count("link attached") >= attached + 2,
                               20, "the guest's relay is back")
            s.sendall(b"behind")
            self.assertEqual(read_exactly(s, 6), b"behind")


class QemuFraming(SwitchCase, unittest.TestCase):
    PROTOCOL = "qemu"


class StdioFraming(SwitchCase, unittest.TestCase):
    PROTOCOL = "stdio"
    MTU = 4000


class V2Framing(SwitchCase, unittest.TestCase):
    PROTOCOL = "v2"


class BessFraming(SwitchCase, unittest.TestCase):
    PROTOCOL = "bess"
    TRANSPORT, SOCKET_TYPE = "unixpacket", socket.SOCK_SEQPACKET


class Program(unittest.TestCase):
    """The command itself."""

    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)

    def start(self, *options):
        return self.session.start("switch", [rdl.binary("rdlinkd"), "switch", *options])

    def test_says_what_is_wrong_with_its_options(self):
        for options, text in (((), "--link"), (("--link", "smoke:unix:/x"), "smoke"),
                              (("--link", "bess:unix:/x"), "unixpacket"),
                              (("--link", "qemu:unix:/x", "--subnet", "10.0.0.0/31"), "31"),
                              (("--link", "qemu:unix:/x", "--mtu", "10"), "mtu")):
            switch = self.start(*options)
            self.assertEqual(switch.popen.wait(10), 4)
            self.assertIn(text, switch.log())

    def test_forwards_and_ends_at_sigterm(self):
        path = self.session.path("link")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        switch = self.start("--link", f"qemu:unix:{path}", "--forward",
                            f"127.0.0.1:{port}=192.168.127.2:8080")
        guest = rdl_tap.Guest(self.session, path)
        rdl.wait_until(guest.ready, 20, "the guest's interface is up")
        listener = guest.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind(("192.168.127.2", 8080))
        listener.listen()
        rdl.wait_until(lambda: "link attached" in switch.log(), 20, "the link is attached")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            conn, peer = listener.accept()
            self.assertEqual(peer[0], GATEWAY)
            conn.sendall(b"from the guest")
            conn.close()
            self.assertEqual(rdl_net.read_all(client), b"from the guest")
        self.assertEqual(switch.stop(signal.SIGTERM), 0)
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    rdl.main()
