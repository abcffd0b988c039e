"""Gauss-Newton with Levenberg-Marquardt damping: nonlinear least squares for a moderate number of unknowns."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ..core import Fields, Solver
from ..parameters import bounded, unbounded

Bounds = Mapping[str, tuple[float, float]]
FREE = (-float("inf"), float("inf"))


class Least(NamedTuple):
    """Where a search ended: the point, `|r|²/2` there, steps taken, and whether it had stopped moving by then."""

    point: Array
    cost: Array
    steps: Array
    converged: Array


class Solution(NamedTuple):
    """The fields found, `|r|²/2` there, steps taken, and whether the search had stopped moving by then."""

    fields: Fields
    cost: Array
    steps: Array
    converged: Array


class GaussNewton(Solver):
    """The fields that make the squared residual least, by damped Gauss-Newton steps inside bounds.

    `min |r(x)|²/2`, each step `(J'J + λ D²) s = -J'r` with D the norms of J's columns; λ follows the gain of each
    step (Marquardt 1963, doi:10.1137/0111030; Nielsen 1999), and `damping=0` starts as plain Gauss-Newton. Fields
    with `bounds` are sought in the unbounded space of `parameters.py`, so that no step leaves them. The residual is
    any array; one entry that is constantly 0 counts as not observed. Everything is compiled and differentiable:
    `jax.vmap` solves a batch, and gradients with respect to what the residual closes over follow from the implicit
    function theorem.

    Raises `ValueError` for bounds of a field that the guess does not have, or a residual that is not finite there.

        >>> line = lambda f: f["slope"] * jnp.arange(3.0) - jnp.array([0.0, 2.0, 4.0])
        >>> found = GaussNewton().solve(line, {"slope": jnp.asarray(1.0)}, key=jax.random.key(0))
        >>> round(float(found["slope"]), 4)
        2.0
    """

    bounds: dict[str, tuple[float, float]] = eqx.field(static=True, default_factory=dict)
    iterations: int = eqx.field(static=True, default=50)
    damping: float = eqx.field(static=True, default=1e-3)
    tolerance: float = eqx.field(static=True, default=1e-8)

    def solve(self, residual: Callable[[Fields], Array], guess: Fields, *, key: PRNGKeyArray) -> Fields:
        return self.search(residual, guess).fields

    def search(self, residual: Callable[[Fields], Array], guess: Fields) -> Solution:
        """The same with what there is to know about the search."""
        start, physical = searched(guess, self.bounds)
        refuse_not_finite(residual(physical(start)), "GaussNewton")
        found = least_squares(
            lambda x: jnp.ravel(residual(physical(x))), start, self.iterations, self.damping, self.tolerance
        )
        return Solution(physical(found.point), *found[1:])


def searched(guess: Fields, bounds: Bounds) -> tuple[Array, Callable[[Array], Fields]]:
    """Where a search through all fields starts, as one vector without bounds, and the way back to the fields.

    The vector holds the fields in the order of their names.

    Raises `ValueError` for bounds of a field that is not there, or out of order, and for a start outside them.
    """
    if not isinstance(guess, Mapping):
        raise TypeError(f"a guess is fields by name, {{name: value}}; got {type(guess).__name__}")
    if set(bounds) - set(guess):
        raise ValueError(f"bounds are given for {sorted(set(bounds) - set(guess))}; the guess has {sorted(guess)}")
    for name, (lower, upper) in bounds.items():
        if not lower < upper:
            raise ValueError(f"{name}: bounds {(lower, upper)} must be (lower, upper) with lower < upper")
        refuse_outside(name, guess[name], (lower, upper))
    limits = {name: bounds.get(name, FREE) for name in guess}
    start, unravel = ravel_pytree({name: unbounded(value, limits[name]) for name, value in guess.items()})

    def physical(point: Array) -> Fields:
        return {name: bounded(value, limits[name]) for name, value in unravel(point).items()}

    return start, physical


def refuse_outside(name: str, value: ArrayLike, bounds: tuple[float, float]) -> None:
    """Refuse a start outside its bounds (known only outside a compiled function, inside it is moved to them)."""
    if isinstance(value, Tracer):
        return
    outside = np.asarray(value)[~((np.asarray(value) >= bounds[0]) & (np.asarray(value) <= bounds[1]))]
    if outside.size:
        raise ValueError(
            f"{name}: the search would start at {outside.ravel()[0]:g}, outside the bounds {tuple(bounds)}; give a "
            "guess inside, or wider bounds"
        )


def refuse_not_finite(residual: Array, where: str) -> None:
    """Refuse a first guess at which there is nothing to start from (known only outside a compiled function)."""
    if not isinstance(residual, np.ndarray | jax.Array | float | int):
        raise TypeError(f"{where} needs a residual that is one array; got {type(residual).__name__}")
    if not isinstance(residual, Tracer) and not bool(jnp.all(jnp.isfinite(residual))):
        raise ValueError(
            f"{where}: {int(jnp.sum(~jnp.isfinite(residual)))} of {jnp.size(residual)} residuals are not finite at the "
            "guess; start within the model's domain, and make the residual of a missing observation 0"
        )


def jacobian_of(function: Callable[[Array], Array], point: Array) -> tuple[Array, Array]:
    """A function's value and its Jacobian (value, point), one tangent at a time."""
    value, tangent = jax.linearize(function, point)
    return value, jax.lax.map(tangent, jnp.eye(len(point), dtype=point.dtype)).T


def least_squares(
    residual: Callable[[Array], Array],
    start: Array,
    iterations: int = 50,
    damping: float = 1e-3,
    tolerance: float = 1e-8,
) -> Least:
    """The least of `|r(x)|²/2` from a start (unknown,), as `GaussNewton` finds it.

    >>> found = least_squares(lambda x: jnp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]), jnp.array([-1.2, 1.0]))
    >>> [round(float(x), 3) for x in found.point], bool(found.converged)
    ([1.0, 1.0], True)
    """
    enough = max(tolerance, 4 * float(jnp.finfo(start.dtype).eps))

    def slope(point: Array) -> Array:
        value, adjoint = jax.vjp(residual, point)
        return adjoint(value)[0]

    def walk(_, point: Array) -> tuple[Array, Least]:
        found = _walk(residual, point, iterations, damping, enough)
        # Older versions of jax take only floating numbers along with a root.
        return found.point, jax.tree.map(lambda leaf: leaf.astype(point.dtype), found)

    def tangent_solve(curvature: Callable[[Array], Array], right: Array) -> Array:
        return jnp.linalg.solve(jax.jacfwd(curvature)(right), right)

    # The root of the slope, so that its derivative is that of the solution, not of the way to it.
    point, found = jax.lax.custom_root(slope, start, walk, tangent_solve, has_aux=True)
    return Least(point, found.cost, jnp.round(found.steps).astype(int), found.converged > 0.5)


class _Walk(NamedTuple):
    point: Array
    cost: Array
    damping: Array
    growth: Array
    steps: Array
    converged: Array


def _walk(residual, start: Array, iterations: int, damping: float, enough: float) -> Least:
    kind = start.dtype

    def unfinished(walk: _Walk) -> Array:
        return (walk.steps < iterations) & ~walk.converged

    def stride(walk: _Walk) -> _Walk:
        value, jacobian = jacobian_of(residual, walk.point)
        move, expected = damped_step(value, jacobian, walk.damping)
        point = walk.point + move
        cost = half_square(residual(point))
        gain = (walk.cost - cost) / jnp.maximum(expected, jnp.finfo(kind).tiny)
        better = (gain > 0) & jnp.isfinite(cost)
        reach = jnp.linalg.norm(walk.point) + enough
        still = (jnp.linalg.norm(move) <= enough * reach) | (expected <= jnp.finfo(kind).eps ** 2 * walk.cost)
        eased = walk.damping * jnp.maximum(1 / 3, 1 - (2 * jnp.clip(gain, 0, 1) - 1) ** 3)
        raised = jnp.maximum(walk.damping * walk.growth, 1e-6)
        return _Walk(
            jnp.where(better, point, walk.point),
            jnp.where(better, cost, walk.cost),
            jnp.where(better, eased, raised),
            jnp.where(better, 2.0, 2 * walk.growth).astype(kind),
            walk.steps + 1,
            still & jnp.all(jnp.isfinite(move)),
        )

    first = half_square(residual(start))
    numbers = (jnp.asarray(damping, kind), jnp.asarray(2.0, kind), jnp.asarray(0), jnp.asarray(False))
    end = jax.lax.while_loop(unfinished, stride, _Walk(start, first.astype(kind), *numbers))
    return Least(end.point, end.cost, end.steps, end.converged & jnp.isfinite(end.cost))


def half_square(value: Array) -> Array:
    """`|r|²/2`."""
    return 0.5 * jnp.sum(value**2)


def damped_step(value: Array, jacobian: Array, damping: Array) -> tuple[Array, Array]:
    """The step `(J'J + λ D²) s = -J'r` by orthogonal triangles, which do not square J's condition, and its promise.

    Returns s (unknown,) and the decrease of `|r|²/2` that the linear model expects of it.

        >>> step, expected = damped_step(jnp.array([2.0]), jnp.array([[4.0]]), jnp.asarray(0.0))
        >>> step.tolist(), float(expected)
        ([-0.5], 2.0)
    """
    size = jacobian.shape[1]
    length = jnp.linalg.norm(jacobian, axis=0)
    # An unknown that nothing depends on is given some damping of its own, and so stays where it is.
    weight = jnp.where(length > 0, jnp.sqrt(damping) * length, 1.0)
    rows = jnp.concatenate([jacobian, jnp.diag(weight)])
    right = jnp.concatenate([-value, jnp.zeros(size, value.dtype)])
    triangle = jnp.linalg.qr(jnp.column_stack([rows, right]), mode="r")
    step = jax.scipy.linalg.solve_triangular(triangle[:size, :size], triangle[:size, size])
    return step, half_square(value) - half_square(value + jacobian @ step)


def example() -> dict:
    """Decay of a tracer: the misfit of an exponential to its own values, with the answer known."""
    time = jnp.linspace(0, 4, 12)
    seen = 3.0 * jnp.exp(-0.7 * time)
    return {
        "solver": GaussNewton(bounds={"rate": (0.01, 5.0)}),
        "residual": lambda f: f["amount"] * jnp.exp(-f["rate"] * time) - seen,
        "guess": {"amount": jnp.asarray(1.0), "rate": jnp.asarray(2.0)},
        "solution": {"amount": 3.0, "rate": 0.7},
        "tolerance": 1e-3,
        "source": "doi:10.1137/0111030",
    }
