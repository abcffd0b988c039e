"""A sub-process that errs: what a closure leaves open comes back as noise with a memory."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable, Wrapped, named
from ...parameters import Parameter, follow, replace_at


class RedNoise(Model):
    """A one-step model with red noise added to what one of its joints answers.

    `U = closure(x) + e`, `e' = phi e + sigma sqrt(1 - phi²) z`, z standard normal at every place, e held over the step
    and carried along as the state `<answer>_error`. Called without a key no new noise is drawn and the old one fades.

    Source: Wilks (2005), doi:10.1256/qj.04.03; Arnold et al. (2013), doi:10.1098/rsta.2011.0479.

        >>> from mechlearn.mechanisms.flow.lorenz96 import Lorenz96
        >>> noisy = RedNoise.of(Lorenz96(size=8), "closure", 0.98, 2.0)
        >>> noisy.state
        ('atmospheric_quantity', 'subgrid_flux_error')
    """

    step: Model
    joint: str = eqx.field(static=True)
    persistence: Parameter
    deviation: Parameter

    @classmethod
    def of(cls, step: Model, joint: str, persistence: ArrayLike, deviation: ArrayLike) -> "RedNoise":
        """The noise of an AR(1) process with a lag-one correlation a step, and a standard deviation."""
        units = follow(step, joint).outputs[0].units
        return cls(
            step,
            joint,
            Parameter(persistence, "1", (0.0, 1.0), "phi: share of the error that is left a step later", fixed=True),
            Parameter(deviation, units, (0.0, float("inf")), "sigma: standard deviation of the error", fixed=True),
        )

    @property
    def errors(self) -> tuple[Variable, ...]:
        """The state the noise adds."""
        return tuple(Variable(f"{v.name}_error", v.units, v.dims) for v in follow(self.step, self.joint).outputs)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (*self.step.inputs, *self.errors)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (*self.step.outputs, *self.errors)

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*self.step.state, *(v.name for v in self.errors))

    def initial(self) -> dict[str, ArrayLike]:
        """The step's own, and no error."""
        start = self.step.initial()
        known = ((v.dims, jnp.shape(start[v.name])) for v in self.step.inputs if v.name in start)
        sizes = {dim: size for dims, shape in known for dim, size in zip(dims, shape, strict=True)}
        return {**start, **{v.name: jnp.zeros([sizes[dim] for dim in v.dims]) for v in self.errors}}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        phi, sigma = jnp.asarray(self.persistence.value), jnp.asarray(self.deviation.value)
        drawn = {v.name: phi * fields[v.name] for v in self.errors}
        if key is not None:
            keys = jax.random.split(key, len(drawn))
            fresh = sigma * jnp.sqrt(1 - phi**2)
            drawn = {
                n: e + fresh * jax.random.normal(k, e.shape) for (n, e), k in zip(drawn.items(), keys, strict=True)
            }
        wrong = replace_at(self.step, self.joint, Erring(follow(self.step, self.joint), drawn))
        return {**wrong({name: fields[name] for name in named(self.step.inputs)}, key=key), **drawn}


class Erring(Wrapped):
    """A sub-process with an error added to its answer."""

    part: Model
    errors: Fields
    wraps: ClassVar = "part"

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        made = self.part(fields, key=key)
        return {v.name: made[v.name] + self.errors[f"{v.name}_error"] for v in self.outputs}


class OneOf(Wrapped):
    """A sub-process of which one of several replicas speaks at each call, drawn at random; their mean without a key.

    Source: Krasnopolsky et al. (2013), doi:10.1155/2013/485913.
    """

    replicas: Model
    count: int = eqx.field(static=True)
    wraps: ClassVar = "replicas"

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        numbers, rest = eqx.partition(self.replicas, eqx.is_inexact_array)
        if key is not None:
            place = jax.random.randint(key, (), 0, self.count)
            return eqx.combine(jax.tree.map(lambda leaf: leaf[place], numbers), rest)(fields)
        each = jax.vmap(lambda own: eqx.combine(own, rest)(fields))(numbers)
        return {v.name: jnp.mean(each[v.name], axis=0) for v in self.outputs}


def red(errors: ArrayLike) -> tuple[float, float]:
    """The lag-one correlation and the standard deviation of errors (series, time, ...), each about zero.

    >>> red(np.array([[1.0, 0.5, 0.25, 0.125]]))[0]
    0.5
    """
    each = np.asarray(errors, float)
    before, after = each[:, :-1], each[:, 1:]
    return float(np.clip(np.sum(before * after) / np.sum(before**2), 0.0, 1.0)), float(np.sqrt(np.mean(each**2)))


@eqx.filter_jit
def told(part: Model, fields: Fields, name: str) -> Array:
    """What a sub-process answers to many samples along leading axes (run, time)."""
    return jax.vmap(jax.vmap(lambda one: part(one)[name]))(fields)
