# SPDX-License-Identifier: Apache-2.0
"""The net unit on real AF_VSOCK: Rancher's handshake is the host's alone (CID 2), and the guest gets
its network over vsock from a Rancher host, and from ours, which then has its ports to itself."""

import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rancher_host  # noqa: E402
import rdl  # noqa: E402
import rdl_qemu  # noqa: E402

AGENT = ("/bin/rdlink-agent net --netns host --no-veth --legacy-after 100ms "
         "--resolv-conf /run/resolv.conf --hosts /run/hosts")


def setUpModule():
    global session, guest
    session = rdl.Session()
    guest = rdl_qemu.Guest(session)
    guest.run(f"{AGENT} >>/run/net.log 2>&1 & echo $! >/run/net.pid")


def tearDownModule():
    session.close()


def says(text):
    """The agent's log has it."""
    return f"count={text}" in guest.run(f"echo count=$(grep -o '{text}' /run/net.log | tail -1)")


def reaches_gateway():
    return "bytes from 192.168.127.1" in guest.run("ping -c 1 -W 2 192.168.127.1")


class Network(unittest.TestCase):
    def test_1_a_rancher_host(self):
        host = rancher_host.Host(guest.uds, "A")
        rdl.wait_until(host.probe, 30, "the guest gives its signature")
        link = f"{guest.uds}_{host.data_port}"
        switch = session.start("switch", [rdl.binary("rdlinkd"), "switch", "--link",
                                          f"stdio:unix:{link}"])
        self.addCleanup(switch.stop)
        rdl.wait_until(lambda: os.path.exists(link), 20, "the switch listens")
        host.ready()
        rdl.wait_until(lambda: says("linked by A"), 30, "the guest is linked")
        rdl.wait_until(reaches_gateway, 30, "the guest reaches the gateway")
        self.assertIn("nameserver 192.168.127.1", guest.run("cat /run/resolv.conf"))

    def test_2_nobody_else_hears_the_signature(self):
        for port in (6669, 6670, 6681):
            with self.subTest(port):
                self.assertRegex(guest.run(f"vsock_guest connect 1 {port}"), r"bytes=0 end=")

    def test_3_our_host(self):
        session.start("rdlinkd", [
            rdl.binary("rdlinkd"), "run", "--vm-folder", guest.folder,
            "--endpoint", f"unix:{session.path('host.sock')}",
            "--status", f"unix:{session.path('status.sock')}"])
        rdl.wait_until(lambda: says("linked by v2"), 60, "the guest is linked")
        rdl.wait_until(reaches_gateway, 30, "the guest reaches the gateway")


if __name__ == "__main__":
    rdl.main()
