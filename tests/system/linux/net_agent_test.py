# SPDX-License-Identifier: Apache-2.0
"""`rdlink-agent net` with a real kernel as the guest, below a scripted Rancher host, our own, and a
fixed link.

Two network namespaces stand for the guest: the one the agent is in (where WSL puts everybody), and
the one it makes a network for. The host's side of the network is this machine's loopback, which the
guest reaches as 192.168.127.254.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import rancher_host
import rdl
import rdl_link
import rdl_tap

HOST, ADDRESS = "192.168.127.254", "192.168.127.2"
HOST6 = "fd00:72:64::254"
IN_TIME = 15


class Namespace(rdl_tap.Guest):
    """A network namespace of its own, and sockets in it; nobody is at home but a sleeper."""

    def __init__(self, session, name):
        unshare = rdl.tool("unshare", "util-linux")
        self._session = session
        self.process = session.start(name, [unshare, "-n", "sleep", "infinity"])
        rdl.wait_until(self._is_apart, 10, f"{name} is a namespace of its own")

    def _is_apart(self):
        ours, its = (os.stat(f"/proc/{pid}/ns/net").st_ino for pid in ("self", self.process.pid))
        return ours != its

    def path(self):
        return f"/proc/{self.process.pid}/ns/net"

    def interfaces(self):
        """Name -> what `ip -j address` says."""
        shown = json.loads(self.run(["ip", "-j", "address"]).stdout)
        return {link["ifname"]: link for link in shown}

    def address_of(self, name):
        link = self.interfaces().get(name, {})
        return [a["local"] for a in link.get("addr_info", ()) if a["family"] == "inet"]


class Systemd:
    """The datagrams that a unit sends to systemd."""

    def __init__(self, session):
        self.path = session.path("notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self._lines = []

    def lines(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self._lines += self._socket.recv(4096).decode().split("\n")
        return self._lines

    def heard(self, line):
        return line in self.lines()

    def forget(self):
        self.lines()
        self._lines = []

    def close(self):
        self._socket.close()


class Echo:
    """A TCP server on the host's loopback."""

    def __init__(self, address="127.0.0.1"):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, 0), family=family, backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    @staticmethod
    def _serve(conn):
        with contextlib.suppress(OSError), conn:
            while data := conn.recv(1 << 16):
                conn.sendall(data)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def exchange(conn, data):
    conn.sendall(data)
    back = b""
    while len(back) < len(data) and (piece := conn.recv(len(data) - len(back))):
        back += piece
    return back


class NetAgentCase(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise rdl.Skip("needs root and /dev/net/tun")
        rdl.tool("ip", "iproute2")
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.vsock = self.session.path("vm1.vsock")
        self.outside = Namespace(self.session, "outside")
        self.guest = Namespace(self.session, "guest")
        self.resolv_conf = pathlib.Path(self.session.path("resolv.conf"))
        self.hosts = pathlib.Path(self.session.path("hosts"))
        self.hosts.write_text("127.0.0.1 localhost\n")
        self.systemd = Systemd(self.session)
        self.addCleanup(self.systemd.close)
        self.echo = Echo()
        self.addCleanup(self.echo.close)

    def start_agent(self, *options):
        self.agent = self.session.start(
            "rdlink-agent",
            [rdl.binary("rdlink-agent"), "net", "--netns", f"path:{self.guest.path()}",
             "--resolv-conf", self.resolv_conf, "--hosts", self.hosts, *options],
            env={"NOTIFY_SOCKET": self.systemd.path, "WATCHDOG_USEC": "2000000"},
            net_of=self.outside.process.pid, tidy=True)

    def start_on_vsock(self, *options):
        at = f"vsock-hybrid:{self.vsock}"
        self.start_agent("--control", at, "--handshake-base", at, "--host-base", at, *options)

    def start_switch(self, link, *options):
        return self.session.start("switch", [rdl.binary("rdlinkd"), "switch", "--link", link,
                                             *options], tidy=True)

    def expect(self, what, condition, timeout=IN_TIME):
        def checked():
            if not self.agent.alive():
                raise AssertionError(f"rdlink-agent ended: {self.agent.log()}")
            return condition()
        return rdl.wait_until(checked, timeout, what)

    def expect_ready(self):
        self.expect("READY=1", lambda: self.systemd.heard("READY=1"))
        self.assertEqual(self.guest.address_of("eth0"), [ADDRESS])

    def reaches_host(self):
        with self.guest.connect((HOST, self.echo.port), timeout=2) as s:
            return exchange(s, b"through") == b"through"

    def expect_network(self):
        self.expect("the guest reaches the host", self.reaches_host)


class RancherHostTest(NetAgentCase):
    """An unmodified host: nothing of ours is on its side of the wire but the switch's frames."""

    def link_by(self, generation):
        self.host = rancher_host.Host(self.vsock, generation)
        self.switch_path = self.session.path("switch")
        self.switch = self.start_switch(f"stdio:unix:{self.switch_path}")
        rdl.wait_until(lambda: os.path.exists(self.switch_path), 10, "the switch listens")
        self.relay = rancher_host.Relay(self.vsock, self.host.data_port, self.switch_path)
        self.addCleanup(self.relay.close)
        self.start_on_vsock("--legacy-after", "100ms")
        self.expect("the guest gives its signature", self.host.probe)
        self.host.ready()
        self.expect_ready()

    def test_generation_a(self):
        self.link_by("A")
        self.expect_network()
        self.assertIn("nameserver 192.168.127.1", self.resolv_conf.read_text())
        self.assertEqual(self.hosts.read_text().count("192.168.127.1 gateway.rancher-desktop.internal"),
                         1)
        self.assertIn("127.0.0.1 localhost", self.hosts.read_text())

    def test_generation_b(self):
        self.link_by("B")
        self.expect_network()

    def test_the_pair_of_interfaces_is_there_and_goes_with_the_agent(self):
        self.link_by("A")
        self.assertEqual(self.outside.address_of("veth-rd-wsl"), ["192.168.143.2"])
        self.assertEqual(self.guest.address_of("veth-rd-ns"), ["192.168.143.1"])
        self.assertEqual(self.agent.stop(), 0)
        self.assertTrue(self.systemd.heard("STOPPING=1"))
        self.assertNotIn("veth-rd-wsl", self.outside.interfaces())
        self.assertNotIn("eth0", self.guest.interfaces())

    def test_the_watchdog_is_fed_and_the_status_says_what_is(self):
        self.link_by("A")
        self.systemd.forget()
        self.expect("WATCHDOG=1", lambda: self.systemd.heard("WATCHDOG=1"), 3)
        self.systemd.forget()
        self.relay.close()
        os.unlink(f"{self.vsock}_{self.host.data_port}")
        self.expect("the status says what is wrong",
                    lambda: any("HostUnreachable" in line for line in self.systemd.lines()))

    def test_a_flow_goes_on_over_the_next_link(self):
        self.link_by("A")
        interface = self.guest.interfaces()["eth0"]["ifindex"]
        with self.guest.connect((HOST, self.echo.port)) as s:
            self.assertEqual(exchange(s, b"before"), b"before")
            for number in range(3):
                links = self.relay.links
                self.relay.cut()
                self.expect("another link", lambda n=links: self.relay.links > n)
                self.assertEqual(exchange(s, b"after %d" % number), b"after %d" % number)
        self.assertEqual(self.guest.interfaces()["eth0"]["ifindex"], interface)
        self.assertEqual(self.guest.address_of("eth0"), [ADDRESS])

    def test_bulk_arrives_whole_over_cut_links(self):
        """The echo of 16 MiB, while the link is cut again and again."""
        self.link_by("A")
        data, back = os.urandom(16 << 20), bytearray()
        with self.guest.connect((HOST, self.echo.port), timeout=60) as s:
            sender = threading.Thread(target=s.sendall, args=(data,))
            sender.start()
            for part in range(1, 5):
                while len(back) < len(data) * part // 5:
                    back += s.recv(1 << 18)
                self.relay.cut()
            while len(back) < len(data) and (piece := s.recv(1 << 18)):
                back += piece
            sender.join()
        self.assertEqual(hashlib.sha256(back).digest(), hashlib.sha256(data).digest())
        self.assertGreaterEqual(self.relay.links, 5)

    def test_our_host_takes_the_place_of_ranchers(self):
        self.link_by("A")
        host = rdl_link.Host(self.session)
        self.addCleanup(host.process.stop)
        self.expect("v2 it is", lambda: "linked by v2" in self.agent.log())
        self.expect_network()
        with self.assertRaises(OSError):
            self.host.connect()  # the ports are free for another distribution

    def test_a_host_that_restarts(self):
        self.link_by("B")
        self.switch.kill()
        self.relay.cut()
        self.assertEqual(self.guest.address_of("eth0"), [ADDRESS])
        os.unlink(self.switch_path)
        self.switch = self.start_switch(f"stdio:unix:{self.switch_path}")
        self.expect_network()

    def test_a_host_that_shakes_hands_anew(self):
        self.link_by("A")
        self.relay.close()
        os.unlink(f"{self.vsock}_{self.host.data_port}")
        self.expect("the guest has noticed", lambda: "HostUnreachable" in self.agent.log())
        self.assertTrue(self.host.probe())
        self.relay = rancher_host.Relay(self.vsock, self.host.data_port, self.switch_path)
        self.addCleanup(self.relay.close)
        self.host.ready()
        self.expect_network()

    def test_an_agent_that_is_killed_and_started_again(self):
        self.link_by("A")
        self.agent.kill()
        self.assertIn("veth-rd-wsl", self.outside.interfaces())  # it could not clear up
        self.assertNotIn("eth0", self.guest.interfaces())
        self.systemd.forget()
        self.start_on_vsock("--legacy-after", "100ms")
        self.expect("the guest gives its signature", self.host.probe)
        self.host.ready()
        self.expect_ready()
        self.expect_network()
        self.assertEqual(self.outside.address_of("veth-rd-wsl"), ["192.168.143.2"])

    def test_silent_connections_keep_nobody_away(self):
        self.link_by("A")
        silent = [self.host.connect() for _ in range(20)]
        self.assertTrue(self.host.probe())
        for s in silent:
            s.close()


class FixedLinkTest(NetAgentCase):
    def test_every_framing(self):
        for protocol in ("stdio", "qemu", "v2"):
            with self.subTest(protocol):
                self.systemd.forget()
                path = self.session.path(f"link-{protocol}")
                switch = self.start_switch(f"{protocol}:unix:{path}")
                self.start_agent("--link", f"{protocol}:unix:{path}")
                self.expect_ready()
                self.expect_network()
                self.assertEqual(self.agent.stop(), 0)
                switch.stop()

    def test_search_domains_of_the_host_are_the_guests(self):
        path = self.session.path("link")
        self.start_switch(f"v2:unix:{path}", "--search-domain", "corp.example,lab.example")
        self.start_agent("--link", f"v2:unix:{path}")
        self.expect_ready()
        self.assertIn("search corp.example lab.example\nnameserver 192.168.127.1",
                      self.resolv_conf.read_text())

    def test_a_guest_that_forwards_keeps_ip6(self):
        """As an engine makes it for its first IPv6 network: the kernel forgets its router then."""
        path = self.session.path("link")
        switch = self.start_switch(f"v2:unix:{path}")
        self.start_agent("--link", f"v2:unix:{path}")
        self.expect_ready()
        self.expect("two default routes", lambda: len(self.routes_by_ip6()) == 2)
        done = self.guest.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(self.routes_by_ip6()), 1)
        echo = Echo("::1")
        self.addCleanup(echo.close)
        with self.guest.connect((HOST6, echo.port), socket.AF_INET6) as s:
            self.assertEqual(exchange(s, b"through"), b"through")
        switch.stop()  # the next one advertises itself to a kernel that does not listen
        self.start_switch(f"v2:unix:{path}")
        self.expect("an address without an end", lambda: "valid_lft forever" in self.guest.run(
            ["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"]).stdout)

    def routes_by_ip6(self):
        return self.guest.run(["ip", "-6", "route", "show", "default"]).stdout.splitlines()

    def test_a_fixed_address_needs_no_dhcp(self):
        path = self.session.path("link")
        self.start_switch(f"v2:unix:{path}")
        self.start_agent("--link", f"v2:unix:{path}", "--address", f"{ADDRESS}/24")
        self.expect_ready()
        self.expect_network()
        self.assertIn("AddressFixed", self.agent.log())

    def test_a_host_that_comes_later(self):
        path = self.session.path("link")
        self.start_agent("--link", f"v2:unix:{path}")
        self.expect("it says so", lambda: "HostUnreachable" in self.agent.log())
        self.assertIn("eth0", self.guest.interfaces())
        self.start_switch(f"v2:unix:{path}")
        self.expect_ready()
        self.expect_network()

    def test_a_namespace_that_comes_later_and_is_replaced(self):
        path, mark = self.session.path("link"), pathlib.Path(self.session.path("ns"))
        self.start_switch(f"v2:unix:{path}")
        self.start_agent("--link", f"v2:unix:{path}", "--netns", f"path:{mark}")
        self.expect("it says so", lambda: "NamespaceMissing" in self.agent.log())
        mark.symlink_to(self.guest.path())
        self.expect_ready()
        self.guest.process.kill()
        self.guest = Namespace(self.session, "guest-again")
        mark.unlink()
        mark.symlink_to(self.guest.path())
        self.expect_network()
        self.assertEqual(self.guest.address_of("eth0"), [ADDRESS])


class OurHostTest(NetAgentCase):
    """`rdlinkd run`: v2, offered over the control channel."""

    def setUp(self):
        super().setUp()
        self.host = rdl_link.Host(self.session)
        self.start_on_vsock()

    def worker_pid(self):
        """Of the switch that serves the guest."""
        return next((c["pid"] for c in self.host.status()["components"]
                     if c["name"].startswith("switch") and c["pid"]), None)

    def condition(self, name):
        """One of the whole's, as `rdlink status` shows it."""
        return next((c["status"], c["reason"]) for c in self.host.status()["conditions"]
                    if c["type"] == name)

    def test_offer_link_and_address(self):
        self.expect_ready()
        self.expect_network()
        self.expect("the host says that the guest is online",
                    lambda: self.condition("NetworkReady") == ("True", "GuestOnline"))
        agent = self.host.status()["instances"][0]["netAgent"]
        self.assertTrue(agent["serving"])
        self.assertEqual({c["status"] for c in agent["conditions"]}, {"True"})
        log = self.agent.log()
        self.assertIn("linked by v2", log)
        self.assertNotIn("handshake", log)

    def test_a_worker_that_is_killed(self):
        self.expect_ready()
        before = self.worker_pid()
        os.kill(before, signal.SIGKILL)
        self.expect("another worker", lambda: self.worker_pid() not in (None, before))
        self.expect_network()
        self.assertEqual(self.guest.address_of("eth0"), [ADDRESS])

    def test_a_host_that_is_killed_and_started_again(self):
        self.expect_ready()
        self.host.process.kill()
        self.expect("the guest waits", lambda: "WaitingForHost" in self.agent.log()
                    or "HostUnreachable" in self.agent.log())
        self.host.start()
        self.expect_network()
        self.assertEqual(self.guest.address_of("eth0"), [ADDRESS])


class ProvedHostTest(NetAgentCase):
    """The same where both demand proof: the key, and the link's token."""

    def setUp(self):
        super().setUp()
        keys = pathlib.Path(self.session.path("keys"))
        keys.mkdir()
        key = keys / "guest1.key"
        key.touch(mode=0o600)
        key.write_text("5a" * 32)
        self.host = rdl_link.Host(self.session, options=["--keys", str(keys), "--require-proof"])
        self.start_on_vsock("--instance", "guest1", "--key-file", str(key), "--require-proof")

    def test_network_over_a_proved_link(self):
        self.expect_ready()
        self.expect_network()
        self.assertTrue(self.host.status()["instances"][0]["netAgent"]["proved"])
        switch = next(c for c in self.host.status()["components"]
                      if c["name"].startswith("switch"))
        self.assertEqual(switch["counters"]["links_refused"], 0)
        os.kill(switch["pid"], signal.SIGKILL)  # another one is told the token
        self.expect("another worker", lambda: any(
            c["name"] == switch["name"] and c["pid"] not in (None, switch["pid"])
            for c in self.host.status()["components"]))
        self.expect_network()


del NetAgentCase  # it is no test of its own

if __name__ == "__main__":
    rdl.main()
