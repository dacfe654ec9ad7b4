# SPDX-License-Identifier: Apache-2.0
"""The packages' way through a system: install, upgrade, remove, purge. What is there in between, and
that nothing is left at the end. Each in a small Debian of its own (support/rdl_root.py)."""

import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_root

ETC = "/etc/systemd/system"
LINKS = {
    f"{ETC}/sockets.target.wants/rdlink-bridge.socket": "rdlink-bridge.socket",
    f"{ETC}/multi-user.target.wants/rdlink-bridge.service": "rdlink-bridge.service",
    f"{ETC}/rancher-desktop.target.wants/rdlink-net.service": "rdlink-net.service",
    f"{ETC}/network-setup.service": "rdlink-net.service",
}
KEY = "etc/rdlink/agent.key"
WORST_EXPOSURE = {"rdlink-bridge.service": 0.5, "rdlink-net.service": 2.0, "rdlink-relay.service": 0.5,
                  "rdlinkd.service": 4.0}


def setUpModule():
    global session, later
    session = rdl.Session()
    later = rdl_root.next_revision(session)


def tearDownModule():
    session.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.root = rdl_root.Root(self.session)
        self.before = self.root.files()

    def assert_enabled(self, links=LINKS, prefix="/usr"):
        for link, unit in links.items():
            path = self.root.path / link.lstrip("/")
            self.assertTrue(path.is_symlink(), link)
            # Debian's helper writes /lib for /usr/lib.
            self.assertIn(str(path.readlink()), (f"{prefix}/lib/systemd/system/{unit}",
                                                 f"/lib/systemd/system/{unit}"))

    def assert_as_before(self):
        after = self.root.files()
        self.assertEqual({path: facts for path, facts in after.items()
                          if self.before.get(path) != facts}, {}, "left or changed")
        self.assertEqual(set(self.before) - set(after), set(), "taken away")


class Deb(Case):
    def install(self, deb):
        self.root.run("dpkg", "--install", self.root.bring(deb))

    def test_the_agent(self):
        self.install(rdl_root.package("rdlink-agent_*_amd64.deb"))
        self.assertIn("rdlink-agent 0.", self.root.run("rdlink-agent", "version"))
        self.assert_enabled()

        with self.subTest("an upgrade keeps what the administrator changed"):
            changed = "log-level = debug\n"
            self.root.write("etc/rdlink/agent.conf", changed)
            self.root.write(KEY, "secret")
            self.root.run("systemctl", "disable", "rdlink-net.service")
            self.install(rdl_root.package("rdlink-agent_*_amd64.deb", later))
            self.assertEqual((self.root.path / "etc/rdlink/agent.conf").read_text(), changed)
            self.assertFalse((self.root.path / f"{ETC}/network-setup.service".lstrip("/"))
                             .is_symlink(), "a disabled unit was enabled again")
            bridge = {link: unit for link, unit in LINKS.items() if "bridge" in unit}
            self.assert_enabled(bridge)

        with self.subTest("removed, only configuration is left"):
            self.root.run("dpkg", "--remove", "rdlink-agent")
            left = {path for path in set(self.root.files()) - set(self.before)
                    if not path.startswith("var/lib/dpkg/info")}
            self.assertEqual(left, {"etc/rdlink", "etc/rdlink/agent.conf", "etc/rdlink/net.conf",
                                    KEY})

        with self.subTest("installed again it is enabled again"):
            self.install(rdl_root.package("rdlink-agent_*_amd64.deb", later))
            self.assert_enabled()

        with self.subTest("purged, nothing is"):
            self.root.run("dpkg", "--purge", "rdlink-agent")
            self.assert_as_before()

    def test_the_host_s_side(self):
        # Its libraries are Debian's; that they are named is shown by package_contents_test.
        deb = self.root.bring(rdl_root.package("rdlink_*_amd64.deb"))
        self.root.run("dpkg", "--force-depends", "--install", deb)
        links = {f"{ETC}/multi-user.target.wants/rdlinkd.service": "rdlinkd.service"}
        self.assert_enabled(links)
        self.root.run("dpkg", "--force-depends", "--install",
                      self.root.bring(rdl_root.package("rdlink_*_amd64.deb", later)))
        self.root.write("etc/rdlink/keys/dev.key", "secret")
        self.root.run("dpkg", "--purge", "rdlink")
        self.assert_as_before()

    def test_both_together(self):
        for deb in ("rdlink-agent_*_amd64.deb", "rdlink_*_amd64.deb"):
            self.root.run("dpkg", "--force-depends", "--install",
                          self.root.bring(rdl_root.package(deb)))
        self.root.run("dpkg", "--purge", "rdlink")
        self.assertTrue((self.root.path / "etc/rdlink/agent.conf").exists())
        self.root.run("dpkg", "--purge", "rdlink-agent")
        self.assert_as_before()

    def test_the_installed_units_verify_and_are_hardened(self):
        for deb in ("rdlink-agent_*_amd64.deb", "rdlink_*_amd64.deb"):
            self.root.run("dpkg", "--force-depends", "--install",
                          self.root.bring(rdl_root.package(deb)))
        # Rancher Desktop's, which rdlink-net requires.
        self.root.write("etc/systemd/system/network-namespace.service",
                        "[Service]\nExecStart=/bin/sleep infinity\n")
        units = ["rdlink-bridge.socket", *WORST_EXPOSURE]
        done = self.root.try_run("systemd-analyze", "verify", "--man=no", *units)
        # That rdlink-net is network-setup.service now is what its alias is for.
        self.assertEqual([line for line in done.stderr.splitlines() if "merged into rdlink-net.service" not in line],
                         [])
        self.assertEqual(done.returncode, 0)
        for unit, worst in WORST_EXPOSURE.items():
            out = self.root.run("systemd-analyze", "security", "--offline=true", "--no-pager",
                                f"/usr/lib/systemd/system/{unit}")
            exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", out).group(1))
            print(f"measured: {unit}: exposure level {exposure}", flush=True)
            self.assertLessEqual(exposure, worst, out)


class Rpm(Case):
    def try_rpm(self, *words):
        """With a data base of its own, in which nothing provides /bin/sh."""
        return subprocess.run(
            [rdl.tool("rpm", "rpm"), "--force-debian", "--nodeps", "--root", self.root.path,
             "--dbpath", "/var/lib/rpm", *words], capture_output=True, text=True, check=False, timeout=120)

    def rpm(self, *words):
        done = self.try_rpm(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def test_the_agent(self):
        # A folder of the distribution where packages are of this kind.
        (self.root.path / "usr/share/licenses").mkdir()
        self.before = self.root.files()
        self.rpm("--install", rdl_root.package("rdlink-agent-*.x86_64.rpm"))
        self.assertIn("rdlink-agent 0.", self.root.run("rdlink-agent", "version"))
        self.assert_enabled()
        self.assertEqual(self.rpm("--verify", "rdlink-agent"), "")

        changed = "log-level = debug\n"
        self.root.write("etc/rdlink/agent.conf", changed)
        self.root.run("systemctl", "disable", "rdlink-net.service")
        self.rpm("--upgrade", rdl_root.package("rdlink-agent-*.x86_64.rpm", later))
        self.assertEqual((self.root.path / "etc/rdlink/agent.conf").read_text(), changed)
        self.assertFalse((self.root.path / f"{ETC}/network-setup.service".lstrip("/")).is_symlink())

        with self.subTest("a downgrade is refused"):
            older = rdl_root.package("rdlink-agent-*.x86_64.rpm")
            done = self.try_rpm("--upgrade", older)
            self.assertIn("is already installed", done.stderr)

        with self.subTest("erased, only what was changed is left, beside its name"):
            done = self.try_rpm("--erase", "rdlink-agent")
            self.assertIn("agent.conf.rpmsave", done.stderr)
            (self.root.path / "etc/rdlink/agent.conf.rpmsave").unlink()
            (self.root.path / "etc/rdlink").rmdir()
            self.assert_as_before()


class Tarball(Case):
    def setUp(self):
        super().setUp()
        tar = self.root.bring(rdl_root.package("rdlink-agent-*-linux-x86_64.tar.gz"))
        self.root.run("tar", "-C", "/tmp", "-xf", tar)
        self.script = tar[:-len(".tar.gz")] + "/install.sh"

    def test_installed_upgraded_and_purged(self):
        self.root.run(self.script)
        self.assertIn("rdlink-agent 0.", self.root.run("/usr/local/bin/rdlink-agent", "version"))
        self.assert_enabled(prefix="/usr/local")
        unit = (self.root.path / "usr/local/lib/systemd/system/rdlink-bridge.service").read_text()
        self.assertIn("\nExecStart=/usr/local/bin/rdlink-agent bridge", unit)
        mode = (self.root.path / "usr/local/bin/rdlink-agent").stat().st_mode
        self.assertEqual(oct(mode), oct(0o100755))

        self.root.write("etc/rdlink/agent.conf", "log-level = debug\n")
        self.root.write(KEY, "secret")
        self.root.run(self.script)
        folder = self.root.path / "etc/rdlink"
        self.assertEqual((folder / "agent.conf").read_text(), "log-level = debug\n")
        self.assertIn("#log-level = info", (folder / "agent.conf.new").read_text())
        self.assertFalse((folder / "net.conf.new").exists(), "nobody had changed that one")

        self.root.run(self.script, "--uninstall")
        self.assertEqual({p.name for p in folder.iterdir()},
                         {"agent.conf", "agent.conf.new", "net.conf", "agent.key"})
        self.root.run(self.script, "--purge")
        self.assert_as_before()

    def test_another_prefix_and_root(self):
        self.root.run("mkdir", "/tmp/image")
        self.root.run(self.script, "--root", "/tmp/image", "--prefix", "/opt/rdlink")
        image = self.root.path / "tmp/image"
        unit = (image / "opt/rdlink/lib/systemd/system/rdlink-net.service").read_text()
        self.assertIn("\nExecStart=/opt/rdlink/bin/rdlink-agent net", unit)
        self.assertFalse((image / "etc/systemd").exists(), "another system's units were enabled")
        self.root.run(self.script, "--root", "/tmp/image", "--prefix", "/opt/rdlink", "--purge")
        self.assertEqual([str(p) for p in image.rglob("*") if p.is_file()], [])
        self.assert_as_before()

    def test_wrong_words_change_nothing(self):
        for words in (["--prefix"], ["--prefix", "relative"], ["--unknown"]):
            done = self.root.try_run(self.script, *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn("usage:", done.stderr)
        self.assert_as_before()


if __name__ == "__main__":
    rdl.main()
