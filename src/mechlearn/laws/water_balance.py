"""Water is neither made nor lost."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike

from ..core import Fields, Law, Variable


class WaterBalance(Law):
    """What enters a catchment leaves it or is stored: `sum(gains) - sum(losses) - change of stores = 0`.

    Gains and losses are fluxes in mm day-1, stores hold mm (further axes, such as lags, are summed).
    The residual is that of each day in mm day-1; with `window=365` the mean of each whole window of
    days (a shorter series is one window), so that what a year stores averages out. A change of stores
    needs the store before: `initial` gives it before the first day, without it the second day is the
    first that is judged. Names stand for series; give a `Variable` to say more.

        >>> law = WaterBalance(("precipitation",), ("runoff",), ("soil_moisture",), initial={"soil_moisture": 5.0})
        >>> rain, flow, soil = jnp.array([3.0, 0.0]), jnp.array([1.0, 1.0]), jnp.array([7.0, 5.5])
        >>> law.residual({"precipitation": rain, "runoff": flow, "soil_moisture": soil}).tolist()
        [0.0, 0.5]
    """

    gains: tuple[Variable, ...] = eqx.field(static=True)
    losses: tuple[Variable, ...] = eqx.field(static=True)
    stores: tuple[Variable, ...] = eqx.field(static=True)
    initial: dict[str, ArrayLike] | None
    window: int | None = eqx.field(static=True)

    def __init__(
        self,
        gains: Sequence[str | Variable] = ("precipitation",),
        losses: Sequence[str | Variable] = ("runoff", "evapotranspiration"),
        stores: Sequence[str | Variable] = (),
        *,
        initial: Mapping[str, ArrayLike] | None = None,
        window: int | None = None,
    ):
        if window is not None and window < 1:
            raise ValueError(f"a window has at least one day, got {window}")
        self.gains, self.losses = _series(gains, "mm day-1"), _series(losses, "mm day-1")
        self.stores, self.window = _series(stores, "mm"), window
        self.initial = None if initial is None else dict(initial)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (*self.gains, *self.losses, *self.stores)

    def residual(self, fields: Fields) -> Array:
        entered, left = (sum((fields[v.name] for v in names), jnp.zeros(())) for names in (self.gains, self.losses))
        excess = entered - left
        if self.stores:
            excess = self._less_stored(excess, fields)
        if self.window is None:
            return excess
        length = min(self.window, len(excess))
        whole = excess[: len(excess) // length * length]
        return jnp.mean(whole.reshape(-1, length), axis=1)

    def _less_stored(self, excess: Array, fields: Fields) -> Array:
        each = (jnp.reshape(fields[v.name], (len(excess), -1)).sum(axis=1) for v in self.stores)
        held = sum(each, jnp.zeros(()))
        if self.initial is None:
            return excess[1:] - jnp.diff(held)
        before = sum(jnp.sum(jnp.asarray(self.initial[v.name])) for v in self.stores)
        return excess - jnp.diff(held, prepend=jnp.reshape(before, (1,)).astype(held.dtype))


def _series(names: Sequence[str | Variable], units: str) -> tuple[Variable, ...]:
    return tuple(name if isinstance(name, Variable) else Variable(name, units, ("time",)) for name in names)


def example() -> dict[str, Any]:
    """Two days of a soil that takes up rain; the broken one loses half a millimetre."""
    obeyed = {"precipitation": [3.0, 0.0], "runoff": [1.0, 0.5], "evapotranspiration": [0.0, 1.0]}
    stored = {"soil_moisture": jnp.array([7.0, 5.5])}
    fields = {name: jnp.array(series) for name, series in obeyed.items()} | stored
    law = WaterBalance(stores=("soil_moisture",), initial={"soil_moisture": 5.0})
    return {"law": law, "obeyed": fields, "broken": fields | {"soil_moisture": jnp.array([7.0, 5.0])}}
