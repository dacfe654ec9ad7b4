# SPDX-License-Identifier: Apache-2.0
"""The MSI in the hands of a Windows Installer: what it leaves, keeps and takes away again.

Wine 10's (tests/support/rdl_wine10.py), whose service manager notices a service that dies. What it
does otherwise than Windows, and how these tests see to it:
  - msiexec does not wait for a service that it stops, so an upgrade would find the program in use:
    the service is stopped before, as Windows does;
  - a service is not restarted by the manager, failure actions are not kept;
  - a wildcard in the table RemoveFile means nothing to it, so keys and logs stay behind;
  - an uninstalled registry value leaves its key, where Windows removes a key that it emptied, and a
    folder that leaves PATH leaves its semicolon.
"""

import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_wine10

NAME = "RancherDesktopLink"
MSI_SH = rdl.ROOT / "installer/windows/msi.sh"
SERVICE_KEY = rf"HKLM\SYSTEM\CurrentControlSet\Services\{NAME}"
UNINSTALL_KEY = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall"
PROGRAMS, DATA = r"C:\Program Files\rdlink", r"C:\ProgramData\rdlink"
OLD, NEW = "0.1.0", "0.2.0"
# Keys that Windows has anyway, or that its installer removes when they are empty (see above).
EMPTY_KEYS = (r"\services\sharedaccess", r"\software\rdlink", r"\services\eventlog\application",
              r"\currentversion\installer", r"\classes\installer")
# What the system writes whenever it likes: a count of services, what became of the desktop.
DIARIES = (r"\control\servicecurrent", r"\control\video")
DIARY_FOLDERS = ("windows/temp", "windows/installer", "users/root/appdata/local/temp")


def registry_entries(text):
    """A .reg file's keys and values as one line each, in lower case."""
    key, found = "", set()
    for line in text.lower().replace("\\\n  ", "").splitlines():
        if line.startswith("["):
            key = line.strip("[]")
            line = ""
        elif not line:
            continue
        name, is_text, value = line.partition("=hex(2):")
        if is_text:  # REG_EXPAND_SZ
            value = bytes.fromhex(value.replace(",", "")).decode("utf-16-le").rstrip("\0;")
            line = f"{name}={value}"
        emptied = not line and any(part in key for part in EMPTY_KEYS)
        if not emptied and not any(part in key for part in DIARIES):
            found.add(f"{key} {line}")
    return found


def make_msi(folder, name, version, service_program=None):
    """An MSI of this build's programs, told to be of that version."""
    rdl.tool("wixl", "wixl")
    rdl.tool("msibuild", "msitools")
    programs = folder / f"{name}.programs"
    programs.mkdir()
    shutil.copy(service_program or wine_support.windows_program("rdlinkd"), programs / "rdlinkd.exe")
    shutil.copy(wine_support.windows_program("rdlink"), programs / "rdlink.exe")
    subprocess.run(["bash", MSI_SH, programs, version, folder / f"{name}.msi"], check=True,
                   env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    shutil.rmtree(programs)


class Installed(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        self.wine = rdl_wine10.Wine10(self.session)

    def msiexec(self, *words):
        """The exit code, modulo 256 as a Linux parent sees it."""
        return self.wine.run("msiexec.exe", *words, "/qn", check=False)[1]

    def make(self, name, version, **options):
        make_msi(self.wine.share, name, version, **options)
        return rf"Z:\share\{name}.msi"

    def service(self):
        """(state, exit code) as `sc query` shows them; None: no such service."""
        text, code = self.wine.run("sc.exe", "query", NAME, check=False)
        if code:
            return None
        values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        values = {key.strip(): int(value.split()[0], 0) for key, value in values.items()
                  if key.strip() in ("STATE", "WIN32_EXIT_CODE")}
        return values["STATE"], values["WIN32_EXIT_CODE"]

    def wait_for(self, state):
        rdl.wait_until(lambda: (self.service() or [0])[0] == state, 30, f"service state {state}",
                       every=0.2)

    def stop(self):
        self.wine.run("sc.exe", "stop", NAME)
        self.wait_for(1)
        rdl.wait_until(lambda: not self.processes(), 20, "its processes have ended", every=0.2)

    def processes(self):
        """Our service's processes, as the pids of this Linux."""
        return [pid for pid in rdl.pids_with(f"RDL_SESSION={self.session.id}".encode())
                if "rdlinkd.exe" in rdl.command_of(pid)]

    def status(self):
        text, _ = self.wine.run(PROGRAMS + r"\rdlink.exe", "status", "--json", check=False)
        if not text.startswith("{"):
            raise OSError(text[:200])
        return json.loads(text)

    def wait_for_status(self):
        return rdl.wait_until(self.status, 30, "the status pipe answers", every=0.2)

    def versions(self):
        """Of what is in the list of programs."""
        lines = self.wine.registry(UNINSTALL_KEY)
        return [line.split()[-1] for line in lines if "DisplayVersion" in line]

    def exists(self, path):
        return self.wine.path(path).exists()

    def snapshot(self):
        """Files of drive C:, keys and values of the registry."""
        top = self.wine.path("C:\\")
        found = set()
        for folder, folders, files in os.walk(top):
            found.update(os.path.relpath(os.path.join(folder, n), top) for n in folders + files)
        found = {path for path in found if not path.lower().startswith(DIARY_FOLDERS)}
        for hive in ("SOFTWARE", "SYSTEM"):
            self.wine.run("reg.exe", "export", rf"HKLM\{hive}", r"Z:\share\hive.reg", "/y")
            found |= registry_entries((self.wine.share / "hive.reg").read_text("utf-16"))
        return found


class Life(Installed):
    def test_install_upgrade_repair_and_removal(self):
        old, new = self.make("old", OLD), self.make("new", NEW)
        before = self.snapshot()

        self.assertEqual(self.msiexec("/i", old), 0)
        self.wait_for(4)
        self.assertEqual(self.wait_for_status()["program"]["version"], self.program_version())
        self.assertEqual(self.versions(), [OLD])
        self.assertTrue(self.on_path())
        for file in ("keys\\guest.key", "logs\\rdlinkd.log.1"):
            self.wine.path(rf"{DATA}\{file}").write_text("of the first version\n")
        self.wine.path(rf"{DATA}\rdlinkd.conf").write_text("# mine\n")

        self.stop()
        self.assertEqual(self.msiexec("/i", new), 0)
        self.wait_for(4)
        self.wait_for_status()
        self.assertEqual(self.versions(), [NEW])
        for file in ("keys\\guest.key", "logs\\rdlinkd.log.1", "rdlinkd.conf"):
            self.assertTrue(self.exists(rf"{DATA}\{file}"), file)

        self.stop()
        self.wine.path(rf"{PROGRAMS}\rdlink.exe").unlink()
        self.assertEqual(self.msiexec("/i", new, "REINSTALL=ALL"), 0)  # Wine has no /f
        self.assertTrue(self.exists(rf"{PROGRAMS}\rdlink.exe"))
        self.wait_for(4)

        self.assertNotEqual(self.msiexec("/i", old), 0, "an older version is refused")
        self.assertEqual(self.versions(), [NEW])
        self.assertEqual(self.service()[0], 4)

        self.stop()
        self.assertEqual(self.msiexec("/x", new), 0)
        self.assertIsNone(self.service())
        self.assertTrue(self.exists(rf"{DATA}\rdlinkd.conf"), "what its owner wrote stays")
        shutil.rmtree(self.wine.path(DATA))  # with keys and logs, which Windows would have removed
        after = self.snapshot()
        self.assertEqual(sorted(after ^ before), [])

    def program_version(self):
        return self.wine.run(PROGRAMS + r"\rdlinkd.exe", "version")[0].split()[1]

    def on_path(self):
        lines = self.wine.registry(r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment")
        path = next(line for line in lines if line.split()[:1] == ["PATH"])
        return PROGRAMS.lower() in path.lower()


class Service(Installed):
    def test_a_crash_is_noticed_and_takes_the_workers_along(self):
        msi = self.make("new", NEW)
        self.assertEqual(self.msiexec("/i", msi), 0)
        self.wait_for(4)
        controller = self.wait_for_status()["program"]["pid"]
        rdl.wait_until(lambda: len(self.processes()) > 1, 30, "a worker runs", every=0.2)

        self.wine.run("taskkill.exe", "/f", "/pid", controller)
        self.wait_for(1)
        self.assertEqual(self.service(), (1, 1067))  # ERROR_PROCESS_ABORTED
        rdl.wait_until(lambda: not self.processes(), 20, "the workers have ended", every=0.2)

        self.wine.run("sc.exe", "start", NAME)
        self.wait_for(4)
        self.assertNotEqual(self.wait_for_status()["program"]["pid"], controller)

    def test_a_service_that_does_not_start_undoes_the_installation(self):
        before = self.snapshot()
        broken = self.make("broken", OLD, service_program=wine_support.windows_program("pipe_client"))
        self.assertNotEqual(self.msiexec("/i", broken), 0)
        self.assertIsNone(self.service())
        self.assertFalse(self.exists(rf"{PROGRAMS}\rdlinkd.exe"))
        self.assertEqual(sorted(self.snapshot() ^ before), [])


if __name__ == "__main__":
    rdl.main()
