# SPDX-License-Identifier: Apache-2.0
"""Ports that a container publishes at the guest's own loopback (`docker run -p 127.0.0.1:...`) are at
this machine's loopback, for as long as the container runs, and at no other place.

A real engine in namespaces, both units of the agent beside it, rdlinkd with its switch in front."""

import json
import pathlib
import signal
import socket
import subprocess
import sys
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_guest
import rdl_link
import rdl_vm

GUEST = "192.168.127.2"
IN_TIME = 20
ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 53))
while True:
    data, who = s.recvfrom(2048)
    s.sendto(b"echo " + data, who)
"""
# Says whether that address answers: to a connection, or to a datagram.
ASK = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
s = socket.socket(type=kind)
s.settimeout(1)
try:
    s.connect((sys.argv[2], int(sys.argv[3])))
    s.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print("answers" if s.recv(1) else "ends")
except OSError as why:
    print("closed", why)
"""


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(type=kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fetch(host, port):
    with urllib.request.urlopen(f"http://{host}:{port}/", timeout=2) as page:
        return page.read().decode()


def is_closed(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as s:
        return s.connect_ex((host, port)) != 0


def echoes(port, text=b"hello", host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect((host, port))
        s.send(text)
        return s.recv(2048) == b"echo " + text


class LoopbackPortsTest(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.guest = rdl_guest.Guest(self.session)
        self.engine = rdl_guest.Engine(self.guest)
        if "bridge" not in self.engine.how:
            raise rdl.Skip(f"this kernel refuses the engine a bridge: {self.engine.refused}")
        self.machine = rdl_vm.Machine(self.session.path("vm1.vsock"))
        self.session.at_end(self.machine.close)
        self.agent = rdl_link.Agent(self.session, self.engine.socket, net_of=self.guest.pid,
                                    machine=self.machine)
        self.relay = rdl_link.Relay(self.guest)
        self.net = self.start_net()

    def start_host(self, *options):
        control = f"unix:{self.session.path('switch-control')}"
        self.host = rdl_link.Host(self.session, options=["--switch-control", control, *options])
        rdl.wait_until(lambda: self.host.status()["ready"], IN_TIME, "rdlinkd is Ready")
        self.docker = rdl_link.Docker(self.session, self.host.endpoint)
        self.docker.import_image()

    def start_net(self):
        return rdl_link.NetAgent(self.guest, self.machine, options=self.relay.options).process

    def serve(self, name, *options):
        """A container with a web server and, at UDP port 53, an echo. Its process, for in_net_of()."""
        self.docker.run("run", "-d", "--name", name, *options, rdl_link.IMAGE, "sh", "-c",
                        f"echo {name} > /tmp/index.html; exec httpd -f -p 80 -h /tmp")
        pid = self.docker.text("inspect", "-f", "{{.State.Pid}}", name).strip()
        self.guest.start(f"echo-{name}", self.in_net_of(pid, ECHO))
        return pid

    def in_net_of(self, pid, program, *words):
        """A python program in the network namespace of that process of the guest."""
        return [rdl.tool("nsenter", "util-linux"), f"--target={pid}", "--net", sys.executable,
                "-B", "-c", program, *words]

    def ask_from(self, pid, protocol, address, port):
        asked = subprocess.run(
            [rdl.tool("nsenter", "util-linux"), f"--target={self.guest.pid}", "--pid", "--mount",
             "--net", *self.in_net_of(pid, ASK, protocol, address, str(port))],
            capture_output=True, text=True, timeout=20, check=True)
        return asked.stdout.split()[0]

    def forwards(self):
        """{(protocol, local): remote}, as `rdlink ports` says."""
        shown = subprocess.run([rdl.binary("rdlink"), "ports", "--json", "--address",
                                f"unix:{self.host.status_socket}"], timeout=20,
                               capture_output=True, text=True, check=True)
        return {(f["protocol"], f["local"]): f["remote"] for f in json.loads(shown.stdout)}

    def relay_reason(self):
        net = self.host.status()["instances"][0]["netAgent"]
        return net and next(c["reason"] for c in net["conditions"]
                            if c["type"] == "LoopbackPortsRelayed")

    def expect_page(self, port, text, hosts=("127.0.0.1", "[::1]")):
        for host in hosts:
            got = rdl.wait_until(lambda: fetch(host, port), IN_TIME, f"{host}:{port} answers")
            self.assertEqual(got, f"{text}\n")

    def test_it_is_at_this_hosts_loopback_while_the_container_runs(self):
        self.start_host("--publish", "all")
        tcp, udp = free_port(), free_port(socket.SOCK_DGRAM)
        self.serve("web", "-p", f"127.0.0.1:{tcp}:80", "-p", f"127.0.0.1:{udp}:53/udp")
        self.expect_page(tcp, "web")
        rdl.wait_until(lambda: echoes(udp), IN_TIME, "datagrams are answered")
        self.assertTrue(echoes(udp, b"x" * 1200, "::1"))
        self.assertTrue(is_closed("127.0.0.2", tcp))  # it is not at every address
        self.assertEqual(self.relay_reason(), "Relayed")

        forwards = self.forwards()
        self.assertEqual(set(forwards), {("tcp", f"127.0.0.1:{tcp}"), ("tcp", f"[::1]:{tcp}"),
                                         ("udp", f"127.0.0.1:{udp}"), ("udp", f"[::1]:{udp}")})
        other = self.serve("other")
        for (protocol, _), remote in forwards.items():
            relay = remote.removeprefix(f"{GUEST}:")
            for port in (relay, {"tcp": tcp, "udp": udp}[protocol]):
                self.assertEqual(self.ask_from(other, protocol, GUEST, port), "closed")
            self.assertEqual(self.ask_from(1, protocol, GUEST, relay), "closed")
        self.assertEqual(self.ask_from(1, "tcp", "127.0.0.1", tcp), "answers")

        self.docker.run("rm", "-f", "web")
        for host in ("127.0.0.1", "::1"):
            rdl.wait_until(lambda: is_closed(host, tcp), IN_TIME, "nobody listens any more")
        rdl.wait_until(lambda: not self.forwards(), IN_TIME, "nothing is forwarded")
        self.assertEqual(self.relay_reason(), "NothingToRelay")

    def test_the_same_port_may_be_published_everywhere_right_after(self):
        self.start_host()
        port = free_port()
        self.serve("first", "-p", f"127.0.0.1:{port}:80")
        self.expect_page(port, "first")
        self.docker.run("rm", "-f", "first")
        self.serve("second", "-p", f"{port}:80")  # docker finds the port free
        rdl.wait_until(lambda: fetch("127.0.0.1", port) == "second\n", IN_TIME, "it is served")

    def test_the_relay_and_the_net_unit_may_restart(self):
        self.start_host()
        port = free_port()
        self.serve("web", "-p", f"127.0.0.1:{port}:80", "-p", f"[::1]:{port}:80")
        self.expect_page(port, "web")
        self.relay.process.stop(signal.SIGKILL)
        for host in ("127.0.0.1", "::1"):
            rdl.wait_until(lambda: is_closed(host, port), IN_TIME, "nothing listens without it")
        rdl.wait_until(lambda: self.relay_reason() == "RelayUnreachable", IN_TIME, "it is said")
        self.relay.start()
        self.expect_page(port, "web")
        self.net.stop(signal.SIGKILL)
        rdl.wait_until(lambda: not self.relay_reason(), IN_TIME, "the net unit is gone")
        self.net = self.start_net()
        self.expect_page(port, "web")

    def test_with_publish_off_nothing_is_relayed(self):
        self.start_host("--publish", "off")
        port = free_port()
        self.serve("web", "-p", f"127.0.0.1:{port}:80")
        self.assertTrue(rdl.wait_until(self.knows_one_port, IN_TIME, "the bridge knows the port"))
        self.assertEqual(self.relay_reason(), "NothingToRelay")
        self.assertTrue(is_closed("127.0.0.1", port))

    def knows_one_port(self):
        bridge = self.host.status()["instances"][0]["agent"]
        return any(c["type"] == "PortsKnown" and c["message"].startswith("1 ports are published")
                   for c in bridge["conditions"])


if __name__ == "__main__":
    rdl.main()
