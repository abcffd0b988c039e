"""What a model of gas absorption tells of each layer, and what every one of them needs."""

import abc
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array


class Air(NamedTuple):
    """The air of one column from the ground up, as gas optics takes it; `gases` in moles per mole of dry air."""

    pressure: Array
    half_level_pressure: Array
    temperature: Array
    half_level_temperature: Array
    surface_temperature: Array
    gases: dict[str, Array]


class Optics(NamedTuple):
    """Vertical optical depth (level, point) and black-body fluxes (W m-2) of each point of the distribution.

    The fluxes are those of the layer's middle, of the half level below and above it, and of the ground (point).
    """

    depth: Array
    source: Array
    below: Array
    above: Array
    surface: Array


class GasOptics(eqx.Module):
    """A k-distribution: absorption by the gases in points that stand for parts of the spectrum."""

    frozen: ClassVar[bool] = True

    @abc.abstractmethod
    def __call__(self, air: Air) -> Optics:
        """The optics of every layer."""


def place(value: Array, first: Array | float, step: Array | float, count: int) -> tuple[Array, Array]:
    """Where a value lies in a table of even steps: the entry below it and the share of the next; held at the ends.

    >>> [float(x) for x in place(jnp.asarray(3.5), 1.0, 2.0, 4)]
    [1.0, 0.25]
    """
    at = jnp.clip((value - first) / step, 0.0, count - 1.0)
    below = jnp.minimum(jnp.floor(at).astype(int), count - 2)
    return below, at - below
