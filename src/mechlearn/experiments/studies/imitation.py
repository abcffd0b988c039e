"""Imitation of an assimilation scheme by learners that see one forecast and its observations."""

import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...assimilation.learned import Cycles, LearnedAnalysis, cycled, end_to_end, imitate
from ...descent import Descent
from ..study import Findings, Score
from . import _gains
from ._worlds import WORLDS, World

LONG, SPAN = 100, 20
Stretch = tuple[np.ndarray, np.ndarray]


def study(
    *,
    world: str = "shallow_water",
    training: int = 900,
    validation: int = 100,
    test: int = 500,
    endurance: int = 1000,
    spin_up: int = 100,
    rounds: int = 3,
    epochs: int = 10,
    learners: list[str] | None = None,
    end_to_end_epochs: int = 6,
    members: int = 0,
    gain_cycles: int = 0,
    gain_rounds: int = 4,
    gain_epochs: int = 4,
    seed: int,
) -> Findings:
    """Teach learners what a filter makes of one run, and let them cycle by themselves through another.

    Training, validation and test are different stretches; test is a run of its own from another seed. The teacher
    starts `spin_up` cycles before each. Every learner begins the test at the teacher's analysis and then has its own
    forecasts alone, for `endurance` cycles; errors are those of the first `test`, which the teacher goes through too.

    With `members` two learned gains of as small an ensemble are taught too: one towards the filter's analyses and,
    with `gain_cycles`, one towards the truth of a run as long that the model made for the purpose. Their ensembles
    begin with noise around the teacher's analysis half a `spin_up` before the test.

    Haerter & de Campos Velho (2008), doi:10.1016/j.apm.2007.09.006; Cintra & de Campos Velho (2018),
    doi:10.5772/intechopen.70791.
    """
    place = WORLDS[world](epochs)
    lesson = _taught(place, training + validation, 0, spin_up, seed)
    exam = _taught(place, test, endurance - test, spin_up, 1000 + seed)
    cut = spin_up + training
    cycles = lesson.observed[spin_up:cut], lesson.analysed[spin_up:cut]
    held_out = lesson.observed[cut:], lesson.analysed[cut:]
    students, notes = _students(place, cycles, held_out, rounds, learners, end_to_end_epochs, seed)
    if members:
        lessons = {"imitation_gain": cycles}
        if gain_cycles:
            truth, observed, _ = place.record(gain_cycles, 2000 + seed)
            lessons["learned_gain"] = observed, truth
        for name, known in lessons.items():
            cut = _gains.Lessons.cut(*known)
            students[name], said = _gains.taught(place, cut, members, gain_rounds, gain_epochs, seed)
            notes.append(f"{name}: {said}")
    return _findings(place, exam, students, spin_up, test, notes, members)


class _Taught(eqx.Module):
    """A run, and what the teacher made of its first cycles."""

    truth: np.ndarray
    observed: np.ndarray
    analysed: np.ndarray
    seconds: float


def _taught(place: World, cycles: int, beyond: int, spin_up: int, seed: int) -> _Taught:
    truth, observed, first = place.record(spin_up + cycles + beyond, seed)
    known = observed[: spin_up + cycles]

    def run(count: int):
        found = place.system.run(place.teacher, first, known[:count], key=jax.random.key(seed), keep_mean=True)
        return np.asarray(found.mean)

    analysed = run(len(known))
    few = min(40, len(known))
    run(few)
    begin = time.process_time()
    run(few)
    return _Taught(truth, observed, analysed, (time.process_time() - begin) / few)


def _students(place: World, cycles: Stretch, held_out: Stretch, rounds: int, chosen, epochs: int, seed: int):
    """Each method's analysis, and what its rounds of teaching came to on the validation part."""
    found: dict[str, Any] = {}
    notes, key = [], jax.random.key(seed + 1)
    if chosen == []:
        return found, notes
    long = [Cycles.cut(*part, min(LONG, len(part[0]) - 1)) for part in (cycles, held_out)]
    for name, learner in place.learners.items():
        if chosen is not None and name not in chosen:
            continue
        untaught = LearnedAnalysis.make(place.system, learner, place.places)
        made = imitate(place.system, untaught, *long, rounds=rounds, key=key)
        found[f"imitation_{name}"] = made.analysis
        spelt = ", ".join(f"{x:.3f}" for x in made.distance)
        notes.append(f"imitation_{name}: distance to the filter on the validation part by round: {spelt}")
    if epochs and found:
        first = next(iter(found.values()))
        how = Descent(epochs=epochs, batch_size=8, learning_rate=1e-3, patience=0)
        short = [_own(place, first, *part) for part in (cycles, held_out)]
        for by in ("analyses", "observations"):
            taught = end_to_end(place.system, first, *short, judged_by=by, warm_up=2, how=how, key=key)
            found[f"end_to_end_{by}"] = taught
    return found, notes


def _own(place: World, analysis: LearnedAnalysis, observed: np.ndarray, analysed: np.ndarray) -> Cycles:
    """Short spans that begin where a learned analysis has come to by itself."""
    run = cycled(place.system, analysis, Cycles.cut(observed, analysed, len(observed) - 1))
    own = np.concatenate([analysed[:1], run.analysed[0]])
    return Cycles.cut(observed, analysed, min(SPAN, len(observed) - 1), own=own)


def _findings(place: World, exam: _Taught, students: dict, spin_up: int, test: int, notes: list[str], members: int):
    """Every method's error over the test, against the teacher's, how long it lasted and how fast it was."""
    start, truth = exam.analysed[spin_up - 1], exam.truth[spin_up:]
    reference = place.error(exam.analysed[spin_up:], truth[:test])
    errors = {"filter": reference, "free_run": place.error(_free(place, start, len(truth)), truth)}
    errors["climatology"] = place.error(truth.mean(axis=0), truth)
    seconds = {"filter": exam.seconds}
    early = spin_up // 2
    for name, analysis in students.items():
        if isinstance(analysis, LearnedAnalysis):
            run, seconds[name] = _examined(place, analysis, start, exam.observed[spin_up:])
        else:
            whole = place, analysis, exam.analysed[early - 1], exam.observed[early:]
            run, seconds[name] = _gains.examined(*whole, members)
            run = run[spin_up - early :]
        errors[name] = place.error(run, truth)
    scores: list[Score] = []
    for name, error in errors.items():
        shared: dict[str, Any] = {"mechanism": place.mechanism, "paradigm": "embedded", "n": test}
        rmse = float(np.mean(error[:test]))
        scores.append(Score(name, "analysis_rmse", rmse, place.units, **shared))
        scores.append(Score(name, "over_filter", rmse / float(np.mean(reference)), **shared))
        if name in students:
            scores.append(Score(name, "worst_over_filter", float(error.max() / reference.max()), **shared))
            scores.append(Score(name, "late_over_early", float(error[-test:].mean() / error[:test].mean()), **shared))
        if name in seconds:
            scores.append(Score(name, "cycle_time", 1e3 * seconds[name], "ms", **shared))
            scores.append(Score(name, "times_faster", seconds["filter"] / seconds[name], **shared))
    return Findings(scores, {"Error of the analysis in each cycle of the test": _drawn(errors, place)}, notes)


def _examined(place: World, analysis: LearnedAnalysis, start: np.ndarray, observed: np.ndarray):
    """The analyses of all cycles, and seconds a cycle when compiled."""
    count = len(observed)
    whole = Cycles.cut(np.concatenate([observed[:1], observed]), np.repeat(start[None], count + 1, axis=0), count)
    cycled(place.system, analysis, whole)
    begin = time.process_time()
    made = np.asarray(cycled(place.system, analysis, whole).analysed[0])
    return made, (time.process_time() - begin) / len(observed)


def _free(place: World, start: np.ndarray, cycles: int) -> np.ndarray:
    unseen = jnp.full((cycles, len(place.places)), jnp.nan)
    return np.asarray(jax.jit(lambda x: place.system.misfit(x, jnp.zeros((cycles, len(x))), unseen)[0])(start))


def _drawn(errors: dict[str, np.ndarray], place: World) -> Callable:
    def draw(axes) -> None:
        for name, error in errors.items():
            axes.semilogy(error, label=name.replace("_", " "), linewidth=1)
        axes.set(xlabel="cycle", ylabel=f"error ({place.units})")
        axes.legend(fontsize=7, ncols=3)

    return draw
