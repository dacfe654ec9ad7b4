# SPDX-License-Identifier: Apache-2.0
"""`rdlink bugreport` of the real service with a real guest's switch, and of one that is gone."""

import io
import json
import os
import pathlib
import socket
import stat
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rancher_guest  # noqa: E402
import rdl  # noqa: E402
import rdl_link  # noqa: E402
from rancher_kernel import KernelGuest  # noqa: E402


def files_of(archive):
    """Name without its folder: content."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name.split("/", 1)[1]: tar.extractfile(m).read().decode() for m in tar}


class BugreportTest(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.folder = pathlib.Path(self.session.path("home"))
        self.folder.mkdir()
        self.env = dict(self.session.env(), HOME=str(self.folder), USER="anna")

    def start(self, *options):
        self.state = self.session.path("status.json")
        self.host = rdl_link.Host(self.session, options=["--status-file", self.state, *options])
        rdl.wait_until(lambda: os.path.exists(self.state), 20, "the status file")

    def bugreport(self, *words):
        return subprocess.run([rdl.binary("rdlink"), "bugreport",
                               f"--address=unix:{self.host.status_socket}", *words],
                              capture_output=True, timeout=60, env=self.env, cwd=self.folder)

    def test_with_a_guest_everything_is_there(self):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise rdl.Skip("needs root and /dev/net/tun")
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        self.start("--switch-control", f"unix:{self.session.path('control')}",
                   "--forward", f"127.0.0.1:{port}=192.168.127.2:80")
        machine = rancher_guest.Machine(self.session.path("vm1.vsock"))
        self.addCleanup(machine.close)
        guest = KernelGuest(self.session, machine, "A", "guest")
        rdl.wait_until(guest.kernel.ready, 20, "the guest's interface is up")
        rdl.wait_until(lambda: guest.links, 20, "the guest is linked")
        guest.ask_address()
        config = self.folder / "rdlinkd.conf"
        config.write_text(f"# mine\nendpoint = unix:{self.folder}/docker.sock\napi-token = abc\n")

        made = self.bugreport("--config", str(config), "--log", self.log())
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(made.stderr, b"")
        [path] = self.folder.glob("rdlink-bugreport-*.tar")
        self.assertIn(f"\nwritten to {path.name}\n", made.stdout.decode())
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        files = files_of(path.read_bytes())
        for name in files.keys() - {"CONTENTS.txt"}:
            self.assertIn(f"  {name}\n", made.stdout.decode())
            self.assertIn(f"  {name}\n", files["CONTENTS.txt"])

        self.assertTrue(json.loads(files["status.json"])["components"])
        self.assertTrue(files["metrics.txt"].endswith("# EOF\n"))
        self.assertIn("service", {row["name"] for row in json.loads(files["check.json"])})
        self.assertEqual(json.loads(files["about.json"])["system"]["name"], "Linux")
        switch = "switches/switch-vm1-A"
        self.assertGreater(json.loads(files[f"{switch}/stats.json"])["BytesSent"], 0)
        self.assertEqual([p["remote"] for p in json.loads(files[f"{switch}/forwards.json"])],
                         ["192.168.127.2:80"])
        self.assertIn("192.168.127.2", json.loads(files[f"{switch}/leases.json"]))
        self.assertTrue(json.loads(files[f"{switch}/cam.json"]))
        json.loads(files[f"{switch}/dns.json"])
        self.assertEqual(files["config.txt"],
                         "# mine\nendpoint = unix:~/docker.sock\napi-token = [redacted]\n")
        self.assertIn("rdlinkd", files["log.txt"])
        self.assertEqual([name for name in files if "missing" in name], [])
        self.assertFalse([name for name, text in files.items() if str(self.folder) in text])

    def log(self):
        """Where the harness keeps what rdlinkd says."""
        return str(self.host.process.log_path)

    def test_without_a_service_the_last_status_is_there_and_nothing_is_overwritten(self):
        self.start()
        self.host.process.kill()
        output = self.folder / "x.tar"
        made = self.bugreport("--output", str(output), "--status-file", self.state)
        self.assertEqual(made.returncode, 0, made.stderr)
        files = files_of(output.read_bytes())
        self.assertIn("The service did not answer", files["CONTENTS.txt"])
        self.assertIn("The service did not answer", made.stdout.decode())
        self.assertIn("refused", files["status.json.missing.txt"])
        self.assertEqual(json.loads(files["status-file.json"])["apiVersion"], "rdlink.v1")

        before = output.read_bytes()
        again = self.bugreport("-o", str(output))
        self.assertEqual(again.returncode, 1)
        self.assertIn(b"is there already", again.stderr)
        self.assertEqual(output.read_bytes(), before)

        piped = self.bugreport("-o", "-")
        self.assertEqual(piped.returncode, 0)
        self.assertIn("about.json", files_of(piped.stdout))
        self.assertIn(b"written to standard output", piped.stderr)

    def test_a_full_disk_leaves_nothing(self):
        self.start()
        if os.geteuid() != 0:
            raise rdl.Skip("needs root, to mount a disk that is full")
        made = subprocess.run(
            ["unshare", "--mount", "sh", "-ec",
             'mount -t tmpfs -o size=8k none "$1"; cd "$1"; shift; "$@" || echo "ended: $?"; ls',
             "sh", str(self.folder), rdl.binary("rdlink"), "bugreport",
             f"--address=unix:{self.host.status_socket}"],
            capture_output=True, text=True, timeout=60, env=self.env)
        self.assertTrue(made.stdout.endswith("ended: 1\n"), made.stdout + made.stderr)
        self.assertIn("cannot write to rdlink-bugreport-", made.stderr)


if __name__ == "__main__":
    rdl.main()
