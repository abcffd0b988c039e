"""Boxes of air of many places and days, and how they are carried through time."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...compose import Rollout
from ...core import Fields, Model
from ...mechanisms.chemistry.box import EMISSIONS

DAY = 72  # steps of 20 minutes
STATIC = ("surface_air_pressure", "mixing_height", *(variable.name for variable in EMISSIONS))
NO_EMISSION = 0.003, 1.5  # nmol m-2 s-1: from the open ocean to the means over industrial lands of some hundred km
MOST_NORTHERN, DECLINATION = 60.0, 21.0  # degree; the sun in July


class Boxes(NamedTuple):
    """What drives many boxes, as lessons are taken from."""

    fields: Fields
    warmup: int = 0

    def __len__(self) -> int:
        return len(self.fields[STATIC[0]])

    def take(self, indices: np.ndarray) -> tuple[Fields, Fields, Fields]:
        """Some of the boxes; nothing is observed in them."""
        return {name: values[indices] for name, values in self.fields.items()}, {}, {}

    def between(self, first: int, last: int) -> "Boxes":
        """Some days of all boxes."""
        part = slice(first * DAY, last * DAY)
        return Boxes({name: v if name in STATIC else v[:, part] for name, v in self.fields.items()})

    @classmethod
    def drawn(cls, count: int, days: int, draw: np.random.Generator) -> "Boxes":
        """Places from the equator to 60 degree north in July, remote to polluted, in weather that lasts for days."""
        hour = (np.arange(days * DAY) + 0.5) * 24 / DAY
        latitude = draw.uniform(0, MOST_NORTHERN, (count, 1))
        turn, north, tilt = 2 * np.pi * (hour - 12) / 24, np.deg2rad(latitude), np.deg2rad(DECLINATION)
        height_of_sun = np.sin(north) * np.sin(tilt) + np.cos(north) * np.cos(tilt) * np.cos(turn)
        daily = draw.uniform(2, 6, (count, 1)) * np.cos(2 * np.pi * (hour - 15) / 24)
        warm = 30 - 0.25 * latitude + daily + 3 * _weather(count, days, draw)
        moist = draw.uniform(40, 80, (count, 1)) + 10 * _weather(count, days, draw)
        exchange = np.exp(0.6 * _weather(count, days, draw)) / (3 * 86400)
        nitrogen, carbon, aldehyde = np.exp(
            draw.uniform(np.log(0.01), np.log(10), count) * np.array([[1], [0.8], [0.7]])
        )
        mixed = np.exp(0.4 * draw.normal(size=(2, count)))
        fields = {
            "solar_zenith_angle": np.rad2deg(np.arccos(height_of_sun)),
            "air_temperature": warm,
            "relative_humidity": moist.clip(10, 95),
            "air_exchange_rate": exchange,
            "surface_air_pressure": draw.uniform(9e4, 1.02e5, count),
            "mixing_height": draw.uniform(500, 2000, count),
            "emission_of_nitrogen_monoxide": nitrogen,
            "emission_of_carbon_monoxide": 8 * carbon * mixed[0],
            "emission_of_formaldehyde": 0.4 * aldehyde * mixed[1],
        }
        return cls({name: np.asarray(values, np.float32) for name, values in fields.items()})


def _weather(count: int, days: int, draw: np.random.Generator) -> np.ndarray:
    """Standard numbers (box, step) that wander from day to day, as smooth as straight lines."""
    daily = np.empty((count, days + 1))
    daily[:, 0] = draw.normal(size=count)
    for day in range(days):
        daily[:, day + 1] = 0.7 * daily[:, day] + np.sqrt(1 - 0.7**2) * draw.normal(size=count)
    moments = np.arange(days * DAY) / DAY
    return np.stack([np.interp(moments, np.arange(days + 1), one) for one in daily])


@eqx.filter_jit
def carried(step: Model, boxes: Boxes, start: Fields | None = None) -> Fields:
    """A step carried through all days of all boxes (box, step), from the air around them or from a start."""
    if start is None:
        return jax.vmap(Rollout(step, static=STATIC))(boxes.fields)
    run = jax.vmap(lambda begin, fields: Rollout(step, begin, STATIC)(fields))
    return run({name: jnp.asarray(values) for name, values in start.items()}, boxes.fields)
