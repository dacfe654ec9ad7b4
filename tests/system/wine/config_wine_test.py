# SPDX-License-Identifier: Apache-2.0
"""Settings and a policy in the registry, as rdlinkd.exe and rdlink.exe see them."""

import json
import pathlib
import sys
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl


class RegistryConfig(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        self.wine = wine_support.Wine(self.session)
        self.root = f"rdlink-test-{self.session.id}"
        self.settings = rf"HKLM\SOFTWARE\{self.root}"
        self.policy = rf"HKLM\SOFTWARE\Policies\{self.root}"
        for key in (self.settings, self.policy):
            self.addCleanup(self.reg, "delete", key, "/f", check=False)

    def reg(self, verb, key, *words, check=True):
        self.wine.run("reg", verb, key, *words, check=check)

    def put(self, key, name, kind, data):
        self.reg("add", key, "/v", name, "/t", kind, "/d", data, "/f")

    def rdlink(self, *words):
        return self.wine.run(wine_support.windows_program("rdlink"), "config", *words,
                             "--config-root", self.root, check=False)

    def values(self):
        return json.loads(self.rdlink("show", "--json")[0])["values"]

    def test_values_of_all_types_and_a_policy_above_them(self):
        self.put(self.settings, "max-connections", "REG_DWORD", "5")
        self.put(self.settings, "dial-timeout", "REG_SZ", "300ms")
        self.put(self.settings, "mtu", "REG_DWORD", "1300")
        self.put(self.settings, "forward", "REG_MULTI_SZ",
                 r"127.0.0.1:1=192.168.127.2:1\0127.0.0.1:2=192.168.127.2:2")
        self.put(self.policy, "mtu", "REG_DWORD", "1400")
        self.put(self.policy, "deny-lan", "REG_DWORD", "1")
        values = self.values()
        self.assertEqual(values["max-connections"]["value"], 5)
        self.assertEqual(values["max-connections"]["place"], self.settings)
        self.assertEqual(values["dial-timeout"]["value"], "300ms")
        self.assertEqual(values["forward"]["value"], ["127.0.0.1:1=192.168.127.2:1",
                                                      "127.0.0.1:2=192.168.127.2:2"])
        self.assertEqual(values["mtu"], {"value": 1400, "source": "policy", "place": self.policy,
                                         "locked": True, "overridden": ["registry"]})
        self.assertEqual(values["deny-lan"]["value"], True)

        file = pathlib.Path(self.session.path("rdlinkd.conf"))
        file.write_text("# mine\r\nmtu = 1350\r\n", encoding="utf-8", newline="")
        text, code = self.rdlink("set", "mtu", "1500", "--config", f"Z:{file}")
        self.assertEqual(code, 0, text)
        self.assertIn(f"{self.policy} locks it", text)
        self.assertEqual(file.read_bytes(), b"# mine\r\nmtu = 1500\r\n")

    def test_mistakes_are_named(self):
        self.put(self.settings, "max-conections", "REG_DWORD", "5")
        self.put(self.settings, "mtu", "REG_BINARY", "00")
        text, code = self.rdlink("check")
        self.assertEqual(code, 1)
        self.assertIn(rf"{self.settings}: unknown option 'max-conections': did you mean "
                      "'max-connections'?", text)
        self.assertIn(rf"{self.settings}\mtu: neither REG_SZ", text)
        self.assertIn("2 mistakes", text)

    def test_a_running_service_follows(self):
        self.put(self.policy, "mtu", "REG_DWORD", "1400")
        host = wine_support.Host(self.wine, "--config-root", self.root, "--no-network",
                                 "--mtu", "1300")

        def reason(status):
            return next(c["reason"] for c in status["conditions"] if c["type"] == "ConfigValid")

        config = host.wait_for(lambda s: True, "a status")["config"]
        self.assertEqual((config["sources"], config["locked"], config["generation"]),
                         (["command line", "policy"], ["mtu"], 1))
        self.assertTrue(config["file"].endswith(rf"\{self.root}\rdlinkd.conf"), config["file"])
        self.assertFalse(config["fileExists"])
        self.put(self.settings, "max-connections", "REG_DWORD", "6")
        changed = host.wait_for(lambda s: s["config"]["generation"] == 2, "the value is seen")
        self.assertEqual(changed["config"]["sources"], ["registry", "command line", "policy"])
        self.assertIn("max-connections: '1024' -> '6'", host.process.log())

        self.put(self.policy, "max-conections", "REG_DWORD", "6")
        host.wait_for(lambda s: reason(s) == "ConfigInvalid", "the mistake is told")
        self.reg("delete", self.policy, "/v", "max-conections", "/f")
        host.wait_for(lambda s: reason(s) == "ConfigLoaded", "it is good again")


if __name__ == "__main__":
    rdl.main()
