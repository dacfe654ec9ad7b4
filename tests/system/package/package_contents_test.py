# SPDX-License-Identifier: Apache-2.0
"""What is in the packages, without installing them: files, owners, modes, kind of program; what
lintian and rpmlint say; the SBOMs, the checksums and the signing hook."""

import hashlib
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_root

DIST = rdl_root.DIST
UNITS = "/usr/lib/systemd/system"
DOC = "/usr/share/doc"
EXAMPLES = f"{DOC}/rdlink-agent/examples"
EXAMPLE_FILES = {
    f"{EXAMPLES}/{name}" for name in (
        "README", "other-vm/network-namespace.service",
        "other-vm/rdlink-bridge.service.d/50-any-vm.conf",
        "other-vm/rdlink-bridge.socket.d/50-any-vm.conf",
        "other-vm/rdlink-net.service.d/50-any-vm.conf",
        "other-vm/rdlink-relay.service.d/50-any-vm.conf",
        "side-by-side/rdlink-bridge.socket.d/50-ports.conf")}
AGENT = EXAMPLE_FILES | {
    "/usr/bin/rdlink-agent", "/etc/rdlink/agent.conf", "/etc/rdlink/net.conf",
    f"{UNITS}/rdlink-bridge.service", f"{UNITS}/rdlink-bridge.socket",
    f"{UNITS}/rdlink-net.service",
    f"{UNITS}/rdlink-relay.service", f"{UNITS}/rdlink-relay.socket",
    f"{UNITS}/rdlink-bridge.service.d/10-replace-rdd-guest.conf",
    f"{UNITS}/rdlink-bridge.socket.d/10-replace-rdd-guest.conf"}
MAN8 = "/usr/share/man/man8"
AGENT_DEB = AGENT | {
    f"{MAN8}/rdlink-agent.8.gz", f"{DOC}/rdlink-agent/copyright",
    f"{DOC}/rdlink-agent/changelog.Debian.gz", "/usr/share/lintian/overrides/rdlink-agent"}
AGENT_RPM = AGENT | {
    f"{MAN8}/rdlink-agent.8.gz", "/usr/share/licenses/rdlink-agent/LICENSE",
    "/usr/share/licenses/rdlink-agent/copyright"}
HOST_DEB = {
    "/usr/bin/rdlinkd", "/usr/bin/rdlink", "/etc/rdlink/rdlinkd.conf",
    f"{UNITS}/rdlinkd.service", f"{MAN8}/rdlinkd.8.gz", "/usr/share/man/man1/rdlink.1.gz",
    "/usr/share/bash-completion/completions/rdlink", "/usr/share/zsh/vendor-completions/_rdlink",
    "/usr/share/fish/vendor_completions.d/rdlink.fish", f"{DOC}/rdlink/copyright",
    f"{DOC}/rdlink/changelog.Debian.gz", "/usr/share/lintian/overrides/rdlink"}
# ELF's e_machine
MACHINES = {"amd64": 62, "x86_64": 62, "arm64": 183, "aarch64": 183}
PT_INTERP = 3


def output(*argv):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True).stdout


def deb_tar(path):
    """The files of a .deb."""
    return tarfile.open(fileobj=io.BytesIO(output("dpkg-deb", "--fsys-tarfile", path)))


def interpreter(program):
    """Whether an ELF program asks for a dynamic loader."""
    at, size, count = (int.from_bytes(program[32:40], "little"),
                       int.from_bytes(program[54:56], "little"),
                       int.from_bytes(program[56:58], "little"))
    kinds = {int.from_bytes(program[at + i * size:at + i * size + 4], "little")
             for i in range(count)}
    return PT_INTERP in kinds


class Contents(unittest.TestCase):
    def assert_tree(self, entries, wanted, prefix="."):
        """`entries`: TarInfo. Exactly these files, root's, and nothing others may write."""
        files = {e.name[len(prefix):]: e for e in entries if not e.isdir()}
        self.assertEqual(set(files), wanted)
        for entry in entries:
            self.assertEqual((entry.uid, entry.gid), (0, 0), entry.name)
            executable = entry.isdir() or "/bin/" in entry.name
            self.assertEqual(oct(entry.mode), oct(0o755 if executable else 0o644), entry.name)

    def assert_static(self, program, architecture):
        self.assertEqual(program[:4], b"\x7fELF")
        self.assertEqual(int.from_bytes(program[18:20], "little"), MACHINES[architecture])
        self.assertFalse(interpreter(program), "it needs a loader, and so libraries")
        self.assertNotIn(b".debug_info", program)

    def test_the_agent_s_deb(self):
        for architecture in ("amd64", "arm64"):
            with self.subTest(architecture):
                deb = rdl_root.package(f"rdlink-agent_*_{architecture}.deb")
                tar = deb_tar(deb)
                self.assert_tree(tar.getmembers(), AGENT_DEB)
                program = tar.extractfile("./usr/bin/rdlink-agent").read()
                self.assert_static(program, architecture)
                self.assertEqual(output("dpkg-deb", "-f", deb, "Architecture").decode().strip(),
                                 architecture)
                self.assertEqual(output("dpkg-deb", "-f", deb, "Depends").strip(), b"")
                self.assertEqual(output("dpkg-deb", "-I", deb, "conffiles").decode().split(),
                                 ["/etc/rdlink/agent.conf", "/etc/rdlink/net.conf"])

    def test_the_agent_s_rpm(self):
        tool = rdl.tool("rpm", "rpm")
        for architecture in ("x86_64", "aarch64"):
            with self.subTest(architecture):
                rpm = rdl_root.package(f"rdlink-agent-*.{architecture}.rpm")
                listing = output(tool, "-qp", "--qf",
                                 r"[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} "
                                 r"%{FILEFLAGS:fflags} %{FILENAMES}\n]", rpm).decode()
                entries = [re.split(r"\s+", line) for line in listing.splitlines()]
                self.assertEqual({e[-1] for e in entries if e[0][0] == "-"}, AGENT_RPM)
                for mode, user, group, *flags, name in entries:
                    self.assertEqual((user, group), ("root", "root"), name)
                    program = "/bin/" in name
                    self.assertIn(mode, ("drwxr-xr-x", "-rwxr-xr-x" if program else "-rw-r--r--"))
                    self.assertEqual("cn" in flags, name.endswith(".conf") and
                                     name.startswith("/etc/rdlink/"), name)
                requires = output(tool, "-qp", "--requires", rpm).decode()
                self.assertNotIn(".so", requires)

    def test_the_agent_s_tarball(self):
        for architecture in ("x86_64", "arm64"):
            with self.subTest(architecture):
                path = rdl_root.package(f"rdlink-agent-*-linux-{architecture}.tar.gz")
                tar = tarfile.open(path)
                top = path.name[:-len(".tar.gz")]
                below = [e for e in tar.getmembers() if e.name.startswith(f"{top}/root/")]
                self.assert_tree(below, AGENT | {f"{MAN8}/rdlink-agent.8"}, f"{top}/root")
                self.assertEqual({e.name for e in tar.getmembers() if e.isfile()} -
                                 {e.name for e in below},
                                 {f"{top}/{n}" for n in ("README", "LICENSE", "copyright",
                                                         "install.sh")})
                self.assertTrue(tar.getmember(f"{top}/install.sh").mode & 0o111)
                program = tar.extractfile(f"{top}/root/usr/bin/rdlink-agent").read()
                self.assert_static(program, architecture)

    def test_the_host_s_deb(self):
        deb = rdl_root.package("rdlink_*_amd64.deb")
        self.assert_tree(deb_tar(deb).getmembers(), HOST_DEB)
        depends = output("dpkg-deb", "-f", deb, "Depends").decode()
        for library in ("libuv1", "libprotobuf-c1", "libcjson1", "libc6"):
            self.assertRegex(depends, rf"\b{library}\b")

    def test_units_name_the_program_where_it_is(self):
        tar = deb_tar(rdl_root.package("rdlink-agent_*_amd64.deb"))
        for unit in ("rdlink-bridge.service", "rdlink-net.service"):
            text = tar.extractfile(f".{UNITS}/{unit}").read().decode()
            self.assertRegex(text, r"\nExecStart=/usr/bin/rdlink-agent (bridge|net) --config /etc/")
            self.assertNotIn("/usr/local", text)


class Judges(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)

    def test_lintian_finds_nothing(self):
        done = subprocess.run(
            [rdl.tool("lintian", "lintian"), "--allow-root", "--no-cfg", "--fail-on",
             "error,warning", *DIST.glob("*.deb")], capture_output=True, text=True, check=False,
            env=self.session.env(TMPDIR=str(self.session.dir)))
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_rpmlint_finds_no_error(self):
        done = subprocess.run(
            [rdl.tool("rpmlint", "rpmlint"), "-c", rdl.ROOT / "installer/linux/rpmlint.toml",
             *DIST.glob("*.rpm")], capture_output=True, text=True, check=False,
            env=self.session.env(TMPDIR=str(self.session.dir)))
        self.assertRegex(done.stdout, r"[1-9]\d* packages and 0 specfiles checked; 0 errors")


class Release(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.packages = {p.name for pattern in ("*.deb", "*.rpm", "*.tar.gz", "*.msi", "*.zip")
                         for p in DIST.glob(pattern)}

    def sbom(self, suffix):
        return json.loads(rdl_root.package(f"rdlink-*.{suffix}.json").read_text())

    def locked(self):
        """{library of deps.lock that is linked in: the hashes its source may have}"""
        found = {}
        for line in (rdl.ROOT / "cmake/deps.lock").read_text().splitlines():
            if line and not line.startswith("#"):
                name, _, kind, sha256, _ = line.split()
                if kind == "source" and name != "cmocka":
                    found.setdefault(name, set()).add(sha256)
        return found

    def test_cyclonedx(self):
        bom = self.sbom("cdx")
        self.assertEqual((bom["bomFormat"], bom["specVersion"], bom["version"]),
                         ("CycloneDX", "1.5", 1))
        self.assertRegex(bom["serialNumber"], r"^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        self.assertRegex(bom["metadata"]["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        refs = [c["bom-ref"] for c in bom["components"]]
        self.assertEqual(len(refs), len(set(refs)))
        for component in bom["components"]:
            self.assertIn(component["type"], ("application", "library"))
            self.assertTrue(component["version"] and component["licenses"][0]["expression"])
        libraries = {c["bom-ref"]: c for c in bom["components"] if c["type"] == "library"}
        self.assertLessEqual(set(self.locked()), {c["name"] for c in libraries.values()})
        depends = {d["ref"]: d["dependsOn"] for d in bom["dependencies"]}
        for component in bom["components"]:
            if component["type"] == "application":
                self.assertEqual(component["hashes"][0]["content"], hashlib.sha256(
                    (DIST / component["name"]).read_bytes()).hexdigest())
                needs = {libraries[ref]["name"] for ref in depends[component["bom-ref"]]}
                system = ({"mingw-w64"} if "windows" in component["name"]
                          else {"libsodium", "glibc"})
                self.assertLessEqual({"libuv", "protobuf-c", "cjson", "llhttp"} | system, needs)
                self.packages.discard(component["name"])
        self.assertEqual(self.packages, set(), "packages without a row")

    def test_spdx(self):
        bom = self.sbom("spdx")
        self.assertEqual((bom["spdxVersion"], bom["dataLicense"], bom["SPDXID"]),
                         ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"))
        self.assertTrue(bom["name"] and bom["documentNamespace"])
        self.assertTrue(bom["creationInfo"]["creators"])
        ids = {p["SPDXID"] for p in bom["packages"]}
        self.assertEqual(len(ids), len(bom["packages"]))
        for package in bom["packages"]:
            self.assertRegex(package["SPDXID"], r"^SPDXRef-[A-Za-z0-9.-]+$")
            self.assertRegex(package["downloadLocation"], r"^(https?://|NOASSERTION$)")
            for field in ("name", "versionInfo", "licenseConcluded", "licenseDeclared"):
                self.assertTrue(package[field], package)
        sums = {p["name"]: p["checksums"][0]["checksumValue"] for p in bom["packages"]
                if "checksums" in p}
        for name, hashes in self.locked().items():
            self.assertIn(sums[name], hashes)
        described = set()
        for relation in bom["relationships"]:
            self.assertIn(relation["relatedSpdxElement"], ids)
            self.assertIn(relation["spdxElementId"], ids | {"SPDXRef-DOCUMENT"})
            if relation["relationshipType"] == "DESCRIBES":
                described.add(relation["relatedSpdxElement"])
        names = {p["name"] for p in bom["packages"] if p["SPDXID"] in described}
        self.assertEqual(names, self.packages)

    def test_the_checksums_are_right_and_of_everything(self):
        lines = [line.split("  ") for line in (DIST / "SHA256SUMS").read_text().splitlines()]
        self.assertEqual({name for _, name in lines},
                         {str(p.relative_to(DIST)) for p in DIST.rglob("*") if p.is_file()} -
                         {"SHA256SUMS"})
        for sha256, name in lines:
            self.assertEqual(hashlib.sha256((DIST / name).read_bytes()).hexdigest(), sha256, name)

    def test_the_hook_signs_each_package_and_the_checksums(self):
        """A hook that changes what it signs: the hashes are those of what is signed."""
        copy = pathlib.Path(self.session.path("dist"))
        copy.mkdir()
        deb = shutil.copy(rdl_root.package("rdlink-agent_*_amd64.deb"), copy)
        hook = pathlib.Path(self.session.path("hook"))
        hook.write_text('#!/bin/sh\nset -e\necho signed >>"$1"\necho "$1" >>"$SIGNED"\n')
        hook.chmod(0o755)
        signed = self.session.path("signed")
        subprocess.run(["bash", rdl.ROOT / "installer/finish.sh", copy], check=True,
                       env=self.session.env(RDL_SIGN_HOOK=str(hook), SIGNED=signed))
        self.assertEqual(pathlib.Path(signed).read_text().split(),
                         [pathlib.Path(deb).name, "SHA256SUMS"])
        self.assertIn(hashlib.sha256(pathlib.Path(deb).read_bytes()).hexdigest(),
                      (copy / "SHA256SUMS").read_text())


if __name__ == "__main__":
    rdl.main()
