# SPDX-License-Identifier: Apache-2.0
"""The template for Group Policy: well-formed, complete, and each reference leads somewhere. What the
editor makes of it only Windows can show."""

import json
import pathlib
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ET

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402

NS = "{http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions}"
ELEMENTS = {int: "decimal", str: "text", list: "multiText"}  # by the value's type in JSON


def printed(*words):
    return subprocess.run([rdl.binary(words[0]), *words[1:]], check=True, capture_output=True,
                          timeout=60).stdout


class PolicyTemplate(unittest.TestCase):
    def setUp(self):
        self.admx = ET.fromstring(printed("rdlinkd", "help", "admx"))
        self.adml = ET.fromstring(printed("rdlinkd", "help", "adml"))
        self.policies = {p.get("name"): p for p in self.admx.iter(f"{NS}policy")}

    def test_every_option_is_a_policy_of_its_type(self):
        shown = json.loads(printed("rdlink", "config", "show", "--json", "--config-root", "none"))
        left_out = {"config", "config-root", "vm-registry-key", "vm-via", "owner-registry-key"}
        self.assertEqual(set(self.policies),
                         {key.replace("-", "_") for key in shown["values"].keys() - left_out})
        for key in shown["values"].keys() - left_out:
            policy, value = self.policies[key.replace("-", "_")], shown["values"][key]["value"]
            self.assertEqual(policy.get("key"), r"SOFTWARE\Policies\rdlink")
            if isinstance(value, bool):
                self.assertEqual(policy.get("valueName"), key)
                self.assertIsNotNone(policy.find(f"{NS}disabledValue/{NS}decimal[@value='0']"))
            else:
                element = policy.find(f"{NS}elements")[0]
                self.assertEqual((element.tag, element.get("valueName")),
                                 (NS + ELEMENTS[type(value)], key))

    def test_every_reference_leads_somewhere(self):
        strings = {s.get("id") for s in self.adml.iter(f"{NS}string")}
        presentations = {p.get("id"): p for p in self.adml.iter(f"{NS}presentation")}
        wanted = set()
        for element in self.admx.iter():
            for value in element.attrib.values():
                if value.startswith("$(string."):
                    wanted.add(value[9:-1])
        self.assertEqual(strings, wanted)
        for name, policy in self.policies.items():
            reference = policy.get("presentation")
            if reference:
                presentation = presentations.pop(reference[15:-1])
                self.assertEqual({c.get("refId") for c in presentation},
                                 {e.get("id") for e in policy.find(f"{NS}elements")}, name)
        self.assertEqual(presentations, {})


if __name__ == "__main__":
    rdl.main()
