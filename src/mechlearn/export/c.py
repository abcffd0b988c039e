"""A perceptron in C99: one source file, one header, a driver that tests them."""

from importlib import resources
from string import Template

from .network import Network

SPACES = " " * 4


def write(network: Network, name: str) -> dict[str, str]:
    """The files of a C module by name; `cc NAME.c NAME_test.c -lm` needs nothing else."""
    told = {
        "name": name,
        "guard": f"{name.upper()}_H",
        "n_inputs": len(network.inputs),
        "n_outputs": len(network.outputs),
        "widest": max(len(bias) for _, bias in network.layers),
        "n_layers": len(network.layers),
        "reads": listed(network.inputs, " *   x"),
        "gives": listed(network.outputs, " *   y"),
        "sizes": ", ".join(str(size) for size in sizes(network)),
        "kinds": ", ".join(map(str, network.kind)),
        "leaving": f",\n{SPACES}".join("{" + ", ".join(map(repr, row)) + "}" for row in network.leaving.tolist()),
        "location": numbers(network.location),
        "scale": numbers(network.scale),
        "lower": numbers(network.lower),
        "upper": numbers(network.upper),
        "weights": "\n".join(_layer(place, *layer) for place, layer in enumerate(network.layers)),
        "weight_names": ", ".join(f"weight_{place}" for place in range(len(network.layers))),
        "bias_names": ", ".join(f"bias_{place}" for place in range(len(network.layers))),
    }
    cases = network.cases()
    told |= {"n_cases": len(cases), "cases": numbers(cases.ravel()), "answers": numbers(network(cases).ravel())}
    return {f"{name}{ending}": _template(f"c{ending}.txt").substitute(told) for ending in (".h", ".c", "_test.c")}


def sizes(network: Network) -> list[int]:
    """How many numbers enter the network, and leave each of its layers."""
    return [len(network.inputs), *(len(bias) for _, bias in network.layers)]


def listed(variables, mark: str) -> str:
    """One line a variable, for the head of a file: `x[0]  air_temperature (degC)`."""
    return "\n".join(f"{mark}[{place}]  {v.name} ({v.units})" for place, v in enumerate(variables))


def numbers(values) -> str:
    """Numbers that read back as they were, four to a line."""
    words = [repr(float(value)) for value in values]
    lines = [", ".join(words[start : start + 4]) for start in range(0, len(words), 4)]
    return f",\n{SPACES}".join(lines)


def _layer(place: int, weight, bias) -> str:
    return (
        f"static const double weight_{place}[] = {{\n{SPACES}{numbers(weight.ravel())}\n}};\n"
        f"static const double bias_{place}[] = {{\n{SPACES}{numbers(bias)}\n}};"
    )


def _template(file: str) -> Template:
    return Template(resources.files(__package__).joinpath("templates", file).read_text(encoding="utf-8"))
