# SPDX-License-Identifier: Apache-2.0
"""Mutual proof between rdlinkd and rdlink-agent, with the real programs: keys that fit, that do not,
that come and go; and those who would like to be taken for one of the two (docs/proof.md): phantoms,
silent peers, replayed words, links without a token."""

import contextlib
import os
import pathlib
import secrets
import socket
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rancher_guest  # noqa: E402
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_link  # noqa: E402
import rdl_peer  # noqa: E402

IN_TIME = 15
INSTANCE = "guest1"
PREAMBLE = b"rdl.link"
RIGHT_PEER_S = 1.0  # how long the right peer may take beside all others


class Case(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.key = secrets.token_bytes(32)
        self.keys = pathlib.Path(self.session.path("keys"))
        self.keys.mkdir()
        self.agents = 0

    # ---- who is there -----------------------------------------------------------------------

    def start_host(self, *options):
        self.host = rdl_link.Host(self.session, options=["--keys", str(self.keys), *options])

    def put_key(self, path, key):
        """Replaced as a whole, as somebody careful would."""
        new = f"{path}.new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
            f.write(key.hex() + "\n")
        os.replace(new, path)

    def host_key(self, key, instance=INSTANCE):
        self.put_key(self.keys / f"{instance}.key", key)

    def start_agent(self, key=None, vm="vm1", options=()):
        """`rdlink-agent bridge` as the machine `vm`; its key's file is self.agent_key."""
        self.agent_key = self.session.path(f"agent-{vm}.key")
        if key:
            self.put_key(self.agent_key, key)
        return rdl_link.Agent(self.session, self.session.path("docker.sock"), vm=vm,
                              options=["--instance", INSTANCE, "--key-file", self.agent_key,
                                       *options])

    def machine(self, name="vm1"):
        machine = rancher_guest.Machine(self.session.path(f"{name}.vsock"))
        self.addCleanup(machine.close)
        return machine

    # ---- what the host says -----------------------------------------------------------------

    def instance(self, vm="vm1"):
        return next((i for i in self.host.status()["instances"] if i["vm"] == vm), None)

    def reason(self, condition, vm="vm1"):
        instance = self.instance(vm)
        return instance and next(c["reason"] for c in instance["conditions"]
                                 if c["type"] == condition)

    def expect_reason(self, condition, reason, vm="vm1", timeout=IN_TIME):
        rdl.wait_until(lambda: self.reason(condition, vm) == reason, timeout,
                       f"{condition} of {vm} is {reason}")

    def expect_proved(self, vm="vm1", timeout=IN_TIME):
        self.expect_reason("Authenticated", "Proved", vm, timeout)
        agent = rdl.wait_until(lambda: self.instance(vm)["agent"], timeout, "the agent reports")
        self.assertEqual((agent["instance"], agent["proved"]), (INSTANCE, True))


class KeysTest(Case):
    def test_one_key_on_both_sides(self):
        self.host_key(self.key)
        self.start_host("--require-proof")
        self.start_agent(self.key, options=["--require-proof"])
        self.expect_proved()

    def test_no_keys_is_said_and_no_obstacle(self):
        self.start_host()
        self.start_agent()
        self.expect_reason("Authenticated", "NoKey")
        self.assertEqual(self.reason("GuestFound"), "ControlOpen")

    def test_another_key_is_refused_until_it_is_put_right(self):
        self.host_key(secrets.token_bytes(32))
        self.start_host()
        self.start_agent(self.key)
        self.expect_reason("Authenticated", "ProofFailed")
        self.assertEqual(self.reason("AgentHealthy"), "ProofFailed")
        self.assertNotEqual(self.reason("GuestFound"), "ControlOpen")
        self.assertGreaterEqual(self.instance()["counters"]["proof_failures"], 1)
        began = time.monotonic()
        self.host_key(self.key)
        self.expect_proved()
        rdl.measured("from the right key to a proved agent", time.monotonic() - began)

    def test_keys_count_from_the_moment_they_are_there(self):
        self.start_host()
        self.start_agent(self.key)
        self.expect_reason("Authenticated", "NoKey")
        self.host_key(self.key)
        self.expect_proved()
        (self.keys / f"{INSTANCE}.key").unlink()
        self.expect_reason("Authenticated", "NoKey")

    def test_the_agent_s_too(self):
        self.host_key(self.key)
        self.start_host()
        agent = self.start_agent()
        self.expect_reason("Authenticated", "PeerNoKey")
        self.put_key(self.agent_key, self.key)
        self.expect_proved()
        os.chmod(self.agent_key, 0o604)
        self.expect_reason("Authenticated", "PeerNoKey")
        self.assertEqual(agent.process.log().count("chmod 600"), 1)
        self.put_key(self.agent_key, secrets.token_bytes(32))
        self.expect_reason("Authenticated", "ProofFailed")
        self.put_key(self.agent_key, self.key)
        self.expect_proved()

    def test_a_key_that_others_may_read_is_none(self):
        self.host_key(self.key)
        (self.keys / f"{INSTANCE}.key").chmod(0o644)
        self.start_host()
        self.start_agent(self.key)
        self.expect_reason("Authenticated", "NoKey")
        self.assertIn("chmod 600", self.host.process.log())

    def start_with_open_key(self, *options):
        """An agent whose key others may read."""
        path = self.session.path("bad.key")
        self.put_key(path, self.key)
        os.chmod(path, 0o640 if os.getgid() else 0o604)
        agent = self.session.start("bad-agent", [
            rdl.binary("rdlink-agent"), "bridge", "--listen",
            f"vsock-hybrid:{self.session.path('bad.vsock')}", "--key-file", path, *options])
        return agent

    def test_an_agent_whose_key_others_may_read_goes_on_without_it(self):
        agent = self.start_with_open_key()
        rdl.wait_until(lambda: "listens on" in agent.log(), IN_TIME, "the bridge listens")
        self.assertIn("stays unproved", agent.log())
        self.assertIn("chmod 600", agent.log())

    def test_unless_proof_is_required(self):
        agent = self.start_with_open_key("--require-proof")
        self.assertEqual(agent.popen.wait(IN_TIME), 1)
        self.assertIn("chmod 600", agent.log())

    def test_a_host_that_requires_proof_takes_nobody_else(self):
        self.host_key(self.key)
        self.start_host("--require-proof")
        machine = self.machine("rancher")
        guest = rancher_guest.Guest(machine, "A")
        self.addCleanup(guest.stop)
        self.start_agent()
        self.expect_reason("Authenticated", "ProofMissing")
        self.assertEqual(self.reason("GuestFound"), "ProofMissing")
        self.assertEqual(guest.events, [])  # it was not even asked
        answer = rdl_http.request(self.host.endpoint, "GET", "/_ping")
        self.assertEqual(answer.status, 503)
        self.put_key(self.agent_key, self.key)
        self.expect_proved()

    def test_an_agent_that_requires_proof_says_so_to_the_host(self):
        self.start_host()
        self.start_agent(self.key, options=["--require-proof"])
        self.expect_reason("AgentHealthy", "ProofMissing")
        self.host_key(self.key)
        self.expect_proved()

    def test_two_instances_in_two_machines_are_told_apart(self):
        other = secrets.token_bytes(32)
        self.host_key(self.key)
        self.host_key(other, "guest2")
        self.start_host()
        self.start_agent(self.key)
        machine = self.machine("vm2")
        posing = rdl_peer.Acceptor(machine, 6680, rdl_peer.BRIDGE, "guest1", key=other)
        self.addCleanup(posing.close)
        self.expect_proved()
        self.expect_reason("Authenticated", "ProofFailed", "vm2")


class StrangersTest(Case):
    """Whoever is there beside the right one (F18)."""

    SILENT = 16  # machines, with four ports each; a status shows 24 machines

    def setUp(self):
        super().setUp()
        self.host_key(self.key)

    def expect_right_peer_in_time(self, stalls, began):
        seconds = time.monotonic() - began
        rdl.measured("the right peer attaches beside strangers", seconds)
        self.assertLess(seconds, RIGHT_PEER_S + 4 * stalls.worst_s)

    def test_the_right_agent_beside_phantoms_and_silent_machines(self):
        for i in range(self.SILENT):  # they accept, and that is all
            machine = self.machine(f"silent{i}")
            for port in (6680, 6681, 6669, 6670):
                machine.listen(port)
        recorded = []

        def replay(stream, hello):
            stream.socket.sendall(recorded[0])
            stream.expect(rdl_peer.PROOF)

        phantom = rdl_peer.Acceptor(self.machine("phantom"), 6680, rdl_peer.BRIDGE, INSTANCE,
                                    key=secrets.token_bytes(32))
        # What the right agent once said to another host, said again.
        self.start_agent(self.key, "elsewhere-vm")
        opener = rdl_peer.Opener(self.session.path("elsewhere-vm.vsock"), 6680, rdl_peer.BRIDGE,
                                 self.key)
        self.assertTrue(opener.is_proved_by(self.key))
        recorded.append(rdl_peer.frame(rdl_peer.HELLO_ACK, rdl_peer.message(
            (1, 1), (2, 2), (3, rdl_peer.BRIDGE), (4, INSTANCE), (8, opener.its_nonce),
            (9, opener.its_mac))))
        opener.close()
        replayer = rdl_peer.Acceptor(self.machine("replay"), 6680, rdl_peer.BRIDGE, INSTANCE,
                                     answer=replay)
        self.addCleanup(phantom.close)
        self.addCleanup(replayer.close)
        self.start_host()
        self.expect_reason("Authenticated", "ProofFailed", "phantom")
        self.expect_reason("Authenticated", "ProofFailed", "replay")
        with rdl.Stalls() as stalls:
            self.start_agent(self.key)
            began = time.monotonic()
            self.expect_reason("Authenticated", "Proved")
            self.expect_right_peer_in_time(stalls, began)
        for name in ("phantom", "replay", "silent0"):
            self.assertNotEqual(self.reason("Authenticated", name), "Proved")

    def test_the_right_host_beside_silent_ones(self):
        self.start_agent(self.key)
        path = self.session.path("vm1.vsock")
        there = rdl_peer.Opener(path, 6680, rdl_peer.BRIDGE, self.key)
        there.expect(rdl_peer.HEALTH)
        silent = [rdl_peer.dial(path, 6680) for _ in range(32)]
        with rdl.Stalls() as stalls:
            began = time.monotonic()
            late = rdl_peer.Opener(path, 6680, rdl_peer.BRIDGE, self.key)
            self.assertTrue(late.is_proved_by(self.key))
            late.expect(rdl_peer.HEALTH)
            self.expect_right_peer_in_time(stalls, began)
        there.expect(rdl_peer.HEALTH)  # and who was there still is
        for s in (*silent, there.socket, late.socket):
            s.close()

    def test_what_a_host_once_said_opens_no_other_channel(self):
        agent = self.start_agent(self.key)
        path = self.session.path("vm1.vsock")
        first = rdl_peer.Opener(path, 6680, rdl_peer.BRIDGE, self.key)
        first.expect(rdl_peer.HEALTH)
        said = rdl_peer.mac(self.key, rdl_peer.BY_OPENER, rdl_peer.BRIDGE, first.nonces,
                            first.instances)

        class Replay(rdl_peer.Opener):
            def prove(self, key):
                self.send(rdl_peer.PROOF, (1, said))

        again = Replay(path, 6680, rdl_peer.BRIDGE, nonce=first.nonce)
        self.assertNotEqual(again.its_nonce, first.its_nonce)
        self.assertEqual(rdl_peer.text(again.expect(rdl_peer.EXIT_NOTICE), 2), "ProofFailed")
        again.expect_end()

        class Reflect(rdl_peer.Opener):
            def prove(self, key):
                self.send(rdl_peer.PROOF, (1, self.its_mac))

        mirror = Reflect(path, 6680, rdl_peer.BRIDGE)
        self.assertEqual(rdl_peer.text(mirror.expect(rdl_peer.EXIT_NOTICE), 2), "ProofFailed")
        mirror.expect_end()
        self.assertIn("ProofFailed", agent.process.log())
        first.expect(rdl_peer.HEALTH)
        for s in (first, again, mirror):
            s.close()


class LinkTest(Case):
    """The data link of a proved agent: its port is open to every program of the machine."""

    def setUp(self):
        super().setUp()
        self.host_key(self.key)
        self.start_host()
        self.vm = self.machine()
        unit = rdl_peer.Acceptor(self.vm, 6681, rdl_peer.NET, INSTANCE, key=self.key)
        self.addCleanup(unit.close)
        self.unit = unit
        self.channel, self.token = self.take_channel()

    def take_channel(self):
        channel = self.unit.channels.get(timeout=IN_TIME)
        self.unit.reports(channel)
        offer = channel.expect(rdl_peer.NETWORK_OFFER)
        while not offer.get(1, [0])[0]:
            offer = channel.expect(rdl_peer.NETWORK_OFFER)
        return channel, offer.get(8, [b""])[0]

    def dial(self, said):
        s = self.vm.dial(6658)
        self.addCleanup(s.close)
        s.settimeout(IN_TIME)
        s.sendall(said)
        return s

    def is_closed(self, s):
        """By the host; a reset is one too."""
        with contextlib.suppress(ConnectionError):
            return s.recv(1) == b""
        return True

    def counter(self, name):
        component = next(c for c in self.host.status()["components"]
                         if c["name"] == "switch-vm1-v2")
        return component["counters"].get(name, 0)

    def test_only_who_begins_with_the_token_is_the_link(self):
        self.assertEqual(len(self.token), 32)
        frame = struct.pack("<I", 12 + 60) + bytes(12 + 60)
        for said in (frame, PREAMBLE + secrets.token_bytes(32), b"x" * 40):
            self.assertTrue(self.is_closed(self.dial(said)))
        silent = [self.dial(b"") for _ in range(20)]
        self.assertNotEqual(self.reason("LinkUp"), "Linked")
        link = self.dial(PREAMBLE + self.token + frame)
        self.expect_reason("LinkUp", "Linked")
        for s in silent:  # in two seconds at most
            self.assertTrue(self.is_closed(s))
        self.assertTrue(self.is_closed(self.dial(frame)))
        rdl.wait_until(lambda: self.counter("links_refused") >= 24, IN_TIME, "all are counted")
        self.assertEqual(self.reason("LinkUp"), "Linked")
        self.assertEqual(self.counter("links"), 1)
        link.close()

    def test_a_token_is_of_one_channel(self):
        first = self.token
        self.channel.close()
        self.channel, second = self.take_channel()
        self.assertNotEqual(first, second)
        self.assertTrue(self.is_closed(self.dial(PREAMBLE + first)))
        self.dial(PREAMBLE + second)
        self.expect_reason("LinkUp", "Linked")

    def test_a_switch_that_is_started_anew_knows_the_token(self):
        pid = self.host.worker("switch-vm1-v2")["pid"]
        os.kill(pid, 9)
        rdl.wait_until(lambda: self.host.worker("switch-vm1-v2")["pid"] not in (None, pid), IN_TIME,
                       "another switch")

        def linked():
            with contextlib.suppress(OSError):
                self.assertTrue(self.is_closed(self.dial(b"x" * 40)))
                return self.dial(PREAMBLE + self.token)
            return None

        rdl.wait_until(linked, IN_TIME, "somebody listens again")
        self.expect_reason("LinkUp", "Linked")


if __name__ == "__main__":
    rdl.main()
