# SPDX-License-Identifier: Apache-2.0
"""rdlink-agent and systemd: the notify protocol, the watchdog, socket activation, the units."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import rdl
from agent_support import Agent, Engine, Notify

DIST = rdl.ROOT / "guestagent/dist"
WORST_EXPOSURE = 0.5
DEFAULT_CONNECTIONS = 512  # guestagent/config.c


class AgentTest(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)

    def engine(self, path):
        engine = Engine(path)
        self.addCleanup(engine.close)
        return engine

    def notify(self, name):
        notify = Notify(name)
        self.addCleanup(notify.close)
        return notify


class NotifyTest(AgentTest):
    def agent(self, notify, engine=True, **env):
        if engine:
            self.engine(self.session.path("agent-docker.sock"))
        return Agent(self.session, "--drain-timeout", "5s",
                     env={"NOTIFY_SOCKET": notify.name, **env})

    def test_ready_is_told_once_and_status_says_what_is_served(self):
        notify = self.notify(self.session.path("notify"))
        agent = self.agent(notify)
        notify.wait_for("READY=1")
        self.assertIn("serving 0 streams", notify.wait_for("STATUS="))
        self.assertEqual(agent.echo(), b"hello")
        self.assertEqual(agent.process.stop(), 0)
        notify.wait_for("STOPPING=1")
        self.assertEqual(notify.count("READY=1"), 1)
        extend = int(notify.wait_for("EXTEND_TIMEOUT_USEC=").partition("=")[2])
        self.assertGreaterEqual(extend, 5_000_000)

    def test_an_abstract_notify_socket_works(self):
        notify = self.notify(f"@{self.session.id}-notify")
        self.agent(notify)
        notify.wait_for("READY=1")

    def test_without_docker_it_is_ready_and_says_what_is_missing(self):
        notify = self.notify(self.session.path("notify"))
        self.agent(notify, engine=False)
        notify.wait_for("READY=1")
        self.assertIn("SocketMissing", notify.wait_for("STATUS="))
        self.engine(self.session.path("agent-docker.sock"))
        notify.wait_for("STATUS=serving")

    def test_the_watchdog_is_fed_at_half_its_interval(self):
        notify = self.notify(self.session.path("notify"))
        self.agent(notify, WATCHDOG_USEC="400000")
        rdl.wait_until(lambda: notify.count("WATCHDOG=1") >= 5, 10, "the watchdog is fed")

    def test_a_watchdog_meant_for_another_process_is_not_fed(self):
        notify = self.notify(self.session.path("notify"))
        agent = self.agent(notify, WATCHDOG_USEC="100000", WATCHDOG_PID="1")
        notify.wait_for("READY=1")
        agent.process.stop()
        notify.wait_for("STOPPING=1")
        self.assertEqual(notify.count("WATCHDOG=1"), 0)

    def test_a_stopped_agent_does_not_feed_the_watchdog(self):
        notify = self.notify(self.session.path("notify"))
        agent = self.agent(notify, WATCHDOG_USEC="200000")
        notify.wait_for("WATCHDOG=1")
        agent.process.send(19)  # SIGSTOP
        rdl.wait_until(lambda: rdl.state_of(agent.process.pid) == "T", 5, "the agent is stopped")
        fed = notify.count("WATCHDOG=1")
        with self.assertRaises(rdl.Timeout):
            rdl.wait_until(lambda: notify.count("WATCHDOG=1") > fed, 1, "nobody feeds it")


class ActivationTest(AgentTest):
    def activated(self, names, *options):
        """The agent behind the real systemd-socket-activate, one unix socket per name."""
        tool = rdl.tool("systemd-socket-activate", "systemd")
        self.sockets = [self.session.path(f"in-{i}.sock") for i in range(len(names))]
        wrapper = [tool, "-E", "RDL_SESSION", "-E", "ASAN_OPTIONS"]
        for path in self.sockets:
            wrapper += ["-l", path]
        if any(names):
            wrapper.append(f"--fdname={':'.join(names)}")
        self.engine(self.session.path("agent-docker.sock"))
        return Agent(self.session, "--control", "none", "--drain-timeout", "200ms", *options,
                     wrapper=wrapper, listen=False)

    def connect(self, path):
        def connected():
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(5)
            try:
                s.connect(path)
            except OSError:
                s.close()
                raise
            return s
        s = rdl.wait_until(connected, 10, f"somebody listens at {path}")
        self.addCleanup(s.close)
        return s

    def assert_echoes(self, path):
        s = self.connect(path)
        s.sendall(b"through")
        self.assertEqual(s.recv(100), b"through")

    def assert_is_control(self, path):
        """The control port ends a stream whose first message is nonsense; the bridge echoes it."""
        s = self.connect(path)
        s.sendall(b"\xff\xff\xff\xff")
        self.assertEqual(s.recv(100), b"")

    def test_a_socket_without_a_name_is_the_bridge(self):
        self.activated([""])
        self.assert_echoes(self.sockets[0])

    def test_without_names_the_second_is_the_control_port(self):
        self.activated(["", ""])
        self.assert_echoes(self.sockets[0])
        self.assert_is_control(self.sockets[1])

    def test_names_decide_whatever_the_order(self):
        self.activated(["control", "bridge"])
        self.assert_is_control(self.sockets[0])
        self.assert_echoes(self.sockets[1])

    def test_the_name_stays_when_the_agent_ends(self):
        agent = self.activated(["bridge"])
        self.assert_echoes(self.sockets[0])
        self.assertEqual(agent.process.stop(), 0)
        self.assertTrue(os.path.exists(self.sockets[0]))


class UnitTest(AgentTest):
    def copies(self, program="/bin/true"):
        """The bridge's units, with a program that exists here (net_unit_test.py has the other)."""
        folder = pathlib.Path(self.session.path("units"))
        folder.mkdir()
        for unit in DIST.glob("rdlink-bridge.*"):
            if unit.is_file():
                shutil.copy(unit, folder)
        service = folder / "rdlink-bridge.service"
        service.write_text(service.read_text().replace("/usr/local/bin/rdlink-agent", program))
        return folder

    def test_the_service_is_hardened(self):
        tool = rdl.tool("systemd-analyze", "systemd")
        out = subprocess.run([tool, "security", "--offline=true", "--no-pager",
                              str(DIST / "rdlink-bridge.service")],
                             capture_output=True, text=True, timeout=60, check=True).stdout
        exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", out).group(1))
        print(f"measured: exposure level {exposure}", flush=True)
        self.assertLessEqual(exposure, WORST_EXPOSURE, out)

    def test_the_units_verify(self):
        tool = rdl.tool("systemd-analyze", "systemd")
        folder = self.copies()
        units = sorted(str(path) for path in folder.iterdir())
        self.assertEqual(len(units), 2)
        result = subprocess.run([tool, "verify", *units], capture_output=True, text=True,
                                timeout=60, env=self.session.env(), check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_the_units_say_what_the_agent_relies_on(self):
        service = (DIST / "rdlink-bridge.service").read_text()
        for line in ("Type=notify", "NotifyAccess=main", "WatchdogSec=10", "Restart=always",
                     "StartLimitIntervalSec=0"):
            self.assertIn(f"\n{line}\n", service)
        for kind in ("service", "socket"):
            drop_in = DIST / f"rdlink-bridge.{kind}.d/10-replace-rdd-guest.conf"
            self.assertIn("\nConflicts=rdd-guest.service\n", drop_in.read_text())
        # Every stream may hold one read of the loop (128 KiB) in each direction.
        limit = int(re.search(r"^MemoryMax=(\d+)M$", service, re.M).group(1)) << 20
        self.assertGreater(limit, 2 * DEFAULT_CONNECTIONS * (128 << 10) + (16 << 20))
        sockets = (DIST / "rdlink-bridge.socket").read_text()
        self.assertEqual(re.findall(r"^ListenStream=(.*)$", sockets, re.M),
                         ["vsock::6660", "vsock::6680"])


if __name__ == "__main__":
    rdl.main()
