"""Errors of forcing and stores that are part of the state, so that observations correct them too."""

from collections.abc import Mapping
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Fields, Model, Variable, named


class WithErrors(Model):
    """A step whose forcing and stores are uncertain: each named input carries an error with a memory.

    `u' = u max(1 + e, 0)` for an input that cannot be negative, `u' = u + e` for any other, and
    `e_t = r e_{t-1} + s sqrt(1 - r²) w_t`: `deviations` holds s of each, `memory` is r. The noise w enters by
    `Assimilation(noise=step.noise())`. A state that an analysis has moved beyond its bounds is put back on them.
    Evensen (2003), doi:10.1007/s10236-003-0036-9; Clark et al. (2008), doi:10.1016/j.advwatres.2008.06.005.

    Raises `ValueError` for a name that is no input of the step, and for a memory outside 0 to 1.

        >>> from mechlearn.mechanisms.water.hbv import HBV
        >>> step = WithErrors(HBV(), {"precipitation": 0.3, "soil_moisture": 0.05})
        >>> step.state[-2:]
        ('error_of_precipitation', 'error_of_soil_moisture')
    """

    step: Model
    deviations: dict[str, ArrayLike]
    memory: ArrayLike = 0.0

    def __init__(self, step: Model, deviations: Mapping[str, ArrayLike], memory: float = 0.0):
        unknown = sorted(set(deviations) - set(named(step.inputs)))
        if unknown:
            there = ", ".join(named(step.inputs))
            raise ValueError(f"WithErrors: {unknown} are no inputs of {type(step).__name__}; it reads {there}")
        if not 0 <= memory < 1:
            raise ValueError(f"WithErrors: the memory of errors must be 0 or more and below 1, got {memory}")
        self.step, self.memory = step, jnp.asarray(memory, float)
        self.deviations = {name: jnp.asarray(width, float) for name, width in deviations.items()}

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (*self.step.inputs, *self._errors())

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (*self.step.outputs, *self._errors())

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*self.step.state, *(v.name for v in self._errors()))

    def initial(self) -> dict[str, ArrayLike]:
        return {**self.step.initial(), **{v.name: 0.0 for v in self._errors()}}

    def prepare(self, fixed: Fields) -> Model:
        return eqx.tree_at(lambda m: m.step, self, self.step.prepare(fixed))

    def noise(self) -> Array:
        """The standard deviation (state,) of what each step adds: that of the errors, none elsewhere."""
        still = {name: jnp.zeros(jnp.shape(value)) for name, value in self.step.initial().items()}
        fresh = {_of(name): width * jnp.sqrt(1 - self.memory**2) for name, width in self.deviations.items()}
        return ravel_pytree({**still, **fresh})[0]

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        known = named(self.step.inputs)
        given = {name: fields[name] for name in known}
        given |= {name: jnp.clip(given[name], *known[name].bounds) for name in self.step.state}
        for name in self.deviations:
            error = fields[_of(name)]
            positive = known[name].bounds[0] >= 0
            given[name] = given[name] * jnp.maximum(1 + error, 0) if positive else given[name] + error
        return self.step(given, key=key) | {_of(name): self.memory * fields[_of(name)] for name in self.deviations}

    def _errors(self) -> tuple[Variable, ...]:
        known = named(self.step.inputs)
        return tuple(
            replace(
                known[name],
                name=_of(name),
                units="1" if known[name].bounds[0] >= 0 else known[name].units,
                dims=(),
                bounds=(-jnp.inf, jnp.inf),
                standard_name="",
                long_name=f"error of {known[name].long_name or name}",
            )
            for name in self.deviations
        )


class Logarithm(Model):
    """Observe a positive quantity by its logarithm: a constant error there is a relative error of the quantity.

    `z = log(y + c)`, c a small `offset` in the units of y that keeps a dry river finite.

        >>> runoff = Variable("runoff", "mm day-1", bounds=(0, float("inf")))
        >>> round(float(Logarithm(runoff, 0.1)({"runoff": jnp.asarray(0.9)})["logarithm_of_runoff"]), 6)
        0.0
    """

    variable: Variable = eqx.field(static=True)
    offset: ArrayLike = 0.01

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        free = (-float("inf"), float("inf"))
        return (Variable(f"logarithm_of_{self.variable.name}", "1", self.variable.dims, free),)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {f"logarithm_of_{self.variable.name}": self.of(fields[self.variable.name])}

    def of(self, values: ArrayLike) -> Array:
        """The logarithm of observed values, NaN where there is none."""
        return jnp.log(jnp.maximum(jnp.asarray(values), 0) + self.offset)


def _of(name: str) -> str:
    return f"error_of_{name}"
