"""Land seen by microwaves: what a first guess among its inputs is worth to a network."""

import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...core import Variable
from ...descent import Descent
from ...learners.mlp import MLP
from ...mechanisms.microwave.one_layer import EMISSIVITIES, LAYER_TEMPERATURE, LIQUID_WATER, SEEN, OneLayer
from ...solvers.optimal_estimation import OptimalEstimation
from ...variables import SURFACE_TEMPERATURE, WATER_VAPOUR_COLUMN
from ..study import Findings, Score

WITH, WITHOUT, SOLVER = "cascade.initialization.sample_generation", "learner_only", "mechanism_only"
WATER = (WATER_VAPOUR_COLUMN, LIQUID_WATER)
UNKNOWN = tuple(sorted((SURFACE_TEMPERATURE, *WATER, *EMISSIVITIES), key=lambda v: v.name))
GUESSES = tuple(Variable(f"first_guess_{v.name}", v.units) for v in UNKNOWN)
ERRORS = {SURFACE_TEMPERATURE: 4.0, WATER_VAPOUR_COLUMN: 5.0, LIQUID_WATER: 0.1}
OF_EMISSIVITY, SHARED, NO_CLOUD = 0.015, 0.5, 1e-3
TOLD = {SURFACE_TEMPERATURE: "surface_temperature", WATER_VAPOUR_COLUMN: "water_vapour", LIQUID_WATER: "cloud_water"}
NOT_JUDGED = ("cloud_water", "clear")
Method = Callable[[dict[str, np.ndarray]], np.ndarray]


def study(
    *, samples: int = 20000, tests: int = 2000, noise: float = 0.6, width: int = 64, epochs: int = 60, seed: int
) -> Findings:
    """Retrieve surface temperature, vapour, cloud water and seven emissivities from seven channels of SSM/I.

    Forward model: `microwave.one_layer`; scenes are drawn from a population of land surfaces, under clear skies (known
    to hold no more than 0.001 kg m-2 of cloud) and cloudy ones. Networks are taught on `samples` of it with `noise` (K)
    on what is seen, one with a first guess among its inputs (the truth with errors, drawn for each sample by itself),
    one without. All know the temperature of the air. Beside them: the first guess alone, and optimal estimation with
    the first guess as its prior, linear and iterated, and with what first guess and population say together.
    Aires et al. (2001), doi:10.1029/2001JD900085. Its data and radiative transfer are not public: both are ours.
    """
    scores: list[Score] = []
    shown: dict[str, np.ndarray] = {}
    for number, sky in enumerate(("clear", "cloudy")):
        draw = np.random.default_rng([seed, number])
        teaching, testing = (scenes(sky, count, noise, draw) for count in (samples, tests))
        how = Descent(epochs=epochs, batch_size=256, learning_rate=5e-3, patience=0)
        methods: dict[str, Method] = {"first guess": lambda given: stacked(given, GUESSES)}
        methods |= networks(teaching, width, how, jax.random.key(seed)) | estimators(sky, teaching, noise)
        errors: dict[str, np.ndarray] = {}
        for name, method in methods.items():
            begin = time.perf_counter()
            found = np.array(method(testing))
            seconds = time.perf_counter() - begin
            found = np.where([v in WATER for v in UNKNOWN], np.maximum(found, 0.0), found)
            missed = found - stacked(testing, UNKNOWN)
            errors[name] = np.sqrt(np.mean(missed**2, axis=0))
            scores += scored(name, errors[name], sky, tests, seconds)
            shown[name] = missed[:, UNKNOWN.index(SURFACE_TEMPERATURE)]
        scores += compared(errors, sky, tests)
    words = ", ".join(f"{TOLD[v].replace('_', ' ')} {error:g} {v.units}" for v, error in ERRORS.items())
    note = f"Standard errors of the first guess: {words}, emissivity {OF_EMISSIVITY} (correlated by {SHARED})."
    return Findings(scores, {"Surface temperature under clouds": lambda axes: drawn(axes, shown)}, [note])


def stacked(fields: dict[str, np.ndarray], variables: tuple[Variable, ...]) -> np.ndarray:
    """Some of the fields as one array (scene, variable)."""
    return np.stack([np.asarray(fields[v.name]) for v in variables], axis=-1)


def scenes(sky: str, count: int, noise: float, draw: np.random.Generator) -> dict[str, np.ndarray]:
    """Scenes of land: their truth, what is seen of them with noise (K), and a first guess of each unknown."""
    air = draw.normal(275, 12, count)
    humid = 45 * np.exp(0.065 * (air - 282)) * draw.uniform(0.25, 1.0, count)
    cloud = np.abs(draw.normal(0, NO_CLOUD, count)) if sky == "clear" else draw.gamma(1.0, 0.15, count)
    truth = {LAYER_TEMPERATURE.name: air, SURFACE_TEMPERATURE.name: air + draw.normal(12, 6, count)}
    truth |= {WATER_VAPOUR_COLUMN.name: np.clip(humid, 1, 75), LIQUID_WATER.name: cloud}
    cover, flooded = draw.beta(1.5, 1.0, count), draw.beta(0.6, 12.0, count)
    for v in EMISSIVITIES:
        bare, wet = (0.95, 0.62) if v.name.endswith("v") else (0.84, 0.38)
        dry = cover * 0.955 + (1 - cover) * bare
        truth[v.name] = np.clip(dry + flooded * (wet - dry) + draw.normal(0, 0.008, count), 0.3, 0.995)
    made = jax.jit(jax.vmap(OneLayer().__call__))({name: jnp.asarray(value) for name, value in truth.items()})
    seen = {v.name: np.asarray(made[v.name]) + draw.normal(0, noise, count) for v in SEEN}
    wrong = draw.multivariate_normal(np.zeros(len(UNKNOWN)), covariance(sky), count)
    guessed = {v.name: truth[u.name] + wrong[:, n] for n, (u, v) in enumerate(zip(UNKNOWN, GUESSES, strict=True))}
    return {**truth, **seen, **guessed}


def covariance(sky: str) -> np.ndarray:
    """Of the errors of the first guess: those of emissivities go together, all others are apart."""
    errors = ERRORS | ({LIQUID_WATER: NO_CLOUD} if sky == "clear" else {})
    deviation = np.array([errors.get(v, OF_EMISSIVITY) for v in UNKNOWN])
    surface = np.array([v in EMISSIVITIES for v in UNKNOWN])
    together = np.where(np.outer(surface, surface), SHARED, 0.0)
    np.fill_diagonal(together, 1.0)
    return together * np.outer(deviation, deviation)


def networks(teaching: dict[str, np.ndarray], width: int, how: Descent, key: jax.Array) -> dict[str, Method]:
    """A network that reads what is seen, and one that reads a first guess too, both taught on samples."""

    def taught(*reads: Variable) -> Method:
        untaught = MLP((*SEEN, LAYER_TEMPERATURE, *reads), UNKNOWN, width=width, descent=how, key=key)
        network = untaught.fit(teaching, {v.name: teaching[v.name] for v in UNKNOWN}, key=key)
        ask = jax.jit(jax.vmap(lambda one: network(one)))
        return lambda given: stacked(ask({v.name: jnp.asarray(given[v.name]) for v in network.inputs}), UNKNOWN)

    return {WITHOUT: taught(), WITH: taught(*GUESSES)}


def estimators(sky: str, teaching: dict[str, np.ndarray], noise: float) -> dict[str, Method]:
    """Optimal estimation around the first guess: one linear step, iterated, and with the population's statistics."""
    error, air = covariance(sky), teaching[LAYER_TEMPERATURE.name]
    truth, rows = stacked(teaching, UNKNOWN), np.stack([np.ones_like(air), air], axis=-1)
    fit = np.linalg.lstsq(rows, truth, rcond=None)[0]
    trust = np.linalg.inv(np.cov((truth - rows @ fit).T)), np.linalg.inv(error)
    both = np.linalg.inv(trust[0] + trust[1])

    def iterated(given: dict[str, np.ndarray], prior: np.ndarray, uncertain: np.ndarray) -> np.ndarray:
        zeros = {v.name: 0.0 for v in UNKNOWN}
        solver = OptimalEstimation(zeros, 0.5 * (uncertain + uncertain.T), np.full(len(SEEN), noise**2), iterations=12)
        return np.asarray(_estimated(solver, *_known(given), jnp.asarray(prior)))

    def linear(given: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(_linear(*_known(given), jnp.asarray(stacked(given, GUESSES)), jnp.asarray(error), noise))

    def blended(given: dict[str, np.ndarray]) -> np.ndarray:
        expected = fit[0] + np.outer(given[LAYER_TEMPERATURE.name], fit[1])
        return (expected @ trust[0] + stacked(given, GUESSES) @ trust[1]) @ both

    return {
        f"{SOLVER}, linear": linear,
        SOLVER: lambda given: iterated(given, stacked(given, GUESSES), error),
        f"{SOLVER}, population known": lambda given: iterated(given, blended(given), both),
    }


def _known(given: dict[str, np.ndarray]) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(stacked(given, SEEN)), jnp.asarray(given[LAYER_TEMPERATURE.name])


def _said(state: jax.Array, air: jax.Array) -> jax.Array:
    """What the mechanism says of a state (unknown,): brightness temperatures (channel,)."""
    made = OneLayer()({LAYER_TEMPERATURE.name: air, **{v.name: state[n] for n, v in enumerate(UNKNOWN)}})
    return jnp.stack([made[v.name] for v in SEEN])


@eqx.filter_jit
def _estimated(solver: OptimalEstimation, seen, air, prior) -> jax.Array:
    def one(seen, air, prior):
        start = {v.name: prior[n] for n, v in enumerate(UNKNOWN)}
        around = eqx.tree_at(lambda s: s.prior, solver, start)
        found = around.retrieve(lambda f: _said(jnp.stack([f[v.name] for v in UNKNOWN]), air) - seen).fields
        return jnp.stack([found[v.name] for v in UNKNOWN])

    return jax.vmap(one)(seen, air, prior)


@jax.jit
def _linear(seen, air, prior, error, noise) -> jax.Array:
    """`x = x_b + B K' (K B K' + R)^-1 (y - H(x_b))`."""

    def one(seen, air, prior):
        slope = jax.jacfwd(_said)(prior, air)
        spread = slope @ error @ slope.T + noise**2 * jnp.eye(len(SEEN))
        return prior + error @ slope.T @ jnp.linalg.solve(spread, seen - _said(prior, air))

    return jax.vmap(one)(seen, air, prior)


def scored(name: str, errors: np.ndarray, sky: str, count: int, seconds: float) -> list[Score]:
    """The error of each kind of unknown, the seven emissivities as one; no cloud under a clear sky."""
    found = {(word, v.units): errors[UNKNOWN.index(v)] for v, word in TOLD.items() if (word, sky) != NOT_JUDGED}
    found["emissivity", "1"] = np.sqrt(np.mean(errors[[v in EMISSIVITIES for v in UNKNOWN]] ** 2))
    return [
        Score(name, f"rmse_{word}", float(value), units, target=word, split=sky, n=count, seconds=seconds)
        for (word, units), value in found.items()
    ]


def compared(errors: dict[str, np.ndarray], sky: str, count: int) -> list[Score]:
    """What the study is judged by: the network's errors as shares of others', the worst over all unknowns."""
    judged = [(TOLD.get(v), sky) != NOT_JUDGED for v in UNKNOWN]
    best, warmth = errors[WITH], UNKNOWN.index(SURFACE_TEMPERATURE)
    references = {
        "first_guess": "first guess",
        "linear_estimation": f"{SOLVER}, linear",
        "estimation": SOLVER,
        "estimation_with_population": f"{SOLVER}, population known",
    }
    found = {f"worst_share_of_{word}": np.max((best / errors[name])[judged]) for word, name in references.items()}
    found["surface_temperature_times_worse_without"] = errors[WITHOUT][warmth] / best[warmth]
    return [Score(WITH, metric, float(value), split=sky, n=count) for metric, value in found.items()]


def drawn(axes, missed: dict[str, np.ndarray]) -> None:
    """Draw by how much each answer misses the surface temperature."""
    labels = {"first guess": "first guess", WITHOUT: "network without", WITH: "network with first guess"}
    for name, label in labels.items():
        axes.hist(missed[name], bins=np.linspace(-12, 12, 49), histtype="step", label=label)
    axes.set(xlabel="error of surface temperature (K)", ylabel="scenes")
    axes.legend()
