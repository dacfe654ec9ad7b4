# SPDX-License-Identifier: Apache-2.0
"""The pipe's name is another program's: said so, served elsewhere, taken back when it is free. (That
Windows itself refuses a second first instance is for the unit tests' stand-in and for the checklist:
Wine does not.)"""

import subprocess
import sys
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_script


class Name(unittest.TestCase):
    def test_taken_name_is_told_served_elsewhere_and_reclaimed_when_free(self):
        session = self.enterContext(rdl.Session())
        path = session.path("docker.sock")
        self.enterContext(rdl_script.Server(path, wine_support.echo_after_end))
        wine = wine_support.Wine(session)
        agent = wine_support.Agent(session, path)
        name = f"rdl-{session.id}-wanted"
        squatter = wine.start("squatter", wine_support.windows_program("pipe_client"), "squat",
                              name, stdin=subprocess.PIPE)
        self.addCleanup(squatter.popen.stdin.close)
        rdl.wait_until(lambda: "holds" in squatter.log(), 20, "the squatter holds the name")

        host = wine_support.Host(wine, "--vm", f"vm1={agent.address}", pipe=name)
        status = host.wait_for(lambda s: endpoint(s)["state"] == "fallback", "fallback is shown")
        self.assertIn("pipe_client.exe", str(status["endpoints"]))
        rdl.wait_until(lambda: serves(wine, host.fallback), 30, "the fallback name serves")

        squatter.popen.stdin.close()
        host.wait_for(lambda s: endpoint(s)["state"] == "listening", "the name is taken back")
        rdl.wait_until(lambda: serves(wine, name), 30, "the name serves")


def endpoint(status):
    return status["endpoints"][0]


def serves(wine, pipe):
    text, code = wine.run(wine_support.windows_program("pipe_client"), "exchange", pipe, 10,
                          check=False)
    return code == 0 and text == "sent 10 received 10 end=message\n"


if __name__ == "__main__":
    rdl.main()
