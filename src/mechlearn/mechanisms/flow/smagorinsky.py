"""The eddy viscosity of Smagorinsky, a closure of quasi-geostrophic flow."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model
from ...parameters import Parameter
from .quasigeostrophic import EASTWARD_VELOCITY, NORTHWARD_VELOCITY, SUBGRID_FORCING, waves


class Smagorinsky(Model):
    """Motions below the grid drain momentum as a viscosity that grows with the strain of those above it.

    `S = d/dx F_y - d/dy F_x`, `F = 2 div (nu s)`, s the strain rate of the velocity, `nu = (c dx)² |s|`,
    `|s| = sqrt(2 (s_xx² + s_yy² + 2 s_xy²))`, on a doubly periodic square of `length` (m) with cells of dx.

    Smagorinsky (1963), doi:10.1175/1520-0493(1963)091<0099:GCEWTP>2.3.CO;2.

        >>> still = {name: jnp.zeros((2, 8, 8)) for name in ("eastward_velocity", "northward_velocity")}
        >>> float(jnp.max(Smagorinsky()(still)["subgrid_forcing"]))
        0.0
    """

    coefficient: Parameter = Parameter(0.1, "1", (0.0, 1.0), "c: mixing length over the width of a cell")
    length: float = eqx.field(static=True, default=1e6)
    inputs: ClassVar = (EASTWARD_VELOCITY, NORTHWARD_VELOCITY)
    outputs: ClassVar = (SUBGRID_FORCING,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        u, v = fields["eastward_velocity"], fields["northward_velocity"]
        size = u.shape[-1]
        number = waves(size, self.length)
        east, north = 1j * jnp.asarray(number.east), 1j * jnp.asarray(number.north)

        def points(transformed: Array) -> Array:
            return jnp.fft.irfft2(transformed, (size, size))

        along, across = jnp.fft.rfft2(jnp.stack([u, v]))
        # The flow has no divergence: s_yy = -s_xx.
        stretched, sheared = points(jnp.stack([east * along, 0.5 * (north * along + east * across)]))
        size_of_strain = jnp.sqrt(4 * (stretched**2 + sheared**2) + 1e-30)
        viscosity = (jnp.asarray(self.coefficient.value) * self.length / size) ** 2 * size_of_strain
        normal, tangential = jnp.fft.rfft2(2 * viscosity * jnp.stack([stretched, sheared]))
        # curl of the divergence of (normal, tangential; tangential, -normal)
        return {"subgrid_forcing": points((east**2 - north**2) * tangential - 2 * east * north * normal)}


def example() -> dict[str, Any]:
    """A cosine jet of one wave: `F = d(nu du/dy)/dy` with `nu = (c dx)² |du/dy|` is of one variable."""
    model, size = Smagorinsky(length=8.0), 8
    k = 2 * np.pi / model.length
    y = np.arange(size)[:, None] * model.length / size + np.zeros(size)
    u = np.stack([np.cos(k * y), 2 * np.cos(k * y)])
    factor = (0.1 * model.length / size) ** 2 * np.array([1.0, 4.0])[:, None, None]
    # nu du/dy = (c dx)² |g| g with g = -k sin(k y); S = -d²/dy² of it, smooth away from the zeros of g.
    flux = -(k**2) * np.abs(np.sin(k * y)) * np.sin(k * y)
    north = 2 * np.pi * np.fft.fftfreq(size, model.length / size)[:, None]
    forcing = np.real(np.fft.ifft(north**2 * np.fft.fft(flux, axis=0), axis=0))
    return {
        "model": model,
        "inputs": {
            "eastward_velocity": jnp.asarray(u, jnp.result_type(float)),
            "northward_velocity": jnp.zeros((2, size, size)),
        },
        "published": {"subgrid_forcing": factor * forcing},
        "tolerance": 1e-3,
        "source": "by hand, of doi:10.1175/1520-0493(1963)091<0099:GCEWTP>2.3.CO;2",
    }
