"""A perceptron in Fortran 2008: one module, one program that tests it."""

import textwrap
from importlib import resources
from string import Template

import numpy as np

from .c import listed
from .network import Network

CHUNK = 48


def write(network: Network, name: str) -> dict[str, str]:
    """The files of a Fortran module by name; `gfortran NAME.f90 NAME_test.f90` needs nothing else.

    Raises `ValueError` for a name longer than Fortran allows.
    """
    if len(name) > 50:
        raise ValueError(f"Fortran takes names of 63 characters, with room for _predict; {name!r} is too long: --name")
    cases = network.cases()
    last = len(network.layers)
    told = {
        "name": name,
        "n_inputs": len(network.inputs),
        "n_outputs": len(network.outputs),
        "reads": _counted_from_one(listed(network.inputs, "!   x")),
        "gives": _counted_from_one(listed(network.outputs, "!   y")),
        "declared": "\n".join(_declared(place, *layer) for place, layer in enumerate(network.layers, 1)),
        "location": _data("location", network.location),
        "scale": _data("scale", network.scale),
        "lower": _data("lower", network.lower),
        "upper": _data("upper", network.upper),
        "kind": ", ".join(map(str, network.kind)),
        "leaving": _data("leaving", network.leaving.T),
        "weights": "\n".join(
            _data(f"weight_{place}", weight) + "\n" + _data(f"bias_{place}", bias)
            for place, (weight, bias) in enumerate(network.layers, 1)
        ),
        "hidden": "\n".join(_hidden(place) for place in range(1, last)),
        "last": f"    z = matmul(weight_{last}, {'z_' + str(last - 1) if last > 1 else 'z_0'}) + bias_{last}",
        "between": "\n".join(
            f"    real(real64) :: z_{place}({len(bias)})" for place, (_, bias) in enumerate(network.layers[:-1], 1)
        ),
        "n_cases": len(cases),
        "cases": _data("cases", cases.T),
        "answers": _data("answers", network(cases).T),
    }
    return {f"{name}{ending}": _template(f"fortran{ending}.txt").substitute(told) for ending in (".f90", "_test.f90")}


def _declared(place: int, weight, bias) -> str:
    rows, columns = weight.shape
    return f"  real(real64), save :: weight_{place}({rows}, {columns}), bias_{place}({rows})"


def _hidden(place: int) -> str:
    return f"    z_{place} = gelu(matmul(weight_{place}, z_{place - 1}) + bias_{place})"


def _data(name: str, values) -> str:
    """DATA statements of an array, each short enough for any compiler's limit of continued lines."""
    flat = np.atleast_2d(np.asarray(values, float).T)
    vector = np.ndim(values) == 1
    statements = []
    for column, row in enumerate(flat, 1):
        for start in range(0, len(row), CHUNK):
            piece = row[start : start + CHUNK]
            place = f"i + {start}" + ("" if vector else f", {column}")
            words = textwrap.wrap(", ".join(_number(value) for value in piece), 100)
            listing = " &\n    ".join(words)
            statements.append(f"  data ({name}({place}), i = 1, {len(piece)}) / &\n    {listing} /")
    return "\n".join(statements)


def _number(value: float) -> str:
    text = repr(float(value))
    return (text if "e" in text or "." in text else f"{text}.0") + "_real64"


def _counted_from_one(lines: str) -> str:
    told = []
    for place, line in enumerate(lines.split("\n")):
        told.append(line.replace(f"[{place}]", f"({place + 1})", 1))
    return "\n".join(told)


def _template(file: str) -> Template:
    return Template(resources.files(__package__).joinpath("templates", file).read_text(encoding="utf-8"))
