"""The report of a retrieval from scenes: a map to look at, what became of the pixels, what was run."""

import base64
import io
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..data.scenes import glance
from .page import Column, Markup, definitions, figure, note, number, table, text
from .retrieval import FLAGS, Retrieval
from .storage import write_text

Told = Sequence[dict[str, Any]]
WORDS = {
    "retrieved": "retrieved",
    "no_input": "without input (cloud or gap)",
    "impossible_input": "input beyond what is physically possible",
    "unreadable_input": "input that could not be read",
    "no_finite_result": "no finite result",
}


def write_scene_report(
    retrieval: Retrieval, told: Told, totals: dict[str, int], request: dict[str, Any], notes: list[str], seconds: float
) -> Path:
    """Write the report beside the store and return its path."""
    target, pixels = retrieval.target, math.prod(retrieval.scene.shape)
    path = retrieval.out.with_name(f"{retrieval.out.name}.report.html")
    named = target.name.replace("_", " ")
    got, inside = totals["retrieved"], totals["in_domain"]
    mean = sum(one["sum"] for one in told) / max(got, 1)
    answer = (
        f"{got:,} of {pixels:,} pixels retrieved, {number(100 * inside / max(got, 1), 1)} % of them "
        f"inside the domain taught on; mean {number(mean, 2)} {target.units}."
    )
    page = Template(resources.files(__package__).joinpath("report_page.html").read_text("utf-8")).substitute(
        title=text(f"{named[:1].upper()}{named[1:]} from {retrieval.scene.path.name}"),
        eyebrow=text(f"mechlearn · {request['run']} · {request['coupling']}"),
        answer=Markup(f'<p class="answer">{text(answer)}</p>'),
        facts="",
        links="",
        sections="\n".join(_section(title, body) for title, body in _sections(retrieval, told, totals, request, notes)),
        footer=text(f"Last worked on for {seconds:.0f} s. Every number and picture of this page is inside this file."),
    )
    write_text(path, page.encode("ascii", "xmlcharrefreplace").decode())
    return path


def _section(title: str, body: str) -> str:
    return f"<section><h2>{text(title)}</h2>{body}</section>"


def _sections(
    retrieval: Retrieval, told: Told, totals: dict[str, int], request: dict[str, Any], notes: list[str]
) -> list[tuple[str, str]]:
    pixels = math.prod(retrieval.scene.shape)
    rows = [
        [WORDS[flag], f"{totals[flag]:,}", number(100 * totals[flag] / pixels, 2)] for flag in list(FLAGS.values())[1:]
    ]
    counted = table([Column("pixels", "name"), Column("number", "n"), Column("%", "n")], rows)
    sizes = " x ".join(f"{size} {dim}" for dim, size in retrieval.scene.sizes.items())
    inputs = ", ".join(f"{one[0]} from {one[1]} ({one[2]})" for one in request["inputs"])
    what = {"scene": request["scene"], "pixels": sizes, "blocks": len(told), "inputs": inputs}
    what |= {"coupling": request["coupling"], "run": request["run"], "seeds": request["seeds"]}
    what |= {"weights": request["weights"], "command": request["command"]}
    made = [("Map", _map(retrieval, told)), ("Pixels", counted + "".join(note(one) for one in notes))]
    torn = [[one["block"], f"{one['unreadable_input']:,}", one["trouble"]] for one in told if one["trouble"]]
    if torn:
        columns = [Column("block", "n"), Column("pixels lost", "n"), Column("what was said")]
        made.append(("Blocks that could not be read", table(columns, torn)))
    return [*made, ("What was run", definitions(what))]


def clearest(told: Told) -> tuple[int, ...]:
    """Where along the axes before the last two most pixels were retrieved.

    >>> clearest([{"clear": [[0, 5], [1, 9]]}, {"clear": [[0, 6]]}])
    (0,)
    """
    counts: dict[tuple[int, ...], int] = {}
    for *place, retrieved in (entry for one in told for entry in one["clear"]):
        counts[tuple(place)] = counts.get(tuple(place), 0) + retrieved
    return max(counts, key=lambda place: (counts[place], place), default=())


def _map(retrieval: Retrieval, told: Told) -> str:
    """Value, standard deviation and domain at the clearest time, every n-th pixel."""
    dims = list(retrieval.scene.sizes)
    if len(dims) < 2:
        return note(f"The pixels lie along {dims[0]} alone; there is no map to draw.")
    leading = clearest(told)
    value, spread, inside, status = (
        glance(retrieval.out, name, leading).astype(float)
        for name in (retrieval.target.name, retrieval.deviation, "in_domain", "status")
    )
    inside[status != 0] = np.nan
    units = retrieval.target.units
    panels = {f"value ({units})": value, f"standard deviation ({units})": spread, "inside the domain": inside}
    panels = {title: panel for title, panel in panels.items() if np.isfinite(panel).any()}
    where = ", ".join(f"{dim} {place}" for dim, place in zip(dims, leading, strict=False))
    share = 100 * float(np.mean(status == 0))
    said = (
        f"Every n-th pixel{f' at {where}, where most was retrieved' if where else ''}; {share:.0f} % of them retrieved."
    )
    return figure(_png(panels), said) if panels else note("No pixel was retrieved.")


def _png(panels: dict[str, np.ndarray]) -> Markup:
    drawn = Figure(figsize=(4.2 * len(panels), 4), layout="constrained")
    for axes, (title, values) in zip(drawn.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        flag = title.startswith("inside")
        low, high = (0, 1) if flag else np.nanpercentile(values, [1, 99])
        shown = axes.imshow(values, vmin=low, vmax=max(high, low + 1e-6), cmap="cividis", interpolation="nearest")
        axes.set(title=title, xticks=[], yticks=[])
        drawn.colorbar(shown, ax=axes, shrink=0.8, ticks=[0, 1] if flag else None)
    held = io.BytesIO()
    drawn.savefig(held, format="png", dpi=90)
    code = base64.b64encode(held.getvalue()).decode()
    alt = text(", ".join(panels))
    return Markup(f'<img alt="{alt}" style="max-width: 100%" src="data:image/png;base64,{code}">')
