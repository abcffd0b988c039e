"""One-scale Lorenz-96 with closures, each taught in its own way by runs that resolve both scales."""

import time
from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...core import Model, System
from ...couplings.embedded.correction import corrected
from ...couplings.embedded.guard import guard
from ...couplings.embedded.replacement import Reads, offline, online, pseudo_observations
from ...couplings.embedded.stochastic import OneOf, RedNoise, red, told
from ...data.trajectories import Trajectories
from ...descent import Descent, stack
from ...forecast import Forecast
from ...learners.mlp import MLP
from ...learners.polynomial import Polynomial
from ...mechanisms.flow.lorenz96 import QUANTITY, RESOLVED_TENDENCY, Lorenz96, NoSubgridFlux, tendency
from ...mechanisms.flow.lorenz96_two_scale import Lorenz96TwoScale
from ...parameters import Parameter, follow, replace_at, set_parameters
from ...training.ensemble_kalman import fit_ensemble_kalman
from ...training.growing import fit_growing
from ...training.offline import fit_offline

X, U, R = "atmospheric_quantity", "subgrid_flux", "resolved_tendency"
STEP, FINE, SPIN_UP, PIECE = 0.02, 0.002, 5.0, 50
SEEN, AROUND = (QUANTITY, RESOLVED_TENDENCY), (-1, 0, 1)
POLYNOMIAL, WIDE_POLYNOMIAL = "polynomial closure", "polynomial closure, wide examples"
ORBIT, GUARDED_ORBIT = "network of one orbit", "network of one orbit, guarded"
OFFLINE, ONLINE = "embedded.replacement.offline", "embedded.replacement.online"
GUARDED, CORRECTED = "embedded.guard.guarded", "embedded.correction.corrected"
KALMAN = "ensemble Kalman teaching"
OPTIONS = {"joint": "closure", "taught_by": "observations"}


def host(forcing: float, closure: Model = NoSubgridFlux()) -> Lorenz96:
    """The one-scale model of eight sectors, its forcing no unknown."""
    known = Parameter(jnp.asarray(forcing), "1", (-20.0, 40.0), "F: what drives every sector", fixed=True)
    return Lorenz96(known, closure, size=8, time_step=STEP)


def nature(forcing: float, runs: int, units: float, key, *, scatter: bool = False) -> np.ndarray:
    """Slow waves (run, time, 8) of the two-scale model after its spin-up, one state a step of the one-scale model.

    Scattered, the settled waves are first scaled by 0.5 to 1.75, ripples and all, and pushed at random by up to a
    quarter of the forcing; half a time unit later the ripples have followed and the waves are still on their way back.
    """
    fine = set_parameters(Lorenz96TwoScale(time_step=FINE, steps=round(STEP / FINE)), {"forcing": forcing})
    keys = jax.random.split(key)
    slow, fast = jax.random.normal(keys[0], (runs, 8)), jax.random.normal(keys[1], (runs, 256))

    def after(wait: float, x, y) -> tuple:
        length = round(wait / STEP)
        made = Forecast(fine, length, save_every=length)(_start(x, y))
        return made[X][-1], made["convective_quantity"][-1]

    def run(x, y, own):
        x, y = after(SPIN_UP, x, y)
        if scatter:
            scale, size, push = (jax.random.fold_in(own, place) for place in range(3))
            times, size = jax.random.uniform(scale, minval=0.5, maxval=1.75), jax.random.uniform(size)
            x, y = after(0.5, times * x + forcing / 4 * size * jax.random.normal(push, (8,)), times * y)
        return Forecast(fine, round(units / STEP))(_start(x, y))[X]

    each = jax.random.split(jax.random.fold_in(key, 1), runs)
    return np.asarray(jax.jit(jax.vmap(run))(3 + 2 * slow, 0.1 * fast, each))


def _start(x, y) -> dict:
    return {f"initial_{X}": x, "initial_convective_quantity": y}


def with_fluxes(model: Lorenz96, states: np.ndarray) -> dict[str, np.ndarray]:
    """States, their resolved tendency, and the flux of each step that leads the one-scale model to the next of them."""
    before, after = states[:, :-1], states[:, 1:]
    rates = np.asarray(tendency(jnp.asarray(before), model.forcing.value))
    return {X: before, R: rates, U: np.asarray(_implied(model, before, after))}


@eqx.filter_jit
def _implied(model: Lorenz96, before, after):
    one = lambda a, b: pseudo_observations(model, "closure", {X: a}, {X: b})[U]  # noqa: E731
    return jax.vmap(jax.vmap(one))(before, after)


@dataclass(frozen=True)
class Lessons:
    """What teaches: pieces of one orbit, the same with transients from far around, and both of what is held out."""

    orbit: dict[str, np.ndarray]
    wide: dict[str, np.ndarray]
    held_out: dict[str, np.ndarray]
    unseen: dict[str, np.ndarray]

    @classmethod
    def of(cls, model: Lorenz96, truth: np.ndarray, transients: np.ndarray) -> "Lessons":
        """The last fifth of the runs, and of the transients, is held out."""
        (orbit, unseen), (far, other) = (_parted(with_fluxes(model, states)) for states in (truth, transients))
        return cls(_cut(orbit), _cut(orbit, far), _cut(unseen, other), unseen)


def _parted(series: dict[str, np.ndarray]) -> tuple[dict, dict]:
    last = max(1, len(series[X]) // 5)
    return {n: v[:-last] for n, v in series.items()}, {n: v[-last:] for n, v in series.items()}


def _cut(*several: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Runs of unlike length as pieces of one."""

    def pieces(values: np.ndarray) -> np.ndarray:
        return values[:, : values.shape[1] // PIECE * PIECE].reshape(-1, PIECE, 8)

    return {name: np.concatenate([pieces(one[name]) for one in several]) for name in several[0]}


def closures(forcing: float, lessons: Lessons, lengths, how, width: int, key) -> tuple[dict[str, Model], dict]:
    """The host with each closure in its place, and the seconds that teaching took.

    Networks see the quantity and its resolved tendency here and in both neighbours.
    """
    plain, aware = host(forcing), host(forcing, Reads(NoSubgridFlux(), SEEN))
    network = partial(MLP, width=width, key=key, descent=Descent(epochs=8, batch_size=1024))
    orbit, wide = (Trajectories(one, states=(X,), length=PIECE - 1) for one in (lessons.orbit, lessons.wide))
    lines = offline(Forecast(plain, 1), Polynomial, **OPTIONS)
    nets = online(Forecast(aware, 1), network, neighbours=AROUND, **OPTIONS)
    made, seconds = {}, {}

    def timed(name: str, teach, *, after: str = "") -> System:
        began = time.perf_counter()
        made[name] = teach()
        seconds[name] = time.perf_counter() - began + seconds.get(after, 0.0)
        return made[name]

    for name, pieces in ((POLYNOMIAL, orbit), (WIDE_POLYNOMIAL, wide)):
        timed(name, lambda pieces=pieces: fit_offline(lines, pieces, key=key))
    # What answers outside of the orbit is what was taught outside of it.
    scheme = follow(_step(made[WIDE_POLYNOMIAL]), "closure")
    one = timed(ORBIT, lambda: fit_offline(nets, orbit, key=key))
    timed(GUARDED_ORBIT, lambda: _guarded(one, scheme, orbit, key), after=ORBIT)
    alone = timed(OFFLINE, lambda: fit_offline(nets, wide, key=key))
    series, held_out = {X: lessons.wide[X]}, {X: lessons.held_out[X]}
    grown = {"lengths": lengths, "key": key, "validation": held_out, "how": how, "stride": lengths[0] * 2}
    through = timed(ONLINE, lambda: fit_growing([alone], series, **grown)[0][0], after=OFFLINE)
    timed(GUARDED, lambda: _guarded(through, scheme, orbit, key), after=ONLINE)
    compound = replace_at(aware, "closure", Reads(scheme, SEEN))
    correcting = corrected(Forecast(compound, 1), network, neighbours=AROUND, **OPTIONS)
    timed(CORRECTED, lambda: fit_offline(correcting, wide, key=key), after=WIDE_POLYNOMIAL)
    few = lessons.wide[X][:: max(1, len(lessons.wide[X]) // 200)]
    some = Trajectories({X: few}, states=(X,), length=10, stride=PIECE)
    timed(KALMAN, lambda: _kalman(alone, some, key), after=OFFLINE)
    noisy = _noisy(aware, made, nets, lessons, key)
    return {name: _step(system) for name, system in made.items()} | noisy, seconds


def _step(system: System) -> Model:
    """The one-scale model inside, without what counts the fall-backs."""
    return getattr(system.model.step, "step", system.model.step)  # pyright: ignore[reportAttributeAccessIssue]


def _guarded(system: System, scheme: Model, pieces: Trajectories, key) -> System:
    safe = guard(system, scheme, joint="closure")
    return fit_offline(System(safe.model, lessons=safe.lessons[-1:]), pieces, key=key)


def _kalman(system: System, pieces: Trajectories, key) -> System:
    longer = Forecast(_step(system), pieces.length)
    return fit_ensemble_kalman(System(longer), pieces, key=key, error=0.02, spread=0.1)[0]


def _noisy(model: Lorenz96, made: dict[str, System], nets: System, lessons: Lessons, key) -> dict[str, Model]:
    """Closures that err: red noise of what each leaves open, and one of four networks drawn at every step."""
    unseen, noisy = {name: jnp.asarray(lessons.unseen[name]) for name in (X, R)}, {}
    for name in (POLYNOMIAL,):
        step = _step(made[name])
        errors = lessons.unseen[U] - np.asarray(told(follow(step, "closure"), unseen, U))
        noisy[f"{name}, red noise"] = RedNoise.of(step, "closure", *red(errors))
    quarters = [
        Trajectories({n: v[part::4] for n, v in lessons.wide.items()}, states=(X,), length=PIECE - 1)
        for part in range(4)
    ]
    each = [fit_offline(nets, one, key=jax.random.fold_in(key, n)) for n, one in enumerate(quarters)]
    four = OneOf(stack([follow(one.model, "step.closure") for one in each]), 4)
    return noisy | {"one of four networks": replace_at(model, "closure", four)}
