# SPDX-License-Identifier: Apache-2.0
"""`./dev up` does the main job, and leaves nothing behind however it is ended."""

import os
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl

UP = rdl.ROOT / "tests/system/up.py"


class Up(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            raise rdl.Skip("./dev up needs root: namespaces, mounts and control groups")
        self.session = self.enterContext(rdl.Session())
        self.base = pathlib.Path(self.session.path("up"))
        self.base.mkdir()
        self.before = set(engine_cgroups())

    def start(self, *options, refused=None):
        """up.py with its directory under self.base, which also marks all that it starts. `refused`
        is a program that this machine shall not be allowed to run."""
        env = {"RDL_TMP": str(self.base)}
        if refused:
            env["PATH"] = f"{self.forbid(refused)}:{os.environ['PATH']}"
        up = self.session.start("up", [sys.executable, "-B", UP, *options], env=env,
                                stdout=subprocess.PIPE, text=True)
        self.addCleanup(up.popen.stdout.close)
        return up

    def forbid(self, name):
        """A directory with a program of that name which does what a refusing kernel makes it do."""
        folder = pathlib.Path(self.session.path("forbidden"))
        folder.mkdir()
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name}: Operation not permitted' >&2\nexit 1\n")
        program.chmod(0o755)
        return folder

    def traces(self):
        """Processes, mounts, control groups and files of any up.py that this test started."""
        mark = f"RDL_TMP={self.base}".encode()
        found = [f"process {pid}: {rdl.command_of(pid)}" for pid in rdl.pids_with(mark)
                 if rdl.is_running(pid)]
        mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        found += [f"mount {line}" for line in mounts if str(self.base) in line]
        found += [f"control group {path}" for path in set(engine_cgroups()) - self.before]
        found += [f"file {path}" for path in self.base.iterdir()]
        return found

    def assertNothingLeft(self):
        try:
            rdl.wait_until(lambda: not self.traces(), 10, "nothing is left")
        except rdl.Timeout:
            self.assertEqual(self.traces(), [])

    def test_once_runs_a_container_shows_the_status_and_ends(self):
        up = self.start("--once")
        out = up.popen.stdout.read()
        self.assertEqual(up.popen.wait(), 0, out + up.log())
        self.assertIn("\nhello from a container behind rdlink\n", out)
        self.assertIn("\na page of the host, fetched by name\n", out)
        self.assertRegex(out, r"up: published +http://127.0.0.1:\d+/ says: published\n")
        self.assertRegex(out, r"up: ready +after")
        self.assertRegex(out, r"(?s)up: status .*\nrdlinkd \S+: Ready")
        print("", *(f"  | {line}" for line in out.splitlines()), sep="\n")
        self.assertNothingLeft()

    def test_without_iptables_it_says_so_and_does_the_rest(self):
        up = self.start("--once", refused="iptables")
        out = up.popen.stdout.read()
        self.assertEqual(up.popen.wait(), 0, out + up.log())
        self.assertRegex(out, r"up: engine +REFUSED: .*iptables: Operation not permitted")
        self.assertIn("\nhello from a container behind rdlink\n", out)
        self.assertNothingLeft()

    def test_without_namespaces_it_says_so_shows_the_status_and_fails(self):
        up = self.start("--once", refused="unshare")
        out = up.popen.stdout.read()
        self.assertEqual(up.popen.wait(), 1, out + up.log())
        self.assertRegex(out, r"up: guest +REFUSED: .*unshare: Operation not permitted")
        self.assertRegex(out, r"(?s)up: status .*\nrdlinkd \S+: ")
        self.assertNothingLeft()

    def test_interrupt_at_any_step_leaves_nothing(self):
        steps = ("directory", "guest", "engine", "agent", "net", "rdlinkd", "ready", "container",
                 "page", "published", "status", "Ctrl-C ends")
        for step in steps:
            self.interrupt(step, signal.SIGINT)
        for step in steps[::4]:
            self.interrupt(step, signal.SIGTERM)

    def interrupt(self, step, number):
        with self.subTest(after=step, signal=number.name):
            up = self.start()
            self.assertIn(step, read_until(up.popen.stdout, step), up.log()[-2000:])
            up.send(number)
            up.popen.stdout.read()
            code = up.popen.wait(30)
            if step == "Ctrl-C ends" and number == signal.SIGINT:
                self.assertEqual(code, 0)
            self.assertNothingLeft()

    def test_killed_it_leaves_no_process_and_no_mount(self):
        # Its directory and the engine's control groups cannot go then; all that runs does.
        up = self.start()
        self.assertIn("Ctrl-C ends", read_until(up.popen.stdout, "Ctrl-C ends"))
        os.kill(up.pid, signal.SIGKILL)
        alive = ("process", "mount")
        rdl.wait_until(lambda: not [t for t in self.traces() if t.startswith(alive)], 10,
                       "its processes and mounts are gone")
        for name in {path.name for path in set(engine_cgroups()) - self.before}:
            rdl.remove_cgroups(name)


def engine_cgroups():
    base = pathlib.Path("/sys/fs/cgroup")
    return [path for path in (*base.glob("rdl-*"), *base.glob("*/rdl-*")) if path.is_dir()]


def read_until(lines, text):
    line = ""
    for line in lines:
        if text in line:
            break
    return line


if __name__ == "__main__":
    rdl.main()
