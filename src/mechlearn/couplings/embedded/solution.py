"""Method 6, solution: the inverse of a mechanism, solved with learned help."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from ...core import Fields, Learner, Model, Solver, System, Variable, named, require
from ...solvers.gauss_newton import GaussNewton
from ...solvers.lookup_table import latin_hypercube
from ..series import Untaught, output, settled, terms_of

Ranges = Mapping[str, tuple[float, float]]
Errors = Mapping[str, float]


class Retrieve(Model):
    """The unknown inputs of a forward model, from what it should have said: an inverse model around a solver.

    `x = argmin sum ((h(x, known) - y) / error)²`, searched from what `guess` reads off y and the known inputs, or from
    the middle of their `ranges`. Its inputs are the observed outputs and the known inputs of the forward model, its
    outputs the unknown. Observations that are NaN do not count; where all are, the answer is NaN.
    """

    forward: Model
    solver: Solver
    guess: Model | None
    unknown: tuple[Variable, ...] = eqx.field(static=True)
    observed: tuple[Variable, ...] = eqx.field(static=True)
    errors: tuple[float, ...] = eqx.field(static=True)
    ranges: tuple[tuple[float, float], ...] = eqx.field(static=True)

    @property
    def known(self) -> tuple[Variable, ...]:
        """The inputs of the forward model that are not sought."""
        return tuple(v for v in self.forward.inputs if v.name not in named(self.unknown))

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (*self.observed, *self.known)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.unknown

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Retrieve")
        known = {v.name: fields[v.name] for v in self.known}

        seen = {v.name: jnp.isfinite(fields[v.name]) for v in self.observed}

        def residual(state: Fields):
            made = self.forward({**known, **state})
            misses = {n: jnp.where(there, made[n] - jnp.where(there, fields[n], 0), 0) for n, there in seen.items()}
            pairs = zip(self.observed, self.errors, strict=True)
            return jnp.concatenate([jnp.ravel(misses[v.name]) / error for v, error in pairs])

        found = self.solver.solve(residual, self._first(fields), key=jax.random.key(0) if key is None else key)
        told = jnp.any(jnp.stack([jnp.any(there) for there in seen.values()]))
        return {name: jnp.where(told, value, jnp.nan) for name, value in found.items()}

    def _first(self, fields: Fields) -> Fields:
        middle = {v.name: jnp.asarray(sum(limits) / 2) for v, limits in zip(self.unknown, self.ranges, strict=True)}
        if self.guess is None:
            return middle
        read = self.guess({v.name: fields[v.name] for v in self.guess.inputs})
        return {
            v.name: jnp.where(jnp.isfinite(read[v.name]), jnp.clip(read[v.name], *limits), middle[v.name])
            for v, limits in zip(self.unknown, self.ranges, strict=True)
        }


def first_guess(
    mechanism: Model,
    learner: Untaught,
    *,
    ranges: Ranges,
    errors: Errors,
    unknown: tuple[str, ...] = (),
    simulations: int = 1000,
    solver: Solver | None = None,
    key: PRNGKeyArray | None = None,
) -> System:
    """Let a learner taught on simulations give the first guess of an inversion, which the mechanism then refines.

    The mechanism is run on a Latin hypercube of its inputs within `ranges`; the learner learns the way back, from
    outputs with noise of the standard deviations `errors` and known inputs to the `unknown` (all inputs by default).
    The system is taught when it is returned. Any learner will do: it needs no gradient.

    Raises `ValueError` for a range or an output that the mechanism does not have, or an error that is not above 0.

    Source: Krasnopolsky & Schiller (2003), doi:10.1016/S0893-6080(03)00027-3.
    """
    inverse = _inverse(mechanism, ranges, errors, unknown, solver)
    draw = jax.random.key(0) if key is None else key
    seen, targets = _noisy(inverse, ranges, simulations, draw)
    taught = _taught(learner(inverse.inputs, inverse.unknown), seen, targets, draw)
    model = eqx.tree_at(lambda m: m.guess, inverse, taught, is_leaf=lambda node: node is None)
    return System(model, terms_of(inverse.forward), stages=())


def surrogate_inversion(
    mechanism: Model,
    learner: Untaught,
    *,
    ranges: Ranges,
    errors: Errors,
    unknown: tuple[str, ...] = (),
    simulations: int = 1000,
    solver: Solver | None = None,
    key: PRNGKeyArray | None = None,
) -> System:
    """Let a learner taught on simulations stand for the mechanism inside an iterative inversion.

    The mechanism is run only to teach: on a Latin hypercube of its inputs within `ranges`. Gauss-Newton needs a
    learner with a gradient. The system is taught when it is returned; arguments are those of `first_guess`.

    Raises `ValueError` for a range or an output that the mechanism does not have.

    Source: Davis et al. (1993), doi:10.1109/36.239907.
    """
    inverse = _inverse(mechanism, ranges, errors, unknown, solver)
    draw = jax.random.key(0) if key is None else key
    inputs, made = _simulated(inverse.forward, ranges, simulations, draw)
    targets = {v.name: made[v.name] for v in inverse.observed}
    taught = _taught(learner(inverse.forward.inputs, inverse.observed), inputs, targets, draw)
    return System(eqx.tree_at(lambda m: m.forward, inverse, taught), terms_of(inverse.forward), stages=())


class Posterior(Model):
    """What two learners read off observations: the mean of each unknown, and its standard deviation.

    The mean stays within the `ranges` of the prior. Where an input lies further outside those that the learners were
    taught on, `taught`, than a tenth of their range, both are NaN.
    """

    mean: Model
    square: Model
    ranges: tuple[tuple[float, float], ...] = eqx.field(static=True)
    taught: Fields

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.mean.inputs

    @property
    def unknown(self) -> tuple[Variable, ...]:
        """What is sought."""
        return self.mean.outputs

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (*self.unknown, *(_deviation(v) for v in self.unknown))

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        means, squares = self.mean(fields), self.square(fields)
        told = jnp.all(jnp.stack([self._inside(v.name, fields[v.name]) for v in self.inputs]))
        made = {v.name: jnp.clip(means[v.name], *limits) for v, limits in zip(self.unknown, self.ranges, strict=True)}
        made |= {_deviation(v).name: jnp.sqrt(squares[_square(v).name]) for v in self.unknown}
        return {name: jnp.where(told, value, jnp.nan) for name, value in made.items()}

    def _inside(self, name: str, value: ArrayLike) -> Array:
        low, high = jax.lax.stop_gradient(self.taught[name])
        margin = (high - low) / 10
        return jnp.all((value >= low - margin) & (value <= high + margin))


def amortised(
    mechanism: Model,
    learner: Untaught,
    *,
    ranges: Ranges,
    errors: Errors,
    unknown: tuple[str, ...] = (),
    simulations: int = 1000,
    key: PRNGKeyArray | None = None,
) -> System:
    """Let learners taught on simulations give the posterior itself, at the price of one call.

    The prior is uniform within `ranges`, the errors Gaussian. Least squares over simulations with noise leads a
    learner to the posterior mean, `f(y) = E[x | y]`, and another, taught on what the first misses in simulations it
    has not seen, to the posterior variance, `g(y) = E[(x - f(y))² | y]`. The second comes out as
    `<name>_standard_deviation`. Observations far outside those simulated get NaN. The system is taught when it is
    returned; other arguments are those of `first_guess`.

    Raises `ValueError` for a range or an output that the mechanism does not have.

    Source: Cranmer et al. (2020), doi:10.1073/pnas.1912789117; Jeffrey & Wandelt (2020), arXiv:2011.05991.
    """
    inverse = _inverse(mechanism, ranges, errors, unknown, None)
    draw = jax.random.key(0) if key is None else key
    half = simulations // 2
    seen, targets = _noisy(inverse, ranges, simulations, draw)
    first, rest = ({n: v[part] for n, v in seen.items()} for part in (slice(half), slice(half, None)))
    mean = _taught(learner(inverse.inputs, inverse.unknown), first, {n: v[:half] for n, v in targets.items()}, draw)
    guessed = jax.jit(jax.vmap(lambda one: mean(one)))(rest)
    misses = {_square(v).name: (guessed[v.name] - targets[v.name][half:]) ** 2 for v in inverse.unknown}
    square = _taught(learner(inverse.inputs, tuple(_square(v) for v in inverse.unknown)), rest, misses, draw)
    taught = {name: jnp.stack([jnp.min(values), jnp.max(values)]) for name, values in seen.items()}
    return System(Posterior(mean, square, inverse.ranges, taught), terms_of(inverse.forward), stages=())


def _square(variable: Variable) -> Variable:
    return Variable(f"{variable.name}_variance", "1", bounds=(0, float("inf")))


def _deviation(variable: Variable) -> Variable:
    return Variable(f"{variable.name}_standard_deviation", variable.units, bounds=(0, float("inf")))


def _taught(learner: Learner, inputs: Fields, targets: Fields, key: PRNGKeyArray) -> Learner:
    return learner.standardise(inputs, targets).fit(inputs, targets, key=key)


def _noisy(inverse: Retrieve, ranges: Ranges, count: int, key: PRNGKeyArray) -> tuple[Fields, Fields]:
    """Simulations as an inverse model sees them, noise on what is observed, and the unknowns behind them."""
    inputs, made = _simulated(inverse.forward, ranges, count, key)
    noisy = {
        v.name: made[v.name] + error * jax.random.normal(jax.random.fold_in(key, place), made[v.name].shape)
        for place, (v, error) in enumerate(zip(inverse.observed, inverse.errors, strict=True))
    }
    both = {**inputs, **noisy}
    return {v.name: both[v.name] for v in inverse.inputs}, {v.name: inputs[v.name] for v in inverse.unknown}


def _inverse(
    mechanism: Model, ranges: Ranges, errors: Errors, unknown: tuple[str, ...], solver: Solver | None
) -> Retrieve:
    mechanism = settled(mechanism, "embedded.solution")
    there = named(mechanism.inputs)
    if set(ranges) != set(there) or not set(unknown) <= set(there):
        raise ValueError(
            f"embedded.solution needs a range for each input of the mechanism, {sorted(there)}, and unknowns among "
            f"them; got ranges for {sorted(ranges)} and the unknowns {sorted(unknown)}"
        )
    sought = {name: v for name, v in there.items() if not unknown or name in unknown}
    if not errors or not all(error > 0 for error in errors.values()):
        raise ValueError(
            f"embedded.solution needs a standard error above 0 for each observed output; got {dict(errors)}"
        )
    axes = [v.name for v in there.values() if v.dims]
    if axes:
        raise ValueError(f"embedded.solution draws inputs without axes, {axes} have some; invert one sample at a time")
    observed = tuple(output(mechanism, name) for name in errors)
    inside = {name: ranges[name] for name in sought}
    wanted, sizes = tuple(sought.values()), tuple(errors.values())
    return Retrieve(
        mechanism, solver or GaussNewton(bounds=inside), None, wanted, observed, sizes, tuple(inside.values())
    )


def _simulated(mechanism: Model, ranges: Ranges, count: int, key: PRNGKeyArray) -> tuple[dict[str, ArrayLike], Fields]:
    drawn = latin_hypercube(ranges, count, key=key)
    return drawn, jax.jit(jax.vmap(lambda one: mechanism(one)))(drawn)
