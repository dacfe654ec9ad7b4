# SPDX-License-Identifier: Apache-2.0
"""rdlinkd.exe as a service: started and stopped by the service control manager."""

import sys
import time
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_script

NAME = "RancherDesktopLink"


class Service(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        path = self.session.path("docker.sock")
        self.enterContext(rdl_script.Server(path, wine_support.echo_after_end))
        self.wine = wine_support.Wine(self.session)
        self.agent = wine_support.Agent(self.session, path)

    def sc(self, *words, check=True):
        return self.wine.run("sc.exe", *words, check=check)[0]

    def state(self):
        """The number that `sc query` shows: 1 stopped, 2 start pending, 3 stop pending, 4 running."""
        line = next(x for x in self.sc("query", NAME).splitlines() if "STATE" in x)
        return int(line.split(":")[1].split()[0])

    def test_starts_serves_and_stops_within_five_seconds(self):
        pipe = f"rdl-{self.session.id}"
        self.sc("create", NAME, "binPath=",
                f"{windows_path(wine_support.windows_program('rdlinkd'))} service "
                f"--endpoint npipe:{pipe} --status npipe:{pipe}-status "
                f"--vm vm1={self.agent.address}")
        self.addCleanup(self.sc, "delete", NAME, check=False)
        for _ in range(2):  # and again: nothing of the first life is in the way
            self.sc("start", NAME)
            rdl.wait_until(lambda: self.state() == 4, 30, "the service runs", every=0.2)
            rdl.wait_until(
                lambda: wine_support.read_status(self.wine, f"{pipe}-status")["ready"], 30,
                "it is ready", every=0.2)
            self.assertEqual(self.wine.client("exchange", pipe, 100_000),
                             "sent 100000 received 100000 end=message\n")
            with rdl.Stalls() as stalls:
                began = time.monotonic()
                self.sc("stop", NAME)
                rdl.wait_until(lambda: self.state() == 1, 30, "the service has stopped", every=0.2)
                took = time.monotonic() - began
            rdl.measured("service stop", took)
            self.assertLess(took, 5 + stalls.worst_s)

    def test_on_a_console_the_verb_says_what_to_use(self):
        text, code = self.wine.run(wine_support.windows_program("rdlinkd"), "service", check=False)
        self.assertEqual(code, 4)
        self.assertIn("rdlinkd run", text)


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


if __name__ == "__main__":
    rdl.main()
