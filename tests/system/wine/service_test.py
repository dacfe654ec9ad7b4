# SPDX-License-Identifier: Apache-2.0
"""rdlinkd.exe as a service: started and stopped by the service control manager."""

import os
import pathlib
import shutil
import sys
import time
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_script

NAME = "RancherDesktopLink"
OTHER_USER = 65534


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

    def registry(self):
        """All of the two hives that services and their traces are in, as lines "key: value"."""
        lines, key = set(), ""
        for hive in (r"HKLM\SYSTEM\CurrentControlSet", r"HKLM\SOFTWARE"):
            path = self.session.path("registry")
            self.wine.run("reg.exe", "export", hive, windows_path(path), "/y", "/reg:64")
            for line in pathlib.Path(path).read_text("utf-16").splitlines():
                key = line if line.startswith("[") else key
                if not key.endswith(r"\Control\ServiceCurrent]"):  # counts starts of any service
                    lines.add(f"{key}: {line}")
        return lines

    def source(self, name):
        """What `reg query` shows of a value of our source of the Event Log."""
        key = rf"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\{NAME}"
        return self.wine.run("reg.exe", "query", key, "/v", name)[0]

    def verb(self, *words, check=True):
        return self.wine.run(wine_support.windows_program("rdlinkd"), *words, check=check)

    def test_installed_started_stopped_and_removed_it_leaves_nothing(self):
        pipe = f"rdl-{self.session.id}"
        folder = pathlib.Path(self.wine.env["WINEPREFIX"], "drive_c/ProgramData/rdlink")
        before = self.registry()
        self.addCleanup(self.verb, "uninstall", check=False)
        text, code = self.verb("status", check=False)
        self.assertEqual((text, code), (f"Service {NAME}: not installed\n", 3))
        options = ["--endpoint", f"npipe:{pipe}", "--status", f"npipe:{pipe}-status",
                   "--vm", f"vm1={self.agent.address}"]
        self.verb("install", "--endpoint", "npipe:other")
        text, _ = self.verb("install", *options)  # again, with other options: an update
        self.assertRegex(text, r'installed: "Z:\\.*rdlinkd\.exe" service --endpoint npipe:rdl-')
        self.assertRegex(text, r"restart delays +set\n")
        # What Wine has no notion of is named, and is no failure.
        self.assertRegex(text, r"required privileges +NOT SET: Invalid level")
        self.assertTrue((folder / "keys").is_dir())
        self.assertNotEqual(self.registry(), before)
        self.assertRegex(self.source("EventMessageFile"), r"REG_EXPAND_SZ +Z:\\.*\\rdlinkd\.exe\s")
        self.assertRegex(self.source("TypesSupported"), r"REG_DWORD +0x7\s")

        self.verb("start")
        text, code = self.verb("status")
        self.assertIn(f"Service {NAME}: running\n", text)
        self.assertIn(f"service --endpoint npipe:{pipe} ", text)
        status = rdl.wait_until(
            lambda: (lambda s: s if s["ready"] else None)(
                wine_support.read_status(self.wine, f"{pipe}-status")), 30, "ready", every=0.2)
        # The group is measured from outside; Wine neither deletes privileges nor lowers integrity.
        self.assertIn(", administrator, ", status["program"]["token"])
        self.assertIn(", no administrator, ", status["components"][0]["token"])
        self.assertEqual(status["components"][0]["account"], status["program"]["account"])
        self.verb("start")  # runs already
        self.verb("stop")
        self.verb("stop")
        self.assertEqual(self.verb("status", check=False)[1], 3)
        # Wine's services have another ProgramData than everybody else.
        log = pathlib.Path(self.wine.env["WINEPREFIX"], "drive_c",
                           status["log"]["file"].partition(":")[2].replace("\\", "/").lstrip("/"))
        said = log.read_text().rpartition(" event=1 ")[2]
        self.assertIn(" event=3 ", said)
        self.assertNotIn("Event Log", said)  # it is written to
        (folder / "logs" / "rdlinkd.log").write_text("a line")
        self.verb("start")
        self.verb("uninstall")  # of one that runs
        self.assertEqual(self.verb("uninstall")[0], f"Service {NAME} was not installed.\n")
        self.assertFalse(folder.exists())
        self.assertEqual(self.registry() ^ before, set())

    def test_what_cannot_work_is_not_installed(self):
        text, code = self.verb("install", "--endpoint", "nonsense", check=False)
        self.assertEqual(code, 4)
        self.assertIn("nonsense", text)
        self.assertIn("not installed", self.verb("status", check=False)[0])
        text, code = self.verb("start", check=False)
        self.assertEqual(code, 1)
        self.assertEqual(self.verb("stop", "now", check=False)[1], 4)

    @unittest.skipIf(os.geteuid() != 0, "only root can give a file to another user")
    def test_what_another_user_made_in_programdata_is_not_trusted(self):
        folder = pathlib.Path(self.wine.env["WINEPREFIX"], "drive_c/ProgramData/rdlink")
        self.addCleanup(self.verb, "uninstall", check=False)
        (folder / "keys").mkdir(parents=True)
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / "keys" / "file").write_text("somebody's")
        os.chown(folder, OTHER_USER, OTHER_USER)
        for verb in ("install", "uninstall"):
            text, code = self.verb(verb, check=False)
            self.assertEqual(code, 1, text)
            self.assertIn("was made by another user", text)
        self.assertTrue((folder / "keys" / "file").exists())
        self.assertIn("not installed", self.verb("status", check=False)[0])

        os.chown(folder, 0, 0)
        config = folder / "rdlinkd.conf"
        config.write_text("log-level = info\n")
        os.chown(config, OTHER_USER, OTHER_USER)
        text, code = self.verb("install", check=False)
        self.assertEqual(code, 1, text)
        self.assertIn(r"rdlinkd.conf was made by another user", text)
        os.chown(config, 0, 0)
        self.verb("install")
        self.assertTrue((folder / "logs").is_dir())

    def test_workers_die_with_a_service_that_is_killed(self):
        pipe = f"rdl-{self.session.id}"
        self.addCleanup(self.verb, "uninstall", check=False)
        # Wine's manager does not notice that a service died, so that it cannot be stopped.
        self.addCleanup(self.sc, "delete", NAME, check=False)
        self.verb("install", "--endpoint", f"npipe:{pipe}", "--status", f"npipe:{pipe}-status",
                  "--vm", f"vm1={self.agent.address}")
        self.verb("start")
        status = rdl.wait_until(
            lambda: (lambda s: s if s["ready"] else None)(
                wine_support.read_status(self.wine, f"{pipe}-status")), 30, "ready", every=0.2)
        workers = self.workers()
        self.assertEqual(len(workers), len(status["components"]))
        self.wine.run("taskkill.exe", "/f", "/pid", status["program"]["pid"])
        rdl.wait_until(lambda: not self.workers(), 10, "its workers are gone")

    def workers(self):
        """Linux's pids of the session's worker processes."""
        return [p for p in rdl.pids_with(f"RDL_SESSION={self.session.id}".encode())
                if "--worker" in rdl.command_of(p)]

    def test_on_a_console_the_verb_says_what_to_use(self):
        text, code = self.wine.run(wine_support.windows_program("rdlinkd"), "service", check=False)
        self.assertEqual(code, 4)
        self.assertIn("rdlinkd run", text)


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


if __name__ == "__main__":
    rdl.main()
