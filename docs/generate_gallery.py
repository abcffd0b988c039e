"""Write the tables and figures of docs/gallery from the committed results, experiments/results/*.json.

A page holds `<!-- results: NAME -->` and `<!-- end -->`; what stands between them is replaced by the ranking in
NAME.json and the figure drawn from it. A page whose results are not there is left as it is.
"""

import json
import re
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs" / "gallery"
RESULTS = ROOT / "experiments" / "results"
SLOT = re.compile(r"(<!-- results: (?P<name>[\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
REFERENCES = {
    "mechanism_only": "#8c6d46",
    "learner_only": "#4a6fa5",
    "climatology": "#bbbbbb",
    "persistence": "#bbbbbb",
}


def read(name: str) -> list[dict[str, Any]]:
    """The rows of one committed result, whether the file is a list of rows or holds one under "rows"."""
    found = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found["rows"] if isinstance(found, dict) else found


def ranked(rows: list[dict[str, Any]], metric: str = "nse") -> list[dict[str, Any]]:
    """The test scores over all sites on the whole training record, best first."""
    split = "ungauged" if any(row["split"] == "ungauged" for row in rows) else "main"
    wanted = {"metric": metric, "part": "test", "split": split, "site": "median", "fraction": 1.0}
    chosen = [r for r in rows if r.get("value") is not None and all(r.get(k, v) == v for k, v in wanted.items())]
    return sorted((r for r in chosen if not r.get("control")), key=lambda r: -r["value"])


def spoken(row: dict[str, Any] | None) -> str:
    """A value with its interval."""
    if not row or row.get("value") is None:
        return ""
    interval = "" if row.get("low") is None else f" [{row['low']:.3f}, {row['high']:.3f}]"
    return f"{row['value']:.3f}{interval}"


def table(rows: list[dict[str, Any]]) -> str:
    """The ranking as a Markdown table: NSE and KGE with intervals, and the gain over the better baseline."""
    kge = {r["coupling"]: r for r in ranked(rows, "kge")}
    gain = {r["coupling"]: r for r in ranked(rows, "nse_gain")}
    lines = [
        "| coupling | paradigm | NSE [interval] | KGE | gain in NSE over the better baseline | seeds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in ranked(rows):
        name = row["coupling"]
        cells = (
            name,
            row.get("paradigm", ""),
            spoken(row),
            spoken(kge.get(name)),
            spoken(gain.get(name)),
            row.get("seeds", ""),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def draw(rows: list[dict[str, Any]], name: str) -> Path:
    """The ranking as a figure: one dot a coupling, its interval a line, the baselines in colour."""
    shown = ranked(rows)[::-1]
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.32 * len(shown)), layout="constrained")
    for place, row in enumerate(shown):
        colour = REFERENCES.get(row["coupling"], "#2a7f62")
        low, high = (row.get(k) if row.get(k) is not None else row["value"] for k in ("low", "high"))
        axes.plot([low, high], [place, place], color=colour, lw=2, alpha=0.5)
        axes.plot(row["value"], place, "o", color=colour)
    axes.set_yticks(range(len(shown)), [row["coupling"] for row in shown])
    axes.set_xlabel("Nash-Sutcliffe efficiency, test part, median over sites")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    path = GALLERY / f"{name}.png"
    figure.savefig(path, dpi=150, metadata={"Software": None})
    plt.close(figure)
    return path


def filled(text: str) -> str:
    """A page with every slot filled whose results are there and hold a ranking."""

    def fill(slot: re.Match[str]) -> str:
        rows = read(slot["name"]) if (RESULTS / f"{slot['name']}.json").is_file() else []
        if not ranked(rows):
            print(f"no results for {slot['name']}: the page is left as it is")
            return slot[0]
        picture = draw(rows, slot["name"])
        return f"{slot[1]}\n![Ranking of the couplings]({picture.name})\n\n{table(rows)}\n\n{slot[3]}"

    return SLOT.sub(fill, text)


if __name__ == "__main__":
    for page in sorted(GALLERY.glob("*.md")):
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {page.name}")
