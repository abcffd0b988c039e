"""Method 4, replacement: a learner in the place of a whole model, which steps on its own answers."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable, union
from ...learners.whole import Whole
from ...parameters import follow, replace_at
from ..series import Untaught
from ..stencil import in_place_of

WEIGHTS = (23 / 12, -16 / 12, 5 / 12)


class AdamsBashforth(Model):
    """A model of tendencies, stepped by the Adams-Bashforth method of third order.

    `x' = x + h (23 f(x) - 16 f_1 + 5 f_2) / 12`, f_1 and f_2 the tendencies one and two steps before, which are state
    too; where they are zero the first steps are wrong, `started` gives those of a known past. The part reads the
    variable first, and its last output is the tendency per unit of time, under any name.

    Source: Dueben & Bauer (2018), doi:10.5194/gmd-11-3999-2018.

        >>> from mechlearn.along import Along
        >>> from mechlearn.learners.polynomial import Polynomial
        >>> x, rate = Variable("x", "1"), Variable("rate", "s-1")
        >>> decay = Polynomial([x], [rate], degree=1).fit({"x": jnp.arange(4.0)}, {"rate": -jnp.arange(4.0)}, key=None)
        >>> step = AdamsBashforth(Along(decay, "place", ["x"]), 0.1)
        >>> start = started(step, jnp.exp(-0.1 * jnp.arange(-2.0, 1.0))[:, None])
        >>> round(float(step(start)["x"][0]), 4)  # exp(-0.1)
        0.9048
    """

    tendency: Model
    time_step: float = eqx.field(static=True)
    past: ClassVar[tuple[str, ...]] = ("tendency_1_step_before", "tendency_2_steps_before")

    @property
    def variable(self) -> Variable:
        return self.tendency.inputs[0]

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.variable, *(replace(self.tendency.outputs[-1], name=name) for name in self.past))

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.inputs

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (self.variable.name, *self.past)

    def initial(self) -> dict[str, ArrayLike]:
        return dict.fromkeys(self.state, 0.0)

    def rate(self, x: Array) -> Array:
        """The tendency of a state."""
        return self.tendency({self.variable.name: x})[self.tendency.outputs[-1].name]

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        x, before = fields[self.variable.name], [fields[name] for name in self.past]
        rates = [self.rate(x), *before]
        moved = x + self.time_step * sum(weight * rate for weight, rate in zip(WEIGHTS, rates, strict=True))
        return {self.variable.name: moved, **dict(zip(self.past, rates[:2], strict=True))}


def started(step: AdamsBashforth, states: Array) -> Fields:
    """The fields that a step begins with, of three states (3, place) one after the other."""
    before = dict(zip(step.past, (step.rate(states[1]), step.rate(states[0])), strict=True))
    return {step.variable.name: states[2], **before}


def emulated(
    variable: Variable,
    states: ArrayLike,
    time_step: float,
    learner: Untaught,
    *,
    key: PRNGKeyArray,
    neighbours: Sequence[int] | None = None,
) -> AdamsBashforth:
    """Teach a learner the tendencies of a model from what it did: states (run, time, place), `time_step` apart.

    `f = (x_{-2} - 8 x_{-1} + 8 x_{+1} - x_{+2}) / 12 h`. With `neighbours` one learner serves every place of an axis
    that closes on itself and sees those around it; without, one sees all places at once and answers for all.

    Raises `ValueError` for runs of fewer than five states.
    """
    x = np.asarray(states)
    if x.ndim != 3 or x.shape[1] < 5:
        raise ValueError(f"tendencies need states (run, time, place) at five times or more, got the shape {x.shape}")
    rates = (x[:, :-4] - 8 * x[:, 1:-3] + 8 * x[:, 3:-1] - x[:, 4:]) / (12 * time_step)
    given, told = (values.reshape(-1, x.shape[-1]) for values in (x[:, 2:-2], rates))
    free = (-float("inf"), float("inf"))
    rate = Variable(f"tendency_of_{variable.name}", variable.units, variable.dims, free)
    if neighbours is None:
        whole = Whole([variable], [rate], sizes={variable.dims[-1]: x.shape[-1]}, learner=learner)
        return AdamsBashforth(whole.fit({variable.name: given}, {rate.name: told}, key=key), time_step)
    unknown = _Nothing((variable,), (rate,))
    everywhere, where = in_place_of(unknown, learner, neighbours)
    around = jax.vmap(follow(everywhere, "parts.0"))({variable.name: jnp.asarray(given)})
    examples = {name: jnp.ravel(values) for name, values in around.items()}
    one = follow(everywhere, where).fit(examples, {rate.name: jnp.ravel(told)}, key=key)
    return AdamsBashforth(replace_at(everywhere, where, one), time_step)


class Seasonal(Model):
    """A step that knows the time of the year: two further states, an angle that goes round once in `year` steps.

    `(c, s)' = (c cos a - s sin a, c sin a + s cos a)`, `a = 2 pi / year`. The step inside may read the cosine c and
    the sine s of the angle, along the axis of its state like everything a network of fields sees. Scher & Messori
    (2019), doi:10.5194/gmd-12-2797-2019, who tell a network the day of the year.
    """

    step: Model
    year: float = eqx.field(static=True)

    @property
    def clock(self) -> tuple[Variable, ...]:
        """The two states that keep the time."""
        dims = next(v.dims for v in self.step.inputs if v.name in self.step.state)
        return season(dims)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return union(self.step.inputs, self.clock, where="Seasonal")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (*self.step.outputs, *self.clock)

    @property
    def state(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (*self.step.state, *(variable.name for variable in self.clock))

    def initial(self) -> dict[str, ArrayLike]:
        start = self.step.initial()
        like = next(iter(start.values()))
        return {
            **start,
            **{v.name: jnp.full_like(like, value) for v, value in zip(self.clock, (1.0, 0.0), strict=True)},
        }

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        made = self.step({variable.name: fields[variable.name] for variable in self.step.inputs}, key=key)
        cosine, sine = (fields[variable.name] for variable in self.clock)
        turn = 2 * math.pi / self.year
        later = cosine * math.cos(turn) - sine * math.sin(turn), cosine * math.sin(turn) + sine * math.cos(turn)
        return {**made, **{variable.name: value for variable, value in zip(self.clock, later, strict=True)}}


def season(dims: tuple[str, ...]) -> tuple[Variable, Variable]:
    """The cosine and the sine of the time of the year, along some axes."""
    return Variable("cosine_of_day_of_year", "1", dims), Variable("sine_of_day_of_year", "1", dims)


class _Nothing(Model):
    """What is read and answered, and no more."""

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {variable.name: jnp.zeros_like(fields[self.inputs[0].name]) for variable in self.outputs}
