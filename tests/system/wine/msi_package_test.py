# SPDX-License-Identifier: Apache-2.0
"""What package.sh publishes for Windows: the tables of the MSI, the zip, the manifests, signatures; and
that the same programs are packed to the same bytes. (That they are built to the same bytes elsewhere:
package/package_same_test.)"""

import hashlib
import os
import re
import subprocess
import sys
import unittest
import uuid
import zipfile

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_pe

SCRIPTS = rdl.ROOT / "installer/windows"
UPGRADE_CODE = "{2C2E84D8-D487-4C8C-9B57-5491FB4CC3EC}"  # for ever
NAME = "RancherDesktopLink"
EPOCH = "1700000000"


def package(out, scripts=SCRIPTS, programs=None, **env):
    for program, debian in (("wixl", "wixl"), ("msibuild", "msitools"), ("zip", "zip"),
                            ("x86_64-w64-mingw32-strip", "gcc-mingw-w64-x86-64-posix")):
        rdl.tool(program, debian)
    programs = programs or os.path.dirname(wine_support.windows_program("rdlinkd"))
    out.mkdir(exist_ok=True)
    subprocess.run(["bash", scripts / "package.sh", out], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "RDL_WIN_BIN": programs, "SOURCE_DATE_EPOCH": EPOCH, **env})


def files(folder):
    """{name: bytes} of all files below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def only(folder, pattern):
    found = list(folder.glob(pattern))
    assert len(found) == 1, found
    return found[0]


def version():
    text = (rdl.ROOT / "CMakeLists.txt").read_text()
    return re.search(r"project\(rdlink VERSION ([0-9.]+)", text).group(1)


def guid(text):
    """Of a text, by the rule of installer/windows/README.md."""
    h = hashlib.sha256(text.encode()).hexdigest().upper()
    return f"{{{h[:8]}-{h[8:12]}-8{h[13:16]}-8{h[17:20]}-{h[20:32]}}}"


class Msi(unittest.TestCase):
    """Its tables, as msiinfo exports them."""

    @classmethod
    def setUpClass(cls):
        cls.session = cls.enterClassContext(rdl.Session())
        package(cls.session.dir)
        cls.msi = only(cls.session.dir, "*.msi")

    def table(self, name):
        """Rows as {column: text}."""
        text = subprocess.run(["msiinfo", "export", self.msi, name], check=True, capture_output=True,
                              text=True).stdout.replace("\r", "")
        head, _, _, *rows = text.rstrip("\n").split("\n")
        return [dict(zip(head.split("\t"), row.split("\t"))) for row in rows]

    def by_key(self, name):
        return {next(iter(row.values())): row for row in self.table(name)}

    def test_the_service_is_installed_stopped_and_removed(self):
        service, = self.table("ServiceInstall")
        self.assertEqual((service["Name"], service["StartType"], service["StartName"],
                          service["Arguments"]), (NAME, "2", "LocalSystem", "service"))
        self.assertEqual(self.by_key("Component")[service["Component_"]]["KeyPath"], "rdlinkd.exe")
        control, = self.table("ServiceControl")
        # started at install; stopped at install and uninstall; deleted at uninstall; waited for
        self.assertEqual((control["Name"], int(control["Event"]), control["Wait"]),
                         (NAME, 0x1 | 0x2 | 0x20 | 0x80, "1"))

    def test_the_path_of_the_service_is_quoted(self):
        row = self.by_key("Registry")["ImagePath"]
        self.assertEqual(row["Value"], '#%"[#rdlinkd.exe]" service')
        self.assertEqual(row["Key"], rf"SYSTEM\CurrentControlSet\Services\{NAME}")
        order = self.by_key("InstallExecuteSequence")
        self.assertGreater(int(order["WriteRegistryValues"]["Sequence"]),
                           int(order["InstallServices"]["Sequence"]))

    def test_the_services_settings_are_those_of_its_own_install_verb(self):
        plan = (rdl.ROOT / "winsvc/win/service_plan.c").read_text()
        header = (rdl.ROOT / "winsvc/win/service_plan.h").read_text()
        settings = {row["ConfigType"]: row["Argument"] for row in self.table("MsiServiceConfig")}
        privileges = re.search(r"service_privileges\[\] = \{(.*?)NULL", plan, re.S).group(1)
        self.assertEqual(settings, {
            "3": "1",  # delayed start
            "4": "1",  # restarted after an exit with an error, too
            "5": "1",  # SID, unrestricted
            "6": "[~]".join(re.findall(r'"(\w+)"', privileges)),
            "7": re.search(r"SERVICE_PRESHUTDOWN_MS = (\d+)", header).group(1)})
        failure, = self.table("MsiServiceConfigFailureActions")
        delays = re.findall(r"\d+", re.search(r"service_restart_ms\[\w+\] = \{(.*?)\}", plan, re.S).group(1))
        self.assertEqual(failure["DelayActions"].split("[~]"), delays)
        self.assertEqual(failure["Actions"].split("[~]"), ["1"] * len(delays))  # restart
        self.assertEqual(failure["ResetPeriod"], re.search(r"RESET_S = (\d+)", header).group(1))

    def test_folders_and_service_are_protected_as_by_the_install_verb(self):
        plan = (rdl.ROOT / "winsvc/win/service_plan.c").read_text()

        def sddl(name):
            pieces = re.search(rf"{name}\[\] = (.*?);\n", plan, re.S).group(1)
            return "".join(re.findall(r'"([^"]*)"', pieces))

        locks = {row["LockObject"]: row["SDDLText"] for row in self.table("MsiLockPermissionsEx")}
        self.assertEqual(locks, {"Service": sddl("service_sddl"),
                                 "DATADIR": "O:BA" + sddl("service_folder_sddl"),
                                 "KEYSDIR": "O:BA" + sddl("service_keys_sddl"),
                                 "LOGSDIR": "O:BA" + sddl("service_keys_sddl")})
        made = {row["Directory_"] for row in self.table("CreateFolder")}
        self.assertEqual(made, set(locks) - {"Service"})

    def test_any_older_version_is_replaced_and_a_newer_one_kept(self):
        rows = {row["ActionProperty"]: row for row in self.table("Upgrade")}
        self.assertEqual({row["UpgradeCode"] for row in rows.values()}, {UPGRADE_CODE})
        older, newer = rows["OLDERFOUND"], rows["NEWERFOUND"]
        self.assertEqual((older["VersionMin"], older["VersionMax"]), ("0.0.0", version()))
        self.assertEqual(int(older["Attributes"]), 0x1 | 0x100 | 0x200)  # features, both ends included
        self.assertEqual((newer["VersionMin"], int(newer["Attributes"])), (version(), 0x2))  # only found
        conditions = [row["Condition"] for row in self.table("LaunchCondition")]
        self.assertIn("Installed OR NOT NEWERFOUND", conditions)
        properties = {row["Property"]: row["Value"] for row in self.table("Property")}
        self.assertEqual(properties["UpgradeCode"], UPGRADE_CODE)
        self.assertEqual(properties["ProductVersion"], version())
        self.assertEqual(set(properties["SecureCustomProperties"].split(";")), set(rows))
        order = {row["Action"]: int(row["Sequence"]) for row in self.table("InstallExecuteSequence")}
        self.assertLess(order["FindRelatedProducts"], order["LaunchConditions"])
        self.assertLess(order["InstallExecute"], order["RemoveExistingProducts"])
        self.assertLess(order["MsiConfigureServices"], order["StartServices"])

    def test_nothing_of_ours_runs_in_the_installer(self):
        tables = subprocess.run(["msiinfo", "tables", self.msi], check=True, capture_output=True,
                                text=True).stdout.split()
        self.assertIn("ServiceInstall", tables)
        self.assertNotIn("CustomAction", tables)
        self.assertNotIn("Binary", tables)

    def test_component_codes_follow_from_their_names(self):
        components = self.table("Component")
        self.assertGreater(len(components), 5)
        for row in components:
            self.assertEqual(row["ComponentId"], guid("rdlink component " + row["Component"]))
            self.assertTrue(int(row["Attributes"]) & 0x100, row["Component"])  # 64 bits
        self.assertEqual({row["Component_"] for row in self.table("FeatureComponents")},
                         {row["Component"] for row in components})

    def test_programs_have_a_version_and_no_hash(self):
        files = self.by_key("File")
        for name in ("rdlinkd.exe", "rdlink.exe"):
            self.assertEqual(files[name]["Version"], version() + ".0")
            self.assertNotIn(name, self.by_key("MsiFileHash"))

    def test_firewall_event_source_and_path(self):
        registry = self.by_key("Registry")
        for name, protocol in (("FirewallTcp", "6"), ("FirewallUdp", "17")):
            parts = registry[name]["Value"].split("|")
            self.assertIn(f"Protocol={protocol}", parts)
            self.assertIn("App=[#rdlinkd.exe]", parts)
            self.assertIn("Dir=In", parts)
            self.assertEqual([p for p in parts if p.startswith("Profile=")],
                             ["Profile=Domain", "Profile=Private"])
        self.assertEqual(registry["EventMessageFile"]["Value"], "#%[#rdlinkd.exe]")
        self.assertTrue(registry["EventMessageFile"]["Key"].endswith(rf"EventLog\Application\{NAME}"))
        path, = self.table("Environment")
        self.assertEqual((path["Name"], path["Value"]), ("=-*PATH", "[~];[INSTALLDIR]"))


class Package(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())

    def folder(self, name):
        return self.session.dir / name

    def assert_same(self, one, two):
        self.assertEqual(set(one), set(two))
        self.assertEqual([name for name in one if one[name] != two[name]], [])

    def test_the_same_build_is_packaged_to_the_same_bytes(self):
        one, two = self.folder("one"), self.folder("two-elsewhere")
        package(one)
        package(two, TZ="Pacific/Auckland", LC_ALL="C.UTF-8")
        self.assertEqual(len(files(one)), 5)
        self.assert_same(files(one), files(two))

    def test_the_zip_has_the_programs_without_debug_information(self):
        out = self.folder("out")
        package(out)
        top = only(out, "*.zip").stem
        with zipfile.ZipFile(only(out, "*.zip")) as z:
            names = {f"{top}/{n}" for n in ("rdlinkd.exe", "rdlink.exe", "LICENSE.txt", "troubleshooting.md")}
            self.assertEqual(set(z.namelist()), names)
            z.extractall(out)
        for name in ("rdlinkd.exe", "rdlink.exe"):
            pe = rdl_pe.Pe(out / top / name)
            self.assertEqual(pe.timestamp, int(EPOCH))
            self.assertEqual([s.name for s in pe.sections if s.name.startswith(("/", ".debug"))], [])
            self.assertEqual(pe.version_strings()["ProductVersion"], version())

    def test_with_a_key_programs_and_msi_are_signed(self):
        signer, openssl = rdl.tool("osslsigncode", "osslsigncode"), rdl.tool("openssl", "openssl")
        out, keys = self.folder("out"), self.folder("keys")
        keys.mkdir()
        subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=rdlink test", "-addext", "extendedKeyUsage=codeSigning",
                        "-keyout", keys / "key", "-out", keys / "cert"], check=True, capture_output=True)
        subprocess.run([openssl, "pkcs12", "-export", "-passout", "pass:secret", "-inkey", keys / "key",
                        "-in", keys / "cert", "-out", keys / "p12"], check=True, capture_output=True)
        (keys / "pass").write_text("secret")
        package(out, RDL_SIGN_PKCS12=str(keys / "p12"), RDL_SIGN_PASSFILE=str(keys / "pass"))
        with zipfile.ZipFile(only(out, "*.zip")) as z:
            z.extractall(out)
        signed = [only(out, "*.msi"), *sorted(out.glob("*/*.exe"))]
        self.assertEqual(len(signed), 3)
        for file in signed:
            verdict = subprocess.run([signer, "verify", "-CAfile", keys / "cert", "-in", file],
                                     capture_output=True, text=True).stdout
            self.assertIn("Number of verified signatures: 1", verdict, file)


class Winget(unittest.TestCase):
    """The manifests have the shape that the schemas of winget 1.6 ask for."""

    FIELDS = {
        "version": {"PackageIdentifier", "PackageVersion", "DefaultLocale", "ManifestType",
                    "ManifestVersion"},
        "installer": {"PackageIdentifier", "PackageVersion", "Installers", "ManifestType",
                      "ManifestVersion"},
        "defaultLocale": {"PackageIdentifier", "PackageVersion", "PackageLocale", "Publisher",
                          "PackageName", "License", "ShortDescription", "ManifestType",
                          "ManifestVersion"},
    }

    def test_manifests(self):
        yaml = self.yaml()
        session = self.enterContext(rdl.Session())
        package(session.dir)
        msi = only(session.dir, "*.msi")
        manifests = {}
        for path in (session.dir / "winget").iterdir():
            self.assertNotIn("@", path.read_text(), path.name)  # all is filled in
            manifest = yaml.safe_load(path.read_text())
            manifests[manifest["ManifestType"]] = manifest
        self.assertEqual(set(manifests), set(self.FIELDS))
        for kind, wanted in self.FIELDS.items():
            manifest = manifests[kind]
            self.assertEqual(wanted - set(manifest), set(), kind)
            self.assertRegex(manifest["PackageIdentifier"], r"^[^.\s]+\.[^.\s]+$")
            self.assertEqual((manifest["PackageVersion"], manifest["ManifestVersion"]), (version(), "1.6.0"))
        text = manifests["defaultLocale"]
        self.assertTrue(3 <= len(text["ShortDescription"]) <= 256)
        self.assertTrue(all(len(tag) <= 40 for tag in text["Tags"]) and len(text["Tags"]) <= 16)
        self.check_installer(manifests["installer"], msi)

    def check_installer(self, manifest, msi):
        self.assertEqual((manifest["InstallerType"], manifest["Scope"]), ("msi", "machine"))
        self.assertRegex(manifest["MinimumOSVersion"], r"^10(\.\d+){3}$")
        self.assertLessEqual(set(manifest["InstallModes"]), {"interactive", "silent", "silentWithProgress"})
        installer, = manifest["Installers"]
        self.assertEqual(installer["Architecture"], "x64")
        self.assertRegex(installer["InstallerUrl"], rf"^https://[^ ]+/{re.escape(msi.name)}$")
        self.assertEqual(installer["InstallerSha256"], hashlib.sha256(msi.read_bytes()).hexdigest().upper())
        code = installer["ProductCode"]
        self.assertEqual(str(uuid.UUID(code)), code.strip("{}").lower())
        entry, = installer["AppsAndFeaturesEntries"]
        self.assertEqual((entry["ProductCode"], entry["UpgradeCode"]), (code, UPGRADE_CODE))

    def yaml(self):
        """Debian's PyYAML, whichever Python this is."""
        rdl.tool("python3", "python3")
        sys.path.append("/usr/lib/python3/dist-packages")
        try:
            import yaml
        except ImportError as error:
            raise rdl.Skip("PyYAML is not installed (Debian package python3-yaml)") from error
        return yaml


if __name__ == "__main__":
    rdl.main()
