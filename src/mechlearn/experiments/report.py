"""The report of a run: one page that holds everything it shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from ..evaluation.scores import PERFECT
from . import report_profiles as profiles
from . import report_samples as samples
from . import report_sections as sections
from . import report_series as series
from .config import BASELINES, FLOOR
from .page import Markup, number, text
from .storage import read_json, write_text
from .wording import after, is_error, label, spoken_target

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Found:
    """What a run left behind, as a report reads it.

    `rows` are those of results.json, `extras` those of report.json, `series` the predictions: {predictions:
    {coupling: (site, time)}, observed: (site, time), time, sites, units}, or None.
    """

    rows: Rows
    extras: dict[str, Any]
    series: Mapping[str, Any] | None = None

    @property
    def metric(self) -> str:
        """The metric that ranks: the first one scored, unless the run names another."""
        return self.extras.get("metric") or next((row["metric"] for row in self.rows), "nse")

    @property
    def units(self) -> str:
        """The units of the metric that ranks."""
        return next((row.get("units") or "" for row in self.rows if row["metric"] == self.metric), "")

    @property
    def target(self) -> str:
        """The target in words."""
        return spoken_target(self.rows)

    @property
    def profile(self) -> bool:
        """Whether the target varies with depth."""
        kept = self.series is not None and "depth" in self.series
        return kept or any(row["metric"] == "inverted_pairs" for row in self.rows)

    @property
    def over(self) -> str:
        """What a score over all sites is: nothing to say where there is one site."""
        if self.samples:
            return "over all samples"
        return "" if self.profile and len(self.sites()) == 1 else "median over sites"

    @property
    def samples(self) -> bool:
        """Whether the run is of independent samples."""
        return bool(self.extras.get("independent"))

    @property
    def chosen(self) -> str | None:
        """The coupling a user would take: the best on the validation part, or else on the test part."""
        if self.extras.get("chosen"):
            return self.extras["chosen"]
        return next((row["coupling"] for row in self.ranking() if row["coupling"] not in (*BASELINES, *FLOOR)), None)

    def picked(self, metric: str, *, site: str = "median", split: str | None = None) -> Rows:
        """The test rows of one metric at one site, on the main split unless another is named."""
        split = split or self.splits()[0]
        return [
            row
            for row in self.judged()
            if row["metric"] == metric and row.get("site", "median") == site and row.get("split", split) == split
        ]

    def judged(self) -> Rows:
        """The rows of the test part, taught on all training years, that are no controls."""
        return [
            row
            for row in self.rows
            if row.get("part", "test") == "test" and row.get("fraction", 1.0) == 1.0 and not row.get("control")
        ]

    def splits(self) -> list[str]:
        """The splits in the order they were written, the main one first."""
        return list(dict.fromkeys(str(row.get("split", "main")) for row in self.judged())) or ["main"]

    def sites(self) -> list[str]:
        """The sites that were scored one by one."""
        named = (row.get("site", "median") for row in self.judged())
        return [site for site in dict.fromkeys(named) if site != "median"]

    def ranking(self, metric: str = "", *, split: str | None = None) -> Rows:
        """The rows of a metric over all sites, nearest to perfect first."""
        metric = metric or self.metric
        rows = [row for row in self.picked(metric, split=split) if row["value"] is not None]
        return sorted(rows, key=lambda row: abs(row["value"] - PERFECT.get(metric, 0)))

    def controlled(self) -> Rows:
        """The test rows of controls over all sites, in the metric that ranks."""
        return [
            row
            for row in self.rows
            if row.get("control")
            and row.get("part", "test") == "test"
            and row["metric"] == self.metric
            and row.get("site", "median") == "median"
        ]

    def gains(self, split: str | None = None) -> dict[str, dict[str, Any]]:
        """By how much each coupling beats the better baseline, by its name."""
        return {
            row["coupling"]: row for row in self.picked(f"{self.metric}_gain", split=split) if row["value"] is not None
        }


def write_report(folder: Path | str, predictions: Mapping[str, Any] | None = None) -> Path:
    """Write report.html from what a run left in a folder, whole or not at all, and return its path.

    Reads results.json and, where they are there, report.json, environment.json and predictions.nc (or takes the
    predictions given). Whatever is missing is left out of the page.

    Raises `RequestError` when results.json is missing or is no JSON.
    """
    folder = Path(folder)
    found = read(folder, predictions)
    # Plain ASCII with character references reads the same whatever encoding a file is opened in.
    write_text(folder / "report.html", render(found).encode("ascii", "xmlcharrefreplace").decode())
    return folder / "report.html"


def read(folder: Path, predictions: Mapping[str, Any] | None = None) -> Found:
    """What a run left in a folder."""
    extras = _optional(folder / "environment.json")
    extras = {"environment": extras, "command": extras.get("command"), **_optional(folder / "report.json")}
    return Found(read_json(folder / "results.json"), extras, predictions or _predictions(folder / "predictions.nc"))


def render(found: Found) -> str:
    """The page as text."""
    called = {"Held-out years": "Held out"} if found.samples else {}
    written = {called.get(title, title): body for title, make in SECTIONS.items() if (body := make(found))}
    anchors = {title: title.lower().replace(" ", "-") for title in written}
    parts = (
        f'<section id="{anchors[title]}"><h2>{text(title)}</h2>{body}</section>' for title, body in written.items()
    )
    title = found.extras.get("title") or "Which coupling earns its place here"
    names = dict.fromkeys(str(row.get("experiment", "")) for row in found.rows)
    return Template(resources.files(__package__).joinpath("report_page.html").read_text("utf-8")).substitute(
        title=text(title),
        eyebrow=text(" · ".join(["mechlearn", *filter(None, names)])),
        answer=answer(found),
        facts=facts(found),
        links=" ".join(f'<a href="#{anchor}">{text(title)}</a>' for title, anchor in anchors.items()),
        sections="\n".join(parts),
        footer="Every figure and number on this page is inside this file. Intervals hold nine draws in ten of "
        f"{'groups of samples' if found.samples else 'hydrological years'} and seeds.",
    )


def answer(found: Found) -> Markup:
    """Which coupling earns its place, in a sentence, with the gain that says so."""
    rows = {row["coupling"]: row for row in found.ranking()}
    if found.chosen not in rows:
        return Markup('<p class="answer">No coupling was scored on the test part.</p>')
    row, gain = rows[found.chosen], found.gains().get(found.chosen)
    how = "chosen on the validation part" if found.extras.get("chosen") else "the best on the test part"
    median = found.over and not found.samples
    kind = f"a median {label(found.metric)}" if median else f"{_article(found.metric)} {label(found.metric)}"
    score = f"{kind} of {number(row['value'], 2)}{after(found.units)}{_between(row)}"
    said = f"<b>{text(found.chosen)}</b>, {how}, reaches {score}"
    return Markup(f'<p class="answer">{said}{_verdict(gain, rows, found)}</p>')


def _article(metric: str) -> str:
    return "an" if metric in ("nse", "rmse") else "a"


def _verdict(gain: dict[str, Any] | None, rows: Mapping[str, dict[str, Any]], found: Found) -> str:
    if gain is None:
        return "."
    reference = gain.get("reference") or next((name for name in rows if name in BASELINES), "the better baseline")
    word = "reduction" if is_error(found.metric) else "gain"
    if gain.get("low") is None or gain.get("high") is None:
        verdict = "There is no interval to say whether that is more than chance."
    elif gain["low"] > 0:
        verdict = f"It earns its place: the interval of its {word} lies above zero."
    elif gain["high"] < 0:
        verdict = f"It does not earn its place here: take {text(reference)}."
    else:
        verdict = f"Whether it earns its place is not settled: the interval of its {word} holds zero."
    return f", {_compared(gain, text(reference), found)}, the better of the two baselines. {verdict}"


def _compared(gain: dict[str, Any], reference: str, found: Found) -> str:
    size, bounds = f"{number(abs(gain['value']), 2)}{after(found.units)}", _between(gain, signed=True)
    if not is_error(found.metric):
        return f"{size}{bounds} {'above' if gain['value'] >= 0 else 'below'} {reference}"
    if gain["value"] >= 0:
        return f"a reduction of {size}{bounds} against {reference}"
    return f"{size} worse than {reference}{bounds.replace('(', '(reduction ')}"


def _between(row: Mapping[str, Any], *, signed: bool = False) -> str:
    if row.get("low") is None or row.get("high") is None:
        return ""
    return f" ({number(row['low'], 2, signed=signed)} to {number(row['high'], 2, signed=signed)})"


def facts(found: Found) -> Markup:
    """What the comparison rests on, in a line of numbers."""
    rows = found.ranking()
    sites, span = found.sites(), found.extras.get("test") or []
    series_sites = len(found.series["sites"]) if found.series else 0
    shown = {
        "groups" if found.samples else "site" if len(sites) == 1 else "sites": len(sites) or series_sites,
        "couplings and baselines": len(rows),
        f"observed test {'samples' if found.samples else 'values' if found.profile else 'days'}": max(
            (row.get("n") or 0 for row in rows), default=0
        ),
        "seeds each": max((row.get("seeds") or 0 for row in rows), default=0),
        "test part": " to ".join(str(day)[:7] for day in span),
    }
    items = (f"<li><b>{_grouped(value)}</b><span>{text(name)}</span></li>" for name, value in shown.items() if value)
    return Markup(f'<ul class="facts">{"".join(items)}</ul>')


def _grouped(value: Any) -> Markup:
    return text(f"{value:,}".replace(",", "\u202f") if isinstance(value, int) else value)


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _predictions(path: Path) -> Mapping[str, Any] | None:
    """The series of predictions.nc: the variable that has an observed one beside it, along its axis of couplings."""
    if not path.is_file():
        return None
    from ..data.fields import open_file

    with open_file(path) as dataset:
        targets = [str(name).removesuffix("_observed") for name in dataset.data_vars if str(name).endswith("_observed")]
        if not targets or "coupling" not in dataset[targets[0]].dims:
            return None
        predicted = dataset[targets[0]].transpose("coupling", "site", "time", ...)
        return {
            "predictions": dict(zip(map(str, predicted["coupling"].values), predicted.values, strict=True)),
            "observed": dataset[f"{targets[0]}_observed"].transpose("site", "time", ...).values,
            "time": dataset["time"].values,
            "sites": [str(site) for site in dataset["site"].values],
            "units": predicted.attrs.get("units", ""),
            **({"depth": dataset["depth"].values} if "depth" in predicted.dims else {}),
        }


SECTIONS: dict[str, Callable[[Found], str]] = {
    "Ranking": sections.ranking,
    "Hydrographs": series.hydrographs,
    "Time series": series.time_series,
    "Depth and time": profiles.depth_and_time,
    "Error by regime": series.regimes,
    "Error by season and depth": profiles.errors,
    "Inverted profiles": profiles.inverted,
    "Error by class": samples.classes,
    "Held-out years": sections.held_out,
    "Spread": profiles.spread,
    "Physics": sections.physics,
    "Data budget": sections.budget,
    "Learning curves": sections.learning_curves,
    "Controls": sections.controls,
    "Sites": sections.sites,
    "What was run": sections.what_was_run,
}
