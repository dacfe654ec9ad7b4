# SPDX-License-Identifier: Apache-2.0
"""The endpoint's name: taken by another program, freed, left over by a dead one, removed. No
engine, no privileges."""

import os
import pathlib
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_http
import rdl_link
import rdl_script

# Another program that holds a name: answers nobody, ends with its standard input.
SQUATTER = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(1)
print("holds", flush=True)
sys.stdin.read()
"""


def serves(path):
    return rdl_http.request(path, "GET", "/_ping").status == 200


def endpoint_of(host, path):
    """What the status says about the endpoint that was asked for at `path`."""
    return next(e for e in host.status()["endpoints"] if e["requested"] == f"unix:{path}")


class Name(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        self.enterContext(
            rdl_script.Server(self.session.path("docker.sock"), rdl_script.answer_ping))
        rdl_link.Agent(self.session, self.session.path("docker.sock"))
        self.wanted = self.session.path("docker-host.sock")

    def squat(self):
        squatter = self.session.start("squatter", [sys.executable, "-c", SQUATTER, self.wanted],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(squatter.popen.stdin.close)
        self.addCleanup(squatter.popen.stdout.close)
        self.assertEqual(squatter.popen.stdout.readline(), b"holds\n")
        return squatter

    def test_taken_name_is_told_served_elsewhere_and_reclaimed_when_free(self):
        squatter = self.squat()
        host = rdl_link.Host(self.session)
        rdl.wait_until(lambda: serves(host.fallback), 20, "the fallback serves")
        shown = endpoint_of(host, self.wanted)
        self.assertEqual(shown["state"], "fallback")
        self.assertEqual(shown["address"], f"unix:{host.fallback}")
        self.assertEqual(shown["owner"]["pid"], squatter.pid)
        self.assertIn("python", shown["owner"]["image"])

        squatter.kill()
        began = time.monotonic()
        rdl.wait_until(lambda: serves(self.wanted), 20, "the freed name serves")
        rdl.measured("freed name, until served", time.monotonic() - began)
        rdl.wait_until(lambda: endpoint_of(host, self.wanted)["state"] == "listening", 5,
                       "the status shows the name as ours")
        self.assertTrue(serves(host.fallback), "clients that use the fallback were cut off")

    def test_socket_left_over_by_a_dead_program_is_taken_over(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.wanted)
        host = rdl_link.Host(self.session)
        host.wait_serving()
        self.assertEqual(endpoint_of(host, self.wanted)["state"], "listening")

    def test_second_rdlinkd_does_not_take_the_name_from_the_first(self):
        first = rdl_link.Host(self.session)
        first.wait_serving()
        worker = first.worker()["pid"]
        second = rdl_link.Host(self.session, name="second", endpoint=self.wanted)
        rdl.wait_until(lambda: endpoint_of(second, self.wanted)["state"] == "fallback", 20,
                       "the second one is at its fallback")
        self.assertEqual(endpoint_of(second, self.wanted)["owner"]["pid"], first.process.pid)
        self.assertTrue(serves(self.wanted))
        self.assertEqual(first.worker()["pid"], worker)
        self.assertEqual(second.process.stop(), 0)
        self.assertTrue(serves(self.wanted), "the second one's end took the first one's name away")

    def test_removed_socket_file_is_made_again(self):
        host = rdl_link.Host(self.session)
        host.wait_serving()
        os.unlink(self.wanted)
        rdl.measured("removed socket file, until served again", host.wait_serving())


if __name__ == "__main__":
    rdl.main()
