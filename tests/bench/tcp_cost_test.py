# SPDX-License-Identifier: Apache-2.0
"""What the switch's TCP costs, in instructions per byte: a regression shows without a clock.

callgrind counts what tcp_cost spends within tcp_input(), tcp_batch_end() and tcp_produce(). The count
is the same on every run and differs by a few per cent between compilers; a bound is about a quarter
above what was counted when it was set, so it is passed by a change of design and by nothing else.
Who makes it cheaper lowers the bound.
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import rdl  # noqa: E402

MIB = 8
BOUNDS = {  # instructions per byte; segments of 1460 bytes, super-segments of 44 of them
    ("up", "mss"): 0.40,
    ("up", "gso"): 0.015,
    ("down", "mss"): 0.75,
    ("down", "gso"): 0.15,
}
WITHIN = ("tcp_input", "tcp_batch_end", "tcp_produce")
# One "rep movsb" copies any number of bytes and is counted once for each of them.
WITHOUT_REP_MOVSB = "glibc.cpu.hwcaps=-ERMS,-FSRM"


def instructions_per_byte(way, size):
    argv = [rdl.tool("valgrind", "valgrind"), "--tool=callgrind", "--callgrind-out-file=/dev/null",
            *(f"--toggle-collect={name}" for name in WITHIN),
            os.environ["RDL_TCP_COST"], way, size, str(MIB)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "GLIBC_TUNABLES": WITHOUT_REP_MOVSB})
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise AssertionError(done.stdout + done.stderr)
    return int(found.group(1)) / (MIB << 20)


class TcpCost(unittest.TestCase):
    def test_a_byte_costs_no_more_than_it_did(self):
        for (way, size), bound in BOUNDS.items():
            with self.subTest(way=way, size=size):
                cost = instructions_per_byte(way, size)
                print(f"{way} {size}: {cost:.4f} instructions a byte, bound {bound}")
                self.assertGreater(cost, bound / 10, "nothing was counted")
                self.assertLess(cost, bound)


if __name__ == "__main__":
    rdl.main()
