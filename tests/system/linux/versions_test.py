# SPDX-License-Identifier: Apache-2.0
"""Neighbours of our protocol version, as proto/README.md promises them: one minor older,
the same, one newer (fields, bodies and features that we do not know), and another major; and minor 1,
which knew no nonce and no Proof. One side is the real program, the other a script (rdl_peer.py,
rdl_controller.py), over every lane there is: host and both units of the agent, controller and both
kinds of worker. Each side restarts."""

import pathlib
import secrets
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rancher_guest  # noqa: E402
import rdl  # noqa: E402
import rdl_link  # noqa: E402
import rdl_peer  # noqa: E402
from rdl_controller import Controller, message  # noqa: E402

IN_TIME = 15
OURS = rdl_peer.MINOR
UNKNOWN_FIELDS = ((40, 7), (41, "what a newer version says"), (42, b"\x08\x01"))
UNKNOWN_BODY = 50
# Number and body of the first word to each kind of worker: DockerTarget, without which it does not
# begin; NetworkOffer, which changes nothing.
FIRST_WORD = {"docker": (10, message((2, "no guest"), (3, "vm1"))),
              "switch": (12, b"")}
LANES = (("AgentHealthy", "agent", 6680, rdl_peer.BRIDGE),
         ("NetAgentHealthy", "netAgent", 6681, rdl_peer.NET))


def extra_of(minor):
    return UNKNOWN_FIELDS if minor > OURS else ()


class HostTest(unittest.TestCase):
    """rdlinkd, and agents of other versions."""

    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.key = secrets.token_bytes(32)
        keys = pathlib.Path(self.session.path("keys"))
        keys.mkdir(mode=0o700)
        key = keys / "guest1.key"
        key.touch(mode=0o600)
        key.write_text(self.key.hex())
        self.host = rdl_link.Host(self.session, options=["--keys", str(keys)])
        self.vm = rancher_guest.Machine(self.session.path("vm1.vsock"))
        self.addCleanup(self.vm.close)

    def instance(self):
        return next((i for i in self.host.status()["instances"] if i["vm"] == "vm1"), None)

    def reason(self, condition):
        instance = self.instance()
        return instance and next(c["reason"] for c in instance["conditions"]
                                 if c["type"] == condition)

    def expect_reason(self, condition, reason):
        rdl.wait_until(lambda: self.reason(condition) == reason, IN_TIME,
                       f"{condition} is {reason}")

    def agent(self, port, role, minor, major=rdl_peer.MAJOR):
        unit = rdl_peer.Acceptor(self.vm, port, role, "guest1", key=self.key, major=major,
                                 minor=minor, extra=extra_of(minor))
        self.addCleanup(unit.close)
        return unit

    def serve(self, unit, minor):
        """Takes the next channel and reports on it, as that version would."""
        channel = unit.channels.get(timeout=IN_TIME)
        if minor > OURS:
            channel.send(UNKNOWN_BODY, *UNKNOWN_FIELDS)
            channel.send(rdl_peer.READY, (1, "scripted"), *UNKNOWN_FIELDS)
        unit.reports(channel)
        return channel

    def test_agents_one_minor_apart_are_understood_and_may_restart(self):
        proved = {1: "PeerTooOld", OURS - 1: "Proved", OURS: "Proved", OURS + 1: "Proved"}
        for condition, field, port, role in LANES:
            for minor, authenticated in proved.items():
                with self.subTest(lane=field, minor=minor):
                    unit = self.agent(port, role, minor)
                    channel = self.serve(unit, minor)
                    self.expect_reason(condition, "Serving")
                    self.expect_reason("Authenticated", authenticated)
                    self.assertEqual(self.instance()[field]["version"], "9.9")
                    channel.close()  # the agent is started anew
                    channel = self.serve(unit, minor)
                    self.expect_reason(condition, "Serving")
                    unit.close()
                    channel.close()
                    self.expect_reason(condition, "AgentLost")

    def test_a_host_that_is_started_anew_understands_them_too(self):
        units = [(minor, condition, self.agent(port, role, minor))
                 for minor, (condition, _, port, role) in zip((OURS - 1, OURS + 1), LANES)]
        for minor, _, unit in units:
            self.serve(unit, minor)
        self.host.process.stop(signal.SIGKILL)
        self.host.start()
        for minor, condition, unit in units:
            self.serve(unit, minor)
            self.expect_reason(condition, "Serving")

    def test_an_agent_of_another_major_is_named(self):
        for condition, field, port, role in LANES:
            with self.subTest(lane=field):
                unit = self.agent(port, role, OURS, major=rdl_peer.MAJOR + 1)
                self.expect_reason(condition, "VersionMismatch")
                self.assertIsNone(self.instance()[field])
                unit.close()


class AgentTest(unittest.TestCase):
    """rdlink-agent bridge, and hosts of other versions. The net unit's control port is the same
    code, and needs a network of its own."""

    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.key = secrets.token_bytes(32)
        path = self.session.path("agent.key")
        pathlib.Path(path).touch(mode=0o600)
        pathlib.Path(path).write_text(self.key.hex())
        self.agent = rdl_link.Agent(self.session, self.session.path("docker.sock"),
                                    options=["--instance", "guest1", "--key-file", path])
        self.at = self.session.path("vm1.vsock")

    def open(self, minor, **how):
        if minor < 2:
            how["nonce"] = None
        host = rdl_peer.Opener(self.at, 6680, rdl_peer.BRIDGE, self.key, minor=minor,
                               extra=extra_of(minor), **how)
        self.addCleanup(host.close)
        return host

    def test_hosts_one_minor_apart_are_understood(self):
        for minor in (1, OURS - 1, OURS, OURS + 1):
            with self.subTest(minor=minor):
                host = self.open(minor)
                self.assertEqual(host.ack[1], [rdl_peer.MAJOR])
                self.assertEqual(host.instance, "guest1")
                self.assertEqual(bool(host.its_nonce), minor >= 2)
                host.expect(rdl_peer.HEALTH)
                if minor > OURS:
                    host.send(UNKNOWN_BODY, *UNKNOWN_FIELDS)
                host.send(rdl_peer.PING, (1, 77))
                self.assertEqual(host.expect(rdl_peer.PONG)[1], [77])
                host.expect(rdl_peer.HEALTH)

    def test_an_agent_that_is_started_anew_understands_them_too(self):
        before = [self.open(minor) for minor in (OURS - 1, OURS + 1)]
        self.agent.process.stop(signal.SIGKILL)
        for host in before:
            host.expect_end()
        self.agent.start()
        for minor in (OURS - 1, OURS + 1):
            self.open(minor).expect(rdl_peer.HEALTH)

    def test_a_host_of_another_major_is_told_ours_and_sent_away(self):
        for major in (0, rdl_peer.MAJOR + 1):
            host = self.open(OURS, major=major)
            self.assertEqual(host.ack[1], [rdl_peer.MAJOR])
            host.expect_end()
        self.assertIn("VersionMismatch", self.agent.process.log())
        self.open(OURS).expect(rdl_peer.HEALTH)


class WorkerTest(unittest.TestCase):
    """The workers, and controllers of other versions: a program that was replaced while it ran."""

    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.count = 0

    def start(self, kind, version, extra=()):
        self.count += 1
        options = {"switch": ["--link", f"stdio:unix:{self.session.path(f'link{self.count}')}"],
                   "docker": ["--listen", f"unix:{self.session.path(f'docker{self.count}')}"]}
        return Controller(self.session, kind, "--instance", "vm1", *options[kind],
                          version=version, extra=extra)

    def test_controllers_one_minor_apart_are_understood(self):
        for kind in ("switch", "docker"):
            for minor in (OURS - 1, OURS, OURS + 1):
                with self.subTest(kind=kind, minor=minor):
                    controller = self.start(kind, (1, minor), extra_of(minor))
                    if minor > OURS:
                        controller.say(UNKNOWN_BODY, message(*UNKNOWN_FIELDS))
                    controller.say(*FIRST_WORD[kind])
                    rdl.wait_until(controller.ready, IN_TIME, f"the {kind} worker is ready")
                    rdl.wait_until(lambda c=controller: c.health, IN_TIME, "it reports")
                    controller.shut_down()
                    self.assertEqual(controller.exit_code(), 0)

    def test_a_controller_of_another_major_is_left(self):
        for kind in ("switch", "docker"):
            with self.subTest(kind=kind):
                controller = self.start(kind, (2, OURS))
                self.assertEqual(controller.exit_code(), 1)
                self.assertIn("VersionMismatch", controller.worker.log())


if __name__ == "__main__":
    rdl.main()
