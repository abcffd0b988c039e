"""A perceptron as an ONNX graph in double precision."""

import importlib
import math
from typing import Any

import numpy as np

from .network import ABOVE, BELOW, FREE, Network

OPSET = 17


def graph(network: Network, name: str) -> Any:
    """The model: reads `x` (batch, input), gives `y` (batch, output) and the flag `outside` (batch, 1) of the domain.

    `outside` is the number (from 1) of the last input beyond the domain, 0 where all lie inside.

    Raises `ModuleNotFoundError` where the package onnx is not installed.
    """
    onnx = _package()
    made = _Graph(onnx.helper, onnx.numpy_helper)
    z = made("Div", made("Sub", "x", network.location[None]), network.scale[None])
    for place, (weight, bias) in enumerate(network.layers):
        z = made("Add", made("MatMul", z, weight.T), bias[None])
        z = _gelu(made, z) if place < len(network.layers) - 1 else z
    columns = [_bounded(made, z, place, kind, *network.leaving[place]) for place, kind in enumerate(network.kind)]
    made("Concat", *columns, to="y", axis=1)
    inside = made(
        "And", made("GreaterOrEqual", "x", network.lower[None]), made("LessOrEqual", "x", network.upper[None])
    )
    wrong = made("Cast", made("Not", inside), to_type=onnx.TensorProto.INT64)
    numbered = made("Mul", wrong, np.arange(1, len(network.inputs) + 1)[None])
    made("ReduceMax", numbered, to="outside", axes=[1], keepdims=1)
    helper, double = onnx.helper, onnx.TensorProto.DOUBLE
    entering = helper.make_tensor_value_info("x", double, ["batch", len(network.inputs)])
    leaving = [
        helper.make_tensor_value_info("y", double, ["batch", len(network.outputs)]),
        helper.make_tensor_value_info("outside", onnx.TensorProto.INT64, ["batch", 1]),
    ]
    whole = helper.make_graph(made.nodes, name, [entering], leaving, made.constants)
    model = helper.make_model(whole, producer_name="mechlearn", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    for role, variables in (("inputs", network.inputs), ("outputs", network.outputs)):
        entry = model.metadata_props.add()
        entry.key, entry.value = role, "; ".join(f"{v.name} ({v.units})" for v in variables)
    onnx.checker.check_model(model)
    return model


def write(network: Network, name: str) -> dict[str, bytes]:
    """The file of an ONNX model by name."""
    return {f"{name}.onnx": graph(network, name).SerializeToString()}


class _Graph:
    """Nodes and constants as they are made; a call adds a node and returns the name of what it gives."""

    def __init__(self, helper: Any, numbers: Any):
        self.helper, self.numbers = helper, numbers
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def __call__(self, kind: str, *given: Any, to: str = "", to_type: int | None = None, **attributes: Any) -> str:
        name = to or f"v{len(self.nodes)}"
        extra = attributes | ({"to": to_type} if to_type is not None else {})
        self.nodes.append(self.helper.make_node(kind, [self._named(one) for one in given], [name], **extra))
        return name

    def _named(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        name = f"c{len(self.constants)}"
        self.constants.append(self.numbers.from_array(np.asarray(value), name))
        return name


def _gelu(made: _Graph, z: str) -> str:
    cubed = made("Mul", made("Mul", z, z), z)
    inner = made("Add", z, made("Mul", cubed, np.array(0.044715)))
    tangent = made("Tanh", made("Mul", inner, np.array(math.sqrt(2 / math.pi))))
    return made("Mul", made("Mul", z, np.array(0.5)), made("Add", tangent, np.array(1.0)))


def _bounded(made: _Graph, z: str, place: int, kind: int, a: float, b: float, c: float) -> str:
    column = made("Gather", z, np.array([place]), axis=1)
    if kind == FREE:
        return made("Add", made("Mul", column, np.array(b)), np.array(a))
    if kind == ABOVE:
        return made("Add", made("Mul", _softplus(made, made("Add", column, np.array(c))), np.array(b)), np.array(a))
    if kind == BELOW:
        return made("Sub", np.array(a), made("Mul", _softplus(made, made("Sub", np.array(c), column)), np.array(b)))
    return made("Add", made("Mul", made("Sigmoid", made("Add", column, np.array(c))), np.array(b)), np.array(a))


def _softplus(made: _Graph, z: str) -> str:
    small = made("Log", made("Add", made("Exp", made("Neg", made("Abs", z))), np.array(1.0)))
    return made("Add", made("Relu", z), small)


def _package() -> Any:
    try:
        importlib.import_module("onnx.helper")
        importlib.import_module("onnx.numpy_helper")
        importlib.import_module("onnx.checker")
        return importlib.import_module("onnx")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("export to onnx needs the package onnx: pip install 'mechlearn[onnx]'") from None
