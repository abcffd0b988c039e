"""Plug-and-play: any denoiser stands for the prior of an inverse problem."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PRNGKeyArray

from ..core import Fields, Model, Solver, Variable, named
from .gauss_newton import refuse_not_finite
from .total_variation import TotalVariation


class Restored(NamedTuple):
    """The fields found and the fixed-point residual of each iteration: by how much it moved the iterate (rms)."""

    fields: Fields
    residuals: Array


class PlugAndPlay(Solver):
    """The fields that fit the data and that a denoiser leaves as they are.

    "admm": `x = argmin |r(x)|²/2 + ρ|x - z + u|²/2; z = D(x + u); u += x - z`, ρ the `penalty`, the first step by
    conjugate gradients on r made linear at x (exact for a linear r). "proximal_gradient": `x = D(x - J'r(x) / L)`,
    L the largest curvature of the data. Where D is the proximal map of a penalty R/ρ (R/L) the answer is
    `argmin |r|²/2 + R`. The denoiser is any model that gives some of the unknown fields from themselves:
    `TotalVariation`, or a network; unknowns that it does not give are free.

    Raises `ValueError` for a denoiser that gives none of the unknowns, or reads what is not unknown, for a penalty
    that is not above 0, and for a residual that is not finite at the guess.

    Source: Venkatakrishnan et al. (2013), doi:10.1109/GlobalSIP.2013.6737048; Beck & Teboulle (2009),
    doi:10.1137/080716542.

        >>> image = Variable("image", "1", ("row", "column"))
        >>> solver = PlugAndPlay(TotalVariation(image, 0.0), iterations=20)
        >>> found = solver.solve(lambda f: f["image"] - jnp.eye(3), {"image": jnp.zeros((3, 3))}, key=jax.random.key(0))
        >>> bool(jnp.allclose(found["image"], jnp.eye(3), atol=1e-3))
        True
    """

    denoiser: Model
    penalty: float = 1.0
    method: Literal["admm", "proximal_gradient"] = eqx.field(static=True, default="admm")
    iterations: int = eqx.field(static=True, default=50)
    inner: int = eqx.field(static=True, default=50)

    def __check_init__(self) -> None:
        if self.method not in ("admm", "proximal_gradient"):
            raise ValueError(f"method must be 'admm' or 'proximal_gradient', got {self.method!r}")
        if self.iterations < 1 or self.inner < 1:
            raise ValueError(f"needs 1 iteration and 1 inner step, got {self.iterations} and {self.inner}")
        if not isinstance(self.penalty, Tracer) and not np.all(np.asarray(self.penalty) > 0):
            raise ValueError(f"the penalty must be above 0, got {self.penalty}")

    def solve(self, residual: Callable[[Fields], Array], guess: Fields, *, key: PRNGKeyArray) -> Fields:
        return self.restore(residual, guess).fields

    def restore(self, residual: Callable[[Fields], Array], guess: Fields) -> Restored:
        """The answer with the history of its fixed-point residual."""
        self._refuse(guess)
        guess = {name: jnp.asarray(value, jnp.result_type(float)) for name, value in guess.items()}
        start, unravel = ravel_pytree(guess)

        def denoise(point: Array) -> Array:
            fields = unravel(point)
            return ravel_pytree({**fields, **self.denoiser({v.name: fields[v.name] for v in self.denoiser.inputs})})[0]

        def misfit(point: Array) -> Array:
            return jnp.ravel(residual(unravel(point)))

        refuse_not_finite(misfit(start), "PlugAndPlay")
        walk = self._admm if self.method == "admm" else self._proximal_gradient
        found, residuals = walk(misfit, denoise, start)
        return Restored(unravel(found), residuals)

    def _admm(self, misfit: Callable, denoise: Callable, start: Array) -> tuple[Array, Array]:
        def step(carry, _):
            x, z, u = carry
            x = data_step(misfit, x, z - u, self.penalty, self.inner)
            clean = denoise(x + u)
            dual = u + x - clean
            moved = jnp.sqrt(jnp.mean((clean - z) ** 2 + (dual - u) ** 2))
            return (x, clean, dual), moved

        (_, z, _), residuals = jax.lax.scan(step, (start, start, jnp.zeros_like(start)), None, length=self.iterations)
        return z, residuals

    def _proximal_gradient(self, misfit: Callable, denoise: Callable, start: Array) -> tuple[Array, Array]:
        curvature = largest_curvature(misfit, start)

        def step(x, _):
            value, adjoint = jax.vjp(misfit, x)
            found = denoise(x - adjoint(value)[0] / curvature)
            return found, jnp.sqrt(jnp.mean((found - x) ** 2))

        return jax.lax.scan(step, start, None, length=self.iterations)

    def _refuse(self, guess: Fields) -> None:
        reads, gives = set(named(self.denoiser.inputs)), set(named(self.denoiser.outputs))
        if not reads <= set(guess) or not gives & set(guess) or not gives <= set(guess):
            raise ValueError(
                f"the denoiser reads {sorted(reads)} and gives {sorted(gives)}, the unknowns are {sorted(guess)}; "
                "it must read and give unknowns (compose.Rename changes names)"
            )


def data_step(misfit: Callable[[Array], Array], point: Array, target: Array, penalty: float, inner: int) -> Array:
    """`argmin_x |r(x)|²/2 + ρ|x - target|²/2` with r made linear at a point.

    >>> data_step(lambda x: x - 2.0, jnp.zeros(1), jnp.zeros(1), 1.0, 5).tolist()
    [1.0]
    """
    value, tangent = jax.linearize(misfit, point)
    adjoint = jax.linear_transpose(tangent, point)
    slope = adjoint(value)[0] + penalty * (point - target)
    enough = 10 * float(jnp.finfo(point.dtype).eps)
    move, _ = jax.scipy.sparse.linalg.cg(
        lambda s: adjoint(tangent(s))[0] + penalty * s, -slope, tol=enough, maxiter=inner
    )
    return point + move


def largest_curvature(misfit: Callable[[Array], Array], point: Array, iterations: int = 50) -> Array:
    """An upper estimate of the largest eigenvalue of `J'J` by power iteration, 2 % added for what it still lacks.

    >>> round(float(largest_curvature(lambda x: jnp.array([1.0, 3.0]) * x, jnp.zeros(2))), 2)
    9.18
    """
    _, tangent = jax.linearize(misfit, point)
    adjoint = jax.linear_transpose(tangent, point)

    def step(direction, _):
        image = adjoint(tangent(direction))[0]
        size = jnp.linalg.norm(image)
        return image / jnp.maximum(size, jnp.finfo(point.dtype).tiny), size

    first = jax.random.normal(jax.random.key(0), point.shape, point.dtype)
    _, sizes = jax.lax.scan(step, first / jnp.linalg.norm(first), None, length=iterations)
    return 1.02 * sizes[-1]


def example() -> dict:
    """A noiseless image blurred by its neighbours, with a denoiser that does nothing: the image itself."""
    image = Variable("image", "1", ("row", "column"))
    truth = jnp.zeros((6, 6)).at[2:4, 1:5].set(1.0)

    def blurred(fields: Fields) -> Array:
        across = fields["image"] + 0.3 * jnp.roll(fields["image"], 1, axis=1)
        return across - (truth + 0.3 * jnp.roll(truth, 1, axis=1))

    return {
        "solver": PlugAndPlay(TotalVariation(image, 0.0, iterations=1), penalty=0.1),
        "residual": blurred,
        "guess": {"image": jnp.zeros((6, 6))},
        "solution": {"image": truth},
        "tolerance": 1e-3,
        "source": "doi:10.1109/GlobalSIP.2013.6737048",
    }
