"""The emulator of RRTMGP inside a column of air: does its climate stay that of the scheme?"""

from typing import Literal

import jax.numpy as jnp
import numpy as np

from ...couplings.embedded.emulated_longwave import ready
from ...data import gas_optics
from ...mechanisms.radiation.longwave import Longwave
from ..study import Findings, Score
from ._air_columns import SURFACE, YEAR, Q, T, host, run, weather

COUPLING = "embedded.replacement (learned correlated k, shipped)"


def study(
    *,
    optics: Literal["rrtmgp", "ecckd"] = "rrtmgp",
    latitudes=(10.0, 45.0),
    spin_up: float = 1.0,
    years: float = 10.0,
    every: int = 8,
    seed: int,
) -> Findings:
    """Ten years of a column of air over a slab of ocean, with the scheme and with its emulator, under one weather.

    The emulator that comes with the package was taught on columns of reanalyses and forecasts, never on this host's.
    Both start where the scheme's own spin-up ends. Differences of means over all years after the first, the worst of
    the columns and levels; the drift is that of the last year's difference against the second's.
    Krasnopolsky et al. (2005), doi:10.1175/MWR2923.1.
    """
    tables = gas_optics.rrtmgp() if optics == "rrtmgp" else Longwave().optics
    before = run(host(Longwave(optics=tables)), weather(latitudes, spin_up, 200 + seed), keep=(T, Q, SURFACE))
    start = {name: jnp.asarray(values[:, -1]) for name, values in before.items()}
    forcing = weather(latitudes, years, 300 + seed)
    truth, made = (
        run(host(Longwave(optics=one)), forcing, start, keep=(T, SURFACE), every=every) for one in (tables, ready())
    )
    year = YEAR // every
    apart = {name: np.asarray(made[name], float) - np.asarray(truth[name], float) for name in (T, SURFACE)}
    later = {name: values[:, min(year, values.shape[1] // 2) :] for name, values in apart.items()}
    yearly = apart[T][:, : apart[T].shape[1] // year * year] if apart[T].shape[1] >= year else apart[T]
    parts = yearly.reshape(len(latitudes), -1, min(year, yearly.shape[1]), yearly.shape[-1]).mean(axis=2)
    variance = [np.asarray(one[T], float)[:, later[T].shape[1] * -1 :].var(axis=1) for one in (made, truth)]
    ratio = variance[0] / np.maximum(variance[1], 1e-9)
    mean = later[T].mean(axis=1)
    found = {
        "online_mean_temperature": (np.abs(mean).max(), "K"),
        "online_mean_temperature_of_the_column": (np.abs(mean.mean(axis=1)).max(), "K"),
        "online_surface_temperature": (np.abs(later[SURFACE].mean(axis=1)).max(), "K"),
        "online_drift": (np.abs(parts[:, -1] - parts[:, min(1, parts.shape[1] - 1)]).max(), "K"),
        "online_variance_ratio_farthest_from_1": (ratio.flat[np.abs(ratio - 1).argmax()], "1"),
    }
    return Findings(
        [
            Score(COUPLING, metric, float(value), units, "embedded", "mlp", "flow.column", T, n=len(latitudes))
            for metric, (value, units) in found.items()
        ],
        notes=[f"{years:g} years of {len(latitudes)} columns of 24 levels, radiation every three hours, by {optics}."],
    )
