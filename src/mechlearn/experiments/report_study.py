"""The page of a study: a table a split, methods down and metrics across, figures, notes and settings."""

from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Any

from . import config
from .page import Column, Markup, figure, number, table, text

Row = dict[str, Any]
ACROSS = 6  # metrics in one table


def page_of(settings: dict[str, Any], rows: Sequence[Row], first: dict[str, Any]) -> str:
    """One self-contained page: scores beside what was expected of them, figures, notes, settings."""
    experiment = settings["experiment"]
    words = [Markup(f"<p>{text(experiment[key])}</p>") for key in ("protocol", "source") if experiment.get(key)]
    sections = {
        "Scores": scores(rows),
        "Figures": "".join(figure(drawing, title) for title, drawing in first["figures"].items()),
        "Notes": "".join(f"<p>{text(note)}</p>" for note in first["notes"]),
        "Settings": f"<pre>{text(config.dump(settings))}</pre>",
    }
    made = Template(resources.files(__package__).joinpath("report_page.html").read_text("utf-8")).substitute(
        title=text(experiment.get("title", experiment["name"])),
        eyebrow=text(f"mechlearn · {experiment['name']}"),
        answer="".join(words),
        facts="",
        links=" ".join(f'<a href="#{name.lower()}">{name}</a>' for name, body in sections.items() if body),
        sections="\n".join(
            f'<section id="{name.lower()}"><h2>{name}</h2>{body}</section>' for name, body in sections.items() if body
        ),
        footer="Every figure and number on this page is inside this file. Where several seeds were run, the least "
        "and the most of them stand in brackets; what was expected stands below what was found.",
    )
    return made.encode("ascii", "xmlcharrefreplace").decode()


def scores(rows: Sequence[Row]) -> Markup:
    """Methods down and metrics across, a table a split; a line a score where methods share few metrics."""
    splits = list(dict.fromkeys(row["split"] for row in rows))
    tables = []
    for split in splits:
        here = [row for row in rows if row["split"] == split]
        heading = "" if splits == ["main"] else f"<h3>{text(split)}</h3>"
        tables.append(heading + (_crossed(here) if _shared(here) else _listed(here)))
    return Markup("".join(tables))


def _shared(rows: Sequence[Row]) -> bool:
    methods, metrics = ({row[key] for row in rows} for key in ("coupling", "metric"))
    return len(methods) > 1 and 2 * len(rows) > len(methods) * len(metrics)


def _crossed(rows: Sequence[Row]) -> Markup:
    methods = list(dict.fromkeys(row["coupling"] for row in rows))
    metrics = list(dict.fromkeys((row["metric"], row["units"]) for row in rows))
    cells = {(row["coupling"], row["metric"], row["units"]): _found(row) for row in rows}
    tables = []
    for begin in range(0, len(metrics), ACROSS):
        part = metrics[begin : begin + ACROSS]
        columns = [Column("method"), *(Column(_heading(*metric), "n") for metric in part)]
        lines = [(method, *(cells.get((method, *metric), "") for metric in part)) for method in methods]
        tables.append(table(columns, [line for line in lines if any(line[1:])]))
    return Markup("".join(tables))


def _listed(rows: Sequence[Row]) -> Markup:
    columns = [Column("method"), Column("metric"), Column("found", "n"), Column("samples", "n"), Column("seconds", "n")]
    lines = [
        (row["coupling"], _heading(row["metric"], row["units"]), _found(row), row["n"], number(row["seconds"], 1))
        for row in rows
    ]
    return table(columns, lines)


def _heading(metric: str, units: str) -> Markup:
    words = text(metric.replace("_", " "))
    return words if units in ("", "1") else Markup(f"{words}<br><small>{text(units)}</small>")


def _found(row: Row) -> Markup:
    span = "" if row["low"] is None else f" <small>[{three(row['low'])}, {three(row['high'])}]</small>"
    wanted = "" if row["expected"] is None else f"<br><small>expected {text(row['expected'])}</small>"
    return Markup(three(row["value"]) + span + wanted)


def three(value: float | None) -> str:
    """A number in three significant digits, with a true minus sign; a dash where there is none.

    >>> three(0.00361), three(-1234.5), three(None)
    ('0.00361', '−1,230', '–')
    """
    if value is None or value != value:
        return "–"
    rounded = float(f"{value:.3g}")
    shown = f"{rounded:,.0f}" if 1e3 <= abs(rounded) < 1e9 else f"{rounded:.3g}"
    return shown.replace("-", "−")
