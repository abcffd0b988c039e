"""Long-wave radiation of air that absorbs all wavelengths alike: one optical depth, which water vapour adds to."""

from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model
from ...longwave import COLUMN, FLUXES, STEFAN_BOLTZMANN, answer, at_half_levels, example_column, fluxes
from ...parameters import Parameter

STANDARD = 1e5  # Pa
REFERENCE = 360.0  # 1e-6 of carbon dioxide


class GreyLongwave(Model):
    """Two streams through grey air whose optical depth grows with pressure, humidity and carbon dioxide.

    `d tau = (a + b q + c ln(CO2 / 360)) dp / 1e5 Pa`, `dU/d tau = U - sigma T^4`, `dD/d tau = sigma T^4 - D`: fluxes in
    W m-2 at half levels, heating in K day-1 at levels. It reads and gives what `radiation.longwave` does (ozone does
    nothing here), so that it stands in for it. Levels run from the ground up.

    Byrne & O'Gorman (2013), doi:10.1175/JCLI-D-12-00262.1; carbon dioxide as in Vallis et al. (2018),
    doi:10.5194/gmd-11-843-2018.

        >>> made = GreyLongwave()(example_column())
        >>> round(float(made["upwelling_longwave_flux_in_air"][-1]))
        245
    """

    dry: Parameter = Parameter(0.8678, "1", (0.0, 5.0), "a: optical depth of the well mixed absorbers")
    vapour: Parameter = Parameter(1997.9, "1", (0.0, 10000.0), "b: optical depth of an atmosphere of water vapour")
    forcing: Parameter = Parameter(0.17, "1", (0.0, 1.0), "c: optical depth by e-fold of carbon dioxide")
    carbon_dioxide: Parameter = Parameter(410.0, "1e-6", (1.0, 10000.0), "mole fraction of carbon dioxide", fixed=True)
    inputs: ClassVar = COLUMN
    outputs: ClassVar = FLUXES

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        half = fields["air_pressure_at_half_levels"]
        warmth = fields["air_temperature_profile"]
        edge = at_half_levels(fields["air_pressure"], half, warmth)
        depth = self.optical_depth(half, fields["specific_humidity"])[:, None]
        warm = (warmth, edge, fields["surface_temperature"])
        middle, edge, ground = (STEFAN_BOLTZMANN * t[..., None] ** 4 for t in warm)
        return answer(half, *fluxes(depth, middle, edge[:-1], edge[1:], ground, fields["surface_emissivity"]))

    def optical_depth(self, half_level_pressure: Array, specific_humidity: Array) -> Array:
        """The optical depth (1) of each layer."""
        carbon = self.forcing.value * jnp.log(self.carbon_dioxide.value / REFERENCE)
        a_unit = self.dry.value + carbon + self.vapour.value * specific_humidity
        return -a_unit * jnp.diff(half_level_pressure) / STANDARD


def example() -> dict[str, Any]:
    """One kind of air throughout: `D = sigma T^4 (1 - exp(-tau))` at the ground, `U = sigma T^4` everywhere."""
    column = example_column()
    column |= {"air_temperature_profile": jnp.full(4, 280.0), "surface_temperature": jnp.asarray(280.0)}
    column |= {"specific_humidity": jnp.full(4, 1e-3), "surface_emissivity": jnp.asarray(1.0)}
    above = (column["air_pressure_at_half_levels"] - 1e2) / 1e5
    black = STEFAN_BOLTZMANN * 280.0**4
    sky = black * -jnp.expm1(-(0.8678 + 0.17 * jnp.log(410 / 360) + 1.9979) * above)
    return {
        "model": GreyLongwave(),
        "inputs": column,
        "published": {"upwelling_longwave_flux_in_air": [black] * 5, "downwelling_longwave_flux_in_air": sky},
        "tolerance": 1e-5,
        "source": "Byrne & O'Gorman 2013, doi:10.1175/JCLI-D-12-00262.1; isothermal closed form",
    }
