"""Pieces of trajectories: what forecasts are taught and judged on."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from ..core import Fields
from .fields import DataError


class Trajectories(eqx.Module):
    """Pieces of long runs, each a first state and what came after it.

    `series` are fields of shape (run, time, ...) at the time step of the model that is taught; one that belongs to a
    step, such as a flux over it, stands at the time the step begins. `take(indices)` gives as fields `initial_<name>`
    of the `states`, as observed the states at the `length` times that follow and the fluxes of the steps that lead
    there, and the spread of each.

    Raises `DataError` when the runs are shorter than a piece.

        >>> pieces = Trajectories({"x": jnp.arange(10.0)[None]}, states=("x",), length=3)
        >>> fields, observed, _ = pieces.take(jnp.array([1]))
        >>> fields["initial_x"].tolist(), observed["x"].tolist(), len(pieces)
        ([3.0], [[4.0, 5.0, 6.0]], 3)
    """

    series: Fields
    scales: Fields
    place: Array
    states: tuple[str, ...] = eqx.field(static=True)
    length: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True, default=0)

    def __init__(
        self, series: dict[str, ArrayLike], *, states: Sequence[str], length: int = 1, stride: int | None = None
    ):
        self.series = {name: jnp.asarray(values, jnp.float32) for name, values in series.items()}
        self.states, self.length, self.warmup = tuple(states), length, 0
        runs, times = self.series[self.states[0]].shape[:2]
        starts = np.arange(0, times - length, stride or length)
        if not len(starts):
            raise DataError(f"no piece of {length} steps fits into runs of {times} states; shorten the pieces")
        self.scales = {name: jnp.std(values) for name, values in self.series.items()}
        self.place = jnp.asarray([(run, start) for run in range(runs) for start in starts], jnp.int32)

    def __len__(self) -> int:
        return self.place.shape[0]

    def take(self, indices: Array) -> tuple[Fields, Fields, Fields]:
        """The pieces of these indices as (fields, observed, spread), with a leading batch axis."""
        return jax.vmap(self._one)(jnp.asarray(indices))

    def _one(self, index: Array) -> tuple[Fields, Fields, Fields]:
        run, start = self.place[index]

        def cut(values: Array, first: Array, length: int) -> Array:
            further = values.shape[2:]
            return jax.lax.dynamic_slice(values, (run, first, *[0] * len(further)), (1, length, *further))[0]

        fields = {f"initial_{name}": cut(self.series[name], start, 1)[0] for name in self.states}
        begins = {name: start + (name in self.states) for name in self.series}
        return fields, {name: cut(v, begins[name], self.length) for name, v in self.series.items()}, self.scales
