"""The figures of a report: inline SVG whose colours follow the page, in light and in dark."""

import html
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .wording import shown

Row = Mapping[str, Any]

# Stand-ins that matplotlib draws with; the page's own colours take their place.
INK, MUTED, RULE = "#010203", "#040506", "#070809"
CHOSEN, MECHANISM, LEARNER, OTHER, FLOOR = "#0a0b0c", "#0d0e0f", "#101112", "#131415", "#161718"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    CHOSEN: "--chosen",
    MECHANISM: "--mechanism",
    LEARNER: "--learner",
    OTHER: "--other",
    FLOOR: "--floor",
}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mechlearn",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}
LINES = ("-", "--", ":", "-.")


def role(coupling: str, chosen: str | None) -> str:
    """The colour that a coupling has in every figure."""
    fixed = {"mechanism_only": MECHANISM, "learner_only": LEARNER, "climatology": FLOOR, "persistence": FLOOR}
    return CHOSEN if coupling == chosen else fixed.get(coupling, OTHER)


def ranking(
    rows: Sequence[Row], gains: Mapping[str, Row], label: str, chosen: str | None, *, error: bool = False
) -> str:
    """Scores (or errors) with their intervals, best on top, beside the gains over the better baseline."""
    height = 0.9 + 0.31 * len(rows)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, height), layout="constrained")
        score, *rest = np.atleast_1d(
            figure.subplots(1, 2 if gains else 1, sharey=True, width_ratios=[3, 2][: 1 + bool(gains)])
        )
        places = range(len(rows))
        for place, row in zip(places, rows, strict=True):
            _dot(score, place, row, role(row["coupling"], chosen))
        _mark_baselines(score, rows)
        _name_rows(score, rows, chosen)
        score.set_xlim(*_readable_span(rows, error=error))
        _point_beyond(score, rows, chosen)
        score.set_title(label)
        for axes in rest:
            _gain_panel(axes, rows, gains, chosen, error=error)
        return svg(figure, "Scores and gains of every coupling with their intervals")


def _gain_panel(axes: Axes, rows: Sequence[Row], gains: Mapping[str, Row], chosen: str | None, *, error: bool) -> None:
    axes.axvline(0, color=INK, linewidth=0.9)
    for place, row in enumerate(rows):
        if row["coupling"] in gains:
            _dot(axes, place, gains[row["coupling"]], role(row["coupling"], chosen))
    axes.set_xlim(*_readable_span(list(gains.values())))
    axes.set_title("reduction" if error else "gain over the better baseline")
    axes.grid(axis="y", visible=False)


def _dot(axes: Axes, place: float, row: Row, colour: str) -> None:
    if row.get("low") is not None and row.get("high") is not None:
        axes.plot(
            [row["low"], row["high"]], [place, place], color=colour, linewidth=2.2, solid_capstyle="round", alpha=0.55
        )
    hollow = colour in (MECHANISM, LEARNER, FLOOR)
    axes.plot([row["value"]], [place], "D" if hollow else "o", color=colour, markersize=6.5 if hollow else 7.5)


def _mark_baselines(axes: Axes, rows: Sequence[Row]) -> None:
    for row in rows:
        if row["coupling"] in ("mechanism_only", "learner_only"):
            axes.axvline(row["value"], color=role(row["coupling"], None), linewidth=1, linestyle=(0, (4, 3)), zorder=0)


def _name_rows(axes: Axes, rows: Sequence[Row], chosen: str | None) -> None:
    axes.set_yticks(range(len(rows)), [row["coupling"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
        colour = role(row["coupling"], chosen)
        tick.set_color(INK if colour == OTHER else colour)
        tick.set_fontweight("bold" if row["coupling"] == chosen else "normal")


def _readable_span(rows: Sequence[Row], below: float = 0.6, *, error: bool = False) -> tuple[float, float]:
    """The span of all values, not stretched by those that are far worse than the rest."""
    values = [row[key] for row in rows for key in ("value", "low", "high") if row.get(key) is not None]
    low, high, middle = min(values), max(values), float(np.median(values))
    if error:
        high = min(high, 3 * middle)
    elif high <= 1.05:
        low = max(low, middle - below)
    margin = 0.05 * max(high - low, 1e-6)
    return low - margin, high + margin


def _point_beyond(axes: Axes, rows: Sequence[Row], chosen: str | None) -> None:
    """An arrow and the number for every score that lies off an edge."""
    left, right = axes.get_xlim()
    for place, row in enumerate(rows):
        style = {"textcoords": "offset points", "va": "center", "color": role(row["coupling"], chosen)}
        said = f"{row['value']:.2f}".replace("-", "−")
        if row["value"] < left:
            axes.annotate(f"◂ {said}", (left, place), (5, 0), **style)
        if row["value"] > right:
            axes.annotate(f"{said} ▸", (right, place), (-5, 0), ha="right", **style)


def hydrograph(
    time: np.ndarray,
    observed: np.ndarray,
    lines: Mapping[str, np.ndarray],
    spans: Mapping[str, slice],
    units: str,
    chosen: str | None,
    target: str = "flow",
) -> str:
    """Observed and predicted flow (or another target) of one site over named spans of days, side by side."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 2.5), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(spans), sharey=True))
        for axes, (title, span) in zip(panels, spans.items(), strict=True):
            days = time[span].astype("datetime64[D]")
            axes.fill_between(days, observed[span], color=MUTED, alpha=0.16, linewidth=0)
            axes.plot(days, observed[span], color=INK, linewidth=1, label="observed")
            for name, line in lines.items():
                axes.plot(days, line[span], color=role(name, chosen), linewidth=1.3, label=name)
            axes.set_title(title)
            months(axes)
        panels[0].set_ylabel(shown(units))
        if target == "flow":
            panels[0].set_ylim(bottom=0)
        return svg(figure, f"Observed and predicted {target}")


def months(axes: Axes) -> None:
    """Ticks along time at the quarters of the year."""
    locator = dates.MonthLocator(bymonth=(1, 4, 7, 10))
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))
    axes.margins(x=0)
    axes.grid(axis="x", visible=False)


def regimes(rows: Sequence[Row], label: str, chosen: str | None, by: str = "regime of flow") -> str:
    """One metric of the couplings that matter in each regime of the target."""
    names = list(dict.fromkeys(row["regime"] for row in rows))
    couplings = list(dict.fromkeys(row["coupling"] for row in rows))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 0.8 + 0.22 * len(names) * (len(couplings) + 1)), layout="constrained")
        axes = figure.subplots()
        for row in (row for row in rows if row["value"] is not None):
            shift = (couplings.index(row["coupling"]) + 1) / (len(couplings) + 1) - 0.5
            _dot(axes, names.index(row["regime"]) + shift, row, role(row["coupling"], chosen))
        axes.set_yticks(range(len(names)), names)
        axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="y", which="major", visible=False)
        axes.grid(axis="y", which="minor", visible=True)
        axes.tick_params(which="minor", length=0)
        axes.set_title(label)
        return svg(figure, f"{label} by {by}")


def budget(
    rows: Sequence[Row], label: str, chosen: str | None, *, error: bool = False, over: str = "median over sites"
) -> str:
    """Skill against the share of the training years (or the number of dates), a panel a site."""
    sites = list(dict.fromkeys(str(row.get("site", "median")) for row in rows))
    sites = sorted(sites, key=lambda site: site != "median")[:4]
    couplings = list(dict.fromkeys(row["coupling"] for row in rows))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3.4 if "dates" in rows[0] else 2.7), layout="constrained")
        panels = np.atleast_1d(figure.subplots(1, len(sites), sharey=True))
        for axes, site in zip(panels, sites, strict=True):
            here = [row for row in rows if str(row.get("site", "median")) == site]
            _budget_panel(axes, here, couplings, chosen)
            axes.set_title(over if site == "median" else site)
        panels[0].set_ylabel(label)
        panels[0].set_ylim(*_readable_span(rows, error=error))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=3)
        amount = "number of dates" if "dates" in rows[0] else "share of the training part"
        return svg(figure, f"{label} against the {amount}")


def _budget_panel(axes: Axes, rows: Sequence[Row], couplings: Sequence[str], chosen: str | None) -> None:
    by = "dates" if "dates" in rows[0] else "fraction"
    for place, coupling in enumerate(couplings):
        points = sorted(
            (row[by], row["value"]) for row in rows if row["coupling"] == coupling and row["value"] is not None
        )
        if points:
            style = {
                "marker": "o",
                "markersize": 4,
                "linestyle": LINES[place % 4] if role(coupling, chosen) == OTHER else "-",
            }
            axes.plot(*zip(*points, strict=True), color=role(coupling, chosen), label=coupling, **style)
    ticks = sorted({row[by] for row in rows})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick if by == 'dates' else 100 * tick:g}" for tick in ticks])
    axes.set_xlabel("observed dates taught" if by == "dates" else "% of training years")
    axes.minorticks_off()


def learning_curves(curves: Mapping[str, Mapping[str, Sequence[float]]], chosen: str | None) -> str:
    """The loss of each epoch on training and validation part, a panel a coupling."""
    columns = min(4, len(curves))
    lines = -(-len(curves) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 0.4 + 1.75 * lines), layout="constrained")
        panels = np.atleast_1d(figure.subplots(lines, columns, squeeze=False)).ravel()
        for axes, (name, curve) in zip(panels, curves.items(), strict=False):
            for part, style in (("train", (0, (2, 1.5))), ("validation", "-")):
                losses = np.asarray(curve.get(part, ()), float)
                axes.plot(
                    np.arange(1, len(losses) + 1), losses, color=role(name, chosen), linestyle=style, linewidth=1.3
                )
            axes.set_title(_short(name), fontsize=9)
            axes.tick_params(labelsize=8)
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        return svg(figure, "Loss of each epoch: training dashed, validation solid")


def sites(values: Mapping[str, Sequence[float]], label: str, chosen: str | None, *, error: bool = False) -> str:
    """The share of sites on which each coupling scores at least so much, or errs by at most so much."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3), layout="constrained")
        axes = figure.subplots()
        for name, scored in values.items():
            ordered = np.sort(np.clip(scored, -1, None))
            share = np.arange(1, len(ordered) + 1) if error else len(ordered) - np.arange(len(ordered))
            strong = role(name, chosen) in (CHOSEN, MECHANISM, LEARNER)
            axes.plot(ordered, 100 * share / len(ordered), color=role(name, chosen), linewidth=2 if strong else 0.8)
        axes.set_xlim(max(-0.5, axes.get_xlim()[0]), axes.get_xlim()[1])
        axes.set_xlabel(label)
        axes.set_ylabel(f"% of sites at or {'below' if error else 'above'}")
        return svg(figure, f"Distribution of {label} over sites")


def _short(name: str, length: int = 27) -> str:
    """The last words of a dotted name that fit."""
    while len(name) > length and "." in name:
        name = name.partition(".")[2]
    return name if len(name) <= length else name[: length - 1] + "…"


def svg(figure: Figure, title: str) -> str:
    """A figure as an SVG element that takes its colours and font from the page, with ids of its own."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style)[ >].*?</\1>", "", text, flags=re.DOTALL)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, f"var({variable})")
    text = re.sub(r"(font(?:-family)?: [^;\"]*?)'DejaVu Sans'[^;\"]*", r"\1inherit", text)
    mark = f"f{zlib.crc32(text.encode()):x}-"
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{mark}", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)
