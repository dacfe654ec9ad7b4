# SPDX-License-Identifier: Apache-2.0
"""What the controller does about itself and its workers, with real processes: killed, stopped, twice
at once, a worker that cannot live, a network that changes."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_link  # noqa: E402
import rdl_script  # noqa: E402

RECOVERY_S = 3  # from the controller's new start to docker's answer
NOTICED_S = 1   # from the end of a sleep, or a change of the network, to the new look
SPIN_S = 10     # a worker that is busy for so long, and none of its counters moves, gives up
DOUBT_S = 3     # ... to knowing that a guest did not live through it; unasked it takes four at least


def answer_or_save(connection):
    """A script: `docker save` of an image without an end; an answer to anything else."""
    with contextlib.suppress(ConnectionError):
        asked, _ = rdl_http.read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nOK")
        while b"/images/" in asked:
            connection.sendall(bytes(65536))


def start_engine(test, script=rdl_script.answer_ping):
    """A session of the test's, or of the class's, and the engine in it."""
    session = test.enterContext(rdl.Session())
    engine = session.path("engine.sock")
    test.enterContext(rdl_script.Server(engine, script))
    return session, engine


def start_host(session, engine, **options):
    """(agent, host)"""
    agent = rdl_link.Agent(session, engine)
    host = rdl_link.Host(session, **options)
    host.wait_serving()
    return agent, host


def setUpModule():
    """Ten restarts with their pauses, which are drawn, take ten to thirty seconds. The other tests need
    not wait for that, and of two the first one is enough."""
    for _ in range(2):
        crash_loops.append(CrashLoop())
        unittest.addModuleCleanup(crash_loops[-1].close)


crash_loops = []


class CrashLoop:
    """A controller of its own, whose docker worker is killed until it calls that a crash loop."""

    def __init__(self):
        self.context = contextlib.ExitStack()
        self.enterContext = self.context.enter_context
        _, self.host = start_host(*start_engine(self))
        self.over = threading.Event()
        self.is_seen = False
        self.thread = threading.Thread(target=self._kill, daemon=True)
        self.thread.start()

    def _kill(self):
        while not self.over.wait(0.05):
            component = next(c for c in self.host.status()["components"] if c["name"] == "docker")
            if component["crashLoop"]:
                self.is_seen = True
                return
            if component["process"] == "running":
                os.kill(component["pid"], signal.SIGKILL)

    def close(self):
        self.over.set()
        self.thread.join(10)
        self.context.close()


class Supervision(unittest.TestCase):
    def setUp(self):
        self.session, self.engine = start_engine(self)

    def start(self, **options):
        self.agent, host = start_host(self.session, self.engine, **options)
        return host

    def ping(self, host):
        return rdl_http.request(host.endpoint, "GET", "/_ping").status

    def log_of(self, host):
        return host.process.log()

    @contextlib.contextmanager
    def within(self, bound_s, what):
        """Measures; what the machine itself stood still for is not held against us."""
        with rdl.Stalls() as stalls:
            began = time.monotonic()
            yield
            took = time.monotonic() - began
        rdl.measured(what, took)
        self.assertLess(took, bound_s + stalls.worst_s, what)

    # ---- F3: the controller is killed

    def test_workers_die_with_a_killed_controller_and_a_new_one_takes_all_back(self):
        host = self.start(options=("--status-file", self.session.path("status.json")))
        worker = host.worker()["pid"]
        for _ in range(3):
            old = host.process
            os.kill(old.pid, signal.SIGKILL)
            old.popen.wait(5)
            rdl.wait_until(lambda pid=worker: not rdl.is_running(pid), 1, "its worker is gone")
            self.assertTrue(os.path.exists(host.endpoint), "a killed process leaves its names")
            began = time.monotonic()
            host.start()
            rdl.wait_until(lambda: self.ping(host) == 200, RECOVERY_S, "docker answers again")
            rdl.measured("from the new start to docker's answer", time.monotonic() - began)
            status = host.status()
            self.assertEqual(status["program"]["pid"], host.process.pid)
            self.assertEqual([c["name"] for c in status["components"]], ["docker"])
            self.assertEqual(len(rdl.children_of(host.process.pid)), 1, "one worker, not two")
            worker = host.worker()["pid"]

    # ---- F16: two of them

    def test_a_second_controller_says_who_was_first_and_leaves_it_alone(self):
        host = self.start()
        second = subprocess.run(host.process.popen.args, capture_output=True, text=True,
                                timeout=20, env=self.session.env())
        self.assertEqual(second.returncode, 1)
        self.assertRegex(second.stderr, rf"status.*pid {host.process.pid}\b")
        self.assertEqual(self.ping(host), 200)
        self.assertEqual(host.worker()["restarts"], 0)

    def test_a_second_controller_with_a_status_of_its_own_gets_the_names_when_they_are_free(self):
        first = self.start()
        second = rdl_link.Host(self.session, name="second", endpoint=first.endpoint)
        rdl.wait_until(lambda: second.status()["endpoints"][0]["state"] == "fallback", 10,
                       "it says that it serves another name")
        owner = second.status()["endpoints"][0]["owner"]
        self.assertEqual(owner["pid"], first.process.pid)
        first.process.stop()
        rdl.wait_until(lambda: second.status()["endpoints"][0]["state"] == "listening", 5,
                       "it has the name once that is free")

    # ---- F6: everything stood still

    def test_after_a_sleep_every_guest_is_looked_at(self):
        host = self.start()
        pids = [host.process.pid, host.worker()["pid"]]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(7)  # this is what is tested
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        with self.within(NOTICED_S, "from waking up to docker's answer"):
            rdl.wait_until(lambda: "slept, we were stopped" in self.log_of(host), 10,
                           "the sleep is noticed")
            rdl.wait_until(lambda: host.serves() and self.ping(host) == 200, 10, "all is well")
        self.assertEqual(host.worker()["pid"], pids[1], "the worker is not blamed")

    # ---- F12: the network changed

    def test_after_a_change_of_the_network_every_guest_is_looked_at(self):
        if os.geteuid() != 0:
            raise rdl.Skip("needs root for a network namespace")
        names = pathlib.Path(self.session.path("resolv.conf"))
        names.write_text("nameserver 127.0.0.1\n")
        host = self.start(wrapper=(
            "unshare", "--net", "--mount", "--", "sh", "-c",
            f"mount --bind {names} /etc/resolv.conf && exec \"$@\"", "sh"))
        self.assertEqual(self.looks(host), 0)
        self.expect_look(host, "routes", lambda: subprocess.run(
            ["nsenter", f"--net=/proc/{host.process.pid}/ns/net", "ip", "link", "set", "lo", "up"],
            check=True, timeout=10))
        self.expect_look(host, "name servers", lambda: names.write_text("nameserver 127.0.0.53\n"))
        self.agent.process.send(signal.SIGSTOP)  # its stream is dead, and nobody is told
        with self.within(DOUBT_S, "from the change to knowing that the agent is lost"):
            names.write_text("nameserver 127.0.0.1\n")
            rdl.wait_until(lambda: host.status()["instances"][0]["agent"] is None, 10,
                           "the agent is lost")
        self.agent.process.send(signal.SIGCONT)

    def looks(self, host):
        return self.log_of(host).count("network changed: every guest is looked at")

    def expect_look(self, host, what, change):
        before = self.looks(host)
        with self.within(NOTICED_S, f"from a change of the {what} to the look"):
            change()
            rdl.wait_until(lambda: self.looks(host) > before, 10, f"the {what} are noticed")


class LongTransfer(unittest.TestCase):
    def test_with_nothing_beside_it_is_no_spin(self):
        session, engine = start_engine(self, answer_or_save)
        _, host = start_host(session, engine)
        pid, end = host.worker()["pid"], time.monotonic() + SPIN_S + 3
        with rdl_http.connect(host.endpoint) as client:
            client.sendall(rdl_http.head("GET", "/images/alpine/get"))
            while time.monotonic() < end:  # this is what is tested
                self.assertTrue(client.recv(1 << 20), "the transfer was cut")
        self.assertEqual(host.worker()["pid"], pid)


class WorkerThatKeepsEnding(unittest.TestCase):
    def test_is_a_crash_loop_with_a_guest_found_anew(self):
        host = rdl.wait_until(lambda: next((c.host for c in crash_loops if c.is_seen), None), 60,
                              "it is a crash loop")
        log = host.process.log()
        self.assertIn("worker=docker keeps ending: all behind it begins anew", log)
        self.assertIn("vm=vm1 is found anew", log)
        rdl.wait_until(host.serves, 20, "it serves all the same")
        failed = {c["id"] for c in host.status()["diagnostics"]["checks"] if not c["passed"]}
        self.assertEqual(failed, {"RDLINK_COMPONENTS"})


if __name__ == "__main__":
    rdl.main()
