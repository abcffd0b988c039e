"""The thermal radiative transfer equation in one band of a radiometer, forward and inverse."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike

from .planck import bent


def at_sensor_radiance(
    transmittance: ArrayLike,
    surface_emissivity: ArrayLike,
    surface_radiance: ArrayLike,
    downwelling_radiance: ArrayLike,
    upwelling_radiance: ArrayLike,
) -> Array:
    """What a radiometer above a clear atmosphere receives: `L = tau (e B(Ts) + (1 - e) Ld) + Lu`.

    All radiances in the same units, `surface_radiance` that of a black body at the surface's temperature.

        >>> round(float(at_sensor_radiance(0.7, 0.97, 9.5, 3.5, 2.3)), 4)
        8.824
    """
    reflected = (1 - surface_emissivity) * downwelling_radiance
    return transmittance * (surface_emissivity * surface_radiance + reflected) + upwelling_radiance


def black_body_radiance(
    radiance: ArrayLike,
    transmittance: ArrayLike,
    surface_emissivity: ArrayLike,
    downwelling_radiance: ArrayLike,
    upwelling_radiance: ArrayLike,
) -> Array:
    """What a black body as warm as the surface would radiate: `B(Ts) = ((L - Lu) / tau - (1 - e) Ld) / e`.

    Made to stand inside a network: the transmittance is bent smoothly above 0.02 and the emissivity above 0.2, so that
    value and slope are finite whatever comes; a transmittance of 0.2 changes by 1e-5, an emissivity of 0.9 by 3e-6.

        >>> round(float(black_body_radiance(8.824, 0.7, 0.97, 3.5, 2.3)), 3)
        9.5
    """
    leaving = (jnp.asarray(radiance) - upwelling_radiance) / bent(transmittance, 0.02, 0.003)
    return (leaving - (1 - surface_emissivity) * downwelling_radiance) / bent(surface_emissivity, 0.2, 0.003)
