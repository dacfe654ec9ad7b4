# SPDX-License-Identifier: Apache-2.0
"""rdlink-bridge.service and .socket as they ship, under a real systemd: root's key reaches the
unit's dynamic user and nobody else. As in WSL, this systemd takes its machine for a container and
mounts do not propagate."""

import pathlib
import secrets
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_link
import rdl_systemd
import rdl_vm

DIST = rdl.ROOT / "guestagent/dist"
SERVICE, SOCKET = "rdlink-bridge.service", "rdlink-bridge.socket"
INSTANCE = "guest1"
KEY, COPY = "/etc/rdlink/agent.key", "/run/rdlink-bridge/agent.key"
IN_TIME = 20
# No WSL, and unix sockets for vsock. A leak check would need ptrace(2), which the unit forbids.
NO_WSL = "[Unit]\nConditionVirtualization=\n"
DROP_IN = NO_WSL + "[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n"
SOCKETS = NO_WSL + """[Socket]
ListenStream=
ListenStream=/run/host/vm1.vsock-guest_6660
ListenStream=/run/host/vm1.vsock-guest_6680
"""


class BridgeUnitTest(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        # A copy where nothing is hidden from the unit, as /home, /root and /tmp are.
        shutil.copy(rdl.binary("rdlink-agent"), self.session.dir)
        self.session.dir.chmod(0o711)  # for the bridge's user
        shipped = {name: (DIST / name).read_text().replace("/usr/local/bin", "/run/host")
                   for name in (SERVICE, SOCKET)}
        self.systemd = rdl_systemd.Systemd(self.session, {
            **shipped, f"{SERVICE}.d/test.conf": DROP_IN, f"{SOCKET}.d/test.conf": SOCKETS},
            journal=True)
        self.systemd.run("groupadd", "--force", "--system", "docker")
        self.machine = rdl_vm.Machine(self.session.path("vm1.vsock"))
        self.addCleanup(self.machine.close)
        self.keys = pathlib.Path(self.session.path("keys"))
        self.keys.mkdir(mode=0o700)

    # ---- what is there ------------------------------------------------------------------------

    def in_guest(self, script):
        """What it printed; it must succeed."""
        done = self.systemd.run("sh", "-ec", script)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.strip()

    def start_guest(self, *lines, key=None):
        """The bridge; `lines` of agent.conf."""
        conf = "\n".join((f"instance = {INSTANCE}", *lines))
        self.in_guest(f"mkdir -p /etc/rdlink; echo '{conf}' >/etc/rdlink/agent.conf")
        if key:
            self.guest_key(key)
        self.systemd.systemctl("start", SOCKET, SERVICE)
        try:
            self.systemd.wait_active(SERVICE)
        except rdl.Timeout:
            self.fail(self.journal())

    def guest_key(self, key):
        self.in_guest(f"umask 077; echo {key} >{KEY}")

    def host_key(self, key):
        path = self.keys / f"{INSTANCE}.key"
        path.touch(mode=0o600)
        path.write_text(key)

    def start_host(self, *options):
        self.host = rdl_link.Host(self.session, options=["--no-network", "--keys", str(self.keys),
                                                         *options])

    # ---- what is seen -------------------------------------------------------------------------

    def journal(self):
        return self.systemd.run("journalctl", "--no-pager", "-u", SERVICE).stdout

    def expect_reason(self, reason):
        def found():
            instances = self.host.status()["instances"]
            return instances and any(c["type"] == "Authenticated" and c["reason"] == reason
                                     for c in instances[0]["conditions"])
        try:
            rdl.wait_until(found, IN_TIME, f"Authenticated is {reason}")
        except rdl.Timeout:
            self.fail(f"{reason} did not come: {self.host.status()['instances']} {self.journal()}")

    def there_is_no_copy(self):
        return self.systemd.run("test", "-e", COPY).returncode == 1

    # ---- tests --------------------------------------------------------------------------------

    def test_the_key_reaches_the_bridge_and_nobody_else(self):
        key = secrets.token_hex(32)
        self.host_key(key)
        self.start_host("--require-proof")
        self.start_guest("require-proof = yes", key=key)
        self.expect_reason("Proved")

        owner = self.in_guest(f"stat -c %u /proc/{self.systemd.value(SERVICE, 'MainPID')}")
        self.assertNotEqual(owner, "0")
        self.assertEqual(self.in_guest(f"stat -c '%u %a' {COPY}"), f"{owner} 400")
        self.assertEqual(self.in_guest(f"stat -L -c '%u %a' {pathlib.Path(COPY).parent}"),
                         f"{owner} 700")
        other = str(int(owner) + 1)
        for uid, groups in ((other, "--clear-groups"), ("65534", "--groups=docker")):
            done = self.systemd.run("setpriv", f"--reuid={uid}", "--regid=65534", groups, "cat", COPY)
            self.assertIn("Permission denied", done.stderr)
            self.assertEqual(done.stdout, "")

        with self.subTest("and goes with the unit"):
            self.systemd.systemctl("stop", SERVICE)
            self.assertTrue(self.there_is_no_copy())

    def test_a_key_that_comes_or_changes_takes_no_restart(self):
        self.start_host()
        self.start_guest()
        self.expect_reason("NoKey")
        pid = self.systemd.value(SERVICE, "MainPID")
        for unproved in ("PeerNoKey", "ProofFailed"):
            key = secrets.token_hex(32)
            self.host_key(key)
            self.expect_reason(unproved)
            self.guest_key(key)
            self.assertEqual(self.systemd.systemctl("reload", SERVICE).returncode, 0)
            self.expect_reason("Proved")
        self.assertEqual(self.systemd.value(SERVICE, "MainPID"), pid)

    def test_a_key_that_others_may_read_is_not_handed_on(self):
        key = secrets.token_hex(32)
        self.guest_key_is_open(key)
        self.host_key(key)
        self.start_host()
        self.start_guest()
        self.expect_reason("PeerNoKey")
        self.assertIn("chmod 600", self.journal())
        self.assertTrue(self.there_is_no_copy())

        with self.subTest("until it is closed to them"):
            self.in_guest(f"chmod 600 {KEY}")
            self.assertEqual(self.systemd.systemctl("reload", SERVICE).returncode, 0)
            self.expect_reason("Proved")

        with self.subTest("and not on a reload either, which says so"):
            self.in_guest(f"chmod 604 {KEY}")
            self.assertNotEqual(self.systemd.systemctl("reload", SERVICE).returncode, 0)
            self.assertEqual(self.systemd.value(SERVICE, "ActiveState"), "active")
            self.assertTrue(self.there_is_no_copy())
            self.expect_reason("PeerNoKey")

    def guest_key_is_open(self, key):
        self.in_guest(f"mkdir -p /etc/rdlink; echo {key} >{KEY}; chmod 604 {KEY}")


if __name__ == "__main__":
    rdl.main()
