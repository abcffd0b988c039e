"""Polynomial regression: the closure that needs no network."""

from collections.abc import Sequence
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from .examples import instant, usable
from .scaling import Scaling, clip


class Polynomial(Learner):
    """A sum of powers of each input, found by least squares.

    `y = b_0 + sum_i sum_n b_in z_i^n`, n = 1 .. `degree`, z the inputs as standard scores; the answer is cut at each
    variable's bounds. With one input and degree 4 the closure of Wilks for Lorenz-96.

    Raises `ValueError` for variables with axes, or a degree below 1.

    Source: Wilks (2005), doi:10.1256/qj.04.03.

        >>> x, u = Variable("x", "1"), Variable("u", "1")
        >>> examples = {"x": jnp.arange(-3.0, 4.0)}, {"u": jnp.arange(-3.0, 4.0) ** 3}
        >>> cubic = Polynomial([x], [u], degree=3).fit(*examples, key=jax.random.key(0))
        >>> round(float(cubic({"x": jnp.asarray(2.0)})["u"]), 3)
        8.0
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    coefficients: Array
    constant: Array
    entering: Scaling
    degree: int = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable], *, degree: int = 4):
        if degree < 1:
            raise ValueError(f"Polynomial needs a degree of 1 or more, got {degree}")
        self.inputs, self.outputs, self.degree = instant(inputs, "Polynomial"), instant(outputs, "Polynomial"), degree
        self.coefficients = jnp.zeros((len(self.outputs), len(self.inputs) * degree))
        self.constant = jnp.asarray([clip(jnp.zeros(()), v.bounds) for v in self.outputs])
        self.entering = Scaling(self.inputs)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Polynomial")
        answer = self.coefficients @ self._powers(self.entering.pack(fields)) + self.constant
        return {v.name: clip(answer[place], v.bounds) for place, v in enumerate(self.outputs)}

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        return eqx.tree_at(lambda m: m.entering, self, self.entering.seen(inputs))

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        known = usable(self, inputs, targets)
        ready = self.standardise(known.inputs, known.targets)
        powers = np.asarray(ready._powers(ready.entering.pack(known.inputs)), float)
        columns = np.concatenate([powers, np.ones((len(known), 1))], axis=1)
        found = [_least_squares(columns, np.asarray(known.targets[v.name], float)) for v in self.outputs]
        solved = jnp.asarray(np.stack(found), self.coefficients.dtype)
        return eqx.tree_at(lambda m: (m.coefficients, m.constant), ready, (solved[:, :-1], solved[:, -1]))

    def _powers(self, scaled: Array) -> Array:
        return jnp.concatenate([scaled**power for power in range(1, self.degree + 1)], axis=-1)


def _least_squares(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    seen = np.isfinite(target)
    return np.linalg.lstsq(columns[seen], target[seen], rcond=None)[0]


def example() -> dict:
    """The subgrid flux of Lorenz-96 as Arnold et al. (2013) give it, with noise."""
    quantity, flux = Variable("atmospheric_quantity", "1"), Variable("subgrid_flux", "1")
    x = jax.random.uniform(jax.random.key(0), (256,), minval=-8.0, maxval=14.0)
    noise = 0.5 * jax.random.normal(jax.random.key(1), (256,))
    u = 0.341 + 1.30 * x - 0.0136 * x**2 - 0.00235 * x**3 + noise
    inputs, targets = {"atmospheric_quantity": x}, {"subgrid_flux": u}
    learner = Polynomial([quantity], [flux])
    return {"learner": learner, "inputs": inputs, "targets": targets, "source": "doi:10.1256/qj.04.03"}
