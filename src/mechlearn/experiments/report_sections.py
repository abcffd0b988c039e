"""The sections of a report: each takes what was found and gives HTML, or nothing where nothing was."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..evaluation.scores import shortfall
from . import figures
from .config import FLOOR
from .page import Column, Markup, definitions, figure, folded, key, note, number, spanned, table, text
from .wording import is_error, label, within

Row = dict[str, Any]
MANY = 12


class Findings(Protocol):
    """What the sections read of a run."""

    extras: dict[str, Any]
    series: Mapping[str, Any] | None

    @property
    def metric(self) -> str: ...
    @property
    def units(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def over(self) -> str: ...
    @property
    def profile(self) -> bool: ...
    @property
    def samples(self) -> bool: ...
    @property
    def chosen(self) -> str | None: ...
    def picked(self, metric: str, *, site: str = "median", split: str | None = None) -> list[Row]: ...
    def judged(self) -> list[Row]: ...
    def splits(self) -> list[str]: ...
    def sites(self) -> list[str]: ...
    def ranking(self, metric: str = "", *, split: str | None = None) -> list[Row]: ...
    def controlled(self) -> list[Row]: ...
    def gains(self, split: str | None = None) -> dict[str, Row]: ...


def ranking(found: Findings) -> str:
    """Every coupling by its score, with intervals, gains and costs."""
    rows = found.ranking()
    if not rows:
        return ""
    wanted = ("nse", "mean_error", "inverted_pairs") if found.profile else ("nse", "kge", "nse_log")
    wanted = ("mean_absolute_error", "mean_error", "coverage") if found.samples else wanted
    others = [m for m in (*wanted, "fallback_share") if m != found.metric and found.picked(m)]
    gains = found.gains()
    more = {metric: {row["coupling"]: row for row in found.picked(metric)} for metric in others}
    error = is_error(found.metric)
    columns = [Column("", "n"), Column("coupling", "name"), *[Column("paradigm")] * (not found.profile)]
    columns += [Column(_headed(found.metric, rows), "n")]
    columns += [Column("reduction" if error else "gain", "n")] * bool(gains)
    columns += [Column(_headed(metric, more[metric].values()), "n") for metric in others]
    columns += [Column("seconds", "n"), Column("peak MB", "n")]
    body = [
        [place, named(row["coupling"]), *[row.get("paradigm", "")] * (not found.profile), spanned(row)]
        + [spanned(gains.get(row["coupling"]), signed=True)] * bool(gains)
        + [number((more[metric].get(row["coupling"]) or {}).get("value")) for metric in others]
        + [number(row.get("seconds") or None, 1), number(row.get("peak_mb") or None, 0)]
        for place, row in enumerate(rows, 1)
    ]
    titled = f"{_headed(found.metric, rows)}{', ' * bool(found.over)}{found.over}"
    drawn = figures.ranking(rows, gains, titled, found.chosen, error=error)
    said = [
        note(_persistence(rows, found)),
        figure(drawn),
        colours(found),
        note(_gain_words(error, "groups" if found.samples else "years")),
    ]
    return "".join([*said, table(columns, body, [css_class(row["coupling"], found.chosen) for row in rows])])


def _gain_words(error: bool, drawn: str = "years") -> str:
    said = "Dashed lines mark the two baselines, which had the same data and the same tuning budget. "
    if error:
        return said + f"Lower is better; a reduction is taken from the better of them, {drawn} drawn in pairs."
    return (
        said + f"A gain is the distance to perfect that the better of them is ahead or behind, {drawn} drawn in pairs."
    )


def _headed(metric: str, rows: Iterable[Row]) -> str:
    """A metric with its units."""
    if metric == "inverted_pairs":
        return "inverted (%)"
    return label(metric) + within(next((row.get("units") for row in rows), ""))


def named(coupling: str) -> Markup:
    """A coupling's name that may be broken after its dots."""
    return Markup(text(coupling).replace(".", ".<wbr>"))


def _persistence(rows: Sequence[Row], found: Findings) -> str:
    told = "Test part only: no choice was made on it."
    if any(row["coupling"] == "persistence" for row in rows):
        before = "of the day before" if found.target == "flow" else "of the date before"
        told += f" Persistence reads the observed {found.target} {before}, which nothing else here does: "
        told += "it is a forecast, not a simulation."
    return told


def held_out(found: Findings) -> str:
    """The other splits that were run: driest and wettest years, other sites, other regions."""
    further = found.splits()[1:]
    if not further:
        return ""
    rows = [{**row, "split": split} for split in further for row in found.ranking(split=split)]
    gained = [{**row, "split": split} for split in further for row in found.gains(split).values()]
    words = f"{label(found.metric)}{within(found.units)} on what was held out on purpose; "
    words += "every coupling was taught anew without it."
    tables = [note(words), across(rows, "split", found)]
    title = "Reduction against the better baseline" if is_error(found.metric) else "Gain over the better baseline"
    return "".join([*tables, f"<h3>{title}</h3>", across(gained, "split", found, signed=True)] if gained else tables)


def across(rows: Sequence[Row], column: str, found: Findings, *, signed: bool = False) -> Markup:
    """A table with couplings down and another column of the rows across."""
    across = list(dict.fromkeys(row[column] for row in rows))
    down = list(dict.fromkeys(row["coupling"] for row in rows))
    cells = {(row["coupling"], row[column]): row for row in rows}
    columns = [Column("coupling", "name"), *(Column(str(one), "n") for one in across)]
    body = [[named(name), *(spanned(cells.get((name, one)), signed=signed) for one in across)] for name in down]
    return table(columns, body, [css_class(name, found.chosen) for name in down])


def physics(found: Findings) -> str:
    """What each coupling does when it is probed, and by how much it breaks each law."""
    probes, audited = found.extras.get("probes", []), found.extras.get("audit", [])
    parts = []
    if probes:
        words = "Forcing changed on purpose. A coupling passes at every site or shows at how many it fails."
        parts += [note(words), _probe_table(probes, found), _probe_meanings(probes)]
    if audited:
        words = "The mean and the largest residual of each law, and the share of places where it exceeds the tolerance."
        parts += ["<h3>Laws</h3>", *([] if probes else [note(words)]), _audit_table(audited)]
    return "".join(parts)


def _probe_table(probes: Sequence[Row], found: Findings) -> Markup:
    names, couplings = (list(dict.fromkeys(row[column] for row in probes)) for column in ("name", "coupling"))
    columns = [Column("coupling", "name"), *(Column(name.replace("_", " "), "mark") for name in names)]
    body = [
        [c, *(_verdict([r for r in probes if (r["coupling"], r["name"]) == (c, n)]) for n in names)] for c in couplings
    ]
    return table(columns, body, [css_class(name, found.chosen) for name in couplings])


def _verdict(rows: Sequence[Row]) -> Markup:
    told = "; ".join(
        f"{row.get('site', '')} {number(row.get('value'), 4)} (limit {row.get('limit')})".strip() for row in rows
    )
    judged = [row["passed"] for row in rows if row.get("passed") is not None]
    if not judged:
        return Markup(f'<span class="na" title="{text(told or "not applicable")}">–</span>')
    if all(judged):
        return Markup(f'<span class="yes" title="{text(told)}">✓<span hidden> passed</span></span>')
    some = f" {len(judged) - sum(judged)}/{len(judged)}" if len(judged) > 1 else ""
    return Markup(f'<span class="no" title="{text(told)}">✗{some}</span>')


def _probe_meanings(probes: Sequence[Row]) -> Markup:
    meanings = {
        row["name"].replace("_", " "): row.get("explanation", "") for row in probes if row.get("passed") is not None
    }
    return folded("What each probe measures", definitions(meanings))


def _audit_table(rows: Sequence[Row]) -> Markup:
    columns = [Column("coupling", "name"), Column("law"), Column("mean |residual|", "n"), Column("largest", "n")]
    columns += [Column("broken", "n"), Column("tolerance", "n"), Column("")]
    body = [
        (
            *(named(row.get("coupling", "")), row["law"], _short(row.get("mean")), _short(row.get("max"))),
            *(_percent(row.get("broken")), _short(row.get("tolerance")), row.get("reason", "")),
        )
        for row in _worst_site(rows)
    ]
    return table(columns, body)


def _worst_site(rows: Sequence[Row]) -> Iterable[Row]:
    """One row a coupling and law: the site where the law is broken most."""
    worst: dict[tuple[str, str], Row] = {}
    for row in rows:
        pair = (row.get("coupling", ""), row["law"])
        if pair not in worst or (row.get("max") or 0) > (worst[pair].get("max") or 0):
            worst[pair] = row
    return worst.values()


def budget(found: Findings) -> str:
    """Skill against the share of the training years, or the number of observed dates."""
    rows = budget_rows(found)
    if not rows:
        return ""
    words = "How much of the training part each coupling was given; the test part stays the same."
    if "dates" not in rows[0]:
        return note(words) + figure(budget_curve(found))
    words = (
        f"How many of the {max(row['dates'] for row in rows):g} observed dates before the test each coupling was given"
    )
    words += ", at the site with the most of them, " if len(found.sites()) > 1 else ", "
    words += "drawn at random and the same for all; the test part stays the same."
    over_all = sorted((row for row in rows if row.get("site", "median") == "median"), key=lambda row: row["dates"])
    given = [{**row, "given": f"{row['dates']:g} dates"} for row in over_all]
    return note(words) + figure(budget_curve(found)) + across(given, "given", found)


def budget_rows(found: Findings) -> list[Row]:
    """The rows of at least two budgets, with the number of dates where a budget is one of dates."""
    rows = [row for row in found.extras.get("budget", []) if row.get("value") is not None]
    if len({row["fraction"] for row in rows}) < 2:
        return []
    dates = {row["fraction"]: row["dates"] for row in found.extras.get("budget_dates", [])}
    rows = [{**row, "dates": dates[row["fraction"]]} for row in rows if row["fraction"] in dates] if dates else rows
    if found.profile and len(found.sites()) < 2:
        rows = [row for row in rows if row.get("site", "median") == "median"]
    return rows


def budget_curve(found: Findings) -> str:
    """The figure of `budget`."""
    titled = label(found.metric) + within(found.units)
    return figures.budget(budget_rows(found), titled, found.chosen, error=is_error(found.metric), over=found.over)


def learning_curves(found: Findings) -> str:
    """The loss of every epoch."""
    curves = {
        name: curve
        for name, curve in found.extras.get("learning_curves", {}).items()
        if len(curve.get("train", ())) > 1
    }
    if not curves:
        return ""
    words = "Loss of each epoch, mean over seeds: training dashed, validation solid. "
    words += "The weights kept are those of the lowest validation loss."
    return note(words) + figure(figures.learning_curves(curves, found.chosen))


def controls(found: Findings) -> str:
    """What is lost when the knowledge a coupling claims to use is taken from it."""
    rows = [row for row in [*found.controlled(), *found.extras.get("controls", [])] if row.get("value") is not None]
    if not rows:
        return ""
    metric = rows[0]["metric"]
    intact = {row["coupling"]: row for row in found.ranking(metric)}
    columns = [
        Column("control"),
        Column("coupling", "name"),
        Column("with it", "n"),
        Column("without", "n"),
        Column("lost", "n"),
    ]
    body = []
    for row in rows:
        whole = intact.get(row["coupling"])
        lost = None if whole is None else float(shortfall(metric, row["value"]) - shortfall(metric, whole["value"]))
        body.append(
            [row["control"].replace("_", " "), row["coupling"], spanned(whole), spanned(row), number(lost, signed=True)]
        )
    words = "A skill that survives a control does not come from what the control took away."
    return note(words) + table(columns, body)


def sites(found: Findings) -> str:
    """The score of every coupling at every site."""
    names = found.sites()
    if not names or (found.profile and len(names) == 1):
        return ""
    order = [row["coupling"] for row in found.ranking()]
    split = found.splits()[0]
    rows = [row for row in found.judged() if row["metric"] == found.metric and row.get("split", split) == split]
    cells = {(row.get("site"), row["coupling"]): row for row in rows}
    if len(names) <= MANY:
        columns = [Column("", "n"), Column("coupling", "name"), *(Column(name, "n") for name in names)]
        body = [[place, c, *(spanned(cells.get((name, c))) for name in names)] for place, c in enumerate(order, 1)]
        return note(f"{label(found.metric)}{within(found.units)} at each site.") + table(
            columns, body, [css_class(c, found.chosen) for c in order]
        )
    return _many_sites(names, order, cells, found)


def _many_sites(names: Sequence[str], order: Sequence[str], cells: Mapping[Any, Row], found: Findings) -> str:
    values = {
        c: [cells[n, c]["value"] for n in names if (n, c) in cells and cells[n, c]["value"] is not None] for c in order
    }
    kept, titled = {c: scored for c, scored in values.items() if scored}, label(found.metric) + within(found.units)
    drawn = figures.sites(kept, titled, found.chosen, error=is_error(found.metric))
    columns = [Column("site"), *(Column(c, "n") for c in order)]
    body = [[n, *(number((cells.get((n, c)) or {}).get("value"), 2) for c in order)] for n in names]
    return (
        figure(drawn)
        + colours(found)
        + folded(f"All {len(names)} sites", f'<div class="tall">{table(columns, body)}</div>')
    )


def what_was_run(found: Findings) -> str:
    """The command that repeats the run, the data, and what the numbers were made with."""
    extras, rows = found.extras, found.judged()
    environment = dict(extras.get("environment") or {})
    packages = environment.pop("packages", {})
    command = extras.get("command") or environment.pop("command", "")
    environment.pop("command", None)
    columns = ("target", "data", "mechanism", "learner", "split")
    told = {column: ", ".join(dict.fromkeys(str(row[column]) for row in rows if row.get(column))) for column in columns}
    told |= {
        "protocol": extras.get("protocol"),
        "source": extras.get("source"),
        "expected": _pairs(extras.get("expected")),
    }
    told |= {
        "made with": _pairs({**environment, **packages}),
        "failures": "; ".join(map(str, extras.get("failures", []))),
    }
    again = "<p>This command repeats it:</p>" + f"<pre>{text(command)}</pre>" if command else ""
    return again + definitions(told)


def _pairs(values: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (values or {}).items())


def colours(found: Findings, *, observed: bool = False, only: Sequence[str] | None = None) -> Markup:
    """What the colours of a figure stand for."""
    shown = {"observed": "--ink"} if observed else {}
    named = {found.chosen: "--chosen", "mechanism_only": "--mechanism", "learner_only": "--learner"}
    shown |= {name: colour for name, colour in named.items() if name and (only is None or name in only)}
    return key(shown if only is not None else {**shown, "other couplings": "--other", "no model": "--floor"})


def css_class(coupling: str, chosen: str | None) -> str:
    """The class a coupling's row has in a table."""
    fixed = {"mechanism_only": "mechanism", "learner_only": "learner", **dict.fromkeys(FLOOR, "floor")}
    return "chosen" if coupling == chosen else fixed.get(coupling, "")


def _short(value: Any) -> str:
    return "–" if value is None or value != value else f"{value:.3g}".replace("-", "−")


def _percent(value: Any) -> str:
    return "–" if value is None or value != value else f"{100 * value:.3g} %"
