# SPDX-License-Identifier: Apache-2.0
"""IPv6 through the switch, by a guest that has configured itself from the gateway's advertisement:
TCP, UDP, ping, traceroute and names to the gateway, the host's loopback and the host's network; forwards of
both families; and what a port scan finds at the twins of .1 and .254."""

import hashlib
import os
import pathlib
import re
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_net  # noqa: E402

GATEWAY, GUEST, ALIAS = "fd00:72:64::1", "fd00:72:64::2", "fd00:72:64::254"
HOST, NOBODY = "2001:db8:99::1", "2001:db8:97::1"
TO_GUEST6, TO_GUEST4 = 8061, 8041  # ports of the host
SERVED = 80  # port of the guest
DENIED_PORTS = (135, 445, 2375, 2376, 5985, 5986)

session = host = guest = switch = None


def setUpModule():
    global session, host, guest, switch
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    host = rdl_net.Host(session)
    host.ip(f"addr add {HOST}/64 dev lan0 nodad")
    host.ip("route add unreachable 2001:db8:97::/64")
    host.name_server(rdl_net.HOST)
    server = host.start("name server", [
        rdl.tool("dnsmasq", "dnsmasq-base"), "--keep-in-foreground", "--no-resolv", "--no-hosts",
        "--conf-file=/dev/null", "--pid-file", "--bind-interfaces", "--user=root",
        f"--listen-address={rdl_net.HOST}", "--log-facility=-", f"--host-record=six.test,{HOST}"])
    rdl.wait_until(lambda: "started" in server.log(), 10, "the name server")
    switch, path = host.start_switch(
        "v2", "--forward", f"[::1]:{TO_GUEST6}=[{GUEST}]:{SERVED}",
        "--forward", f":{TO_GUEST4}={rdl_net.GUEST}:{SERVED}")
    guest = rdl_net.Guest(session, path, "v2")
    rdl.wait_until(lambda: "fd00:72:64:" in addresses(), 20, "an address by advertisement")
    guest.ip(f"addr add {GUEST}/64 dev eth0 nodad")


def addresses():
    return guest.run([rdl.tool("ip", "iproute2"), "-6", "address", "show", "dev", "eth0"]).stdout


def bound(space, address):
    """A UDP socket at any port of the address."""
    s = space.open_socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.bind((address, 0))
    return s


class Case(unittest.TestCase):
    def setUp(self):
        self.assertTrue(switch.alive(), "the switch has ended")

    def server(self, serve, address=HOST, port=0, space=None):
        s = (space or host).open_socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                                        socket.SOCK_STREAM, timeout=None)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen(128)
        server = rdl_net.Server(s, serve)
        self.addCleanup(server.close)
        return server


class Link(Case):
    def test_the_kernel_takes_prefix_and_router(self):
        self.assertRegex(addresses(), r"inet6 fd00:72:64:0?:\S+/64 scope global .*dynamic")
        routes = guest.run([rdl.tool("ip", "iproute2"), "-6", "route", "show", "default"]).stdout
        self.assertRegex(routes, r"default via fe80::\S+ dev eth0 proto ra")


class Tcp(Case):
    def test_bulk_arrives_whole_both_ways(self):
        data = os.urandom(16 << 20)
        asked = []

        def serve(conn):
            asked.append(hashlib.sha256(rdl_net.read_all(conn)).digest())
            conn.sendall(data)

        server = self.server(serve)
        with guest.connect((HOST, server.port)) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            got = rdl_net.read_all(s)
        self.assertEqual(asked, [hashlib.sha256(data).digest()])
        self.assertEqual(hashlib.sha256(got).digest(), hashlib.sha256(data).digest())

    def test_the_alias_is_the_hosts_own_loopback(self):
        server = self.server(rdl_net.serve_echo, "::1")
        with guest.connect((ALIAS, server.port)) as s:
            s.sendall(b"six")
            self.assertEqual(s.recv(3), b"six")

    def test_a_closed_port_and_no_route_are_told_at_once(self):
        with self.assertRaises(ConnectionRefusedError):
            guest.connect((HOST, 7))
        with rdl.Stalls() as stalls, self.assertRaises(OSError) as caught:
            guest.connect((NOBODY, 80), timeout=5 + stalls.worst_s)
        self.assertNotIsInstance(caught.exception, TimeoutError)

    def test_link_local_of_the_host_is_denied(self):
        with self.assertRaises(OSError) as caught:
            guest.connect(("fe80::a9fe:a9fe%eth0", 80), timeout=10)
        self.assertNotIsInstance(caught.exception, ConnectionRefusedError)


class Udp(Case):
    def test_small_and_fragmented_datagrams_come_back(self):
        with bound(host, HOST) as server, bound(guest, "::") as s:
            for size in (0, 1, 1452, 1453, 8000, 60000):
                data = os.urandom(size)
                s.sendto(data, (HOST, server.getsockname()[1]))
                got, peer = server.recvfrom(65535)
                self.assertEqual(got, data)
                server.sendto(got[::-1], peer)
                got, peer = s.recvfrom(65535)
                self.assertEqual((got, peer[0]), (data[::-1], HOST))

    def test_a_closed_port_is_refused(self):
        with guest.open_socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.connect((HOST, 7))
            s.send(b"x")
            with self.assertRaises(ConnectionRefusedError):
                s.recv(1)


class Icmp(Case):
    def ping(self, address, *words):
        return guest.run([rdl.tool("ping", "iputils-ping"), "-6", "-n", "-c", 1, "-W", 5, *words,
                          address])

    def test_ping_of_the_gateway_the_alias_and_beyond(self):
        for address in (GATEWAY, ALIAS, HOST):
            for size in (0, 56, 4000):
                done = self.ping(address, "-s", size)
                self.assertEqual(done.returncode, 0, f"{address}, {size}: {done.stdout}")
                self.assertIn(f"from {address}", done.stdout)

    def test_ping_of_nobody_has_a_reason(self):
        self.assertIn("unreachable", self.ping(NOBODY).stdout)

    def test_traceroute_shows_the_gateway_and_the_host(self):
        for how in ([], ["--icmp"], ["--tcp", "-p", "7"]):
            done = guest.run([rdl.tool("traceroute", "traceroute"), "-6", *how, "-n", "-q", "1",
                              "-w", "5", "-m", "4", HOST])
            hops = re.findall(r"^ *\d+ +(\S+)", done.stdout, re.MULTILINE)
            self.assertEqual(hops, [GATEWAY, HOST], done.stdout + done.stderr)


class Names(Case):
    def test_the_gateway_answers_at_its_ip6_address_too(self):
        dig = [rdl.tool("dig", "bind9-dnsutils"), "+tries=2", "+time=3", "+short", f"@{GATEWAY}"]
        for how in ("+notcp", "+tcp"):
            own = guest.run([*dig, how, "host.docker.internal", "A"])
            self.assertEqual(own.stdout, f"{rdl_net.ALIAS}\n", own.stderr)
            other = guest.run([*dig, how, "six.test", "AAAA"])
            self.assertEqual(other.stdout, f"{HOST}\n", other.stderr)


class Forwards(Case):
    def test_each_family_of_the_host_reaches_the_guest(self):
        self.server(rdl_net.serve_echo, "::", SERVED, guest)
        for address in (("::1", TO_GUEST6), ("::1", TO_GUEST4), ("127.0.0.1", TO_GUEST4)):
            with self.subTest(address), host.connect(address) as s:
                s.sendall(b"in")
                self.assertEqual(s.recv(2), b"in")


class Scan(Case):
    def open_ports(self, address):
        done = guest.run([rdl_net.helper("switch_load"), "scan", address], timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [int(port) for port in done.stdout.split()]

    def test_the_gateway_has_names_and_nothing_else(self):
        self.assertEqual(self.open_ports(GATEWAY), [53])

    def test_the_alias_leads_to_loopback_without_what_is_denied(self):
        for port in (*DENIED_PORTS, 8080):
            self.server(rdl_net.serve_echo, "::1", port)
        self.assertEqual(self.open_ports(ALIAS), [TO_GUEST4, TO_GUEST6, 8080])


if __name__ == "__main__":
    rdl.main()
