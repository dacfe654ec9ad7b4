# SPDX-License-Identifier: Apache-2.0
"""What the journal gets of both units as they ship: a real systemd starts them with all that they
forbid, beside a journal of its own, and journalctl reads the fields back."""

import json
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_systemd

DIST = rdl.ROOT / "guestagent/dist"
# No WSL, another path of the program, no vsock. A leak check would need ptrace(2), which is forbidden.
DROP_IN = """[Unit]
ConditionVirtualization=
[Service]
Environment=ASAN_OPTIONS=detect_leaks=0
ExecStart=
ExecStart=/run/host/rdlink-agent {}
"""
SOCKETS = """[Unit]
ConditionVirtualization=
[Socket]
ListenStream=
ListenStream=/run/rdlink-bridge.sock
ListenStream=/run/rdlink-control.sock
"""
UNITS = {
    "network-namespace.service": "[Service]\nPrivateNetwork=yes\nExecStart=/bin/sleep infinity\n",
    "modprobe@.service": "[Service]\nType=oneshot\nExecStart=/bin/true\n",
    "network-setup.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "rdlink-bridge.service.d/test.conf": DROP_IN.format("bridge"),
    "rdlink-bridge.socket.d/test.conf": SOCKETS,
    "rdlink-net.service.d/test.conf": DROP_IN.format("net --link v2:unix:/run/nobody.sock"),
}


class JournalTest(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        # A copy where nothing is hidden from the units, as /home, /root and /tmp are.
        shutil.copy(rdl.binary("rdlink-agent"), self.session.dir)
        self.session.dir.chmod(0o711)  # for the bridge's user
        shipped = {unit.name: unit.read_text() for unit in DIST.glob("rdlink-*") if unit.is_file()}
        self.systemd = rdl_systemd.Systemd(self.session, {**UNITS, **shipped}, journal=True)
        self.systemd.run("groupadd", "--force", "--system", "docker")

    def entries(self, unit, *words):
        shown = self.systemd.run("journalctl", "-o", "json", "--no-pager", "-u", unit, *words)
        return [json.loads(line) for line in shown.stdout.splitlines()]

    def assert_fields(self, unit, process, component, message):
        """Of the unit's first entry with such a message; of all that it wrote: none without ours."""
        def found():
            return next((e for e in self.entries(unit, "-t", "rdlink-agent")
                         if message in e["MESSAGE"]), None)
        try:
            entry = rdl.wait_until(found, 20, f"{unit} has written '{message}'")
        except rdl.Timeout:
            self.fail(str(self.entries(unit)) + self.systemd.systemctl("status", unit).stdout)
        wanted = {"RDLINK_PROCESS": process, "RDLINK_COMPONENT": component, "RDLINK_EVENT": "0",
                  "_TRANSPORT": "journal", "_SYSTEMD_UNIT": unit}
        self.assertEqual({key: entry.get(key) for key in wanted}, wanted)
        for entry in self.entries(unit, "-t", "rdlink-agent"):
            self.assertEqual(entry["PRIORITY"],
                             {"error": "3", "warn": "4", "info": "6"}[entry["RDLINK_LEVEL"]])
            self.assertNotIn("component=", entry["MESSAGE"])  # in a field, not in the text

    def test_the_bridge_s_fields(self):
        self.systemd.systemctl("start", "rdlink-bridge.service")
        self.assert_fields("rdlink-bridge.service", "bridge", "bridge", "condition=ListenerReady True")
        # docker.sock is not there.
        (entry, *_) = self.entries("rdlink-bridge.service", "-p", "warning", "RDLINK_COMPONENT=bridge")
        self.assertIn("docker.sock", entry["MESSAGE"])

    def test_the_net_unit_s_fields(self):
        self.systemd.systemctl("start", "--no-block", "rdlink-net.service")
        self.assert_fields("rdlink-net.service", "net", "net", "condition=LinkUp False")
        self.assertEqual(self.entries("rdlink-net.service", "RDLINK_PROCESS=bridge"), [])


if __name__ == "__main__":
    rdl.main()
