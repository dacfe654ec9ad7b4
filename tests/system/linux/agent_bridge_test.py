# SPDX-License-Identifier: Apache-2.0
"""rdlink-agent by itself: stopping, restarting, too few descriptors, a docker.sock that is wrong."""

import os
import pathlib
import signal
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import rdl
from agent_support import Agent, Engine, QuietEngine, read_to_end, release_programs

REQUEST = b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n"
IDLE_STREAMS = 1000
IDLE_MAX_KIB = 8 * 1024


class AgentTest(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)

    def agent(self, *options, engine=Engine, **more):
        if engine:
            self.engine = engine(self.session.path("agent-docker.sock"))
            self.addCleanup(self.engine.close)
        return Agent(self.session, *options, **more).wait_until_listening()

    def stream(self, agent):
        """A stream that is through to the engine and stays open."""
        s = agent.connect(timeout=10)
        self.addCleanup(s.close)
        s.sendall(b"first")
        self.assertEqual(s.recv(100), b"first")
        return s

    def refusal(self, agent):
        with agent.connect() as s:
            s.sendall(REQUEST)
            s.shutdown(socket.SHUT_WR)
            return read_to_end(s).decode()


class StopTest(AgentTest):
    def test_sigterm_refuses_new_clients_and_lets_streams_finish(self):
        agent = self.agent()
        stream = self.stream(agent)
        agent.process.send(signal.SIGTERM)
        rdl.wait_until(lambda: not os.path.exists(agent.listen), 5, "it listens no more")
        stream.sendall(b"still there?")
        self.assertEqual(stream.recv(100), b"still there?")
        self.assertTrue(agent.process.alive())
        stream.shutdown(socket.SHUT_WR)
        self.assertEqual(read_to_end(stream), b"")
        self.assertEqual(agent.process.popen.wait(5), 0)

    def test_streams_are_cut_at_the_drain_deadline(self):
        agent = self.agent("--drain-timeout", "300ms")
        stream = self.stream(agent)
        begin = time.monotonic()
        agent.process.send(signal.SIGTERM)
        self.assertEqual(stream.recv(100), b"")
        self.assertEqual(agent.process.popen.wait(5), 0)
        self.assertGreater(time.monotonic() - begin, 0.25)

    def test_a_second_signal_cuts_at_once(self):
        agent = self.agent("--drain-timeout", "1h")
        stream = self.stream(agent)
        agent.process.send(signal.SIGTERM)
        rdl.wait_until(lambda: not os.path.exists(agent.listen), 5, "it drains")
        agent.process.send(signal.SIGINT)
        self.assertEqual(stream.recv(100), b"")
        self.assertEqual(agent.process.popen.wait(5), 0)

    def test_fifty_restarts_rebind_while_clients_connect(self):
        agent = self.agent("--drain-timeout", "1s")
        stop = threading.Event()
        wrong, served = [], [0]

        def hammer():
            while not stop.is_set():
                try:
                    answer = agent.echo(b"x")
                except OSError:
                    continue  # nobody listens right now, or cut: that is what restarts do
                served[0] += answer == b"x"
                if answer not in (b"x", b""):
                    wrong.append(answer)

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(50):
                before = served[0]
                rdl.wait_until(lambda before=before: served[0] > before, 10, "clients are served")
                self.assertEqual(agent.process.stop(), 0, agent.process.log())
                agent.restart()
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertNotIn("already taken", agent.process.log())
        agent.wait_until_listening()
        self.assertEqual(agent.echo(), b"hello")


class LimitsTest(AgentTest):
    def test_too_few_descriptors_neither_spin_nor_flood_the_log_and_it_recovers(self):
        agent = self.agent(files=64)
        held = []
        for _ in range(100):  # each stream takes two; the rest meets the limit
            s = agent.connect(timeout=1)
            held.append(s)
        rdl.wait_until(lambda: "reason=OutOfDescriptors" in agent.process.log(), 10,
                       "the shortage is a condition")
        cpu, lines, seconds = agent.cpu_seconds(), agent.process.log().count("\n"), 3.0
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:  # clients go on trying all the while
            with self.subTest("client"), socket.socket(socket.AF_UNIX) as s:
                s.settimeout(0.2)
                s.connect(agent.listen)
                time.sleep(0.01)
        self.assertLess(agent.cpu_seconds() - cpu, 0.5 * seconds)
        self.assertLess(agent.process.log().count("\n") - lines, 10 * seconds)
        for s in held:
            s.close()
        rdl.wait_until(lambda: agent.echo() == b"hello", 10, "it serves again")
        self.assertTrue(agent.process.alive())

    def test_one_client_too_many_is_told_so(self):
        agent = self.agent("--max-connections", "2")
        streams = [self.stream(agent), self.stream(agent)]
        answer = self.refusal(agent)
        self.assertIn("HTTP/1.1 503 ", answer)
        self.assertIn("the limit of 2 is reached", answer)
        streams[0].sendall(b"unharmed")
        self.assertEqual(streams[0].recv(100), b"unharmed")

    def test_a_thousand_idle_streams_stay_small(self):
        programs = release_programs()
        if not (pathlib.Path(programs) / "rdlink-agent").exists():
            raise rdl.Skip("no release build of rdlink-agent (./dev build)")
        agent = self.agent("--max-connections", str(IDLE_STREAMS + 10), engine=QuietEngine,
                           programs=programs)
        held = [agent.connect() for _ in range(IDLE_STREAMS)]
        for s in held:
            self.addCleanup(s.close)
        rdl.wait_until(lambda: len(self.engine.held) >= IDLE_STREAMS, 30, "all are through")
        resident = agent.resident_kib()
        print(f"measured: resident with {IDLE_STREAMS} idle streams: {resident} KiB", flush=True)
        self.assertLessEqual(resident, IDLE_MAX_KIB)


class TargetTest(AgentTest):
    def test_a_missing_socket_is_told_logged_and_found_again(self):
        agent = self.agent(engine=None)
        self.assertIn("not found", self.refusal(agent))
        self.assertIn("reason=SocketMissing", agent.process.log())
        engine = Engine(agent.target)
        self.addCleanup(engine.close)
        self.assertEqual(agent.echo(), b"hello")

    def test_a_socket_that_nobody_serves_is_told_and_found_again_without_a_client(self):
        agent = self.agent()
        self.engine.close()
        answer = self.refusal(agent)
        self.assertIn("HTTP/1.1 503 ", answer)
        self.assertIn("connection refused", answer)
        self.assertIn("reason=ConnectionRefused", agent.process.log())
        os.unlink(agent.target)
        engine = Engine(agent.target)
        self.addCleanup(engine.close)
        rdl.wait_until(lambda: "DockerSocketReady True" in
                       agent.process.log().rsplit("reason=ConnectionRefused", 1)[1], 10,
                       "the agent finds out by itself")

    def test_what_is_no_socket_is_told(self):
        agent = self.agent(engine=None)
        pathlib.Path(agent.target).write_text("")
        self.assertIn("no socket", self.refusal(agent))

    def test_somebody_elses_socket_is_never_connected_to(self):
        agent = self.agent()
        self.assertEqual(agent.echo(), b"hello")
        rdl.wait_until(lambda: "DockerSocketReady True" in agent.process.log(), 10, "it is probed")
        os.chown(agent.target, 1234, 1234)
        accepted = self.engine.accepted
        for _ in range(20):
            self.assertIn("owned by uid 1234, not by uid 0", self.refusal(agent))
        self.assertEqual(self.engine.accepted, accepted)
        self.assertIn("reason=OwnerUnexpected", agent.process.log())
        self.assertLess(agent.process.log().count("OwnerUnexpected"), 3)
        os.chown(agent.target, 0, 0)
        self.assertEqual(agent.echo(), b"hello")

    def test_another_owner_is_fine_when_configured(self):
        engine = Engine(self.session.path("agent-docker.sock"))
        self.addCleanup(engine.close)
        os.chown(engine.path, 1234, 1234)
        agent = self.agent("--target-owner", "1234", engine=None)
        self.assertEqual(agent.echo(), b"hello")


if __name__ == "__main__":
    rdl.main()
