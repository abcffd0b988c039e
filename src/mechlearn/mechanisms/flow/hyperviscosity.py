"""Biharmonic viscosity, with or without the energy it takes given back: a closure of quasi-geostrophic flow."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model
from ...parameters import Parameter
from .quasigeostrophic import POTENTIAL_VORTICITY, STREAMFUNCTION, SUBGRID_FORCING, waves


class Hyperviscosity(Model):
    """Motions below the grid drain vorticity, the shorter the waves the more, and may give energy back to longer ones.

    `S_i = -nu lap² q_i - kappa_i lap q_i`, the first at the `rate` of the shortest wave along an axis,
    `nu = rate / k_max^4`; kappa_i >= 0 such that the share `returned` of the energy that the first takes out of a layer
    comes back, at longer waves. On a doubly periodic square of `length` (m).

    Jansen & Held (2014), doi:10.1016/j.ocemod.2014.06.002, with one rate instead of one that follows the strain.

        >>> still = {name: jnp.zeros((2, 8, 8)) for name in ("potential_vorticity", "streamfunction")}
        >>> float(jnp.max(Hyperviscosity()(still)["subgrid_forcing"]))
        0.0
    """

    rate: Parameter = Parameter(1.0, "day-1", (0.0, 50.0), "how fast the shortest wave decays")
    returned: Parameter = Parameter(0.0, "1", (0.0, 2.0), "share of the energy taken out that is given back")
    length: float = eqx.field(static=True, default=1e6)
    inputs: ClassVar = (POTENTIAL_VORTICITY, STREAMFUNCTION)
    outputs: ClassVar = (SUBGRID_FORCING,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        vorticity, stream = fields["potential_vorticity"], fields["streamfunction"]
        size = vorticity.shape[-1]
        relative = jnp.asarray(waves(size, self.length).squared * (self.length / (np.pi * size)) ** 2)
        transformed = jnp.fft.rfft2(vorticity)
        drained, filled = (jnp.fft.irfft2(weight * transformed, (size, size)) for weight in (-(relative**2), relative))
        taken, given = (-_mean(stream * forcing) for forcing in (drained, filled))
        # A layer at rest has nothing to give back.
        back = jnp.where(given > 0, -taken / jnp.where(given > 0, given, 1.0), 0.0)
        kappa = jnp.asarray(self.returned.value) * jnp.maximum(back, 0.0)
        return {"subgrid_forcing": jnp.asarray(self.rate.value) / 86400 * (drained + kappa * filled)}


def _mean(values: Array) -> Array:
    return jnp.mean(values, axis=(-2, -1), keepdims=True)


def example() -> dict[str, Any]:
    """A wave of half the shortest wavenumber decays at a sixteenth of the rate."""
    model, size = Hyperviscosity(rate=Parameter(86400.0 * 16, "day-1", (0.0, 1e7), "one in a second")), 8
    wave = np.cos(2 * np.pi * 2 * np.arange(size) / size)[None, :] + np.zeros((2, size, 1))
    return {
        "model": model,
        "inputs": {
            "potential_vorticity": jnp.asarray(wave, jnp.result_type(float)),
            "streamfunction": jnp.asarray(-wave, jnp.result_type(float)),
        },
        "published": {"subgrid_forcing": -wave},
        "tolerance": 1e-5,
        "source": "by hand, of doi:10.1016/j.ocemod.2014.06.002",
    }
