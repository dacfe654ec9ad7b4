# SPDX-License-Identifier: Apache-2.0
"""Everyday programs in a guest, through the switch, to a host's network: iperf3, curl, dig, ping,
traceroute, nc; and what a port scan of the guest's two neighbours finds."""

import hashlib
import http.server
import itertools
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_net  # noqa: E402
from rdl_net import ALIAS, GATEWAY, GUEST, HOST  # noqa: E402

OTHER = "10.99.0.62"  # the name server of another network of the host
BEFORE, AFTER = "203.0.113.1", "203.0.113.2"  # what the one and the other say of a name
NEW_SERVER_S = 2
METADATA = "169.254.169.254"
PAGE = os.urandom(4 << 20)
LONG_TEXT = [f"{i:03}" + "x" * 240 for i in range(8)]
DENIED_PORTS = (135, 445, 2375, 2376, 5985, 5986)

session = host = guest = switch = None


def start_name_server(name, address, *records):
    server = host.start(name, [
        rdl.tool("dnsmasq", "dnsmasq-base"), "--keep-in-foreground", "--no-resolv", "--no-hosts",
        "--conf-file=/dev/null", "--pid-file", "--bind-interfaces", "--user=root",
        f"--listen-address={address}", "--log-facility=-", "--local-ttl=77", "--local=/test/",
        *records])
    rdl.wait_until(lambda: "started" in server.log(), 10, name)


def setUpModule():
    global session, host, guest, switch
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    host = rdl_net.Host(session)
    host.name_server(HOST)
    start_name_server(
        "name server", HOST, f"--host-record=page.test,{HOST}", f"--address=/moved.test/{BEFORE}",
        "--txt-record=long.test," + ",".join(LONG_TEXT), "--txt-record=short.test,a word",
        "--mx-host=page.test,mail.test,10", "--edns-packet-max=4096")
    switch, path = host.start_switch("v2")
    guest = rdl_net.Guest(session, path, "v2")


class Case(unittest.TestCase):
    def setUp(self):
        self.assertTrue(switch.alive(), "the switch has ended")

    def server(self, serve, address=HOST, port=0):
        server = rdl_net.Server(host.listen(address, port), serve)
        self.addCleanup(server.close)
        return server


class Iperf3(Case):
    @classmethod
    def setUpClass(cls):
        host.start_iperf()

    def check_tcp(self, *words):
        end = guest.iperf("-n", "48M", *words)["end"]
        self.assertGreaterEqual(end["sum_sent"]["bytes"], 48 << 20)
        self.assertGreater(end["sum_received"]["bytes"], 24 << 20)  # it stops counting at the end

    def test_tcp_up(self):
        self.check_tcp("-P", 1)

    def test_tcp_down(self):
        self.check_tcp("-P", 1, "-R")

    def test_eight_tcp_streams_up(self):
        self.check_tcp("-P", 8)

    def test_eight_tcp_streams_down(self):
        self.check_tcp("-P", 8, "-R")

    def check_udp(self, *words):
        result = guest.iperf("-u", "-b", "20M", "-t", 1, *words)["end"]["sum"]
        self.assertGreater(result["packets"], 1000)
        self.assertLess(result["lost_percent"], 2)

    def test_udp_up(self):
        self.check_udp()

    def test_udp_down(self):
        self.check_udp("-R")


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = hashlib.sha256(body).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Names(Case):
    """Own zones, and the host's name server behind the gateway's."""

    def dig(self, *words):
        done = guest.run([rdl.tool("dig", "bind9-dnsutils"), "+tries=2", "+time=3", *words])
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_own_names_are_answered_over_udp_and_tcp(self):
        for how in ("+notcp", "+tcp"):
            for name in ("host.docker.internal", "HOST.docker.Internal", "gateway.docker.internal"):
                self.assertRegex(self.dig(how, "+short", name), r"^192\.168\.127\.\d+\n$")

    def test_own_names_have_no_ip6_address_and_exist(self):
        answer = self.dig("host.docker.internal", "AAAA")
        self.assertIn("status: NOERROR", answer)
        self.assertIn("ANSWER: 0", answer)

    def test_other_names_come_from_the_hosts_server_with_their_ttl(self):
        for how in ("+notcp", "+tcp"):
            self.assertRegex(self.dig(how, "page.test"), rf"page\.test\.\s+7\d\s+IN\s+A\s+{HOST}")

    def test_all_types_pass(self):
        self.assertIn('"a word"', self.dig("+short", "short.test", "TXT"))
        self.assertIn("10 mail.test.", self.dig("+short", "page.test", "MX"))

    def test_what_does_not_exist_does_not(self):
        self.assertIn("status: NXDOMAIN", self.dig("nobody.test"))

    def test_a_refusal_is_passed_on(self):
        self.assertIn("status: REFUSED", self.dig("example.com"))

    def test_a_long_answer_is_truncated_over_udp_and_whole_over_tcp(self):
        short = self.dig("+notcp", "+ignore", "+bufsize=512", "long.test", "TXT")
        self.assertRegex(short, r"flags: [a-z ]*\btc\b")
        for how in (("+tcp",), ("+notcp", "+bufsize=512"), ("+bufsize=4096",)):
            whole = self.dig("+short", *how, "long.test", "TXT")
            for text in LONG_TEXT:
                self.assertIn(text, whole)

    def test_edns_is_answered_with_edns_and_a_bounded_size(self):
        answer = self.dig("+bufsize=4096", "host.docker.internal")
        size = int(re.search(r"EDNS: version: 0, flags:; udp: (\d+)", answer).group(1))
        self.assertLessEqual(size, 4096)

    def test_curl_fetches_and_sends_a_page_by_name(self):
        server = http.server.ThreadingHTTPServer((HOST, 0), Page, bind_and_activate=False)
        server.socket.close()
        server.socket = host.listen(HOST)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://page.test:{server.socket.getsockname()[1]}/"
        curl = [rdl.tool("curl", "curl"), "--silent", "--show-error", "--fail", "--max-time", "20"]
        page = pathlib.Path(session.path("page"))
        done = guest.run([*curl, "-o", page, url])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(page.read_bytes(), PAGE)
        done = guest.run([*curl, "--data-binary", f"@{page}", url])
        self.assertEqual(done.stdout, hashlib.sha256(PAGE).hexdigest())


class Asker:
    """Asks all the time, each question once: (when, address) of each answer. For names that nobody has
    asked for, or always for the same one."""

    numbers = itertools.count()

    def __init__(self, domain, fresh):
        self.domain, self.fresh = f"asker{next(self.numbers)}.{domain}", fresh
        self.asked, self.answers, self.over = 0, [], threading.Event()
        self.socket = guest.open_socket(socket.AF_INET, socket.SOCK_DGRAM, timeout=5)
        self.socket.connect((GATEWAY, 53))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.over.wait(0.02):
            self.asked += 1
            host_name = f"n{self.asked}" if self.fresh else "same"
            labels = "".join(f"{chr(len(x))}{x}" for x in (host_name, *self.domain.split("."), ""))
            head = struct.pack("!6H", self.asked, 0x100, 1, 0, 0, 0)
            self.socket.send(head + labels.encode() + struct.pack("!2H", 1, 1))
            began = time.monotonic()
            answer = self.socket.recv(512)
            if answer[:2] == head[:2] and answer[6:8] == b"\0\1":
                self.answers.append((began, socket.inet_ntoa(answer[-4:])))

    def latest(self):
        return self.answers[-1][1] if self.answers else None

    def close(self):
        self.over.set()
        self.thread.join(10)
        self.socket.close()


class NameServerChanges(Case):
    """F12: the host is in another network now, while the guest asks."""

    @classmethod
    def setUpClass(cls):
        host.ip(f"addr add {OTHER}/32 dev lan0")
        cls.addClassCleanup(host.ip, f"addr del {OTHER}/32 dev lan0")
        start_name_server("other name server", OTHER, f"--address=/moved.test/{AFTER}")

    def tearDown(self):
        host.name_server(HOST)
        self.asker_until(BEFORE, fresh=True)

    def asker_until(self, address, fresh):
        asker = Asker("moved.test", fresh)
        self.addCleanup(asker.close)
        rdl.wait_until(lambda: asker.latest() == address, 10, f"{address} is the answer")
        return asker

    def check(self, fresh, change):
        asker = self.asker_until(BEFORE, fresh)
        with rdl.Stalls() as stalls:
            began = time.monotonic()
            change()
            rdl.wait_until(lambda: asker.latest() == AFTER, 20, "the new server is asked")
        took = next(when for when, address in asker.answers if address == AFTER) - began
        rdl.measured("from the change to the new server", took)
        self.assertLess(took, NEW_SERVER_S + stalls.worst_s)
        asker.close()
        self.assertEqual(len(asker.answers), asker.asked, "a question was not answered")
        addresses = [address for _, address in asker.answers]
        self.assertEqual(addresses, sorted(addresses), "the old one was asked again")

    def test_another_resolv_conf_is_noticed_by_itself(self):
        self.check(fresh=True, change=lambda: host.name_server(OTHER))

    def test_with_another_route_what_was_remembered_is_forgotten(self):
        def change():
            host.name_server(OTHER)
            host.ip("route add 198.51.100.0/24 dev lan0")
            self.addCleanup(host.ip, "route del 198.51.100.0/24 dev lan0")
        self.check(fresh=False, change=change)


class Icmp(Case):
    def ping(self, address, *words):
        return guest.run([rdl.tool("ping", "iputils-ping"), "-n", "-c", 1, "-W", 5, *words,
                          address])

    def test_ping_of_the_gateway_the_host_and_beyond(self):
        for address in (GATEWAY, ALIAS, HOST):
            for size in (0, 56, 4000):
                done = self.ping(address, "-s", size)
                self.assertEqual(done.returncode, 0, f"{address}, {size}: {done.stdout}")
                self.assertIn(f"from {address}", done.stdout)

    def test_ping_of_nobody_is_silence_or_the_reason(self):
        self.assertIn("Destination Host Unreachable", self.ping("10.97.0.1").stdout)
        self.assertRegex(self.ping(METADATA).stdout, f"From {GATEWAY} .*(filtered|rohibited)")
        self.assertIn("100% packet loss", self.ping("10.98.0.1", "-W", "0.3").stdout)

    def test_traceroute_shows_the_gateway_and_the_host(self):
        for how in ([], ["--icmp"], ["--tcp", "-p", "7"]):
            done = guest.run([rdl.tool("traceroute", "traceroute"), *how, "-n", "-q", "1", "-w", "5",
                              "-m", "4", HOST])
            hops = re.findall(r"^ *\d+ +(\S+)", done.stdout, re.MULTILINE)
            self.assertEqual(hops, [GATEWAY, HOST], done.stdout + done.stderr)

    def test_unreachable_ends_a_connect_at_once(self):
        with rdl.Stalls() as stalls, self.assertRaises(OSError) as caught:
            guest.connect(("10.97.0.1", 80), timeout=5 + stalls.worst_s)
        self.assertIn("No route to host", str(caught.exception))

    def test_udp_to_a_closed_port_is_refused(self):
        with guest.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((HOST, 7))
            s.send(b"x")
            with self.assertRaises(ConnectionRefusedError):
                s.recv(1)


class Netcat(Case):
    def nc(self, *words):
        nc = rdl.tool("nc", "netcat-openbsd")
        if "-N" not in subprocess.run([nc, "-h"], capture_output=True, text=True).stderr:
            raise rdl.Skip("nc has no -N (Debian package netcat-openbsd)")
        return [nc, "-N", *words]

    def test_the_guest_may_end_first(self):
        asked = []

        def serve(conn):
            asked.append(rdl_net.read_all(conn))
            conn.sendall(b"answer " * 10000)

        server = self.server(serve)
        done = guest.run(self.nc(HOST, str(server.port)), input="question " * 10000)
        self.assertEqual(asked, [b"question " * 10000])
        self.assertEqual(done.stdout, "answer " * 10000)

    def test_the_host_may_end_first(self):
        with host.listen(HOST) as probe:
            port = probe.getsockname()[1]
        server = host.popen(self.nc("-l", HOST, str(port)), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        table = pathlib.Path(f"/proc/{server.pid}/net/tcp")
        rdl.wait_until(lambda: f":{port:04X} 00000000:0000 0A" in table.read_text(), 10, "nc listens")
        got = pathlib.Path(session.path("got"))
        with open(got, "wb") as out:
            client = guest.popen(self.nc(HOST, str(port)), stdin=subprocess.PIPE, stdout=out)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        server.stdin.write("greeting " * 10000)
        server.stdin.close()
        server.stdin = None
        rdl.wait_until(lambda: got.read_text() == "greeting " * 10000, 10, "the guest heard it")
        out, _ = client.communicate("late answer", timeout=10)
        self.assertEqual(server.communicate(timeout=10)[0], "late answer")


class Keepalive(Case):
    def test_an_idle_connection_is_asked_after_a_minute(self):
        """What the kernel says of the switch's own socket to the server."""
        server = self.server(lambda conn: conn.recv(1))
        with guest.connect((HOST, server.port)):
            def timer():
                shown = host.run([rdl.tool("ss", "iproute2"), "-tnoH", f"dport = :{server.port}"])
                return re.search(r"timer:\(keepalive,(\d+)sec", shown.stdout)
            seconds = int(rdl.wait_until(timer, 10, "the keepalive timer runs").group(1))
        self.assertTrue(50 <= seconds <= 60, seconds)


class Scan(Case):
    """The guest's view of its two neighbours."""

    def open_ports(self, address):
        done = guest.run([rdl_net.helper("switch_load"), "scan", address], timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [int(port) for port in done.stdout.split()]

    def test_the_gateway_has_dns_and_the_api_and_nothing_else(self):
        self.assertEqual(self.open_ports(GATEWAY), [53, 80])

    def test_the_host_alias_leads_to_loopback_without_what_is_denied(self):
        for port in (*DENIED_PORTS, 8080):
            self.server(rdl_net.serve_echo, "127.0.0.1", port)
        self.assertEqual(self.open_ports(ALIAS), [8080])

    def test_a_port_is_not_open_because_the_dial_began_at_it(self):
        """The system gives the dial the one port there is, which makes it meet itself."""
        ports = host.run(["cat", "/proc/sys/net/ipv4/ip_local_port_range"]).stdout.strip()
        self.addCleanup(self.set_ports, ports)
        self.set_ports("20000 20000")
        with self.assertRaises(ConnectionRefusedError):
            guest.connect((ALIAS, 20000))

    def set_ports(self, ports):
        done = host.run(["sh", "-c", f"echo {ports} >/proc/sys/net/ipv4/ip_local_port_range"])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_udp_ports_of_the_gateway(self):
        with guest.open_socket(socket.AF_INET, socket.SOCK_DGRAM, timeout=1.2) as s:
            question = bytes.fromhex("123401000001000000000000") + \
                b"\x04host\x06docker\x08internal\0\0\1\0\1"
            answered = set()
            for port in range(1, 65536):
                s.sendto(question, (GATEWAY, port))
            with self.assertRaises(TimeoutError):
                while True:
                    answered.add(s.recvfrom(2048)[1])
        self.assertEqual(answered, {(GATEWAY, 53)})
        for port in (69, 123, 137, 161, 1900, 5353):
            with guest.open_socket(socket.AF_INET, socket.SOCK_DGRAM, timeout=0.5) as s:
                s.connect((GATEWAY, port))
                s.send(b"x")
                with self.assertRaises(ConnectionRefusedError, msg=f"port {port}"):
                    s.recv(1)


if __name__ == "__main__":
    rdl.main()
