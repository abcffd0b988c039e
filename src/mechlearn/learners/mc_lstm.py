"""The mass-conserving LSTM."""

from collections.abc import Sequence
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Learner, Variable, agree, named, require
from ..descent import Descent
from ..variables import EVAPOTRANSPIRATION
from .examples import serial, taught
from .scaling import Scaling

STORAGE = Variable("storage", "mm", ("time",), bounds=(0, float("inf")), long_name="water in all cells")


class MCLSTM(Learner):
    """A recurrent network whose cells are stores of water: rain enters, moves between cells, and leaves or stays.

    With auxiliary inputs a and v = [a_t, c_{t-1} / |c_{t-1}|], and P the rain:
    `m = R(v)^T c_{t-1} + i(v) P`, `c_t = (1 - o(v)) m`, `h = o(v) m`
    where the input gate i and each row of R sum to one (softmax) and o is between 0 and 1. What leaves the first
    cell is evapotranspiration, what leaves all others is runoff, so that on every day, with any weights,
    `P = runoff + evapotranspiration + change of storage`. The first output declared is the runoff.

    Raises `ValueError` when the rain is no input, has other units than the runoff, or another output is asked for.

    Source: Hoedt et al. (2021), doi:10.48550/arXiv.2101.05186.

        >>> rain, runoff = Variable("precipitation", "mm day-1", ("time",)), Variable("runoff", "mm day-1", ("time",))
        >>> made = MCLSTM([rain], [runoff], hidden=4)({"precipitation": jnp.ones(10)})
        >>> round(float(jnp.sum(made["runoff"] + made["evapotranspiration"]) + made["storage"][-1]), 4)
        10.0
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    weight: Array
    attribute_weight: Array
    bias: Array
    entering: Scaling
    attributes: Scaling
    leaving: Scaling
    mass: str = eqx.field(static=True)
    hidden: int = eqx.field(static=True)
    descent: Descent = eqx.field(static=True)
    sequential: ClassVar[bool] = True
    stores: ClassVar[tuple[str, ...]] = ("storage",)
    exchange: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        hidden: int = 16,
        mass: str = "precipitation",
        key: PRNGKeyArray | None = None,
        descent: Descent = Descent(epochs=50, learning_rate=1e-2),
    ):
        serial(inputs, outputs, "MCLSTM")
        self.inputs, self.outputs = tuple(inputs), _balanced(named(inputs).get(mass), outputs, mass)
        auxiliary = [v for v in inputs if v.name != mass]
        self.entering = Scaling([v for v in auxiliary if v.dims])
        self.attributes = Scaling([v for v in auxiliary if not v.dims])
        self.leaving = Scaling(self.outputs)
        wide = hidden * (hidden + 2)
        keys = jax.random.split(jax.random.key(0) if key is None else key, 2)
        self.weight = jax.random.normal(keys[0], (len(self.entering.variables) + hidden, wide)) / jnp.sqrt(hidden)
        self.attribute_weight = jax.random.normal(keys[1], (len(self.attributes.variables), wide)) / jnp.sqrt(hidden)
        stay = 3 * jnp.eye(hidden).ravel()
        self.bias = jnp.concatenate([jnp.zeros(hidden), jnp.linspace(-4.0, 0.0, hidden), stay])
        self.mass, self.hidden, self.descent = mass, hidden, descent

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "MCLSTM")
        bias, rain = self.bias, fields[self.mass]
        auxiliary = jnp.zeros((*rain.shape, 0), rain.dtype)
        if self.attributes.variables:
            bias = bias + self.attributes.pack(fields) @ self.attribute_weight
        if self.entering.variables:
            auxiliary = self.entering.pack(fields)

        def step(cells: Array, now: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
            cells, left = redistribute(cells, *now, self.weight, bias)
            return cells, (left, jnp.sum(cells))

        empty = jnp.zeros(self.hidden, jnp.result_type(rain, self.weight))
        left, storage = jax.lax.scan(jax.checkpoint(step), empty, (rain, auxiliary))[1]
        runoff, evaporated, stored = (v.name for v in self.outputs)
        return {runoff: jnp.sum(left[:, 1:], axis=1), evaporated: left[:, 0], stored: storage}

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        scales = self.entering.seen(inputs), self.attributes.seen(inputs), self.leaving.seen(targets)
        return eqx.tree_at(lambda m: (m.entering, m.attributes, m.leaving), self, scales)

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        return taught(self, inputs, targets, key=key)


def redistribute(cells: Array, rain: Array, auxiliary: Array, weight: Array, bias: Array) -> tuple[Array, Array]:
    """One day: what is in each cell afterwards, and what left each cell."""
    count = len(cells)
    seen = jnp.concatenate([auxiliary, cells / (jnp.sum(cells) + 1e-3)])
    enter, leave, move = jnp.split(seen @ weight + bias, [count, 2 * count])
    shares = jax.nn.softmax(move.reshape(count, count), axis=-1)
    mixed = cells @ shares + jax.nn.softmax(enter) * rain
    left = jax.nn.sigmoid(leave) * mixed
    return mixed - left, left


def _balanced(rain: Variable | None, outputs: Sequence[Variable], mass: str) -> tuple[Variable, ...]:
    if rain is None or rain.dims != ("time",):
        raise ValueError(f"MCLSTM: the mass input {mass!r} must be a series among the inputs; name another with mass=")
    runoff, *others = outputs
    if runoff.units != rain.units:
        raise ValueError(f"MCLSTM: {runoff.name} in {runoff.units!r} must share the units of {mass}, {rain.units!r}")
    balance = named([EVAPOTRANSPIRATION.over("time"), STORAGE])
    for variable in others:
        if variable.name not in balance:
            raise ValueError(
                f"MCLSTM gives {runoff.name}, evapotranspiration and storage, no {variable.name!r}; take LSTM for that"
            )
        agree(balance[variable.name], variable, "MCLSTM")
    return (runoff, *balance.values())


def example() -> dict:
    """A reservoir that loses a tenth a day to the river and up to 1 mm to the air."""
    rain = Variable("precipitation", "mm day-1", ("time",), bounds=(0, float("inf")))
    warm = Variable("air_temperature", "degC", ("time",))
    runoff = Variable("runoff", "mm day-1", ("time",), bounds=(0, float("inf")))
    fallen = jnp.maximum(0, 4 * jax.random.normal(jax.random.key(0), (48, 60)))
    temperature = 10 + 10 * jax.random.uniform(jax.random.key(1), (48, 60))

    def empty(store: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        wet = store + now[0]
        return 0.9 * wet - jnp.minimum(now[1] / 20, 0.5 * wet), 0.1 * wet

    left = jax.lax.scan(empty, jnp.zeros(48), (fallen.T, temperature.T))[1].T
    learner = MCLSTM([rain, warm], [runoff], hidden=6, descent=Descent(epochs=40, batch_size=16, learning_rate=3e-2))
    inputs = {"precipitation": fallen, "air_temperature": temperature}
    source = "doi:10.48550/arXiv.2101.05186"
    return {"learner": learner, "inputs": inputs, "targets": {"runoff": left}, "source": source}
