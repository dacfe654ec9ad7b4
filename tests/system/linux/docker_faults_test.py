# SPDX-License-Identifier: Apache-2.0
"""Each part of the chain is broken under load. What is under way at that moment may be cut; every
other client is served or told why, and the chain recovers without help."""

import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_link
from rdl_load import Load

stack = None


def setUpModule():
    global stack
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    stack = rdl_link.Stack(session)


class Broken(unittest.TestCase):
    """Base: a load on the endpoint, and the figures of the recovery."""

    def setUp(self):
        stack.host.wait_serving()

    def loaded(self):
        load = Load(stack.host.endpoint)
        self.enterContext(load)
        rdl.wait_until(lambda: len(load.outcomes) > 50, 20, "the load runs")
        return load

    def recovered(self, load, since, what, timeout=20):
        """Waits for the first served request that began after `since`; prints how long it took."""
        rdl.wait_until(lambda: load.seen_since("served", since), timeout,
                       f"served again after {what}")
        rdl.measured(f"{what}, until served again", time.monotonic() - since)
        count = len(load.outcomes)
        rdl.wait_until(lambda: len(load.outcomes) > count + 50, 20, "the load goes on")
        load.stop()
        print(f"  {what}: {load.summary()}")


class Engine(Broken):
    def test_engine_stopped_and_started_again(self):
        load = self.loaded()
        broken = time.monotonic()
        stack.engine.stop()
        gone = time.monotonic()
        rdl.wait_until(lambda: load.seen_since("refused", gone), 10,
                       "clients are refused while there is no engine")
        started = time.monotonic()
        stack.engine.start()
        self.recovered(load, started, "engine started")
        load.check(self, broken, gone)

    def test_engine_killed_and_started_again(self):
        load = self.loaded()
        broken = time.monotonic()
        stack.engine.stop(signal.SIGKILL)
        gone = time.monotonic()
        started = time.monotonic()
        stack.engine.start()
        self.recovered(load, started, "killed engine started")
        load.check(self, broken, gone)


class Agent(Broken):
    def test_agent_killed_and_started_again(self):
        load = self.loaded()
        broken = time.monotonic()
        stack.agent.process.kill()
        gone = time.monotonic()
        rdl.wait_until(lambda: load.seen_since("refused", gone), 10,
                       "clients are refused while there is no agent")
        started = time.monotonic()
        stack.agent.start()
        self.recovered(load, started, "killed agent started")
        load.check(self, broken, gone)

    def test_agent_restarted_as_systemd_would(self):
        load = self.loaded()
        broken = time.monotonic()
        self.assertEqual(stack.agent.process.stop(signal.SIGTERM), 0)
        gone = time.monotonic()
        stack.agent.start()
        self.recovered(load, gone, "stopped agent started")
        load.check(self, broken, gone)


class Worker(Broken):
    def broken_by(self, number, what, timeout):
        """Sends the signal to the docker worker under load; returns what the status said about the
        worker before and after."""
        load = self.loaded()
        before = stack.host.worker()
        broken = time.monotonic()
        os.kill(before["pid"], number)
        rdl.wait_until(lambda: not rdl.is_running(before["pid"]), timeout,
                       f"worker ends after {what}")
        gone = time.monotonic()
        rdl.measured(f"worker {what}, until it is gone", gone - broken)
        self.recovered(load, gone, f"worker {what}")
        after = rdl.wait_until(self.restarted_since(before), 5, "the status shows the restart")
        load.check(self, broken, gone)
        self.assertFalse(any(o.kind == "refused" for o in load.outcomes),
                         f"clients can wait for the next worker: {load.summary()}")
        return before, after

    def restarted_since(self, before):
        def look():
            now = stack.host.worker()
            return now["restarts"] == before["restarts"] + 1 and now["process"] == "running" and now
        return look

    def assertRecent(self, text):
        """An RFC 3339 time within the last half minute."""
        then = time.mktime(time.strptime(text[:19] + "Z", "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        self.assertLess(abs(time.time() - then), 30)

    def test_worker_killed_is_started_again_and_the_status_says_so(self):
        before, after = self.broken_by(signal.SIGKILL, "killed", 5)
        self.assertNotEqual(after["pid"], before["pid"])
        self.assertEqual(after["lastExit"]["signal"], signal.SIGKILL)
        self.assertTrue(after["lastExit"]["reason"])
        self.assertRecent(after["lastExit"]["time"])

    def test_worker_that_hangs_is_replaced_within_the_heartbeat(self):
        _, after = self.broken_by(signal.SIGSTOP, "frozen", 8)
        self.assertEqual(after["lastExit"]["reason"], "HeartbeatMissed")
        self.assertRecent(after["lastExit"]["time"])

    def test_worker_that_crashes_is_started_again_with_its_end_shown(self):
        # A crash is a signal, or, where a sanitizer reports it first, an exit code.
        _, after = self.broken_by(signal.SIGSEGV, "crashed", 8)
        end = after["lastExit"]
        self.assertTrue(end["signal"] == signal.SIGSEGV or end["code"] > 0, end)
        self.assertTrue(end["reason"])
        self.assertRecent(end["time"])


class Controller(Broken):
    def test_killed_controller_leaves_no_worker_and_the_next_one_takes_over(self):
        worker = stack.host.worker()["pid"]
        os.kill(stack.host.process.pid, signal.SIGKILL)
        stack.host.process.popen.wait()
        rdl.wait_until(lambda: not rdl.is_running(worker), 5, "the worker dies with its controller")
        began = time.monotonic()
        stack.host.start()
        stack.host.wait_serving()
        rdl.measured("new controller, until served again", time.monotonic() - began)

    def test_stopped_controller_ends_its_worker_and_removes_its_sockets(self):
        worker = stack.host.worker()["pid"]
        self.assertEqual(stack.host.process.stop(signal.SIGTERM), 0)
        self.assertFalse(rdl.is_running(worker))
        self.assertFalse(os.path.exists(stack.host.endpoint))
        self.assertFalse(os.path.exists(stack.host.status_socket))
        stack.host.start()


if __name__ == "__main__":
    rdl.main()
