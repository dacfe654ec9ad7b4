# SPDX-License-Identifier: Apache-2.0
"""Which files the lint programs look at, and how they report."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def ours(*patterns):
    """Files of the repository, relative to ROOT: tracked, and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
         "--", *patterns],
        cwd=ROOT, check=True, capture_output=True).stdout.decode()
    names = sorted(set(filter(None, listed.split("\0"))))
    return [pathlib.PurePosixPath(n) for n in names if (ROOT / n).is_file()]


def text(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def finish(findings, looked_at):
    """Prints findings as "file:line: what" and ends the program with ctest's verdict."""
    for finding in findings:
        print(finding)
    print(f"{pathlib.Path(sys.argv[0]).name}: {len(findings)} findings in {looked_at} files")
    if looked_at == 0:
        print("no file was looked at: the check itself is broken")
    sys.exit(1 if findings or looked_at == 0 else 0)
