# SPDX-License-Identifier: Apache-2.0
"""rdlinkd's control socket, with real processes: who may use it, what it does, `rdlink restart`."""

import json
import os
import pathlib
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_link  # noqa: E402
import rdl_script  # noqa: E402


class Control(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        engine = self.session.path("engine.sock")
        self.enterContext(rdl_script.Server(engine, rdl_script.answer_ping))
        rdl_link.Agent(self.session, engine)
        self.host = rdl_link.Host(self.session)
        self.host.wait_serving()

    def order(self, method, target):
        return rdl_http.request(self.host.control_socket, method, target)

    def rdlink(self, *words):
        return subprocess.run([rdl.binary("rdlink"), words[0],
                               f"--address=unix:{self.host.status_socket}", *words[1:]],
                              capture_output=True, text=True, timeout=60, env=self.session.env())

    def test_it_is_its_owners_alone_and_lists_its_routes(self):
        mode = stat.S_IMODE(os.stat(self.host.control_socket).st_mode)
        self.assertEqual(mode, 0o600)
        self.assertEqual(self.host.status()["control"], f"unix:{self.host.control_socket}")
        routes = {(r["method"], r["path"]) for r in self.order("GET", "/v1").json()["routes"]}
        self.assertIn(("POST", "/v1/components/*/restart"), routes)
        self.assertEqual(self.order("GET", "/v1/reprobe").status, 405)
        self.assertEqual(self.order("POST", "/v1/reprobe").status, 202)

    def test_restart_gives_another_process_and_serves(self):
        before = self.host.worker()
        done = self.rdlink("restart", "docker")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        after = self.host.worker()
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertEqual(after["restarts"], before["restarts"] + 1)
        self.assertEqual(after["lastExit"]["reason"], "Stopped")
        self.assertEqual(after["state"], "SERVING")
        self.assertEqual(rdl_http.request(self.host.endpoint, "GET", "/_ping").status, 200)

    def test_what_is_not_there_is_named(self):
        done = self.rdlink("restart", "dokcer")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"no component 'dokcer'; there are: docker")

    def test_check_looks_at_this_computer_too(self):
        done = self.rdlink("check", "--json")
        rows = {r["name"]: r for r in json.loads(done.stdout)}
        for name in ("owner of the status", "owner of docker", "orders", "version of vm1/agent",
                     "clock of vm1", "reserved ports"):
            self.assertEqual(rows[name]["result"], "PASS", rows[name])
        self.assertIn(f"uid {os.getuid()}, at unix:{self.host.endpoint}",
                      rows["owner of docker"]["message"])

    def test_the_socket_goes_with_the_service(self):
        self.host.process.stop()
        self.assertFalse(os.path.exists(self.host.control_socket))


if __name__ == "__main__":
    rdl.main()
