# SPDX-License-Identifier: Apache-2.0
"""`./dev package all` in a clean tree, in another folder and time zone, gives what it gave in this one,
byte for byte: the packages for Linux and Windows, the SBOMs, the checksums."""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_root

KINDS = {".deb": 3, ".rpm": 2, ".gz": 2, ".msi": 1, ".zip": 1, ".json": 2, ".yaml": 3, "": 1}


def files(folder):
    """{name: path} of all files below a folder."""
    return {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}


class Same(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.git = ["git", "-c", "safe.directory=*", "-C", rdl.ROOT]

    def clean_tree(self):
        """The sources as a clone has them, with what is not committed yet and without the history."""
        tree = pathlib.Path(self.session.path("a-longer-name/than-the-first"))
        tree.mkdir(parents=True)
        names = subprocess.run(
            [*self.git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True,
            capture_output=True).stdout
        there = b"\0".join(n for n in names.split(b"\0") if n and os.path.lexists(rdl.ROOT / os.fsdecode(n)))
        subprocess.run(["tar", "-C", rdl.ROOT, "--null", "-T", "-", "-cf", f"{tree}.tar"],
                       input=there, check=True)
        subprocess.run(["tar", "-C", tree, "-xf", f"{tree}.tar"], check=True)
        (tree / "build").mkdir()
        (tree / "build/downloads").symlink_to(rdl_root.DOWNLOADS)
        return tree

    def ask_git(self, *words):
        return subprocess.run([*self.git, *words], check=True, capture_output=True,
                              text=True).stdout.strip()

    def test_a_clean_tree_elsewhere_gives_the_same_packages(self):
        tree = self.clean_tree()
        epoch = os.environ.get("SOURCE_DATE_EPOCH") or self.ask_git("log", "-1", "--format=%ct")
        commit = os.environ.get("RDL_COMMIT") or self.ask_git(
            "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
        log = pathlib.Path(self.session.path("log"))
        with open(log, "wb") as out:
            # Not from the compiler's cache, which would only show that the cache works.
            done = subprocess.run(
                [tree / "dev", "package", "all"], stdout=out, stderr=out, check=False,
                stdin=subprocess.DEVNULL,
                env=self.session.env(CCACHE_DISABLE="1", SOURCE_DATE_EPOCH=epoch,
                                     RDL_COMMIT=commit, TZ="Pacific/Auckland", LC_ALL="C.UTF-8"))
        self.assertEqual(done.returncode, 0, log.read_text(errors="replace")[-3000:])
        first, second = files(rdl_root.DIST), files(tree / "build/dist")
        kinds = [path.suffix for path in second.values()]
        self.assertEqual({kind: kinds.count(kind) for kind in set(kinds)}, KINDS)
        self.assertEqual(set(first), set(second))
        differ = [name for name in sorted(first)
                  if first[name].read_bytes() != second[name].read_bytes()]
        self.assertEqual(differ, [])


if __name__ == "__main__":
    rdl.main()
