# SPDX-License-Identifier: Apache-2.0
"""Many clients: 200 at once, and 10,000 one after the other with nothing left of them."""

import contextlib
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_http
import rdl_link
from rdl_link import IMAGE

PARALLEL = 200
SEQUENTIAL = 10_000

stack = None


def setUpModule():
    global stack
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    stack = rdl_link.Stack(session)


class Parallel(unittest.TestCase):
    def test_200_raw_clients_hold_a_stream_and_each_gets_the_event(self):
        with contextlib.ExitStack() as opened:
            clients = [opened.enter_context(rdl_http.connect(stack.host.endpoint, 30))
                       for _ in range(PARALLEL)]
            for client in clients:
                client.sendall(rdl_http.head("GET", "/events"))
            rests = []
            for client in clients:
                top, rest = rdl_http.read_head(client)
                self.assertIn(b" 200 ", top.split(b"\r\n")[0])
                rests.append(rest)
            stack.docker.run("run", "--rm", "--name", "herald", IMAGE, "true")
            for client, seen in zip(clients, rests):
                while b'"name":"herald"' not in seen:
                    chunk = client.recv(65536)
                    self.assertTrue(chunk, f"stream of a client ended after {seen!r}")
                    seen += chunk

    def test_200_docker_clients_at_once_all_succeed(self):
        began = time.monotonic()
        command = [stack.docker.program, "version", "--format", "{{.Server.Version}}"]
        clients = [subprocess.Popen(command, env=stack.docker.env, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                   for _ in range(PARALLEL)]
        try:
            results = [(c.communicate(timeout=90), c.returncode) for c in clients]
        finally:
            for client in clients:
                client.kill()
        rdl.measured(f"{PARALLEL} docker CLIs at once, until the last ended",
                     time.monotonic() - began)
        failed = [(error, code) for (out, error), code in results if code != 0 or not out.strip()]
        self.assertEqual(failed, [])


class Sequential(unittest.TestCase):
    def test_10000_connections_leave_no_descriptor_behind(self):
        agent, worker = stack.agent.process.pid, stack.host.worker()["pid"]
        for _ in range(20):  # warm: what is opened once is open now
            self.ping()
        counts = {pid: settled_descriptors(pid) for pid in (agent, worker)}
        began = time.monotonic()
        for _ in range(SEQUENTIAL):
            self.ping()
        seconds = time.monotonic() - began
        rdl.measured(f"{SEQUENTIAL} sequential requests, {SEQUENTIAL / seconds:.0f}/s", seconds)
        for pid, before in counts.items():
            rdl.wait_until(lambda: rdl.descriptors_of(pid) == before, 5,
                           f"descriptors of {rdl.command_of(pid)} are back at {before}")
        self.assertEqual(stack.host.worker()["pid"], worker, "the worker was restarted on the way")

    def ping(self):
        answer = rdl_http.request(stack.host.endpoint, "GET", "/_ping")
        self.assertEqual((answer.status, answer.body), (200, b"OK"))


def settled_descriptors(pid):
    """The count once it has not moved for a tenth of a second."""
    seen = []

    def settled():
        seen.append(rdl.descriptors_of(pid))
        return len(seen) > 5 and len(set(seen[-5:])) == 1 and seen[-1]
    return rdl.wait_until(settled, 10, f"descriptors of {pid} settle")


if __name__ == "__main__":
    rdl.main()
