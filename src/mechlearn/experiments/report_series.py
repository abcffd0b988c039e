"""The sections of a report on series: the years that tell most, and the error in each regime."""

from collections.abc import Sequence

import numpy as np

from ..evaluation.scores import shortfall
from ..evaluation.uncertainty import hydrological_year
from . import figures
from .config import BASELINES
from .page import Markup, figure, text
from .report_sections import Findings, Row, across, colours
from .wording import label, within

OTHERWISE = {
    "low flow": "low values",
    "medium flow": "medium values",
    "high flow": "high values",
    "driest years": "years of the lowest mean",
    "wettest years": "years of the highest mean",
}


def hydrographs(found: Findings) -> str:
    """Observed flow, the mechanism and the chosen coupling in the wettest and the driest year of the test part."""
    return _years(found) if found.target == "flow" and not found.samples else ""


def time_series(found: Findings) -> str:
    """The same of a target that is no flow, in the years with its highest and its lowest mean."""
    return "" if found.target == "flow" or found.samples else _years(found)


def _years(found: Findings) -> str:
    if not found.series or found.profile:
        return ""
    series, drawn = found.series, []
    time = np.asarray(series["time"], "datetime64[D]")
    units = str(series.get("units", "mm day-1"))
    names = [n for n in ("mechanism_only", found.chosen) if n in series["predictions"]]
    for place in shown_sites(found):
        observed = np.asarray(series["observed"], float)[place]
        spans = _extreme_years(observed, time, found)
        if spans:
            lines = {n: np.asarray(series["predictions"][n], float)[place] for n in names}
            svg = figures.hydrograph(time, observed, lines, spans, units, found.chosen, found.target)
            drawn.append(Markup(f"<h3>{text(series['sites'][place])}</h3>{figure(svg)}"))
    return "".join([colours(found, observed=True, only=names), *drawn]) if drawn else ""


def shown_sites(found: Findings, few: int = 4) -> list[int]:
    """All of a few sites; of many, those where the chosen coupling is best, in the middle and worst."""
    names = [str(site) for site in found.series["sites"]] if found.series else []
    if len(names) <= few:
        return list(range(len(names)))
    scored = {row["site"]: row["value"] for row in found.judged() if _is(row, found) and row["value"] is not None}
    missed = {name: float(shortfall(found.metric, value)) for name, value in scored.items()}
    ordered = sorted((name for name in names if name in scored), key=missed.__getitem__) or names
    return [names.index(ordered[int(share * (len(ordered) - 1))]) for share in (0, 0.5, 1)]


def _is(row: Row, found: Findings) -> bool:
    on_main = row.get("split", found.splits()[0]) == found.splits()[0]
    return row["coupling"] == found.chosen and row["metric"] == found.metric and on_main


def in_test(time: np.ndarray, test: Sequence[str] | None) -> np.ndarray:
    """Which times lie in the test part, or in the last third where it is not known."""
    first, last = (np.datetime64(str(day)[:10]) for day in test) if test else (time[2 * len(time) // 3], time[-1])
    return (time >= first) & (time <= last)


def _extreme_years(observed: np.ndarray, time: np.ndarray, found: Findings) -> dict[str, slice]:
    """The well-observed hydrological years of the test part with the highest and the lowest mean."""
    years, inside = hydrological_year(time), in_test(time, found.extras.get("test"))
    means = {}
    for year in np.unique(years[inside]):
        days = inside & (years == year)
        if np.isfinite(observed[days]).sum() > 250:
            means[year] = np.nanmean(observed[days])
    if not means:
        return {}
    wet, dry = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    words = ("wettest", "driest") if found.target == "flow" else ("highest", "lowest")
    titles = (
        {f"{words[0]} test year, {wet}": wet, f"{words[1]} test year, {dry}": dry} if wet != dry else {str(wet): wet}
    )
    return {title: _days_of(years == year) for title, year in titles.items()}


def _days_of(mask: np.ndarray) -> slice:
    days = np.flatnonzero(mask)
    return slice(int(days[0]), int(days[-1]) + 1)


def regimes(found: Findings) -> str:
    """How each coupling does in low, medium and high flow and in dry and wet years."""
    if found.profile or found.samples:
        return ""
    rows = [row for row in found.extras.get("regimes", []) if row.get("value") is not None]
    if not rows:
        return ""
    metric = rows[0]["metric"]
    rows = [{**row, "regime": _spoken(row["regime"], found.target)} for row in rows if row["metric"] == metric]
    titled = f"{label(metric)}{within(rows[0].get('units'))}"
    main = [row for row in rows if row["coupling"] in (*BASELINES, found.chosen)]
    drawn = figures.regimes(main or rows, titled, found.chosen, f"regime of {found.target}")
    return "".join([figure(drawn), colours(found), across(rows, "regime", found)])


def _spoken(regime: str, target: str) -> str:
    return regime if target == "flow" else OTHERWISE.get(regime, regime)
