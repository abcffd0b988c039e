"""Somebody else's Python function as a mechanism."""

import threading
from collections.abc import Callable as Function
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model, Variable, require
from ...parameters import Parameter

Arrays = dict[str, np.ndarray]
Simulate = Function[[Arrays, Arrays], Mapping[str, Any]]
Adjoint = Function[[Arrays, Arrays, Arrays], tuple[Mapping[str, Any], Mapping[str, Any]]]
SWEEP = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
NO_SLOPE = (
    "this black box has no gradient (gradient='none'); give it an adjoint or gradient='differences', or use a "
    "coupling that passes none: cascade.refinement, cascade.transfer, cascade.initialization, infused.input_constraint"
)


class MechanismFailure(RuntimeError):
    """A black box crashed, ran too long, or returned what is no finite array of the declared shape."""


class Failures:
    """How often a black box failed, and why the last time: read by reports, reset by nobody."""

    def __init__(self) -> None:
        self.count, self.last = 0, ""

    def add(self, reason: str) -> None:
        self.count, self.last = self.count + 1, reason


class Callable(Model):
    """Any numpy function becomes a mechanism: `outputs = f(fields, parameters)`.

    `simulate(fields, parameters)` takes and returns dictionaries of numpy arrays (float64) of one
    sample, and runs outside the compiler: it must not call JAX. Wrap whole runs, not time steps (a
    call costs 0.2 ms). Its gradient is, in this order, `adjoint(fields, parameters, slopes of
    outputs) -> (slopes of fields, slopes of parameters)`; central differences inside the bounds, over
    a sweep of relative steps of which the most stable neighbours are taken (ten runs for each number
    that needs a slope); or none. A crash, NaN, wrong shape or more than `timeout` seconds is a
    `MechanismFailure`: raised, or turned into NaN and counted in `failures`.

    Raises `ValueError` for an unknown way of differentiating or failing, or an output axis no input
    has; `TypeError` when differentiated without a gradient; inside jit JAX reports a
    `MechanismFailure` as its own runtime error with the same text.

        >>> flow = Variable("runoff", "mm day-1", ("time",))
        >>> rain = Variable("precipitation", "mm day-1", ("time",))
        >>> share = {"share": Parameter(0.5, "1", (0.0, 1.0), "share of rain that runs off")}
        >>> model = Callable(lambda f, p: {"runoff": p["share"] * f["precipitation"]}, (rain,), (flow,), share)
        >>> model({"precipitation": jnp.array([2.0, 4.0])})["runoff"].tolist()
        [1.0, 2.0]
    """

    parameters: dict[str, Parameter]
    simulate: Simulate = eqx.field(static=True)
    inputs: tuple[Variable, ...] = eqx.field(static=True)
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    adjoint: Adjoint | None = eqx.field(static=True)
    gradient: str = eqx.field(static=True)
    on_failure: str = eqx.field(static=True)
    timeout: float | None = eqx.field(static=True)
    failures: Failures = eqx.field(static=True)

    def __init__(
        self,
        simulate: Simulate,
        inputs: tuple[Variable, ...],
        outputs: tuple[Variable, ...],
        parameters: dict[str, Parameter] | None = None,
        *,
        adjoint: Adjoint | None = None,
        gradient: Literal["adjoint", "differences", "none"] | None = None,
        on_failure: Literal["raise", "nan"] = "raise",
        timeout: float | None = None,
    ):
        self.gradient = gradient or ("adjoint" if adjoint else "differences")
        if self.gradient not in ("adjoint", "differences", "none") or (self.gradient == "adjoint") != bool(adjoint):
            raise ValueError(f"gradient is 'adjoint' (with a function), 'differences' or 'none', got {gradient!r}")
        if on_failure not in ("raise", "nan"):
            raise ValueError(f"on_failure is 'raise' or 'nan', got {on_failure!r}")
        unknown = {dim for v in outputs for dim in v.dims} - {dim for v in inputs for dim in v.dims}
        if unknown:
            raise ValueError(f"no input of the black box has the axes {sorted(unknown)} of its outputs; declare one")
        # On one core an asynchronous callback was seen to wait for itself.
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        self.simulate, self.inputs, self.outputs, self.parameters = simulate, inputs, outputs, parameters or {}
        self.adjoint, self.on_failure, self.timeout, self.failures = adjoint, on_failure, timeout, Failures()

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Callable")
        given = {v.name: jnp.asarray(fields[v.name], jnp.result_type(float)) for v in self.inputs}
        values = {name: jnp.asarray(p.value, jnp.result_type(float)) for name, p in self.parameters.items()}
        return _differentiable(self)(given, values)

    def run(self, fields: Arrays, values: Arrays) -> Arrays:
        """Call the function once and check what comes back.

        Raises `MechanismFailure` when it crashes or its outputs are no finite arrays of the right shape.
        """
        shapes = _shapes(self, fields)
        try:
            made = _within(self.timeout, self.simulate, fields, values)
            return {name: _checked(made, name, shape) for name, shape in shapes.items()}
        except Exception as error:
            self.failures.add(f"{type(error).__name__}: {error}")
            if self.on_failure == "raise":
                raise MechanismFailure(f"{self.failures.last}; on_failure='nan' goes on and counts") from error
        return {name: np.full(shape, np.nan) for name, shape in shapes.items()}


def _shapes(model: Callable, fields: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    sizes = {dim: n for v in model.inputs for dim, n in zip(v.dims, np.shape(fields[v.name]), strict=True)}
    return {v.name: tuple(sizes[dim] for dim in v.dims) for v in model.outputs}


def _checked(made: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in made or np.shape(made[name]) != shape:
        raise ValueError(
            f"{name} should have the shape {shape}, got {np.shape(made[name]) if name in made else 'nothing'}"
        )
    if not np.all(np.isfinite(made[name])):
        raise ValueError(f"{name} is not finite")
    return np.asarray(made[name], float)


def _within(seconds: float | None, function: Simulate, fields: Arrays, values: Arrays) -> Mapping[str, Any]:
    if seconds is None:
        return function(fields, values)
    result: list[Any] = []

    def work() -> None:
        try:
            result.append(function(fields, values))
        except Exception as error:
            result.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(seconds)
    if not result:
        raise TimeoutError(f"no answer within {seconds} s")
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def _differentiable(model: Callable):
    """The black box as a JAX function of fields and parameter values, with the gradient the user picked."""

    @jax.custom_vjp
    def run(fields, values):
        kind = jnp.result_type(float)
        shapes = {name: jax.ShapeDtypeStruct(shape, kind) for name, shape in _shapes(model, fields).items()}
        return _outside(model.run, shapes, fields, values)

    def forward(fields, values):
        if model.gradient == "none":
            raise TypeError(NO_SLOPE)
        leaves = jax.tree.map(lambda leaf: leaf.value, (fields, values), is_leaf=_is_primal)
        wanted = jax.tree.map(lambda leaf: jnp.asarray(leaf.perturbed), (fields, values), is_leaf=_is_primal)
        return run(*leaves), (leaves, wanted)

    def backward(kept, slopes):
        leaves, wanted = kept
        slopes = jax.tree.map(_instantiate, slopes, is_leaf=lambda s: isinstance(s, SymbolicZero))
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), leaves)
        rule = _by_adjoint if model.gradient == "adjoint" else _by_differences
        return _outside(lambda *now: rule(model, *now), shapes, leaves, wanted, slopes)

    run.defvjp(forward, backward, symbolic_zeros=True)
    return run


def _is_primal(node: Any) -> bool:
    return hasattr(node, "perturbed")


def _instantiate(slope: Any) -> Array:
    return jnp.zeros(slope.shape, slope.dtype) if isinstance(slope, SymbolicZero) else slope


def _outside(function, shapes, *arguments):
    """Run a numpy function outside the compiler, its numbers in double precision inside."""

    def host(*now):
        numbers = jax.tree.map(lambda leaf: np.array(leaf) if leaf.dtype == bool else np.array(leaf, float), now)
        made = function(*numbers)
        return jax.tree.map(lambda shape, leaf: np.asarray(leaf, shape.dtype), shapes, made)

    return jax.pure_callback(host, shapes, *arguments, vmap_method="sequential")


def _by_adjoint(model: Callable, leaves, wanted, slopes: Arrays) -> tuple[Arrays, Arrays]:
    found = model.adjoint(*leaves, slopes)  # pyright: ignore[reportOptionalCall, reportCallIssue]
    return tuple(
        {name: np.asarray(got.get(name, np.zeros_like(leaf))) for name, leaf in group.items()}
        for group, got in zip(leaves, found, strict=True)
    )


def _by_differences(model: Callable, leaves, wanted, slopes: Arrays) -> tuple[Arrays, Arrays]:
    bounds = ({v.name: v.bounds for v in model.inputs}, {name: p.bounds for name, p in model.parameters.items()})
    found = tuple({name: np.zeros_like(leaf) for name, leaf in group.items()} for group in leaves)
    for group, name in [(g, name) for g in (0, 1) for name in leaves[g] if np.any(wanted[g][name])]:
        for place in np.ndindex(leaves[group][name].shape):
            found[group][name][place] = _slope(model, leaves, slopes, group, name, place, bounds[group][name])
    return found


def _slope(model: Callable, leaves, slopes: Arrays, group: int, name: str, place, bounds) -> float:
    """The derivative of one number: the two neighbouring steps of the sweep that agree best."""
    value = leaves[group][name][place]
    size = max(abs(value), 1e-3 * (bounds[1] - bounds[0]) if np.all(np.isfinite(bounds)) else 1e-3)

    def weighed(now: float) -> float:
        moved = tuple({key: np.array(leaf) for key, leaf in part.items()} for part in leaves)
        moved[group][name][place] = now
        made = model.run(*moved)
        return sum(float(np.sum(slopes[key] * made[key])) for key in made)

    pairs = [tuple(np.clip((value - step * size, value + step * size), *bounds)) for step in SWEEP]
    rates = np.array([(weighed(high) - weighed(low)) / (high - low) for low, high in pairs])
    change = np.abs(np.diff(rates)) / (np.abs(rates[1:]) + 1e-12)
    return float(rates[1:][np.nanargmin(change)]) if np.any(np.isfinite(change)) else float("nan")


def example() -> dict[str, Any]:
    """A linear reservoir in plain numpy: `S = (1 - k) S + k P`, from an empty start."""
    rain = Variable("precipitation", "mm day-1", ("time",), (0, np.inf))
    flow = Variable("runoff", "mm day-1", ("time",), (0, np.inf))

    def reservoir(fields: Arrays, parameters: Arrays) -> Arrays:
        runoff, now = np.zeros_like(fields["precipitation"]), 0.0
        for day, water in enumerate(fields["precipitation"]):
            now += parameters["share"] * (water - now)
            runoff[day] = now
        return {"runoff": runoff}

    share = {"share": Parameter(0.25, "day-1", (0.0, 1.0), "share of the storage that leaves in a day")}
    inputs = {"precipitation": jnp.array([4.0, 0.0, 8.0])}
    published = {"runoff": [1.0, 0.75, 2.5625]}
    model = Callable(reservoir, (rain,), (flow,), share)
    return {"model": model, "inputs": inputs, "published": published, "tolerance": 1e-6, "source": "worked by hand"}
