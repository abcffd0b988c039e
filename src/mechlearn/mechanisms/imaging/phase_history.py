"""Spotlight radar: the phase history of a scene of complex reflectivity."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable, require

REAL, IMAGINARY = (Variable(f"reflectivity_{part}", "1", ("row", "column")) for part in ("real", "imaginary"))


class PhaseHistory(Model):
    """What a spotlight synthetic aperture radar records: part of the Fourier transform of its scene.

    `g = M F f`, f the complex reflectivity, F the unitary transform (the polar format already on its grid), M the
    `recorded` frequencies (1 where recorded, else 0), zero frequency first.

    Source: Munson et al. (1983), doi:10.1109/PROC.1983.12698; Alver et al. (2019), arXiv:1912.03555.

        >>> point = {"reflectivity_real": jnp.eye(4), "reflectivity_imaginary": jnp.zeros((4, 4))}
        >>> float(jnp.round(PhaseHistory(jnp.ones((4, 4)))(point)["phase_history_real"][0, 0], 4))
        1.0
    """

    recorded: ArrayLike
    inputs: ClassVar = (REAL, IMAGINARY)
    outputs: ClassVar = tuple(
        Variable(f"phase_history_{part}", "1", ("frequency", "aspect")) for part in ("real", "imaginary")
    )

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "PhaseHistory")
        scene = fields["reflectivity_real"] + 1j * fields["reflectivity_imaginary"]
        spectrum = jnp.asarray(self.recorded) * jnp.fft.fft2(scene, norm="ortho")
        return {"phase_history_real": spectrum.real, "phase_history_imaginary": spectrum.imag}


def example() -> dict:
    """One bright point off the middle: a plane wave, half of it recorded."""
    recorded = jnp.asarray([[1.0, 1.0], [0.0, 0.0]])
    return {
        "model": PhaseHistory(recorded),
        "inputs": {
            "reflectivity_real": jnp.asarray([[0.0, 2.0], [0.0, 0.0]]),
            "reflectivity_imaginary": jnp.asarray([[0.0, 0.0], [0.0, 4.0]]),
        },
        "published": {
            "phase_history_real": jnp.asarray([[1.0, -1.0], [0.0, 0.0]]),
            "phase_history_imaginary": jnp.asarray([[2.0, -2.0], [0.0, 0.0]]),
        },
        "tolerance": 1e-5,
        "source": "by hand",
    }
