# SPDX-License-Identifier: Apache-2.0
"""Two builds of the same sources in two folders give the same bytes: the programs and the packages."""

import filecmp
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_root

PROGRAMS = ("x86_64/bin/rdlink-agent", "bin/rdlinkd", "bin/rdlink")


class Same(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)

    def copy_of_the_tree(self):
        """The sources as they are, without history and without anything that was built."""
        tree = pathlib.Path(self.session.path("a-longer-name/than-the-first"))
        tree.mkdir(parents=True)
        git = ["git", "-c", "safe.directory=*", "-C", rdl.ROOT]
        names = subprocess.run([*git, "ls-files", "-z", "--cached", "--others",
                                "--exclude-standard"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-C", rdl.ROOT, "--null", "-T", "-", "-cf", f"{tree}.tar"],
                       input=names, check=True)
        subprocess.run(["tar", "-C", tree, "-xf", f"{tree}.tar"], check=True)
        epoch = subprocess.run([*git, "log", "-1", "--format=%ct"], check=True,
                               capture_output=True, text=True).stdout.strip()
        (tree / "build").mkdir()
        (tree / "build/downloads").symlink_to(rdl_root.DOWNLOADS)
        return tree, epoch

    def test_two_builds_are_the_same(self):
        tree, epoch = self.copy_of_the_tree()
        # Not from the compiler's cache, which would only show that the cache works.
        log = pathlib.Path(self.session.path("log"))
        with open(log, "wb") as out:
            done = subprocess.run(
                [tree / "dev", "package", "linux"], stdout=out, stderr=out, check=False,
                stdin=subprocess.DEVNULL,
                env=self.session.env(CCACHE_DISABLE="1", SOURCE_DATE_EPOCH=epoch))
        self.assertEqual(done.returncode, 0, log.read_text()[-3000:])
        differ = [name for name in PROGRAMS
                  if not filecmp.cmp(rdl.ROOT / "build" / name, tree / "build" / name, False)]
        first = {name for name in os.listdir(rdl_root.DIST) if self.is_linux(name)}
        second = {name for name in os.listdir(tree / "build/dist") if self.is_linux(name)}
        self.assertEqual(first, second)
        self.assertGreaterEqual(len(first), 7)
        differ += [name for name in sorted(first)
                   if not filecmp.cmp(rdl_root.DIST / name, tree / "build/dist" / name, False)]
        self.assertEqual(differ, [])

    @staticmethod
    def is_linux(name):
        """Not the Windows packages, and not what sums up all of them."""
        return name.endswith((".deb", ".rpm")) or "-linux-" in name


if __name__ == "__main__":
    rdl.main()
