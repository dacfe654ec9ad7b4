# SPDX-License-Identifier: Apache-2.0
"""The package in a booted guest: dpkg installs it under a real systemd that takes it for WSL and starts
the units; hosts and strangers come over real AF_VSOCK. rdlinkd waits from before the guest's first moment.
Both units work without a key, then with one, which is required from then on.

The tests are one story and run in the order of their names.
"""

import pathlib
import re
import secrets
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_qemu  # noqa: E402
import rdl_root  # noqa: E402

BRIDGE = 6660
SERVICE, SOCKET, NET = "rdlink-bridge.service", "rdlink-bridge.socket", "rdlink-net.service"
INSTANCE = "guest1"
COPY = "/run/rdlink-bridge/agent.key"
PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
# A stand-in for the engine, with its socket as docker has it.
ENGINE_UNIT = """[Service]
Group=docker
UMask=0117
ExecStart=/usr/bin/vsock_guest engine /run/docker.sock
[Install]
WantedBy=multi-user.target
"""
# Rancher Desktop's, whose namespace the net unit works in.
NAMESPACE_UNIT = """[Service]
PrivateNetwork=yes
ExecStart=/usr/bin/sleep infinity
"""


def setUpModule():
    global session, guest, status, keys
    session = rdl.Session()
    later = rdl_root.next_revision(session)
    root = rdl_root.Root(session)
    root.run("groupadd", "--system", "docker")
    (root.path / "usr/bin/vsock_guest").write_bytes(
        pathlib.Path(rdl_qemu.test_program("vsock_guest")).read_bytes())
    (root.path / "usr/bin/vsock_guest").chmod(0o755)
    root.write("etc/systemd/system/engine.service", ENGINE_UNIT)
    root.run("systemctl", "--quiet", "enable", "engine.service")
    root.write("etc/systemd/system/network-namespace.service", NAMESPACE_UNIT)
    for name, folder in (("first.deb", rdl_root.DIST), ("next.deb", later)):
        (root.path / "root" / name).write_bytes(
            rdl_root.package("rdlink-agent_*_amd64.deb", folder).read_bytes())
    status = session.path("status.sock")
    keys = session.dir / "keys"
    for folder in (session.dir / "vms", keys):
        folder.mkdir(mode=0o700)
    start_host()
    guest = rdl_qemu.SystemdGuest(session, root)


def tearDownModule():
    session.close()


def start_host(*options):
    global host
    host = session.start("rdlinkd", [
        rdl.binary("rdlinkd"), "run", "--vm-folder", session.dir / "vms", "--keys", keys,
        "--config-root", session.dir / "etc", "--endpoint", f"unix:{session.path('host.sock')}",
        "--status", f"unix:{status}", *options])


def ping():
    """The engine's answer through the bridge; less when the connection was cut, None: refused."""
    s = guest.connect(BRIDGE, timeout=60)
    if s is None:
        return None
    with s:
        out = b""
        try:
            s.sendall(PING)
            while piece := s.recv(65536):
                out += piece
        except OSError:
            pass
        return out


def snapshot():
    return rdl_http.request(status, "GET", "/v1/status").json()


def is_ready():
    return snapshot()["ready"]


def wait_for(**reasons):
    """Reasons of the guest's conditions, by type."""
    def seen():
        found = {c["type"]: c["reason"] for instance in snapshot()["instances"]
                 for c in instance["conditions"]}
        return all(found.get(kind) == reason for kind, reason in reasons.items())
    try:
        rdl.wait_until(seen, 90, f"the host sees {reasons}")
    except rdl.Timeout:
        raise AssertionError(f"{reasons}: {snapshot()['instances']} "
                             + guest.run("journalctl -u 'rdlink-*' | tail -n 40")) from None


def main_pid():
    return guest.value(SERVICE, "MainPID")


class Installed(unittest.TestCase):
    def assert_serves(self):
        self.assertIn(b"200 OK", rdl.wait_until(ping, 60, "the bridge answers"))

    def test_1_dpkg_installs_and_systemd_starts(self):
        self.assertFalse(is_ready())
        out = guest.run("dpkg -i /root/first.deb; echo code=$?", timeout=240)
        self.assertIn("code=0", out)
        for unit in (SOCKET, SERVICE):
            rdl.wait_until(lambda: guest.value(unit, "ActiveState") == "active", 60,
                           f"{unit} is active")
            self.assertEqual(guest.value(unit, "UnitFileState"), "enabled")
        self.assert_serves()

    def test_2_the_host_that_was_there_first_is_ready(self):
        rdl.wait_until(is_ready, 60, "rdlinkd is ready")
        answer = rdl_http.request(session.path("host.sock"), "GET", "/_ping")
        self.assertEqual((answer.status, answer.body), (200, b"OK"))

    def test_3_a_stranger_is_refused_and_counted(self):
        out = guest.run(f"for i in 1 2 3; do vsock_guest connect 1 {BRIDGE}; done")
        self.assertEqual(len(re.findall(r"bytes=0 end=", out)), 3, out)

        def rejected():
            (instance,) = snapshot()["instances"]
            return instance["agent"]["counters"].get("rejected_peers", 0) >= 3
        rdl.wait_until(rejected, 30, "the host's status counts them")

    def test_4_the_network_comes_without_a_key(self):
        guest.run(f"systemctl start --no-block {NET}")
        wait_for(LinkUp="Linked", NetAgentHealthy="Serving", AgentHealthy="Serving",
                 Authenticated="NoKey")
        rdl.wait_until(lambda: guest.value(NET, "ActiveState") == "active", 60, f"{NET} is active")
        self.assert_serves()

    def test_5_a_key_reaches_both_units_and_is_required(self):
        host.stop()
        key = secrets.token_hex(32)
        (keys / f"{INSTANCE}.key").write_text(key)
        (keys / f"{INSTANCE}.key").chmod(0o600)
        start_host("--require-proof")
        wait_for(Authenticated="ProofMissing")
        guest.run(f"(umask 077; echo {key} >/etc/rdlink/agent.key); cd /etc/rdlink;"
                  f"printf 'instance = {INSTANCE}\\nrequire-proof = yes\\n' | tee agent.conf >net.conf;"
                  f"systemctl restart --no-block {SERVICE} {NET}")
        wait_for(Authenticated="Proved", LinkUp="Linked", NetAgentHealthy="Serving",
                 AgentHealthy="Serving")
        rdl.wait_until(is_ready, 60, "rdlinkd is ready")
        self.assert_serves()

    def test_6_nobody_else_in_the_guest_reads_the_key(self):
        owner = guest.run(f"stat -c uid=%u /proc/{main_pid()}").strip()
        self.assertNotEqual(owner, "uid=0")
        self.assertEqual(guest.run(f"stat -c 'uid=%u %a' {COPY}").strip(), f"{owner} 400")
        out = guest.run(f"setpriv --reuid=65534 --regid=65534 --groups=docker cat {COPY} "
                        "/etc/rdlink/agent.key 2>&1; echo code=$?")
        self.assertEqual(out.count("Permission denied"), 2, out)
        self.assertNotRegex(out, "[0-9a-f]{32}")
        self.assertIn("code=1", out)

    def test_7_the_units_keep_what_they_promise(self):
        facts = guest.run(f"cat /proc/{main_pid()}/status")
        self.assertRegex(facts, r"CapEff:\s*0+\n")
        self.assertRegex(facts, r"NoNewPrivs:\s*1\n")
        self.assertRegex(facts, r"Seccomp:\s*2\n")
        self.assertNotRegex(facts, r"Uid:\s*0\b")

    def test_8_who_hangs_is_killed_by_the_watchdog_and_started_again(self):
        pid = main_pid()
        guest.run(f"kill -STOP {pid}")
        rdl.wait_until(lambda: main_pid() not in (pid, "0"), 90, "systemd starts another one")
        self.assert_serves()
        self.assertGreaterEqual(int(guest.value(SERVICE, "NRestarts")), 1)
        rdl.wait_until(is_ready, 60, "rdlinkd is ready again")
        wait_for(Authenticated="Proved")

    def test_9_an_upgrade_under_traffic_refuses_nobody(self):
        pid, answers, over = main_pid(), [], threading.Event()

        def traffic():
            # With pauses: the emulated processor is dpkg's too.
            while not over.wait(0.25):
                answers.append(ping())

        clients = [threading.Thread(target=traffic) for _ in range(2)]
        for client in clients:
            client.start()
        try:
            rdl.wait_until(lambda: len(answers) > 5, 60, "there is traffic")
            out = guest.run("dpkg -i /root/next.deb; echo code=$?", timeout=240)
            self.assertIn("code=0", out)
            self.assertNotIn(main_pid(), (pid, "0"), "the service was not restarted")
            seen = len(answers)
            rdl.wait_until(lambda: len(answers) > seen + 5, 60, "the traffic goes on")
        finally:
            over.set()
            for client in clients:
                client.join()
        self.assertEqual([a for a in answers if a is None or b"200 OK" not in a], [])
        self.assertRegex(guest.run("dpkg-query -W rdlink-agent"), r"-2\s")
        wait_for(Authenticated="Proved")

    def test_a_purged_it_is_gone(self):
        out = guest.run("dpkg --purge rdlink-agent; echo code=$?", timeout=240)
        self.assertIn("code=0", out)
        self.assertIsNone(guest.connect(BRIDGE, timeout=60))
        self.assertNotIn("/rdlink", guest.run("find / -xdev -name 'rdlink*' -not -path '/var/log/*'"))
        self.assertIn("0 loaded units", guest.run("systemctl list-units --all 'rdlink-*' | cat"))
        rdl.wait_until(lambda: not is_ready(), 30, "rdlinkd notices")


if __name__ == "__main__":
    rdl.main()
