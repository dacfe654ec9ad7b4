# SPDX-License-Identifier: Apache-2.0
"""rdlink.exe: a bug report over the pipe, by tar as everybody has it, and the words for PowerShell."""

import io
import json
import os
import sys
import tarfile
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_script


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        self.wine = wine_support.Wine(self.session)

    def rdlink(self, *words):
        return self.wine.run(wine_support.windows_program("rdlink"), *words, check=False)

    def files_of(self, path):
        with open(path, "rb") as f, tarfile.open(fileobj=io.BytesIO(f.read())) as tar:
            return {m.name.split("/", 1)[1]: tar.extractfile(m).read().decode() for m in tar}

    def test_a_bug_report_with_the_service_and_without(self):
        path = self.session.path("docker.sock")
        self.enterContext(rdl_script.Server(path, wine_support.echo_after_end))
        agent = wine_support.Agent(self.session, path)
        host = wine_support.Host(self.wine, "--vm", f"vm1={agent.address}")
        host.wait_for(lambda status: status["ready"], "it is ready")
        output = self.session.path("x.tar")
        text, code = self.rdlink("bugreport", "--address", f"npipe:{host.status_pipe}", "-o",
                                 wine_path(output))
        self.assertEqual(code, 0, text)
        files = self.files_of(output)
        self.assertTrue(json.loads(files["status.json"])["ready"])
        self.assertTrue(files["metrics.txt"].endswith("# EOF\n"))
        self.assertTrue(json.loads(files["check.json"]))
        self.assertIn("Windows", files["about.json"])

        text, code = self.rdlink("bugreport", "--address", f"npipe:{host.status_pipe}", "-o",
                                 wine_path(output))
        self.assertEqual(code, 1)
        self.assertIn("is there already", text)

        other = self.session.path("y.tar")
        text, code = self.rdlink("bugreport", "--address", f"npipe:{host.status_pipe}-none", "-o",
                                 wine_path(other))
        self.assertEqual(code, 0, text)
        self.assertIn("status.json.missing.txt", self.files_of(other))

    def test_orders_go_to_a_pipe_of_their_own_and_check_looks_around(self):
        path = self.session.path("docker.sock")
        self.enterContext(rdl_script.Server(path, wine_support.echo_after_end))
        agent = wine_support.Agent(self.session, path)
        host = wine_support.Host(self.wine, "--vm", f"vm1={agent.address}", "--no-network",
                                 "--control", f"npipe:rdl-control-{os.getpid()}")
        host.wait_for(lambda status: status["ready"], "it is ready")
        at = f"--address=npipe:{host.status_pipe}"
        text, code = self.rdlink("restart", "docker", at)
        self.assertEqual((code, text), (0, "docker was restarted and serves\n"))
        text, code = self.rdlink("restart", "nobody", at)
        self.assertEqual(code, 1)
        self.assertIn("there are: docker", text)
        text, _ = self.rdlink("check", "--json", at)
        rows = {r["name"]: r for r in json.loads(text)}
        for name in ("orders", "clock of vm1"):
            self.assertEqual(rows[name]["result"], "PASS", rows[name])
        # Wine says that a pipe is its account's group's; what it is on Windows is on the checklist.
        for name in ("owner of the status", "owner of docker", "registry"):
            self.assertIn(name, rows)

    def test_the_page_and_a_report(self):
        port, token = wine_support.free_port(), self.session.path("token")
        host = wine_support.Host(self.wine, "--no-network", "--page", f"tcp:127.0.0.1:{port}",
                                 "--page-token-file", wine_path(token))
        host.wait_for(lambda status: status["page"]["served"], "the page is served")
        text, code = self.rdlink("page", "--address", f"npipe:{host.status_pipe}")
        self.assertEqual(code, 0, text)
        url, _, shown = text.strip().partition("#token=")
        self.assertEqual(url, f"http://127.0.0.1:{port}/")
        with open(token, encoding="ascii") as f:
            self.assertEqual(f.read().strip(), shown)
        # Wine keeps who may read a file as its mode; the group's are those of administrators.
        self.assertEqual(os.stat(token).st_mode & 0o007, 0)
        with urllib.request.urlopen(url, timeout=20) as page:
            self.assertTrue(page.read().startswith(b"<!doctype html>"))
        asked = urllib.request.Request(f"{url}v1/status")
        with self.assertRaisesRegex(urllib.error.HTTPError, "401"):
            urllib.request.urlopen(asked, timeout=20)
        asked.add_header("Authorization", f"Bearer {shown}")
        with urllib.request.urlopen(asked, timeout=20) as answer:
            self.assertTrue(json.load(answer)["page"]["served"])

        output = self.session.path("x.html")
        text, code = self.rdlink("report", "--html", "--address", f"npipe:{host.status_pipe}", "-o",
                                 wine_path(output))
        self.assertEqual(code, 0, text)
        with open(output, encoding="utf-8", newline="") as f:
            page = f.read()
        self.assertIn('"from":"service"', page)
        self.assertNotIn("\r", page)

    def test_powershell_gets_its_script(self):
        text, code = self.rdlink("completion", "powershell")
        self.assertEqual(code, 0)
        self.assertIn("Register-ArgumentCompleter -Native -CommandName rdlink", text)


def wine_path(path):
    """Wine shows the root as drive Z."""
    return "Z:" + str(path).replace("/", "\\")


if __name__ == "__main__":
    rdl.main()
