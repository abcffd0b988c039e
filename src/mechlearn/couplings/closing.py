"""Laws solved for outputs that a learner then need not say."""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ..core import Fields, Law, Model, Variable, named, union
from ..moist_air import HEAT_CAPACITY, SECONDS, layer_mass
from ..variables import (
    DOWNWELLING_LONGWAVE,
    HALF_LEVEL_PRESSURE,
    LONGWAVE_HEATING,
    NET_LONGWAVE_FLUX,
    UPWELLING_LONGWAVE,
)


class SolvedFor(Model):
    """Single numbers that follow from all others by laws which are linear in them.

    `x_i = -r_i(x_i = 0) / (dr_i / dx_i)`, one law after the other: each residual vanishes to rounding, whatever the
    other fields are. A later law may read what an earlier one was solved for.

    Raises `ValueError` where a law does not read what it is to be solved for, or that has axes.

    Source: Beucler et al. (2021), doi:10.1103/PhysRevLett.126.098302, their architecture-constrained network.

        >>> from mechlearn.laws.flux_balance import FluxBalance
        >>> rain, wet, runoff = (Variable(name, "mm day-1") for name in ("rain", "wet", "runoff"))
        >>> close = SolvedFor((FluxBalance((rain,), (wet, runoff)),), ("runoff",))
        >>> close({"rain": jnp.array(5.0), "wet": jnp.array(2.0)})["runoff"].item()
        3.0
    """

    laws: tuple[Law, ...]
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, laws: Sequence[Law], names: Sequence[str]):
        self.laws, self.names = tuple(laws), tuple(names)
        for law, name in zip(self.laws, self.names, strict=True):
            found = named(law.inputs).get(name)
            if found is None or found.dims:
                raise ValueError(
                    f"a law is solved for a single number that it reads, not for {name!r}; it reads "
                    f"{', '.join(v.name for v in law.inputs if not v.dims)}"
                )

    @property
    def inputs(self) -> tuple[Variable, ...]:
        read = union(*(law.inputs for law in self.laws), where="SolvedFor")
        return tuple(v for v in read if v.name not in self.names)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return tuple(named(law.inputs)[name] for law, name in zip(self.laws, self.names, strict=True))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        made = {v.name: fields[v.name] for v in self.inputs}
        for law, name in zip(self.laws, self.names, strict=True):
            made[name] = _root(law, made, name)
        return {name: made[name] for name in self.names}


def _root(law: Law, fields: Fields, name: str):
    def residual(value):
        return jnp.reshape(law.residual({**fields, name: value}), ())

    kind = jnp.result_type(float, *fields.values())
    left, slope = jax.jvp(residual, (jnp.zeros((), kind),), (jnp.ones((), kind),))
    return -left / slope


class FluxesOfHeating(Model):
    """The long-wave fluxes that go with a heating of layers, so that its sum is what the fluxes leave in the column.

    `N_top = -U_top`, `N_i = N_{i+1} - c_p m_i Q_i`, `D = U + N`: from the heating Q (K day-1) of each layer and the
    upwelling flux U, the net N and the downwelling flux D at every half level (W m-2), ground first. Whoever says Q and
    U, energy closes and nothing comes in at the top.

        >>> column = {"air_pressure_at_half_levels": jnp.array([1e5, 9e4]), "upwelling_longwave_flux_in_air": 300.0}
        >>> column |= {"tendency_of_air_temperature_due_to_longwave_heating": jnp.array([-1.0])}
        >>> FluxesOfHeating()(column)["net_downward_longwave_flux_in_air"].round(1).tolist()
        [-288.1, -300.0]
    """

    inputs: ClassVar = (HALF_LEVEL_PRESSURE, UPWELLING_LONGWAVE, LONGWAVE_HEATING)
    outputs: ClassVar = (NET_LONGWAVE_FLUX, DOWNWELLING_LONGWAVE)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        kept = HEAT_CAPACITY / SECONDS * layer_mass(fields["air_pressure_at_half_levels"])
        kept = kept * fields["tendency_of_air_temperature_due_to_longwave_heating"]
        below = jnp.cumsum(jnp.concatenate([jnp.zeros(1, kept.dtype), kept[::-1]]))[::-1]
        rising = jnp.broadcast_to(fields["upwelling_longwave_flux_in_air"], below.shape)
        net = -rising[-1] - below
        return {"net_downward_longwave_flux_in_air": net, "downwelling_longwave_flux_in_air": rising + net}
