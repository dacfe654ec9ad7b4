# SPDX-License-Identifier: Apache-2.0
"""The fault matrix in its short form: each fault at two random moments, each end of a worker at
one, since back-off makes more of them slow. Everything but the number and the pauses is
fault_matrix.py's, which `./dev soak faults` runs."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import fault_matrix  # noqa: E402
import fault_world  # noqa: E402
import rdl  # noqa: E402

MOMENTS = 2
PACE = 0.3


class FaultMatrix(unittest.TestCase):
    def test_everything_recovers_within_its_bound(self):
        session = self.enterContext(rdl.Session())
        seed = fault_matrix.seed_of_environment()
        print(f"seed {seed} (RDL_SEED={seed} repeats the draws)", flush=True)
        faults = [f for f in fault_matrix.FAULTS if f.every == 1]
        once = [f for f in faults if f.wears in ("docker", "switch")]
        twice = [f for f in faults if f not in once]
        matrix = fault_matrix.Matrix(fault_world.World(session), seed, pace=PACE)
        try:
            matrix.run(twice, MOMENTS, last=once)
        finally:
            matrix.show(faults)
        self.assertEqual(matrix.wrong, [])


if __name__ == "__main__":
    rdl.main()
