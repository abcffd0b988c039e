"""The convolutional network of fields around a circle."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Learner, Variable, require
from ..descent import Descent
from .examples import taught
from .scaling import Scaling


class Convolutional(Learner):
    """A network of local windows around a circle, with products of neighbours: the same law at every place.

    With x the scaled inputs (place, variable), `a, b, c` convolutions of `filters` channels over `width` places:
    `h = [a(x), b(x) c(x)]`, then `relu` convolutions of each of `hidden` channels, and a last linear layer of width 1.
    The product makes an advection term exact; `bilinear=False` leaves it out. All variables have one axis in common,
    which closes on itself; a single example may have any number of places.

    Raises `ValueError` for variables that do not share one axis, and for an even width.

    Source: Brajard et al. (2020), doi:10.1016/j.jocs.2020.101171, whose sizes are the defaults (9,387 weights).

        >>> quantity = Variable("quantity", "1", ("sector",))
        >>> tendency = Variable("tendency", "1", ("sector",))
        >>> Convolutional([quantity], [tendency])({"quantity": jnp.arange(40.0)})["tendency"].shape
        (40,)
    """

    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    layers: tuple[eqx.nn.Linear, ...]
    entering: Scaling
    leaving: Scaling
    width: int = eqx.field(static=True)
    bilinear: bool = eqx.field(static=True)
    descent: Descent = eqx.field(static=True)
    sequential: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        *,
        filters: int = 24,
        hidden: Sequence[int] = (37,),
        width: int = 5,
        bilinear: bool = True,
        key: PRNGKeyArray | None = None,
        descent: Descent = Descent(epochs=40, batch_size=128, learning_rate=2e-3),
    ):
        axes = {variable.dims for variable in (*inputs, *outputs)}
        if len(axes) != 1 or len(next(iter(axes))) != 1:
            raise ValueError(f"Convolutional needs variables along one axis that all share, got {sorted(axes)}")
        for names in ([v.name for v in inputs], [v.name for v in outputs]):
            if not names or len(set(names)) < len(names):
                raise ValueError(f"Convolutional needs at least one variable and each only once; got {names}")
        if width % 2 == 0:
            raise ValueError(f"Convolutional needs an odd width, which has a middle; got {width}")
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        first = 3 * filters if bilinear else filters
        ends = [2 * filters if bilinear else filters, *hidden]
        sizes = [(width * len(self.inputs), first)]
        sizes += [(width * before, after) for before, after in pairwise(ends)]
        sizes += [(ends[-1], len(self.outputs))]
        keys = jax.random.split(jax.random.key(0) if key is None else key, len(sizes))
        self.layers = tuple(eqx.nn.Linear(*pair, key=k) for pair, k in zip(sizes, keys, strict=True))
        self.entering, self.leaving = Scaling(self.inputs), Scaling(self.outputs)
        self.width, self.bilinear, self.descent = width, bilinear, descent

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Convolutional")
        active = _along(self.layers[0], neighbours(self.entering.pack(fields), self.width))
        if self.bilinear:
            plain, one, other = jnp.split(active, 3, axis=-1)
            active = jnp.concatenate([plain, one * other], axis=-1)
        for layer in self.layers[1:-1]:
            active = jax.nn.relu(_along(layer, neighbours(active, self.width)))
        return self.leaving.unpack(_along(self.layers[-1], active))

    def standardise(self, inputs: Fields, targets: Fields) -> Self:
        scales = self.entering.seen(inputs), self.leaving.seen(targets)
        return eqx.tree_at(lambda m: (m.entering, m.leaving), self, scales)

    def fit(self, inputs: Fields, targets: Fields, *, key: PRNGKeyArray) -> Self:
        return taught(self, inputs, targets, key=key)


def neighbours(values: Array, width: int) -> Array:
    """The values (place, channel) of `width` places about each one, around the circle: (place, width * channel).

    >>> neighbours(jnp.arange(4.0)[:, None], 3).tolist()[0]
    [3.0, 0.0, 1.0]
    """
    reach = width // 2
    return jnp.concatenate([jnp.roll(values, shift, axis=0) for shift in range(reach, -reach - 1, -1)], axis=-1)


def _along(layer: eqx.nn.Linear, values: Array) -> Array:
    made = values @ layer.weight.T
    return made if layer.bias is None else made + layer.bias


def example() -> dict:
    """Advection around a circle of eight places: what each passes on is a product of its neighbours."""
    quantity = Variable("quantity", "1", ("sector",))
    tendency = Variable("tendency", "1", ("sector",))
    states = jax.random.normal(jax.random.key(0), (128, 8))
    change = (jnp.roll(states, -1, 1) - jnp.roll(states, 2, 1)) * jnp.roll(states, 1, 1) - states
    how = Descent(epochs=25, batch_size=32, learning_rate=1e-2)
    learner = Convolutional([quantity], [tendency], filters=4, hidden=(6,), descent=how)
    return {
        "learner": learner,
        "inputs": {"quantity": states},
        "targets": {"tendency": change},
        "source": "doi:10.1016/j.jocs.2020.101171",
    }
