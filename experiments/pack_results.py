"""Pack a finished run as a committed result: python experiments/pack_results.py RUN [NAME].

Keeps every row over all sites and the NSE and KGE of each site, with settings, seeds, seconds and versions.
"""

import json
import re
import sys
from pathlib import Path

TOLD = ("title", "source", "protocol", "metric", "chosen", "expected", "probes", "audit", "controls", "notes")
WHERE_THERE_IS_DEPTH = ("regimes", "by_depth", "budget_dates", "reliability", "worst_draw")
RESULTS = Path(__file__).parent / "results"


def packed(run: Path) -> dict:
    """What a run leaves for others to compare with."""
    rows = json.loads((run / "results.json").read_text())
    few = len({row["site"] for row in rows}) <= 12
    kept = [row for row in rows if few or row["site"] == "median" or (row["part"], row["metric"]) == ("test", "nse")]
    extras = json.loads((run / "report.json").read_text())
    environment = json.loads((run / "environment.json").read_text())
    told = {key: extras[key] for key in (*TOLD, *WHERE_THERE_IS_DEPTH) if extras.get(key) is not None}
    # Files that stand beside the experiment are named as they are there, not as on the machine of the run.
    settings = re.sub(r'"[^"]*/experiments/([^"/]+)"', r'"\1"', (run / "experiment.resolved.toml").read_text())
    environment["command"] = anywhere(environment.get("command", ""))
    return {**told, "environment": environment, "settings": settings, "rows": kept}


def anywhere(command: str) -> str:
    """The command of a run as it would be typed on another machine."""
    named = re.sub(r"\S*/experiments/(\w+)\.toml", r"\1", command)
    placed = re.sub(r" --out \S*?([^/\s]+)(?=\s|$)", r" --out runs/\1", named)
    return placed.replace(" --resume", "").replace(" --force", "")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    content = packed(folder)
    name = sys.argv[2] if len(sys.argv) > 2 else content["rows"][0]["experiment"]
    text = json.dumps(content, indent=None, separators=(",", ":")).replace('},{"experiment"', '},\n{"experiment"')
    (RESULTS / f"{name}.json").write_text(text + "\n")
