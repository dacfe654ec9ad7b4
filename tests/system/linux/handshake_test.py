# SPDX-License-Identifier: Apache-2.0
"""rdlinkd finds Rancher's guests, generations A and B, and our own agent, by their handshakes.

rdlinkd and the agent are the real ones; Rancher's guests are scripted (rancher_guest.py) on hybrid
sockets in rdlinkd's folder of machines. What the host believes is read from GET /v1/status.
"""

import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import rancher_guest
import rdl
import rdl_link
from rancher_guest import Behaviour, Guest, Machine

IN_TIME = 15  # seconds for anything that takes no longer than one or two probes


class HandshakeTest(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.host = rdl_link.Host(self.session)

    # ---- helpers --------------------------------------------------------------------------

    def machine(self, name="vm1"):
        machine = Machine(self.session.path(f"{name}.vsock"))
        self.addCleanup(machine.close)
        return machine

    def guest(self, machine, generation, **behaviour):
        guest = Guest(machine, generation, Behaviour(**behaviour))
        self.addCleanup(guest.stop)
        return guest

    def instance(self, name="vm1"):
        """What the status says of one machine; None when it is not in it."""
        for instance in self.host.status()["instances"]:
            if instance["vm"] == name:
                return instance
        return None

    def lane(self, generation, name="vm1"):
        instance = self.instance(name)
        return instance["lanes"][generation] if instance else None

    def reason(self, condition, name="vm1"):
        instance = self.instance(name)
        if not instance:
            return None
        return next(c["reason"] for c in instance["conditions"] if c["type"] == condition)

    def expect(self, what, condition, timeout=IN_TIME):
        return rdl.wait_until(condition, timeout, what)

    def expect_linked(self, guest, name="vm1", timeout=IN_TIME):
        self.expect(f"generation {guest.generation} of {name} has its data link",
                    guest.is_linked, timeout)
        self.expect("the status says so", lambda: self.lane(guest.generation, name) == "linked")

    # ---- good guests ----------------------------------------------------------------------

    def test_generation_a(self):
        began = time.monotonic()
        guest = self.guest(self.machine(), "A")
        self.expect_linked(guest)
        rdl.measured("generation A, machine's socket to data link", time.monotonic() - began)
        self.assertEqual(guest.events, ["accepted", "eof after 0", "accepted", "ready", "linked"])
        self.assertEqual(self.reason("GuestFound"), "SignatureMatched")
        self.assertEqual(self.reason("LinkUp"), "Linked")
        self.assertEqual(self.instance()["generation"], "A")

    def test_generation_b(self):
        guest = self.guest(self.machine(), "B")
        self.expect_linked(guest)
        self.assertEqual(guest.events, ["accepted", "eof after 0", "accepted", "ready", "linked"])
        self.assertEqual(self.instance()["generation"], "B")

    def test_both_generations_in_one_machine(self):
        machine = self.machine()
        a, b = self.guest(machine, "A"), self.guest(machine, "B")
        self.expect_linked(a)
        self.expect_linked(b)
        self.assertFalse(a.link_ended() or b.link_ended())

    def test_two_machines_keep_their_links_apart(self):
        first, second = self.machine("vm1"), self.machine("vm2")
        a, b = self.guest(first, "A"), self.guest(second, "A")
        self.expect_linked(a, "vm1")
        self.expect_linked(b, "vm2")
        a.stop()
        self.expect("vm1 has lost its link", lambda: self.lane("A", "vm1") == "probing")
        self.assertEqual(self.lane("A", "vm2"), "linked")
        self.assertFalse(b.link_ended())

    def test_guest_that_starts_later_than_its_machine(self):
        machine = self.machine()
        self.expect("nobody there has a reason",
                    lambda: self.reason("GuestFound") == "NoListener")
        self.expect_linked(self.guest(machine, "A"))

    def test_machine_that_goes_leaves_the_status(self):
        machine = self.machine()
        guest = self.guest(machine, "A")
        self.expect_linked(guest)
        guest.stop()
        machine.close()
        self.expect("vm1 is gone", lambda: self.instance() is None)

    # ---- our own agent ---------------------------------------------------------------------

    def test_agent_is_found_lost_and_found_again(self):
        agent = rdl_link.Agent(self.session, self.session.path("no-docker.sock"))
        self.expect("the control channel is open", lambda: self.lane("v2") == "control")
        self.expect("it says that docker is not there",
                    lambda: self.reason("AgentHealthy") == "NotServing")
        self.assertEqual(self.instance()["agent"]["pid"], agent.process.pid)
        self.assertEqual(self.reason("LinkUp"), "ControlOnly")
        agent.process.kill()
        self.expect("its loss is named", lambda: self.reason("AgentHealthy") == "AgentLost")
        agent.start()
        self.expect("it is found again", lambda: self.lane("v2") == "control")

    # ---- other guests ---------------------------------------------------------------------

    def test_phrase_in_one_byte_pieces(self):
        self.expect_linked(self.guest(self.machine(), "B", piece=1, pause=0.005))

    def test_slow_guest_within_the_time(self):
        self.expect_linked(self.guest(self.machine(), "A", piece=10, pause=0.3))

    def test_silent_guest_is_named_and_does_not_delay_another(self):
        machine = self.machine()
        self.guest(machine, "A", silent=True)
        began = time.monotonic()
        self.expect_linked(self.guest(machine, "B"))
        other = self.machine("vm2")
        self.expect_linked(self.guest(other, "A"), "vm2")
        self.assertLess(time.monotonic() - began, 5, "waited for the silent one")
        self.expect("a silent guest costs a timeout",
                    lambda: self.instance()["counters"]["timeouts"] >= 1)

    def test_silent_guest_alone(self):
        self.guest(self.machine(), "A", silent=True)
        self.expect("its reason is PeerSilent", lambda: self.reason("GuestFound") == "PeerSilent")

    def test_phrase_of_the_other_generation(self):
        for port, phrase in (("A", "B"), ("B", "A")):
            with self.subTest(port=port, phrase=phrase):
                name = f"wrong{port}"
                guest = self.guest(self.machine(name), port, phrase=rancher_guest.PHRASE[phrase])
                self.expect("its reason is WrongPhrase",
                            lambda: self.reason("GuestFound", name) == "WrongPhrase")
                self.assertNotIn("ready", guest.events)

    def test_right_beginning_then_wrong(self):
        guest = self.guest(self.machine(), "A", phrase=rancher_guest.PHRASE["A"][:-1] + b"G")
        self.expect("its reason is WrongPhrase", lambda: self.reason("GuestFound") == "WrongPhrase")
        self.assertNotIn("ready", guest.events)

    def test_wrong_phrase_then_a_good_guest(self):
        machine = self.machine()
        other = self.guest(machine, "A", phrase=b"SSH-2.0-OpenSSH_9.2\r\n")
        self.expect("its reason is WrongPhrase", lambda: self.reason("GuestFound") == "WrongPhrase")
        other.stop()
        self.expect_linked(self.guest(machine, "A"))

    # ---- restarts -------------------------------------------------------------------------

    def test_guest_restarted_before_ready(self):
        machine = self.machine()
        slow = self.guest(machine, "A", piece=10, pause=0.5)
        self.expect("the first connection is there", lambda: slow.events)
        slow.stop()
        self.expect_linked(self.guest(machine, "A"))

    def test_guest_restarted_after_ready(self):
        machine = self.machine()
        deaf = self.guest(machine, "A", deaf=True)
        self.expect("READY arrives", lambda: "ready" in deaf.events)
        deaf.stop()
        self.expect_linked(self.guest(machine, "A"))

    def test_guest_restarted_with_a_live_link(self):
        machine = self.machine()
        first = self.guest(machine, "A")
        self.expect_linked(first)
        first.stop()
        second = self.guest(machine, "A")
        self.expect_linked(second)
        self.assertEqual(self.instance()["counters"]["links"], 2)

    def test_guest_restarted_while_the_host_holds_its_old_link(self):
        """The deadlock of the old host: the link's descriptor lives on in another process."""
        machine = self.machine()
        first = self.guest(machine, "A")
        self.expect_linked(first)
        second = self.guest(machine, "A")
        self.expect_linked(second)
        self.expect("the old link is closed", first.link_ended)
        self.assertFalse(second.link_ended())

    def test_host_restarted(self):
        machine = self.machine()
        first = self.guest(machine, "A")
        self.expect_linked(first)
        self.host.process.stop()
        self.expect("the link is closed", first.link_ended)
        first.stop()
        self.host.start()
        self.expect_linked(self.guest(machine, "A"))


if __name__ == "__main__":
    rdl.main()
