# SPDX-License-Identifier: Apache-2.0
"""rdlink-net.service as it ships, under a real systemd: what it forbids does not break what it does."""

import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_peer
import rdl_systemd

UNIT = "rdlink-net.service"
NAMESPACE = "network-namespace.service"
RELAY = "rdlink-relay.service"
RELAY_SOCKET = "rdlink-relay.socket"
DIST = rdl.ROOT / "guestagent/dist"
WORST_EXPOSURE = 2.0
CAPABILITIES = (1 << 12) | (1 << 21)  # NET_ADMIN, SYS_ADMIN

# Stands for Rancher Desktop's.
NAMESPACE_UNIT = """[Service]
PrivateNetwork=yes
PrivateMounts=yes
ExecStart=/bin/sleep infinity
"""
# As Rancher Desktop's drop-in for docker has it.
DOCKER_UNIT = f"""[Unit]
Requires={NAMESPACE} network-setup.service
After=network-setup.service
[Service]
ExecStart=/bin/sleep infinity
"""
# What is different here: no WSL, another path of the program, a switch at a socket instead of vsock,
# and no journal. A leak check would need ptrace(2), which the unit forbids.
DROP_IN = """[Unit]
ConditionVirtualization=
[Service]
Environment=ASAN_OPTIONS=detect_leaks=0
StandardOutput=append:/run/agent.log
StandardError=append:/run/agent.log
ExecStart=
ExecStart=/run/host/rdlink-agent net --link v2:unix:/run/host/link.sock
"""


RELAY_DROP_IN = """[Service]
Environment=ASAN_OPTIONS=detect_leaks=0
StandardOutput=append:/run/agent.log
StandardError=append:/run/agent.log
ExecStart=
ExecStart=/run/host/rdlink-agent relay
"""
# What a container publishes at 127.0.0.1: one answer a connection.
PUBLISHED = """
import socket
s = socket.create_server(("127.0.0.1", 8080))
while True:
    c = s.accept()[0]
    c.sendall(b"published")
    c.close()
"""


class NetUnitTest(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)

    def start(self, aliases=()):
        """systemd with the units, and the host's switch outside."""
        rdl.tool("ping", "iputils-ping")
        rdl.tool("ip", "iproute2")
        link = self.session.path("link.sock")
        # A copy where nothing is hidden from the unit, as /home, /root and /tmp are.
        shutil.copy(rdl.binary("rdlink-agent"), self.session.dir)
        self.session.dir.chmod(0o711)  # for the relay's user
        self.control = self.session.path("switch-control")
        self.session.start("switch", [rdl.binary("rdlinkd"), "switch", "--link", f"v2:unix:{link}",
                                      "--control", f"unix:{self.control}"])
        rdl.wait_until(lambda: pathlib.Path(link).exists(), 10, "the switch listens")
        self.systemd = rdl_systemd.Systemd(self.session, {
            NAMESPACE: NAMESPACE_UNIT,
            UNIT: (DIST / UNIT).read_text(),
            f"{UNIT}.d/test.conf": DROP_IN,
            RELAY: (DIST / RELAY).read_text(),
            f"{RELAY}.d/test.conf": RELAY_DROP_IN,
            RELAY_SOCKET: (DIST / RELAY_SOCKET).read_text(),
            "modprobe@.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
            "network-setup.service": "[Service]\nExecStart=/bin/sleep infinity\n",
            "docker.service": DOCKER_UNIT,
        }, aliases)

    def wait_active(self):
        try:
            self.systemd.wait_active(UNIT)
        except rdl.Timeout:
            self.fail(self.systemd.run("cat", "/run/agent.log").stdout[-3000:] +
                      self.systemd.systemctl("status", UNIT).stdout)

    def address(self, device, where=None):
        words = ["ip", "-j", "address", "show", "dev", device]
        shown = (self.systemd.run_beside(where, *words) if where else self.systemd.run(*words))
        if shown.returncode != 0:
            return None
        links = json.loads(shown.stdout)
        return next((f"{a['local']}/{a['prefixlen']}" for a in links[0]["addr_info"]
                     if a["family"] == "inet"), None)

    def assert_is_up(self):
        self.assertEqual(self.address("eth0", NAMESPACE), "192.168.127.2/24")
        self.assertEqual(self.address("veth-rd-ns", NAMESPACE), "192.168.143.1/24")
        self.assertEqual(self.address("veth-rd-wsl"), "192.168.143.2/24")
        ping = self.systemd.run_beside(NAMESPACE, "ping", "-c", "1", "-W", "5", "192.168.127.1")
        self.assertEqual(ping.returncode, 0, ping.stdout)

    def test_the_unit_does_its_work_within_its_bounds(self):
        self.start()
        self.systemd.systemctl("start", "network-setup.service")
        self.systemd.systemctl("start", "--no-block", UNIT)
        self.wait_active()
        self.assert_is_up()
        self.assertEqual(self.systemd.value("network-setup.service", "ActiveState"), "inactive")
        self.assertIn("nameserver 192.168.127.1", self.systemd.run("cat", "/etc/resolv.conf").stdout)
        self.assertIn("192.168.127.1 gateway.rancher-desktop.internal",
                      self.systemd.run("cat", "/etc/hosts").stdout)
        pid = self.systemd.value(UNIT, "MainPID")
        status = self.systemd.run("cat", f"/proc/{pid}/status").stdout
        for line in ("CapPrm", "CapEff", "CapBnd"):
            self.assertEqual(int(re.search(rf"{line}:\s*(\w+)", status).group(1), 16), CAPABILITIES)
        self.assertRegex(status, r"NoNewPrivs:\s*1\n")
        self.assertRegex(status, r"Seccomp:\s*2\n")

        with self.subTest("killed, it comes back and takes over what it left"):
            self.systemd.systemctl("kill", "-s", "KILL", UNIT)
            rdl.wait_until(lambda: self.systemd.value(UNIT, "MainPID") not in ("0", pid), 20,
                           "it was started again")
            self.wait_active()
            self.assert_is_up()

        with self.subTest("it follows the namespace's service to its next namespace"):
            self.systemd.systemctl("kill", "-s", "KILL", NAMESPACE)
            rdl.wait_until(lambda: self.systemd.value(NAMESPACE, "ActiveState") == "failed", 10,
                           "its service has ended")
            self.systemd.systemctl("start", NAMESPACE)
            rdl.wait_until(lambda: self.address("eth0", NAMESPACE) == "192.168.127.2/24", 30,
                           "the address is there again")
            self.wait_active()
            self.assert_is_up()

        with self.subTest("stopped, it takes the pair away"):
            self.systemd.systemctl("stop", UNIT)
            self.assertIsNone(self.address("veth-rd-wsl"))
            self.assertIsNone(self.address("eth0", NAMESPACE))
            self.assertEqual(self.systemd.value(NAMESPACE, "ActiveState"), "active")

    def test_who_requires_network_setup_gets_a_network_from_us(self):
        self.start({"network-setup.service": UNIT})
        self.systemd.systemctl("start", "--no-block", "docker.service")
        self.wait_active()
        self.systemd.wait_active("docker.service")
        self.assert_is_up()
        self.assertEqual(self.systemd.value("network-setup.service", "Id"), UNIT)

    def relay(self):
        """What rdlink-net does: the first word to the relay unit's socket. Its channel, and where
        the guest's 127.0.0.1:8080 is reached."""
        init, = rdl.children_of(self.systemd.process.pid)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"/proc/{init}/root/run/rdlink/relay.sock")
        channel = rdl_peer.Stream(connection)
        self.addCleanup(channel.close)
        channel.send(rdl_peer.HELLO, (1, rdl_peer.MAJOR), (2, rdl_peer.MINOR), (3, rdl_peer.NET))
        channel.expect(rdl_peer.HELLO_ACK)
        channel.send(rdl_peer.NETWORK_OFFER, (4, "192.168.127.2/24"), (5, "192.168.127.1"))
        channel.send(rdl_peer.RELAYED_PORTS,
                     (1, rdl_peer.message((1, "tcp"), (2, "127.0.0.1"), (3, 8080))))
        told = channel.expect(rdl_peer.RELAYED_PORTS)
        return channel, rdl_peer.fields(told[1][0])[4][0]

    def test_the_relay_unit_works_within_its_bounds(self):
        self.start()
        self.systemd.systemctl("start", "--no-block", UNIT)
        self.wait_active()
        self.assertEqual(self.systemd.value(RELAY_SOCKET, "ActiveState"), "active")
        self.assertEqual(self.systemd.value(RELAY, "ActiveState"), "inactive")
        try:
            channel, port = self.relay()
        except (TimeoutError, rdl_peer.Ended):
            self.fail(self.systemd.run("cat", "/run/agent.log").stdout[-3000:] +
                      self.systemd.systemctl("status", RELAY).stdout)
        self.systemd.wait_active(RELAY)
        pid, of_namespace = (self.systemd.value(u, "MainPID") for u in (RELAY, NAMESPACE))
        self.assertEqual(*(self.systemd.run("readlink", f"/proc/{p}/ns/net").stdout
                           for p in (pid, of_namespace)))
        status = self.systemd.run("cat", f"/proc/{pid}/status").stdout
        self.assertRegex(status, r"CapBnd:\s*0+\n")
        self.assertNotRegex(status, r"Uid:\s*0\s")

        init, = rdl.children_of(self.systemd.process.pid)
        self.session.start("published", [
            "nsenter", "-t", str(init), "-m", "-p", "nsenter", "-t", of_namespace, "-n",
            sys.executable, "-B", "-c", PUBLISHED])
        answer = rdl.wait_until(lambda: self.through_the_switch(port), 20, "the relay answers")
        self.assertEqual(answer, b"published")

        self.systemd.systemctl("stop", UNIT)
        for unit in (RELAY, RELAY_SOCKET):
            self.assertEqual(self.systemd.value(unit, "ActiveState"), "inactive")
        channel.expect_end()

    def through_the_switch(self, port):
        """What a connection from the gateway to that port of the guest says; b"" for none."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(self.control)
            s.sendall(f"POST /tunnel?ip=192.168.127.2&port={port} HTTP/1.1\r\nHost: x\r\n"
                      "Content-Length: 0\r\n\r\n".encode())
            said = b""
            while piece := s.recv(4096):
                said += piece
            return b"published" if said.endswith(b"published") else b""

    def test_the_unit_is_hardened(self):
        tool = rdl.tool("systemd-analyze", "systemd")
        out = subprocess.run([tool, "security", "--offline=true", "--no-pager", str(DIST / UNIT)],
                             capture_output=True, text=True, timeout=60, check=True).stdout
        exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", out).group(1))
        print(f"measured: exposure level {exposure}", flush=True)
        self.assertLessEqual(exposure, WORST_EXPOSURE, out)

    def test_the_unit_verifies(self):
        tool = rdl.tool("systemd-analyze", "systemd")
        folder = pathlib.Path(self.session.path("units"))
        folder.mkdir()
        text = (DIST / UNIT).read_text().replace("/usr/local/bin/rdlink-agent", "/bin/true")
        (folder / UNIT).write_text(text)
        (folder / NAMESPACE).write_text(NAMESPACE_UNIT)
        result = subprocess.run([tool, "verify", str(folder / UNIT), str(folder / NAMESPACE)],
                                capture_output=True, text=True, timeout=60,
                                env=self.session.env(), check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_the_unit_says_what_others_rely_on(self):
        text = (DIST / UNIT).read_text()
        for line in ("Type=notify", "NotifyAccess=main", "WatchdogSec=10", "Restart=always",
                     "StartLimitIntervalSec=0", "TimeoutStartSec=infinity",
                     f"Requires={NAMESPACE}", f"After={NAMESPACE}",
                     "Conflicts=network-setup.service", "Alias=network-setup.service",
                     "ConditionVirtualization=wsl", "WantedBy=rancher-desktop.target"):
            self.assertIn(f"\n{line}\n", text)


if __name__ == "__main__":
    rdl.main()
