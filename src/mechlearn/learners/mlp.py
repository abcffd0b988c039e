"""The multi-layer perceptron."""

from collections.abc import Sequence
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from ..descent import Descent
from .examples import instant, taught
from .scaling import Scaling


class MLP(Learner):
    """A feed-forward network: any smooth function of a few numbers, given enough examples.

    `a_0 = scaled inputs; a_k = gelu(W_k a_{k-1} + b_k)` for each of `depth` hidden layers of `width`; the output
    `W a + b` is mapped into each variable's bounds. Variables have no axes; `Rollout(MLP(...))` reads a series
    day by day. NaN targets and examples with NaN inputs are left out of teaching. With a `quantile` it is taught
    that quantile of the targets instead of their mean (Koenker and Bassett 1978, doi:10.2307/1913643).

    Raises `ValueError` for variables with axes, or a quantile that is not between 0 and 1.

    Source: Hornik et al. (1989), doi:10.1016/0893-6080(89)90020-8.

        >>> rain, runoff = Variable("rain", "mm day-1"), Variable("runoff", "mm day-1", bounds=(0, float("inf")))
        >>> MLP([rain], [runoff])({"rain": jnp.asarray(3.0)})["runoff"].item() > 0
        True
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    layers: tuple[eqx.nn.Linear, ...]
    entering: Scaling
    leaving: Scaling
    descent: Descent = eqx.field(static=True)
    quantile: float | None = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        width: int = 32,
        depth: int = 2,
        quantile: float | None = None,
        key: PRNGKeyArray | None = None,
        descent: Descent = Descent(learning_rate=5e-3),
    ):
        self.inputs, self.outputs = instant(inputs, "MLP"), instant(outputs, "MLP")
        if quantile is not None and not 0 < quantile < 1:
            raise ValueError(f"MLP: quantile must be between 0 and 1, got {quantile}")
        sizes = [len(self.inputs), *[width] * depth, len(self.outputs)]
        keys = jax.random.split(jax.random.key(0) if key is None else key, depth + 1)
        self.layers = tuple(eqx.nn.Linear(*pair, key=k) for *pair, k in zip(sizes, sizes[1:], keys, strict=False))
        self.entering, self.leaving = Scaling(self.inputs), Scaling(self.outputs)
        self.descent, self.quantile = descent, quantile

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "MLP")
        active = self.entering.pack(fields)
        for layer in self.layers[:-1]:
            active = jax.nn.gelu(layer(active))
        return self.leaving.unpack(self.layers[-1](active))

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        scales = self.entering.seen(inputs), self.leaving.seen(targets)
        return eqx.tree_at(lambda m: (m.entering, m.leaving), self, scales)

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        return taught(self, inputs, targets, key=key)


def example() -> dict:
    """A soil that loses water the wetter it is and the more the air asks for."""
    moisture = Variable("soil_moisture", "1", bounds=(0, 1))
    demand = Variable("potential_evapotranspiration", "mm day-1", bounds=(0, float("inf")))
    loss = Variable("evapotranspiration", "mm day-1", bounds=(0, float("inf")))
    wet, asked = (jax.random.uniform(jax.random.key(n), (256,)) for n in range(2))
    learner = MLP([moisture, demand], [loss], width=16, descent=Descent(epochs=60, learning_rate=1e-2))
    inputs = {"soil_moisture": wet, "potential_evapotranspiration": 6 * asked}
    targets = {"evapotranspiration": 6 * asked * jnp.minimum(1, wet / 0.6)}
    return {"learner": learner, "inputs": inputs, "targets": targets, "source": "doi:10.1016/0893-6080(89)90020-8"}
