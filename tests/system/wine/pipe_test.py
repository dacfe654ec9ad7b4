# SPDX-License-Identifier: Apache-2.0
"""Docker's streams through rdlinkd.exe: a message-mode pipe in front, the real agent behind."""

import contextlib
import socket
import sys
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_script

BIG = 3_000_000


class Pipe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.session = cls.enterClassContext(rdl.Session())
        path = cls.session.path("docker.sock")
        cls.script = staticmethod(wine_support.echo_after_end)
        cls.enterClassContext(rdl_script.Server(path, lambda c: cls.script(c)))
        cls.wine = wine_support.Wine(cls.session)
        cls.agent = wine_support.Agent(cls.session, path)
        cls.host = wine_support.Host(cls.wine, "--vm", f"vm1={cls.agent.address}")
        cls.host.wait_for(lambda s: s["ready"], "rdlinkd.exe is ready")

    def test_client_ends_its_direction_first(self):
        for size in (0, 10, BIG):
            with self.subTest(size=size):
                said = self.wine.client("exchange", self.host.pipe, size)
                self.assertEqual(said, f"sent {size} received {size} end=message\n")

    def test_server_ends_its_direction_first(self):
        heard = []

        def speak(connection):
            with contextlib.suppress(OSError):  # the worker's own question gets no answer now
                connection.sendall(b"x" * BIG)
                connection.shutdown(socket.SHUT_WR)
                heard.append(sum(len(p) for p in iter(lambda: connection.recv(65536), b"")))

        type(self).script = staticmethod(speak)
        try:
            said = self.wine.client("listen", self.host.pipe, 1000)
        finally:
            type(self).script = staticmethod(wine_support.echo_after_end)
        self.assertEqual(said, f"sent 1000 received {BIG} end=message\n")
        rdl.wait_until(lambda: 1000 in heard, 10, "the engine heard what came after its own end")

    def test_a_silent_engine_is_told(self):
        def say_nothing(connection):
            while connection.recv(65536):
                pass

        def reasons(status):
            return {c["reason"] for c in status["components"][0]["conditions"]}

        type(self).script = staticmethod(say_nothing)
        try:
            self.host.wait_for(lambda s: "EngineSilent" in reasons(s), "the engine is silent")
            said = self.wine.client("http", self.host.pipe, "/containers/json")
        finally:
            type(self).script = staticmethod(wine_support.echo_after_end)
        self.assertTrue(said.startswith("HTTP/1.1 503 "), said)
        self.assertIn('{"message":"rdlink: the docker engine takes connections but does not answer',
                      said)
        self.host.wait_for(lambda s: s["ready"], "the engine answers again")
        self.assertEqual(self.wine.client("exchange", self.host.pipe, 10),
                         "sent 10 received 10 end=message\n")

    def test_sixteen_clients_at_once(self):
        self.assertEqual(self.wine.client("many", self.host.pipe, 16, 100_000), "16 of 16\n")

    def test_two_hundred_clients_one_after_the_other(self):
        self.assertEqual(self.wine.client("sequence", self.host.pipe, 200, 100), "200 of 200\n")

    def test_killed_worker_is_replaced_and_the_pipe_answers(self):
        before = self.host.status()["components"][0]
        self.wine.client("kill", before["pid"])
        # At once: the name is still there, so the client waits for the next worker.
        self.wine.client("exchange", self.host.pipe, 10)
        after = self.host.wait_for(
            lambda s: s["ready"] and s["components"][0]["restarts"] > before["restarts"],
            "the status shows the restart")["components"][0]
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertEqual(after["lastExit"]["code"], 9)
        self.assertEqual(self.wine.client("exchange", self.host.pipe, 10),
                         "sent 10 received 10 end=message\n")

    def test_killed_controller_takes_its_worker_along(self):
        host = wine_support.Host(self.wine, "--vm", f"vm1={self.agent.address}")
        status = host.wait_for(lambda s: s["ready"], "a second rdlinkd.exe is ready")
        self.wine.client("kill", status["program"]["pid"])
        rdl.wait_until(lambda: self.is_gone(host.pipe), 20, "nobody serves or holds its name")

    def is_gone(self, pipe):
        text, code = self.wine.run(wine_support.windows_program("pipe_client"), "exchange", pipe, 1,
                                   check=False)
        return code != 0 and "error 2\n" in text  # ERROR_FILE_NOT_FOUND


if __name__ == "__main__":
    rdl.main()
