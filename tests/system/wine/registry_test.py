# SPDX-License-Identifier: Apache-2.0
"""Virtual machines come from the registry: the key may appear late, hold junk, vanish, come back."""

import sys
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_script

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


def reg(wine, verb, key, *words, check=True):
    wine.run("reg.exe", verb, rf"HKLM\{key}", *words, "/reg:64", check=check)


if __name__ == "__main__":
    rdl.main()
