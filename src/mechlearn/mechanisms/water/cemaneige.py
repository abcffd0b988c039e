"""CemaNeige: a snow cover in elevation bands that must warm up before it melts (one day)."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import ArrayLike, PRNGKeyArray

from ...core import Fields, Model, Variable
from ...parameters import Parameter
from ...variables import AIR_TEMPERATURE, PRECIPITATION

MELTED = ("snowmelt", "water that leaves the snow cover")
WET = ("water_to_soil", "rain and outflow of the snow cover")
SNOWPACK = Variable("snowpack", "mm", ("band",), (0, math.inf), long_name="snow of each band, over the whole catchment")
THERMAL = Variable("thermal_state", "degC", ("band",), (-math.inf, 0.0), long_name="cold content of the snow cover")
SNOWFALL, SNOWMELT, TO_SOIL = (
    Variable(name, "mm day-1", bounds=(0, math.inf), long_name=meaning)
    for name, meaning in (("snowfall", "precipitation that falls as snow"), MELTED, WET)
)


class CemaNeige(Model):
    """Snow accumulates below freezing and melts by degree-days once its cold content is used up.

    `eTG = min(0, CTG eTG + (1 - CTG) T)`; melt is `Kf T` where eTG = 0 and T > 0, slowed to a tenth
    as the cover thins: `(0.9 min(1, G / 0.9 QNBV) + 0.1)`. Snow turns into rain linearly from -1 to
    3 degC. `bands` are the elevations (m) of bands of equal area relative to the station; air cools
    by a constant lapse rate between them. Snowpack is in mm over the whole catchment, so it sums.

    Valery et al. 2014, doi:10.1016/j.jhydrol.2014.04.058. The cold-content switch is a step, so
    CTG has no slope in melt: choose it by several starts.

        >>> cold = {"precipitation": 4.0, "air_temperature": -5.0}
        >>> float(CemaNeige()({**cold, **CemaNeige().initial()})["snowpack"][0])
        4.0
    """

    cold_content_factor: Parameter = Parameter(0.25, "1", (0.0, 1.0), "CTG: weight of yesterday's cold content")
    degree_day_factor: Parameter = Parameter(3.74, "mm degC-1 day-1", (0.5, 20.0), "Kf: melt per degree and day")
    annual_snowfall: Parameter = Parameter(350.0, "mm", (1.0, 2000.0), "QNBV: mean snowfall of a year", fixed=True)
    lapse_rate: Parameter = Parameter(0.4, "degC hm-1", (0.0, 1.0), "cooling with 100 m of elevation", fixed=True)
    bands: tuple[float, ...] = eqx.field(static=True, default=(0.0,), converter=lambda bands: tuple(map(float, bands)))

    state: ClassVar[tuple[str, ...]] = ("snowpack", "thermal_state")
    stores: ClassVar[tuple[str, ...]] = ("snowpack",)
    exchange: ClassVar[tuple[str, ...]] = ()
    losses: ClassVar[tuple[str, ...]] = ("water_to_soil",)
    inputs: ClassVar = (PRECIPITATION, AIR_TEMPERATURE, SNOWPACK, THERMAL)
    outputs: ClassVar = (TO_SOIL, SNOWFALL, SNOWMELT, SNOWPACK, THERMAL)

    def initial(self) -> dict[str, ArrayLike]:
        return {"snowpack": jnp.zeros(len(self.bands)), "thermal_state": jnp.zeros(len(self.bands))}

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        water = jnp.asarray(fields["precipitation"]) / len(self.bands)
        warmth = fields["air_temperature"] - self.lapse_rate.value * jnp.asarray(self.bands) / 100
        snowfall = water * jnp.clip((3 - warmth) / 4, 0, 1)
        pack = fields["snowpack"] + snowfall
        factor = self.cold_content_factor.value
        thermal = jnp.minimum(factor * fields["thermal_state"] + (1 - factor) * warmth, 0)
        melt = self._melt(pack, warmth, thermal)
        made = {
            "snowfall": jnp.sum(snowfall),
            "snowmelt": jnp.sum(melt),
            "water_to_soil": jnp.sum(water - snowfall + melt),
        }
        return {**made, "snowpack": pack - melt, "thermal_state": thermal}

    def _melt(self, pack, warmth, thermal):
        share = 1 / len(self.bands)
        ripe = (thermal >= 0) & (warmth > 0)
        potential = jnp.where(ripe, jnp.minimum(self.degree_day_factor.value * warmth * share, pack), 0)
        cover = jnp.minimum(pack / (0.9 * self.annual_snowfall.value * share), 1)
        return (0.9 * cover + 0.1) * potential


class NoSnow(Model):
    """All precipitation reaches the soil at once: the snow of a catchment that has none."""

    stores: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar = (PRECIPITATION,)
    outputs: ClassVar = (TO_SOIL,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return {"water_to_soil": fields["precipitation"]}


def example() -> dict[str, Any]:
    """A thaw on half a full snow cover, worked by hand from the equations."""
    day = {"precipitation": jnp.asarray(8.0), "air_temperature": jnp.asarray(2.0)}
    store = {"snowpack": jnp.asarray([155.5]), "thermal_state": jnp.asarray([-0.4])}
    # snowfall 8/4 = 2; pack 157.5 = half of 0.9*350; eTG min(0, -0.1 + 1.5) = 0; melt (0.45 + 0.1)*3.74*2 = 4.114.
    published = {"snowmelt": 4.114, "water_to_soil": 10.114, "snowpack": [153.386]}
    source = "Valery et al. 2014, doi:10.1016/j.jhydrol.2014.04.058"
    return {"model": CemaNeige(), "inputs": day | store, "published": published, "tolerance": 1e-4, "source": source}
