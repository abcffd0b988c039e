"""The section of a report on independent samples: the error in each class of them, and how often intervals hold."""

from typing import Any

from . import figures
from .config import BASELINES
from .page import figure, note
from .report_sections import Findings, across, colours
from .wording import label, within

Row = dict[str, Any]
OTHER = "region"


def classes(found: Findings) -> str:
    """How each coupling does in each class of samples that the experiment asks for."""
    rows = [row for row in found.extras.get("regimes", []) if row.get("value") is not None]
    if not found.extras.get("independent") or not rows:
        return ""
    fields = list(dict.fromkeys(_field(row["regime"]) for row in rows))
    return "".join(_of_field([row for row in rows if _field(row["regime"]) == field], field, found) for field in fields)


def _of_field(rows: list[Row], field: str, found: Findings) -> str:
    errors = [row for row in rows if row["metric"] == found.metric]
    held = [row for row in rows if row["metric"] == "coverage"]
    short = [{**row, "regime": _class(row["regime"], field)} for row in errors]
    titled = f"{label(found.metric)}{within(errors[0].get('units'))}"
    main = [row for row in short if row["coupling"] in (*BASELINES, found.chosen)]
    parts = [f"<h3>By {field}</h3>", figure(figures.regimes(main or short, titled, found.chosen, field))]
    parts += [colours(found), across(short, "regime", found)]
    if held:
        parts.append(note("The share of samples inside the 90 % interval that a coupling foretells:"))
        parts.append(across([{**row, "regime": _class(row["regime"], field)} for row in held], "regime", found))
    return "".join(map(str, parts))


def _field(regime: str) -> str:
    """The field that a class is of: "water 0 to 10 kg m-2" is of water, "africa" of the region."""
    words = regime.split(" ")
    numbers = [place for place, word in enumerate(words) if word.replace(".", "").isdigit()]
    return " ".join(words[: numbers[0]]) if numbers else OTHER


def _class(regime: str, field: str) -> str:
    return regime if field == OTHER else regime.removeprefix(field).strip()
