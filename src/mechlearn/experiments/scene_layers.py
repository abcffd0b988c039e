"""What is written of a retrieval from a scene: four variables, each with its units and where it comes from."""

import math
from pathlib import Path
from typing import Any

from ..data.scenes import Layer
from .retrieval import FLAGS, Retrieval
from .run import Run


def layers_of(retrieval: Retrieval, request: dict[str, Any]) -> list[Layer]:
    """The variables of a store with their CF attributes."""
    target, whence = retrieval.target, _provenance(request)
    named = target.name.replace("_", " ")
    standard = {"standard_name": target.standard_name} if target.standard_name else {}
    error = {"standard_name": f"{target.standard_name} standard_error"} if target.standard_name else {}
    own = any(v.name == retrieval.deviation for v in retrieval.models[0].outputs)
    how = "of what each seed says, and between seeds" if own else "between seeds"
    how = "of the errors on the validation part, as learned" if retrieval.spreads else how
    value = {"units": target.units, "long_name": named, **standard, "ancillary_variables": _ancillary(retrieval)}
    spread = {"units": target.units, "long_name": f"{named}, standard deviation", "comment": how, **error}
    inside = {
        "long_name": "input lies in the domain taught on",
        "units": "1",
        "flag_values": [0, 1],
        "flag_meanings": "outside inside",
    }
    status = {
        "long_name": "what became of the pixel",
        "standard_name": "status_flag",
        "units": "1",
        "flag_values": list(FLAGS),
        "flag_meanings": " ".join(FLAGS.values()),
    }
    made = [
        Layer(target.name, "float32", math.nan, value),
        Layer(retrieval.deviation, "float32", math.nan, spread),
        Layer("in_domain", "int8", 0, inside),
        Layer("status", "int8", -1, status),
    ]
    return [Layer(one.name, one.dtype, one.fill, {**one.attributes, "provenance": whence}) for one in made]


def _ancillary(retrieval: Retrieval) -> str:
    return f"{retrieval.deviation} in_domain status"


def _provenance(request: dict[str, Any]) -> str:
    made = f"mechlearn {request['mechlearn']}".strip()
    return (
        f"{made}: {request['coupling']} of the run {request['run']} "
        f"({request['seeds']} seeds, weights {request['weights']}) from the scene {Path(request['scene']).name}"
    )


def about(run: Run, request: dict[str, Any]) -> dict[str, str]:
    """What a store says of itself: no times or places of work, so that the same retrieval gives the same bytes."""
    made = {"Conventions": "CF-1.11", "title": run.settings["experiment"].get("title", request["run"])}
    return {**made, "source": _provenance(request), "history": _provenance(request)}
