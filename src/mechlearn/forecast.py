"""A one-step model carried forward from a state that is given."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from .core import Fields, Model, Variable, named, require


class Forecast(Model):
    """Where a model goes from a known state, its forcing held as it is.

    `x_n = step(x_{n-1}, u)`, n = 1 .. `length`. The states in `given` (all by default) are read as `initial_<state>`,
    others begin where `step.initial()` says; what else the step reads stays the same. Outputs are kept after every
    `save_every` steps, the state before the first step is not among them. With `remat` the backward pass recomputes
    each step instead of storing it.

    Raises `ValueError` for a model without state, or a length that is no multiple of `save_every`.

        >>> from mechlearn.mechanisms.flow.lorenz96 import Lorenz96
        >>> made = Forecast(Lorenz96(size=8), 5)({"initial_atmospheric_quantity": jnp.full(8, 8.0)})
        >>> made["atmospheric_quantity"].shape
        (5, 8)
    """

    step: Model
    length: int = eqx.field(static=True)
    given: tuple[str, ...] | None = eqx.field(static=True, default=None)
    save_every: int = eqx.field(static=True, default=1)
    remat: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        if not self.step.state:
            raise ValueError(f"Forecast: {type(self.step).__name__} has no state to carry forward; call it as it is")
        if self.length < 1 or self.length % self.save_every:
            raise ValueError(f"Forecast: length {self.length} is no multiple of save_every={self.save_every}")
        unknown = set(self.given or ()) - set(self.step.state)
        if unknown:
            raise ValueError(f"Forecast: {sorted(unknown)} are no states of {type(self.step).__name__}")

    @property
    def inputs(self) -> tuple[Variable, ...]:
        given = self.step.state if self.given is None else self.given
        reads = named(self.step.inputs)
        start = (replace(reads[name], name=f"initial_{name}") for name in given)
        return (*start, *(v for name, v in reads.items() if name not in self.step.state))

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple(variable.over("time") for variable in self.step.outputs)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, f"Forecast of {type(self.step).__name__}")
        held = {name: fields[name] for name in named(self.step.inputs) if name not in self.step.state}
        step = self.step.prepare(held)

        def advance(state: Fields, step_key):
            made = step({**held, **state}, key=step_key)
            return {name: made[name].astype(state[name].dtype) for name in state}, made

        advance = jax.checkpoint(advance) if self.remat else advance

        def block(state: Fields, keys):
            if self.save_every == 1:
                return advance(state, keys)
            state, _ = jax.lax.scan(lambda s, k: (advance(s, k)[0], None), state, _rest(keys), self.save_every - 1)
            return advance(state, None if keys is None else keys[-1])

        blocks = self.length // self.save_every
        keys = None if key is None else jax.random.split(key, (blocks, *([self.save_every] * (self.save_every > 1))))
        return jax.lax.scan(block, self._start(fields), keys, blocks)[1]

    def _start(self, fields: Fields) -> Fields:
        start = {name: fields.get(f"initial_{name}", value) for name, value in self.step.initial().items()}
        return {name: jnp.asarray(value, jnp.result_type(float, value)) for name, value in start.items()}


def _rest(keys):
    return None if keys is None else keys[:-1]
