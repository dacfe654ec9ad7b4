# SPDX-License-Identifier: Apache-2.0
"""What shells complete and what the manual pages say, by the real shells and readers of roff.

PowerShell is not in Debian: its script is only seen to have every word (cli_test), and by a person
(docs/windows-checklist.md).
"""

import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402

# What is typed, and what must be offered: the same of every shell.
TYPED = [
    (["rdlink", "cap"], {"capture"}),
    (["rdlink", "capture", "--fi"], {"--filter"}),
    (["rdlink", "completion", ""], {"bash", "zsh", "fish", "powershell"}),
    (["rdlink", "help", "exi"], {"exit-codes"}),
    (["rdlink", "help", "cap"], {"capture"}),
    (["rdlink", "status", "--json", "--sh"], {"--short"}),
]


def run(argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, **options)


def printed(program, *words):
    return run([rdl.binary(program), *words]).stdout


class Completion(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.env = dict(self.session.env(), HOME=str(self.session.dir), TERM="dumb")
        self.file = pathlib.Path(self.session.path("caught.pcapng"))
        self.file.touch()

    def script(self, shell):
        path = pathlib.Path(self.session.path(f"rdlink.{shell}"))
        path.write_text(printed("rdlink", "completion", shell), encoding="utf-8")
        return path

    def bash(self, *words):
        """The function is called as bash does, with the words as bash cuts them."""
        ask = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
               '_rdlink; printf "%s\\n" "${COMPREPLY[@]}"')
        shown = run(["bash", "--norc", "-c", ask, "bash", self.script("bash"), *words],
                    env=self.env)
        return set(shown.stdout.split())

    def test_bash(self):
        for words, wanted in TYPED:
            with self.subTest(words):
                self.assertEqual(self.bash(*words), wanted)
        start = str(self.file)[:-3]
        for words in (["--output", start], ["-o", start], ["--output", "=", start]):
            self.assertEqual(self.bash("rdlink", "capture", *words), {str(self.file)})
        self.assertEqual(self.bash("rdlink", "capture", "--filter", ""), set())

    def test_fish(self):
        script = self.script("fish")
        for words, wanted in TYPED + [(["rdlink", "capture", "-o", str(self.file)[:-3]],
                                       {str(self.file)})]:
            with self.subTest(words):
                shown = run([rdl.tool("fish", "fish"), "--no-config", "-c",
                             f"source {script}; complete -C '{' '.join(words)}'"], env=self.env)
                offered = {line.split("\t")[0] for line in shown.stdout.splitlines()}
                self.assertEqual(offered, wanted)

    def test_zsh(self):
        """Typed at a prompt, because zsh completes nowhere else: what is the only answer is put in."""
        shell = [rdl.tool("zsh", "zsh"), "-f", "-i"]
        run([shell[0], "-n", self.script("zsh")])
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(shell[0], shell, dict(self.env, PS1="> ", COLUMNS="200"))
        try:
            self.type(terminal, "autoload -Uz compinit && compinit -D -u && "
                                f"source {self.script('zsh')} && print loa''ded\n", "loaded")
            for words, wanted in TYPED:
                if len(wanted) == 1:
                    self.type(terminal, " ".join(words) + "\t", f"{words[-2]} {min(wanted)}")
                    self.type(terminal, "\x15print em''pty\n", "empty")
            self.type(terminal, f"rdlink capture -o {str(self.file)[:-3]}\t", str(self.file))
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)

    def type(self, terminal, keys, wanted):
        os.write(terminal, keys.encode())
        shown, end = "", time.monotonic() + 20
        while wanted not in shown:
            left = end - time.monotonic()
            self.assertTrue(left > 0 and select.select([terminal], [], [], left)[0],
                            f"{keys!r} does not become {wanted!r} but {shown!r}")
            # Without what moves the cursor.
            shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[\x00-\x1f]", "",
                            os.read(terminal, 65536).decode(errors="replace"))


class Manual(unittest.TestCase):
    PROGRAMS = {"rdlink": ["status", "capture", "check"], "rdlinkd": [], "rdlink-agent": []}

    def test_readers_of_roff_have_nothing_to_say(self):
        mandoc, groff = rdl.tool("mandoc", "mandoc"), rdl.tool("groff", "groff-base")
        for program in self.PROGRAMS:
            with self.subTest(program):
                page = printed(program, "help", "man")
                lint = subprocess.run([mandoc, "-T", "lint", "-W", "warning"], input=page, text=True,
                                      capture_output=True, timeout=60)
                # It has no date, so that two builds are the same.
                said = [line for line in (lint.stdout + lint.stderr).splitlines()
                        if "missing date" not in line]
                self.assertEqual(said, [])
                groffed = run([groff, "-man", "-ww", "-z", "-Tutf8"], input=page)
                self.assertEqual(groffed.stderr, "")

    def test_every_option_of_the_help_is_there(self):
        mandoc = rdl.tool("mandoc", "mandoc")
        for program, commands in self.PROGRAMS.items():
            with self.subTest(program):
                shown = run([mandoc, "-T", "ascii"], input=printed(program, "help", "man")).stdout
                page = re.sub(r".\x08", "", shown)
                told = "".join(printed(program, "help", *words)
                               for words in [[], *([c] for c in commands)])
                options = set(re.findall(r"^  (--[a-z0-9-]+)", told, re.MULTILINE))
                self.assertGreater(len(options), 5)
                for option in options:
                    self.assertRegex(page, rf"\n +{option}\b")


if __name__ == "__main__":
    rdl.main()
