"""Learners in the place of a chemical integrator, alone and then day after day inside a box of air."""

import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...compose import Rollout
from ...core import Fields, Model
from ...couplings.embedded.replacement import Overheard, offline
from ...descent import Descent
from ...learners.increments import Increments
from ...learners.mlp import MLP
from ...learners.sklearn import Sklearn
from ...mechanisms.chemistry._species import NAMES, NITROGEN
from ...mechanisms.chemistry.box import Box
from ...mechanisms.chemistry.methane_oxidation import NETWORK
from ...training.offline import fit_offline
from ..study import Findings, Score
from ._boxes import DAY, STATIC, Boxes, carried

STORE = NAMES["HNO3"]  # nitric acid takes what nitrogen the other answers leave over
ATOMS = {STORE: 1.0} | {NAMES[symbol]: float(count) for symbol, count in NITROGEN.items() if symbol in NETWORK.symbols}
NOX = ("nitrogen_monoxide", "nitrogen_dioxide")
NAME, SETTLING, TIMED = "embedded.replacement.offline", 5, 1


def study(
    *,
    taught: int = 400,
    days_taught: int = 3,
    judged: int = 24,
    days: int = 30,
    short: int = 5,
    trees: int = 30,
    leaves: int = 5000,
    share: float = 0.3,
    epochs: int = 40,
    seed: int,
) -> Findings:
    """How well forests, and a network, keep ozone in the place of the integrator in boxes of air.

    Boxes of other latitudes, emissions, depths and weather than those that teach run on from air that has settled for
    five days. Each gas has a forest of `trees` of at most `leaves`, grown on a `share` of the steps: of what it
    becomes; of how it changes, where it lives longer than a step by day; then with NO and NO2 as a family and
    nitrogen kept; then with ozone as what NO2 leaves of odd oxygen, which light does not change, and the share of NO
    learned itself. Offline: one step from the mechanism's states in boxes that taught nothing. Online: the last of
    `short` days and of `days` of running alone, over all boxes. RMSE in percent of the standard deviation.
    Keller & Evans (2019), doi:10.5194/gmd-12-1209-2019.
    """
    draw = np.random.default_rng(seed)
    teaching, all_days = Boxes.drawn(taught, days_taught, draw), Boxes.drawn(judged, SETTLING + days, draw)
    host, after = Box(), all_days.between(SETTLING, SETTLING + days)
    before = carried(host, all_days.between(0, SETTLING))
    start = {name: before[name][:, -1] for name in NETWORK.names}
    truth = carried(Overheard(host, "chemistry"), after, start)
    lasting = _lasting(host, truth)
    own, curves = _seconds_a_day(host, after, start), {"mechanism": truth["ozone"]}
    scores = [Score("mechanism_only", "seconds_a_day", own, "s", mechanism="chemistry.box", n=judged)]
    again = {name: np.tile(before[name][:, -DAY:], (1, days)) for name in NETWORK.names}
    scores += _online("the day before, again", again, truth, short, days)
    for name, (learner, length) in _ways(lasting, trees, leaves, share, epochs, short, days).items():
        began = time.perf_counter()
        system = offline(Rollout(host, static=STATIC), learner, joint="chemistry")
        step = fit_offline(system, teaching, key=jax.random.key(seed)).model.step  # pyright: ignore
        spent = time.perf_counter() - began
        scores += _one_step(f"{NAME}, {name}", step.chemistry, truth, lasting, spent)
        made = carried(Overheard(step, "chemistry"), after.between(0, length), start)
        scores += _online(f"{NAME}, {name}", made, truth, short, length)
        scores.append(_drift(f"{NAME}, {name}", made, after, length))
        if length == days:
            ratio = _seconds_a_day(step, after, start) / own
            scores.append(_score(f"{NAME}, {name}", "cost_ratio", ratio, n=judged))
        curves[name] = made["ozone"]
    notes = [f"Told by their change: {', '.join(lasting)}."]
    return Findings(scores, {"Ozone in the median box": partial(_drawn, curves)}, notes)


def _ways(lasting, trees, leaves, share, epochs, short, days) -> dict:
    grown = {"n_estimators": trees, "max_leaf_nodes": leaves, "max_samples": share, "max_features": 0.5}
    forest = partial(Sklearn, **grown)
    network = partial(MLP, width=64, descent=Descent(epochs=epochs, batch_size=1024, learning_rate=3e-3))
    kept = {"changing": lasting, "families": [NOX], "conserved": [ATOMS]}
    odd = {"sums": [("ozone", "nitrogen_dioxide")], "steady": True}
    return {
        "forest of concentrations": (partial(Increments, learner=forest), short),
        "forest of changes": (partial(Increments, learner=forest, changing=lasting), short),
        "forest with NOx and nitrogen": (partial(Increments, learner=forest, **kept), days),
        "network with NOx and nitrogen": (
            partial(Increments, learner=network, logarithmic=NETWORK.names, **kept),
            days,
        ),
        "forest with odd oxygen too": (partial(Increments, learner=forest, **kept, **odd), days),
        "network with odd oxygen too": (
            partial(Increments, learner=network, logarithmic=NETWORK.names, **kept, **odd),
            days,
        ),
    }


def _lasting(host: Box, truth: Fields) -> tuple[str, ...]:
    """The gases that live longer than a step, half of the time that the sun is up."""
    chemistry = host.chemistry
    given = {v.name: truth[f"given_{v.name}"][:, ::7].reshape(-1) for v in chemistry.inputs}

    def turnover(fields: Fields) -> Array:
        amounts = jnp.stack([fields[name] for name in NETWORK.names])
        return -jnp.diag(NETWORK.jacobian(amounts, chemistry.constants(fields)))  # pyright: ignore

    found = np.asarray(jax.jit(jax.vmap(turnover))(given))[np.asarray(given["solar_zenith_angle"]) < 90]
    lives = 1 / np.maximum(np.median(found, axis=0), 1e-12)
    return tuple(name for name, life in zip(NETWORK.names, lives, strict=True) if life > host.time_step)


def _one_step(name: str, chemistry: Model, truth: Fields, lasting, seconds: float) -> list[Score]:
    """Errors one step ahead, in units of what a step changes; the geometric mean over what lasts."""
    given = {v.name: np.asarray(truth[f"given_{v.name}"])[:, ::7].ravel() for v in chemistry.inputs}
    made = eqx.filter_jit(lambda fields: jax.vmap(chemistry)(fields))(given)
    errors = {}
    for one in NETWORK.names:
        wanted = np.asarray(truth[f"answered_{one}"])[:, ::7].ravel()
        errors[one] = float(np.sqrt(np.mean((made[one] - wanted) ** 2)) / np.std(wanted - given[one]))
    whole = float(np.exp(np.mean([np.log(errors[one]) for one in lasting])))
    count = len(given["ozone"])
    shown = {
        "ozone_error": errors["ozone"],
        "nitrogen_dioxide_error": errors["nitrogen_dioxide"],
        "lasting_error": whole,
    }
    shown["hydroxyl_radical_error"] = errors["hydroxyl_radical"]
    return [_score(name, metric, value, "one step", count, seconds) for metric, value in shown.items()]


def _online(name: str, made: Fields, truth: Fields, *lengths: int) -> list[Score]:
    """Bias and RMSE in percent of the mean and of the spread, and the squared correlation, on the last days."""
    scores = []
    for day, gas in [(day, gas) for day in dict.fromkeys(lengths) for gas in ("ozone", "nitrogen_oxides")]:
        parts = (gas,) if gas == "ozone" else NOX
        part = slice((day - 1) * DAY, day * DAY)
        found, wanted = (np.sum([np.asarray(run[one])[:, part] for one in parts], axis=0) for run in (made, truth))
        error, split, count = found - wanted, f"day {day}", wanted.size
        values = {
            "bias": 100 * np.mean(error) / np.mean(wanted),
            "rmse": 100 * np.sqrt(np.mean(error**2)) / np.std(wanted),
            "r2": np.corrcoef(found.ravel(), wanted.ravel())[0, 1] ** 2,
        }
        units = {"bias": "percent", "rmse": "percent", "r2": "1"}
        scores += [_score(name, f"{gas}_{m}", float(v), split, count, units=units[m]) for m, v in values.items()]
    return scores


def _drift(name: str, made: Fields, boxes: Boxes, days: int) -> Score:
    """Nitrogen that the chemistry made or lost, in percent of what was emitted."""
    given, answered = (
        sum(count * np.asarray(made[f"{word}_{one}"], float) for one, count in ATOMS.items())
        for word in ("given", "answered")
    )
    fields = boxes.fields
    warmth = fields["air_temperature"][:, :1].ravel() + 273.15
    moles = fields["surface_air_pressure"] / (8.314 * warmth) * fields["mixing_height"]
    emitted = fields["emission_of_nitrogen_monoxide"] * 86400 * days / moles
    lost = np.sum(np.abs(np.sum(answered - given, axis=1))) / np.sum(emitted)
    return _score(name, "nitrogen_drift", float(100 * lost), f"day {days}", len(emitted), units="percent")


def _seconds_a_day(step: Model, boxes: Boxes, start: Fields) -> float:
    day = boxes.between(0, TIMED)
    jax.block_until_ready(carried(step, day, start))
    began = time.perf_counter()
    jax.block_until_ready(carried(step, day, start))
    return time.perf_counter() - began


def _score(name, metric, value, split="main", n=1, seconds=float("nan"), units="1") -> Score:
    paradigm, kind = ("embedded" if name.startswith("embedded") else ""), ""
    kind = "sklearn" if "forest" in name else "mlp" if "network" in name else ""
    return Score(name, metric, value, units, paradigm, kind, "chemistry.box", "ozone", split, n, seconds)


def _drawn(curves: dict, axes) -> None:
    box = int(np.argsort(np.mean(np.asarray(curves["mechanism"]), axis=1))[len(curves["mechanism"]) // 2])
    for label, runs in curves.items():
        line = np.asarray(runs)[box]
        axes.plot(
            np.arange(len(line)) / DAY, line, label=label, color="black" if label == "mechanism" else None, lw=0.9
        )
    axes.set(xlabel="days alone", ylabel="ozone (1e-9)")
    axes.legend(frameon=False, fontsize=7)
