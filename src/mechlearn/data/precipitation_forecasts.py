"""Daily precipitation as nine models forecast it and as gauges saw it: Pacific Northwest, winter 2002-2003.

Of the University of Washington's mesoscale ensemble (Eckel & Mass 2005, doi:10.1175/WAF843.1; Sloughter et al. 2007,
doi:10.1175/MWR3441.1).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from .registry import fetch

HUNDREDTH_OF_AN_INCH = 0.254


class Forecasts(NamedTuple):
    """Day (n,), latitude (n,), forecasts (n, model) and observed precipitation (n,), both in mm day-1."""

    day: np.ndarray
    latitude: np.ndarray
    forecast: np.ndarray
    observed: np.ndarray
    models: tuple[str, ...]


def precipitation_forecasts() -> Forecasts:
    """Read all pairs of forecasts and observations, in order of days.

    Raises `DataError` when the file is missing.
    """
    table = pd.read_parquet(fetch("pacific_northwest_precipitation")).sort_values("dates", kind="stable")
    models = tuple(name for name in table.columns if name not in ("observations", "dates", "latitude"))
    day = pd.to_datetime(table["dates"].astype(str), format="%Y%m%d").to_numpy()
    forecast, observed = (HUNDREDTH_OF_AN_INCH * table[part].to_numpy(float) for part in (list(models), "observations"))
    return Forecasts(day, table["latitude"].to_numpy(float), forecast, observed, models)
