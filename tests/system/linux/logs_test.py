# SPDX-License-Identifier: Apache-2.0
"""The log's file: what is in it, and what a full disk does to the service (nothing)."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_link  # noqa: E402

LINE = re.compile(r'time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=(error|warn|info|debug|trace) '
                  r'component=[a-z]+ process=[\w-]+ pid=\d+ (event=\d+ )?msg="(\\.|[^"\\])*"')


class LogsTest(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.folder = pathlib.Path(self.session.path("logs"))

    def start(self, *options, wrapper=()):
        self.host = rdl_link.Host(self.session, wrapper=wrapper,
                                  options=["--log-dir", str(self.folder), *options])

    def text(self, folder=None):
        return ((folder or self.folder) / "rdlinkd.log").read_text()

    def reason(self):
        status = self.host.status()
        return next(c["reason"] for c in status["conditions"] if c["type"] == "LogWritable")

    def end_worker(self):
        """A moment that is logged; the pid of the next one."""
        before = self.host.worker()["pid"]
        os.kill(before, signal.SIGKILL)
        return rdl.wait_until(lambda: self.host.worker()["pid"] not in (None, before) and
                              self.host.worker()["pid"], 20, "another worker runs")

    def test_every_line_has_the_form_that_is_promised(self):
        self.start()
        self.end_worker()
        self.assertEqual(self.host.process.stop(), 0)
        lines = self.text().splitlines()
        for line in lines:
            self.assertTrue(LINE.fullmatch(line), line)
        self.assertIn(" event=1 ", lines[0])
        self.assertIn(" event=3 ", lines[-1])
        self.assertIn("event=20 msg=\"worker=docker ended: Killed", self.text())

    def test_the_status_tells_where_it_is(self):
        self.start("--log-level", "info,docker=debug")
        self.assertEqual(self.host.status()["log"],
                         {"file": f"{self.folder}/rdlinkd.log", "levels": "info,docker=debug",
                          "writable": True, "dropped": 0})

    def test_workers_lines_are_there_under_their_names(self):
        self.start()
        pid = rdl.wait_until(lambda: self.host.worker()["pid"], 20, "the worker runs")
        rdl.wait_until(lambda: f"component=docker process=docker pid={pid} " in self.text(), 10,
                       "a line of the worker's is in the file")

    def rdlink(self, *words):
        return subprocess.run([rdl.binary("rdlink"), "logs", f"--dir={self.folder}", *words],
                              capture_output=True, text=True, timeout=60, env=self.session.env())

    def test_the_command_line_reads_it_when_the_service_is_dead(self):
        self.start()
        self.end_worker()
        self.assertEqual(self.host.process.stop(), 0)
        (self.folder / "rdlinkd.log").rename(self.folder / "rdlinkd.log.1")
        shown = self.rdlink("--level", "warn")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertRegex(shown.stdout, r"^\S+Z warn  controller/supervisor: worker=docker ended: "
                                       r"Killed[^\n]*\n$")
        last = json.loads(self.rdlink("--json", "--lines", "1").stdout)
        self.assertEqual((last["event"], last["msg"]), (3, "stopped"))
        self.folder = self.folder / "elsewhere"
        missing = self.rdlink()
        self.assertEqual((missing.returncode, missing.stdout), (1, ""))
        self.assertIn("\n  next  ", missing.stderr)

    def level(self, *words):
        done = subprocess.run([rdl.binary("rdlink"), "logs", "level",
                               f"--address=unix:{self.host.status_socket}", *words],
                              capture_output=True, text=True, timeout=60, env=self.session.env())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_levels_change_in_every_process_and_back(self):
        agent = rdl_link.Agent(self.session, self.session.path("docker.sock"))
        self.start()
        rdl.wait_until(lambda: "control: host connected" in agent.process.log(), 20,
                       "the agent is found")
        self.assertEqual(self.level(), "info\n")
        self.assertEqual(self.level("supervisor=debug", "--for", "3s"),
                         "info,supervisor=debug, for another 3 s\n")
        told = "levels are now info,supervisor=debug, as the controller asked"
        rdl.wait_until(lambda: told in agent.process.log(), 10, "the agent is told")
        rdl.wait_until(lambda: re.search(f"process=docker pid=\\d+ msg=\"{told}", self.text()), 10,
                       "the worker is told")
        rdl.wait_until(lambda: self.level() == "info\n", 10, "it ends")
        rdl.wait_until(lambda: "levels are now info, as" in agent.process.log(), 10,
                       "the agent is told")
        self.assertEqual(self.text().count("event=30 "), 2)

    def test_it_is_followed_over_a_rename(self):
        self.folder.mkdir()
        newest = self.folder / "rdlinkd.log"
        newest.write_text("before\n")
        follow = self.session.start("follow", [rdl.binary("rdlink"), "logs", "--follow",
                                               f"--dir={self.folder}"])
        rdl.wait_until(lambda: follow.log() == "before\n", 10, "what is there is shown")
        with open(newest, "a") as f:
            f.write("last of the old\n")
        newest.rename(self.folder / "rdlinkd.log.1")
        newest.write_text("new file\n")
        rdl.wait_until(lambda: follow.log().endswith("last of the old\nnew file\n"), 10,
                       "both are shown in order")

    def test_a_full_disk_holds_up_nothing_and_is_told(self):
        if os.geteuid() != 0:
            raise rdl.Skip("needs root: a mount of its own")
        self.folder.mkdir()
        self.start(wrapper=[rdl.tool("unshare", "util-linux"), "--mount", "sh", "-c",
                            f"mount -t tmpfs -o size=256k none {self.folder} && exec \"$@\"", "sh"])
        inside = pathlib.Path(f"/proc/{self.host.process.pid}/root{self.folder}")
        rdl.wait_until(lambda: "event=1 " in self.text(inside), 10, "the first line is written")
        filler = inside / "filler"
        with self.assertRaises(OSError), open(filler, "wb", buffering=0) as f:
            while True:
                f.write(b"x" * 4096)
        rdl.wait_until(lambda: self.flood() and self.reason() == "LogDiskFull", 20, "it is told")
        self.assertFalse(self.host.status()["log"]["writable"])
        with rdl.Stalls() as stalls:
            answer = rdl_http.request(self.host.status_socket, "GET", "/v1/status")
        self.assertLess(answer.seconds, 1 + stalls.worst_s)
        newest = self.end_worker()
        filler.unlink()
        rdl.wait_until(lambda: self.reason() == "LogWritten", 20, "it is written again")
        rdl.wait_until(lambda: f"worker=docker pid={newest} started" in self.text(inside), 10,
                       "what was said meanwhile is there")
        rdl.wait_until(lambda: "event=32 " in self.text(inside), 10, "that it works again is told")
        for line in self.text(inside).splitlines():
            self.assertTrue(LINE.fullmatch(line), line)

    def flood(self):
        """Until the last block of the file that was there is full, too."""
        self.end_worker()
        return True


if __name__ == "__main__":
    rdl.main()
