# SPDX-License-Identifier: Apache-2.0
"""Virtual machines come from the registry: the key may appear late, hold junk, vanish, come back."""

import sys
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_script

ANNA, BERT = "S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1002"
VM = "6b6f5c1e-facb-11e6-bd58-64006a7986d3"


class Registry(unittest.TestCase):
    def test_key_appears_late_holds_junk_vanishes_and_comes_back(self):
        session = self.enterContext(rdl.Session())
        path = session.path("docker.sock")
        self.enterContext(rdl_script.Server(path, wine_support.echo_after_end))
        wine = wine_support.Wine(session)
        agent = wine_support.Agent(session, path)
        root = rf"SOFTWARE\rdlink-test-{session.id}"
        key = rf"{root}\VolatileStore\ComputeSystem"
        self.addCleanup(reg, wine, "delete", root, "/f", check=False)

        host = wine_support.Host(wine, "--vm-registry-key", key, "--vm-via", agent.address)
        absent = host.wait_for(lambda s: True, "status without a key")
        self.assertFalse(absent["source"]["exists"])
        self.assertEqual(absent["instances"], [])

        reg(wine, "add", rf"{key}\this is no guid", "/f")
        reg(wine, "add", rf"{key}\{VM}", "/f")
        found = host.wait_for(lambda s: s["ready"], "the machine is found and served")
        self.assertTrue(found["source"]["exists"])
        self.assertEqual([i["vm"] for i in found["instances"]], [VM])
        self.assertEqual(wine.client("exchange", host.pipe, 10),
                         "sent 10 received 10 end=message\n")

        reg(wine, "delete", root, "/f")
        gone = host.wait_for(lambda s: not s["ready"] and not s["instances"], "it is gone")
        self.assertFalse(gone["source"]["exists"])

        reg(wine, "add", rf"{key}\{VM}", "/f")
        host.wait_for(lambda s: s["ready"], "it is back")


    def test_the_owner_of_the_distribution_is_served_and_may_change(self):
        session = self.enterContext(rdl.Session())
        path = session.path("docker.sock")
        self.enterContext(rdl_script.Server(path, wine_support.echo_after_end))
        wine = wine_support.Wine(session)
        agent = wine_support.Agent(session, path)
        root = rf"SOFTWARE\rdlink-test-{session.id}"
        self.addCleanup(reg, wine, "delete", root, "/f", check=False)

        def register(user, name):
            key = rf"{root}\{user}\Software\Microsoft\Windows\CurrentVersion\Lxss\{{{VM}}}"
            reg(wine, "add", key, "/v", "DistributionName", "/d", name, "/f")

        def owner(status):
            condition = next(c for c in status["conditions"] if c["type"] == "OwnerKnown")
            return condition["reason"]

        register(ANNA, "Ubuntu")
        host = wine_support.Host(wine, "--vm", f"vm1={agent.address}", "--owner-registry-key",
                                 root, "--owner-distribution", "mine")
        ready = host.wait_for(lambda s: s["ready"], "it is ready")
        self.assertEqual(owner(ready), "OwnerNotFound")
        self.assertEqual(ready["endpoints"][0]["granted"], [])
        self.assertIsNone(ready["instances"][0]["owner"])
        worker = ready["components"][0]["pid"]

        register(ANNA, "Mine")
        known = host.wait_for(lambda s: owner(s) == "OwnerFound", "the owner is known")
        self.assertEqual(known["instances"][0]["owner"], ANNA)  # who has no name in Wine
        self.assertEqual(known["endpoints"][0]["granted"], [ANNA])
        self.assertEqual(known["components"][0]["pid"], worker)  # nobody lost a right

        register(BERT, "mine")
        several = host.wait_for(
            lambda s: owner(s) == "OwnerAmbiguous" and s["ready"]
            and s["components"][0]["pid"] != worker, "nobody is served by it, the worker is new")
        self.assertEqual(several["endpoints"][0]["granted"], [])
        self.assertEqual(several["endpoints"][0]["state"], "listening")
        self.assertEqual(wine.client("exchange", host.pipe, 10),
                         "sent 10 received 10 end=message\n")
        self.assertNotIn("claiming the name anew", host.process.log())

        reg(wine, "delete", rf"{root}\{ANNA}", "/f")
        changed = host.wait_for(lambda s: owner(s) == "OwnerFound", "another owner")
        self.assertEqual(changed["endpoints"][0]["granted"], [BERT])


def reg(wine, verb, key, *words, check=True):
    wine.run("reg.exe", verb, rf"HKLM\{key}", *words, "/reg:64", check=check)


if __name__ == "__main__":
    rdl.main()
