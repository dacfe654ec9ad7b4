# SPDX-License-Identifier: Apache-2.0
"""What Windows' loader is told by our executables, and what it loads with them."""

import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_pe

PROGRAMS = ["rdlinkd", "rdlink", "rdlink-agent"]
# What every Windows 10 has in System32. Anything else would have to be installed beside us, where
# another could be put in its place.
SYSTEM_DLLS = {"advapi32.dll", "bcrypt.dll", "dnsapi.dll", "iphlpapi.dll", "kernel32.dll", "msvcrt.dll",
               "netapi32.dll", "ntdll.dll", "ole32.dll", "shell32.dll", "user32.dll", "userenv.dll",
               "ws2_32.dll", "wtsapi32.dll"}


def version():
    text = (rdl.ROOT / "CMakeLists.txt").read_text()
    return re.search(r"project\(rdlink VERSION ([0-9.]+)", text).group(1)


def programs():
    return {name: rdl_pe.Pe(wine_support.windows_program(name)) for name in PROGRAMS}


class Headers(unittest.TestCase):
    def test_addresses_are_drawn_and_data_is_not_run(self):
        for name, pe in programs().items():
            wanted = rdl_pe.HIGH_ENTROPY_VA | rdl_pe.DYNAMIC_BASE | rdl_pe.NX_COMPAT
            self.assertEqual(pe.characteristics & wanted, wanted, name)
            self.assertIn(".reloc", [section.name for section in pe.sections], name)
            self.assertGreater(pe.directory(rdl_pe.RELOCATIONS)[1], 0, name)

    def test_no_section_can_be_written_and_run(self):
        for name, pe in programs().items():
            both = rdl_pe.WRITE | rdl_pe.EXECUTE
            self.assertEqual([s.name for s in pe.sections if s.flags & both == both], [], name)
            self.assertTrue(any(s.flags & rdl_pe.EXECUTE for s in pe.sections), name)

    def test_only_the_systems_libraries_are_imported(self):
        for name, pe in programs().items():
            names = {name.lower() for name in pe.imports()}
            self.assertIn("kernel32.dll", names, name)
            self.assertEqual(names - SYSTEM_DLLS, set(), name)

    def test_nothing_tells_where_or_when_it_was_built(self):
        for name, pe in programs().items():
            self.assertEqual(pe.timestamp, 0, name)
            self.assertNotIn(os.fsencode(rdl.ROOT), pe.data, name)

    def test_version_and_manifest(self):
        for name, pe in programs().items():
            strings = pe.version_strings()
            self.assertEqual(strings["FileVersion"], version() + ".0")
            self.assertEqual(strings["ProductVersion"], version())
            self.assertEqual(strings["OriginalFilename"], name + ".exe")
            for key in ("CompanyName", "FileDescription", "LegalCopyright", "ProductName"):
                self.assertTrue(strings[key], key)
            manifest = pe.resource(rdl_pe.MANIFEST).decode()
            for part in ('level="asInvoker"', ">true</longPathAware>", ">UTF-8</activeCodePage>",
                         "{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}"):
                self.assertIn(part, manifest)


    def test_the_service_has_a_text_for_each_number_of_the_event_log(self):
        source = (rdl.ROOT / "winsvc/win/event_messages.mc").read_text()
        written = {int(number): text for number, text in
                   re.findall(r"^MessageId=(\d+) .*\nLanguage=English\n(.*)\n\.$", source, re.M)}
        self.assertGreater(len(written), 10)
        found = programs()["rdlinkd"].messages()
        self.assertEqual({number: text.rstrip("\r\n") for number, text in found.items()}, written)
        for text in written.values():  # the only insertion there is
            self.assertEqual(re.findall(r"%[^n]", text), ["%1"])


class Loading(unittest.TestCase):
    def test_a_library_beside_the_program_is_not_loaded(self):
        """Of what the programs load while they run. version.dll is not among them: Wine's own
        user32 imports it, Windows' does not."""
        session = self.enterContext(rdl.Session())
        wine = wine_support.Wine(session)
        folder = session.dir / "planted"
        folder.mkdir()
        program = shutil.copy(wine_support.windows_program("rdlink"), folder)
        for name in ("powrprof.dll", "cryptbase.dll", "mswsock.dll"):
            shutil.copy(wine_support.windows_program("pipe_client"), folder / name)
        wine.env["WINEDEBUG"] = "+loaddll"
        text, _ = wine.run(program, "status", check=False)
        loaded = [path.lower() for path in re.findall(r'Loaded L"([^"]+)"', text)]
        self.assertTrue(any(path.endswith(r"system32\\powrprof.dll") for path in loaded), text[:2000])
        beside = [path.rpartition("\\")[2] for path in loaded if "planted" in path]
        self.assertEqual(beside, ["rdlink.exe"])


if __name__ == "__main__":
    rdl.main()
