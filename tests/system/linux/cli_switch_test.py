# SPDX-License-Identifier: Apache-2.0
"""`rdlink ports` and `rdlink capture`: from the status to the control socket of a guest's switch."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rancher_guest  # noqa: E402
import rdl  # noqa: E402
import rdl_link  # noqa: E402
from rancher_kernel import GATEWAY, KernelGuest  # noqa: E402

class CliSwitchTest(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise rdl.Skip("needs root and /dev/net/tun")
        self.session = rdl.Session()
        self.addCleanup(self.session.close)

    def start(self, *options):
        self.host = rdl_link.Host(self.session, options=options)
        machine = rancher_guest.Machine(self.session.path("vm1.vsock"))
        self.addCleanup(machine.close)
        guest = KernelGuest(self.session, machine, "A", "guest")
        rdl.wait_until(guest.kernel.ready, 20, "the guest's interface is up")
        rdl.wait_until(lambda: guest.links, 20, "the guest is linked")
        guest.ask_address()
        return guest

    def rdlink(self, *words, **options):
        return subprocess.run([rdl.binary("rdlink"), words[0],
                               f"--address=unix:{self.host.status_socket}", *words[1:]],
                              capture_output=True, timeout=30, env=self.session.env(), **options)

    def capture(self, *words):
        """Runs beside the test; ends by itself after its --for."""
        return self.session.start("capture", [
            rdl.binary("rdlink"), "capture", f"--address=unix:{self.host.status_socket}", *words])

    def forwards(self):
        return {f["host"]: f for f in self.host.status()["forwards"]}

    def check_status(self, port, taken, holder):
        """Each forward is in the status, the one that waits with its reason until it has its port."""
        free, waiting = f"127.0.0.1:{port}", f"127.0.0.1:{taken}"
        rdl.wait_until(lambda: len(self.forwards()) == 2, 10, "both forwards are in the status")
        found = self.forwards()
        self.assertEqual(found[free], {
            "vm": "vm1", "generation": "A", "proto": "tcp", "host": free, "guest": "192.168.127.2:80",
            "state": "listening", "reason": None, "message": None})
        self.assertEqual((found[waiting]["state"], found[waiting]["reason"]), ("waiting", "PortTaken"))
        self.assertRegex(found[waiting]["message"], rf"{taken}: taken by ")
        self.assertEqual(list(found), [waiting, free])
        self.assertIn(f"tcp/{waiting} ".encode(), self.rdlink("status").stdout)
        holder.close()
        rdl.wait_until(lambda: self.forwards()[waiting]["state"] == "listening", 10,
                       "the forward that waited listens")
        self.assertIsNone(self.forwards()[waiting]["reason"])
        self.assertNotIn(f"tcp/{waiting} ".encode(), self.rdlink("status").stdout)

    def test_ports_and_capture(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        holder = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        taken = holder.getsockname()[1]
        control = f"unix:{self.session.path('control')}"
        guest = self.start("--switch-control", control, "--forward",
                           f"127.0.0.1:{port}=192.168.127.2:80", "--forward",
                           f"127.0.0.1:{taken}=192.168.127.2:81")
        shown = self.rdlink("ports")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertRegex(shown.stdout.decode(),
                         rf"tcp +127\.0\.0\.1:{port} +192\.168\.127\.2:80 +switch-vm1-A\n")
        self.assertRegex(shown.stdout.decode(),
                         rf"tcp +127\.0\.0\.1:{taken} +192\.168\.127\.2:81 +switch-vm1-A\n"
                         r"      waits: .*: taken by .*\n")
        states = {p["remote"]: p["state"] for p in json.loads(self.rdlink("ports", "--json").stdout)}
        self.assertEqual(states, {"192.168.127.2:80": "listening", "192.168.127.2:81": "waiting"})

        self.check_status(port, taken, holder)

        file = self.session.path("ping.pcapng")
        capture = self.capture("-o", file, "--filter", "icmp and host 192.168.127.1", "--for", "3s")
        rdl.wait_until(lambda: os.path.exists(file) and os.path.getsize(file) > 0, 10,
                       "the capture has begun")
        self.assertTrue(guest.ping(GATEWAY))
        self.assertEqual(capture.popen.wait(20), 0, capture.log())
        self.assertIn("bytes of switch-vm1-A", capture.log())
        read = subprocess.run([rdl.tool("tcpdump", "tcpdump"), "-nr", file], capture_output=True,
                              text=True, timeout=20)
        self.assertEqual(read.returncode, 0, read.stderr)
        self.assertIn("ICMP echo request", read.stdout)
        self.assertIn("ICMP echo reply", read.stdout)
        self.assertNotIn("ARP", read.stdout)

        refused = self.rdlink("capture", "--filter", "host nowhere")
        self.assertEqual(refused.returncode, 1)
        self.assertIn(b"the switch refuses: ", refused.stderr)
        closed = self.rdlink("capture", "--output", "/no-such-folder/x")
        self.assertIn(b"cannot write to /no-such-folder/x", closed.stderr)

    def test_without_control_sockets_it_says_how_to_get_one(self):
        self.start()
        shown = self.rdlink("ports")
        self.assertEqual((shown.returncode, shown.stdout), (1, b""))
        self.assertIn(b"--switch-control", shown.stderr)


if __name__ == "__main__":
    rdl.main()
