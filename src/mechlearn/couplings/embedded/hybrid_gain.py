"""A learned analysis for a small ensemble: a gain that is partly sampled from its members and partly learned."""

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...assimilation.cycle import Assimilation
from ...assimilation.ensemble import centred
from ...core import Analysis
from ...learners.convolution import convolved, gathered, scattered


class Plane(eqx.Module):
    """A periodic plane cut into blocks, in each of which the same numbers of the state are observed.

    `seen` says which numbers of a block those are, `order` (seen, block, block) where each stands among the
    observations, `between` (cell, block) how weights known where the stations are become weights of cells. `usual` and
    `step` (number of a block,) are the scales of the state and of its increments.
    """

    order: Array
    between: Array
    usual: Array
    step: Array
    seen: tuple[int, ...] = eqx.field(static=True)
    variables: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    block: int = eqx.field(static=True)
    frozen: ClassVar[bool] = True

    @classmethod
    def make(cls, system: Assimilation, places: ArrayLike, climate: ArrayLike, block: int) -> "Plane":
        """The plane of a system's state, from where its observations belong and states (sample, state) of its climate.

        Raises `ValueError` for fields that are not all on one square plane, and for other stations than one in each
        block that observes the same as all others.
        """
        fields = system.fields_of(jnp.zeros(system.size))
        shapes = {field.shape for field in fields.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2 or len(set(next(iter(shapes)))) != 1:
            raise ValueError(f"the state must be fields on one square plane, got the shapes {sorted(shapes)}")
        (size, _), count = next(iter(shapes)), len(fields)
        index = np.asarray(gathered(jnp.moveaxis(jnp.arange(system.size).reshape(count, size, size), 0, -1), block))
        known = np.asarray(places)
        there = np.isin(index, known)
        if not np.all(there == there[0, 0]) or np.sum(there) != len(known):
            raise ValueError(f"the same numbers must be observed in every block of {block} x {block} cells, once each")
        seen = tuple(int(n) for n in np.flatnonzero(there[0, 0]))
        cells = {n // count for n in seen}
        if len(cells) != 1 or len({c // block for c in cells} | {c % block for c in cells}) != 1:
            raise ValueError("a block must have one station, on its diagonal")
        turned = np.full(system.size, -1)
        turned[known] = np.arange(len(known))
        usual = np.tile(np.std(np.asarray(climate).reshape(len(climate), count, -1), axis=(0, 2)), block**2)
        error = np.sqrt(np.asarray(system.error.variance()))[turned[index[0, 0][list(seen)]]]
        step = usual * np.min(error / usual[list(seen)]) / 2
        return cls(
            jnp.asarray(np.moveaxis(turned[index[..., list(seen)]], -1, 0)),
            jnp.asarray(_between(size // block, block, min(cells) % block)),
            jnp.asarray(usual, jnp.result_type(float)),
            jnp.asarray(step, jnp.result_type(float)),
            seen,
            count,
            size,
            block,
        )

    def blocks(self, state: Array) -> Array:
        """A state (state,) as blocks (block, block, number)."""
        return gathered(jnp.moveaxis(state.reshape(self.variables, self.size, self.size), 0, -1), self.block)

    def fields(self, blocks: Array) -> Array:
        """Blocks as fields (variable, cell, cell)."""
        return jnp.moveaxis(scattered(blocks, self.block), -1, 0)

    def state(self, blocks: Array) -> Array:
        """Blocks as a state (state,)."""
        return jnp.ravel(self.fields(blocks))


class HybridGain(Analysis):
    """A small ensemble sees what grows, a learned gain what all cases share, and a network how far to trust either.

    With anomalies X and Y (of state and whitened observations), innovation d, smoothing T within a learned reach:

        d_e = a(c) X (T(Y'Y) + (N - 1) r(c) I)^-1 T(Y'd),    x_a = x_f + d_e + K(c) (d - H d_e),

    K is linear in the innovations, its channels weighed by the context c: what a network sees of mean, spread and
    coverage; a and r depend on c too. Anomalies are inflated, and narrowed by what the sampled part says of them: the
    square root `1 - sqrt(1 - A) = A / 2 + A² / 8` of that, one order beyond the DEnKF. The ensemble is then put around
    the mean.

    Hamill & Snyder (2000), doi:10.1175/1520-0493(2000)128<2905:AHEKFV>2.0.CO;2; Penny (2014),
    doi:10.1175/MWR-D-13-00131.1; Sakov & Oke (2008), doi:10.1111/j.1600-0870.2007.00299.x. `make` builds one,
    `cycling.taught_while_cycling` teaches it.

        >>> from mechlearn.assimilation.error import ObservationError
        >>> from mechlearn.compose import Pass
        >>> from mechlearn.mechanisms.flow.shallow_water import EASTWARD, HEIGHT, NORTHWARD, ShallowWater
        >>> seen, error = Pass(EASTWARD, NORTHWARD, HEIGHT), ObservationError.of_variance(jnp.ones(192))
        >>> system = Assimilation(ShallowWater(size=8), seen, error)
        >>> climate = jax.random.normal(jax.random.key(0), (20, 192))
        >>> gain = HybridGain.make(system, jnp.arange(192), climate, block=1, width=4, key=jax.random.key(1))
        >>> system.run(gain, climate[:4], climate[4:6], key=jax.random.key(2)).ensemble.shape
        (4, 192)
    """

    plane: Plane
    context: tuple[Array, Array]
    context_offsets: tuple[Array, Array]
    gates: tuple[Array, Array]
    share: Array
    doubt: Array
    static: tuple[Array, Array, Array]
    reach: Array
    weight: Array
    trust: Array
    inflation: "Inflation"

    @classmethod
    def make(
        cls,
        system: Assimilation,
        places: ArrayLike,
        climate: ArrayLike,
        *,
        block: int = 2,
        width: int = 32,
        inflation: float = 1.05,
        key: PRNGKeyArray,
    ) -> "HybridGain":
        """An untaught one: until it is taught it is a local filter, the learned gain is 0."""
        plane = Plane.make(system, places, climate, block)
        numbers, seen = len(plane.usual), len(plane.seen)
        keys = jax.random.split(key, 6)
        first = (3, 3, 2 * numbers + 1, width), (3, 3, width, width), (5, 5, seen, width), (3, 3, width, width)
        context0, context1, static0, static1 = (_drawn(s, k) for s, k in zip(first, keys, strict=False))
        gates = tuple(0.3 * _drawn((width, width), k) for k in keys[4:])
        return cls(
            plane,
            (context0, context1),
            (jnp.zeros(width), jnp.zeros(width)),
            (gates[0], gates[1]),
            jnp.zeros((width, numbers)),
            jnp.zeros(width),
            (static0, static1, jnp.zeros((width, numbers))),
            jnp.zeros(()),
            jnp.zeros(seen),
            jnp.zeros(2),
            Inflation(jnp.full((), inflation)),
        )

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        # Without the barriers XLA computes parts of these anew for each of their uses.
        prior = jax.lax.optimization_barrier(self.prior(ensemble, predicted - observed))
        weights, learned = self.weighed(prior, observed - predicted.mean(axis=0))
        # (Y'Y + D)^-1 Y'Y = I - (Y'Y + D)^-1 D: for the anomalies nothing has to be smoothed again.
        own = jnp.eye(len(ensemble))[..., None, None] - prior.inverse * prior.doubt
        # 1 - sqrt(1 - x) = x / 2 + x² / 8 + ...
        less = 0.5 * own + 0.125 * _product(own, own)
        made = jax.lax.optimization_barrier(self.sampled(prior, jnp.concatenate([weights[:, None], less], axis=1)))
        moved = prior.anomalies - made[1:]
        return ensemble.mean(axis=0) + made[0] + learned + moved - moved.mean(axis=0)

    def sampled(self, prior: "Prior", weights: Array) -> Array:
        """Sums (sum, state) of anomalies by `weights` (member, sum, block, block), as far as the context lets them."""
        plane = self.plane
        fields = prior.anomalies.reshape(-1, plane.variables, plane.size, plane.size)
        share = plane.fields(prior.share)

        def one(own: Array) -> Array:
            fine = _around(plane.between, own)[:, None]
            # Member by member: XLA's own sum over the first axis is ten times slower.
            return jnp.ravel(share * sum(field * weight for field, weight in zip(fields, fine, strict=True)))

        return jax.lax.map(one, jnp.swapaxes(weights, 0, 1))

    def prior(self, ensemble: Array, misfits: Array) -> "Prior":
        """What is computed once of an ensemble (member, state) and its misfits (member, obs), 0 where none was seen."""
        mean, anomalies = centred(ensemble)
        factor, there = self.inflation.factor, jnp.any(misfits != 0, axis=0)
        return Prior.of(self, mean, factor * anomalies, factor * centred(misfits)[1], there)

    def increment(self, prior: "Prior", innovation: Array) -> Array:
        """What a whitened innovation (obs,), 0 where nothing was observed, adds to the state (state,)."""
        weights, learned = self.weighed(prior, innovation)
        return self.sampled(prior, weights[:, None])[0] + learned

    def weighed(self, prior: "Prior", innovation: Array) -> tuple[Array, Array]:
        """The weights of the anomalies (member, block, block), and what the learned gain adds (state,)."""
        plane = self.plane
        misfit, seen = innovation[plane.order], prior.differences[:, plane.order]
        weight = jnp.exp(5 * self.weight)
        projected = prior.smooth(sum(w * seen[:, n] * misfit[n] for n, w in enumerate(weight)))
        weights = sum(row * part for row, part in zip(prior.inverse, projected, strict=True))
        sampled = sum(weight * own for weight, own in zip(weights, seen, strict=True))
        left = jnp.moveaxis(misfit, 0, -1) - prior.share[..., list(plane.seen)] * jnp.moveaxis(sampled, 0, -1)
        active = convolved(left, self.static[0]) * prior.gates[0]
        active = convolved(active, self.static[1]) * prior.gates[1]
        return weights, plane.state((active @ self.static[2]) * plane.step)


class Inflation(eqx.Module):
    """By how much anomalies are widened before an analysis: follows the innovations, not the gradient."""

    factor: Array
    frozen: ClassVar[bool] = True


class Prior(eqx.Module):
    """What an analysis computes once of an ensemble: anomalies, the inverse of their local products, the gates."""

    anomalies: Array
    differences: Array
    inverse: Array
    doubt: Array
    share: Array
    gates: tuple[Array, Array]
    taper: Array

    @classmethod
    def of(cls, gain: HybridGain, mean: Array, anomalies: Array, differences: Array, there: Array) -> "Prior":
        """Of mean (state,), anomalies (member, state) and (member, obs), and what is observed (obs,)."""
        plane, members = gain.plane, len(anomalies)
        coverage = there[plane.order[0], None].astype(mean.dtype)
        spread = plane.blocks(jnp.sqrt(jnp.sum(anomalies**2, axis=0) / (members - 1) + 1e-12))
        active = jnp.concatenate([plane.blocks(mean) / plane.usual, spread / plane.step - 1, coverage], axis=-1)
        for weight, offset in zip(gain.context, gain.context_offsets, strict=True):
            active = jnp.tanh(convolved(active, weight) + offset)
        taper = _taper(plane.order.shape[-1], 1.5 * jnp.exp(10 * gain.reach))
        seen = differences[:, plane.order]
        products = sum(w * seen[:, None, n] * seen[:, n] for n, w in enumerate(jnp.exp(5 * gain.weight)))
        doubt = (members - 1) * jnp.exp(active @ gain.doubt + 5 * gain.trust[0])
        inverse = inverted(_around(taper, products) + doubt * jnp.eye(members)[..., None, None])
        share = jnp.exp(active @ gain.share + 5 * gain.trust[1])
        gates = 1 + active @ gain.gates[0], 1 + active @ gain.gates[1]
        return cls(anomalies, differences, inverse, doubt, share, gates, taper)

    def smooth(self, field: Array) -> Array:
        """`T(z)`: a field (..., block, block) gathered from around each block."""
        return _around(self.taper, field)


def inverted(matrices: Array) -> Array:
    """The inverses of positive definite matrices (n, n, ...), all places at once, by halves.

    >>> inverted(jnp.array([[[2.0], [0.0]], [[0.0], [4.0]]]))[..., 0].tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    half = len(matrices) // 2
    if not half:
        return 1 / matrices
    first, between = inverted(matrices[:half, :half]), matrices[:half, half:]
    across = _product(first, between)
    second = inverted(matrices[half:, half:] - _product(jnp.swapaxes(between, 0, 1), across))
    mixed = -_product(across, second)
    whole = first - _product(mixed, jnp.swapaxes(across, 0, 1))
    upper = jnp.concatenate([whole, mixed], axis=1)
    return jnp.concatenate([upper, jnp.concatenate([jnp.swapaxes(mixed, 0, 1), second], axis=1)])


def _product(first: Array, second: Array) -> Array:
    """Products of matrices (n, k, ...) and (k, m, ...), place by place."""
    return sum(first[:, k, None] * row for k, row in enumerate(second))


def _around(weights: Array, field: Array) -> Array:
    """A field (..., block, block) weighed along both axes."""
    return jnp.einsum("yb,...bc,xc->...yx", weights, field, weights)


def _between(blocks: int, block: int, offset: int) -> np.ndarray:
    """Weights (cell, block) that interpolate linearly from stations `offset` cells into each block, periodic."""
    place = (np.arange(blocks * block) - offset) / block
    left, far = np.floor(place).astype(int), place - np.floor(place)
    weights = np.zeros((blocks * block, blocks))
    weights[np.arange(len(place)), left % blocks] += 1 - far
    weights[np.arange(len(place)), (left + 1) % blocks] += far
    return weights


def _taper(blocks: int, reach: ArrayLike) -> Array:
    """`exp(-r² / 2 L²)` between blocks along one axis, periodic."""
    apart = np.abs(np.arange(blocks)[:, None] - np.arange(blocks))
    return jnp.exp(-0.5 * np.minimum(apart, blocks - apart) ** 2 / reach**2)


def _drawn(shape: Sequence[int], key: PRNGKeyArray) -> Array:
    return jax.random.normal(key, shape) / math.sqrt(math.prod(shape[:-1]))
