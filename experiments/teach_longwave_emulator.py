"""Teach the emulator of long-wave radiation that comes with mechlearn: python teach_longwave_emulator.py FILE.npz.

Needs the tables of RRTMGP and the columns of ERA5, IFS and AFGL (docs/longwave.md); about three minutes of one core.
Two descents, in the first of which the heating of thin air counts less; the one that is shipped was made so.
"""

import sys
from functools import partial

import jax
import numpy as np

from mechlearn.couplings.embedded import emulated_longwave as emulated
from mechlearn.data import gas_optics, longwave_columns
from mechlearn.descent import Descent
from mechlearn.learners.mlp import MLP
from mechlearn.mechanisms.radiation.longwave import Longwave

ALOFT = (400.0, 8.0)  # Pa
DESCENTS = (Descent(epochs=70, learning_rate=6e-3), Descent(epochs=75, learning_rate=3.5e-3))


def main(file: str) -> None:
    """Teach, and keep the weights."""
    scheme = Longwave(optics=gas_optics.rrtmgp(), given=emulated.WELL_MIXED, half_levels="given")
    taught = emulated.answered(scheme, longwave_columns.teaching(8000, seed=1))
    judged = emulated.answered(scheme, longwave_columns.teaching(200, seed=99))
    system = emulated.learned_k(scheme, partial(MLP, width=48, depth=2), points=16)
    for seed, (aloft, descent) in enumerate(zip(ALOFT, DESCENTS, strict=True)):
        how = Descent(**{**descent.__dict__, "batch_size": 48, "final": 0.005, "clip": 10.0, "patience": 0})
        system, found = emulated.teach(system, taught, judged, how=how, key=jax.random.key(5 * seed), aloft=aloft)
        print(f"misfit {found.validation_loss.min():.3f} on columns not taught")
    np.savez(file, **emulated.weights(system.model.optics))


if __name__ == "__main__":
    main(sys.argv[1])
