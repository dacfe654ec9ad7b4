# SPDX-License-Identifier: Apache-2.0
"""The first start of the host's service, the guest's agent and the engine, in every order: the last one
to come makes the link Ready, and nobody has to be started again."""

import itertools
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_engine
import rdl_http


class FirstStart(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.folder = self.session.dir / "vms"
        self.folder.mkdir()

    def host(self):
        self.session.start("rdlinkd", [
            rdl.binary("rdlinkd"), "run", "--vm-folder", self.folder, "--no-network",
            "--endpoint", f"unix:{self.session.path('host.sock')}",
            "--status", f"unix:{self.session.path('status.sock')}"])
        rdl.wait_until(self.snapshot, 20, "rdlinkd tells its status")

    def agent(self):
        socket = self.folder / "vm1.vsock"
        self.session.start("agent", [
            rdl.binary("rdlink-agent"), "bridge", "--listen", f"vsock-hybrid:{socket}:6660",
            "--target", f"unix:{self.session.path('docker.sock')}"])
        rdl.wait_until(socket.exists, 20, "the agent listens")

    def engine(self):
        self.addCleanup(rdl_engine.PingEngine(self.session.path("docker.sock")).close)

    def snapshot(self):
        return rdl_http.request(self.session.path("status.sock"), "GET", "/v1/status").json()

    def assert_all_ends_ready(self, order):
        for number, part in enumerate(order):
            getattr(self, part)()
            if "host" in order[:number + 1] and number < 2:
                self.assertFalse(self.snapshot()["ready"], f"ready without {order[number + 1:]}")
        rdl.wait_until(lambda: self.snapshot()["ready"], 20, "the link is ready")
        answer = rdl_http.request(self.session.path("host.sock"), "GET", "/_ping")
        self.assertEqual((answer.status, answer.body), (200, b"OK"))


def add_orders():
    for order in itertools.permutations(("host", "agent", "engine")):
        def test(self, order=order):
            self.assert_all_ends_ready(order)
        setattr(FirstStart, f"test_{'_then_'.join(order)}", test)


add_orders()

if __name__ == "__main__":
    rdl.main()
