"""Somebody else's program, which reads files and writes files, as a mechanism."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable as Function
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ...core import Fields, Variable, Wrapped, require
from ...parameters import Parameter
from .callable import Arrays, Callable, Failures, MechanismFailure

Write = Function[[Path, Arrays, Arrays], None]
Read = Function[[Path, Arrays], Mapping[str, Any]]
LAST_LINES = 12


Reason = Literal["crashed", "timed out", "not finite"]


class MemberFailed(MechanismFailure):
    """A run of a program came to nothing.

    `reason` is "crashed" (it stopped with an error, or left no outputs that can be read), "timed out" (it was stopped
    because it ran longer than allowed) or "not finite" (it ran to its end and answered NaN); `what` says more, and
    `log` holds the last lines that the program wrote.

        >>> str(MemberFailed("timed out", "no answer within 5 s"))
        'timed out: no answer within 5 s'
    """

    def __init__(self, reason: Reason, what: str, log: str = ""):
        super().__init__(reason, what, log)
        self.reason, self.what, self.log = reason, what, log

    def __str__(self) -> str:
        return f"{self.reason}: {self.what}" + (f"; its last lines:\n{self.log}" if self.log else "")


@dataclass(frozen=True)
class Ensemble:
    """What the members of an ensemble gave: outputs of those that ran, failures of the rest, by place.

    >>> slow = MemberFailed("timed out", "over 5 s")
    >>> made = Ensemble({0: {"runoff": np.ones(3)}, 2: {"runoff": np.zeros(3)}}, {1: slow})
    >>> made.stacked()["runoff"].shape, made.counts()
    ((2, 3), {'timed out': 1})
    """

    outputs: dict[int, Arrays]
    failures: dict[int, MemberFailed] = field(default_factory=dict)

    def stacked(self) -> Arrays:
        """The outputs of the members that ran, with a leading axis of members."""
        names = next(iter(self.outputs.values()), {})
        return {name: np.stack([made[name] for made in self.outputs.values()]) for name in names}

    def counts(self) -> dict[str, int]:
        """How many members failed, by reason."""
        reasons = [failure.reason for failure in self.failures.values()]
        return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


@dataclass(frozen=True)
class Program:
    """A command between a function that writes its input files and one that reads its outputs."""

    write: Write
    command: tuple[str, ...]
    read: Read
    timeout: float | None = None
    obtain: str = "install it, or give its full path"

    def __post_init__(self) -> None:
        if isinstance(self.command, str) or not self.command or not all(isinstance(w, str) for w in self.command):
            words = '("glm", "--nml", "glm3.nml")'
            raise ValueError(f"command must be a tuple of words such as {words}, got {self.command!r}")

    def located(self) -> str:
        """The full path of the program.

        Raises `FileNotFoundError` saying how to get it.
        """
        path = shutil.which(self.command[0])
        if path is None:
            raise FileNotFoundError(f"there is no program {self.command[0]!r} here; {self.obtain}")
        return path

    def run(self, fields: Arrays, values: Arrays) -> Arrays:
        """One run in a folder of its own, numpy in and numpy out.

        Raises `MemberFailed` when it crashes, runs out of time or answers NaN.
        """
        with tempfile.TemporaryDirectory(prefix="mechlearn-") as name:
            folder = Path(name)
            _written(self.write, folder, fields, values)
            execute((self.located(), *self.command[1:]), folder, self.timeout)
            return _answer(self.read, folder, fields)


class Executable(Wrapped):
    """A program that reads and writes files becomes a mechanism of whole series.

    `write(folder, fields, values)` lays out its input files in an empty folder from the fields of one sample and
    the parameter values (numpy); `command` is run there, as a list of words and never through a shell;
    `read(folder, fields)` returns its outputs as numpy arrays of the declared axes. The folder is removed
    afterwards. A run that stops with an error, lasts longer than `timeout` seconds or answers NaN is a
    `MemberFailed` that says which; inside a compiled function it is raised, or with
    `on_failure="nan"` answered with NaN and counted in `failures`. Gradients are `"none"` or `"differences"`,
    as of `external.callable`.

    Raises `ValueError` for a command that is no list of words, or an output axis that no input has;
    `FileNotFoundError` when called where the program is not installed (`obtain` says how to get it).

        >>> model = example()["model"]
        >>> model({"precipitation": jnp.array([4.0, 0.0, 8.0])})["runoff"].tolist()
        [1.0, 0.75, 2.5625]
    """

    inside: Callable
    program: Program = eqx.field(static=True)
    wraps: ClassVar = "inside"

    def __init__(
        self,
        write: Write,
        command: Sequence[str],
        read: Read,
        inputs: tuple[Variable, ...],
        outputs: tuple[Variable, ...],
        parameters: dict[str, Parameter] | None = None,
        *,
        timeout: float | None = None,
        gradient: Literal["differences", "none"] = "none",
        on_failure: Literal["raise", "nan"] = "raise",
        obtain: str = Program.obtain,
    ):
        words = command if isinstance(command, str) else tuple(command)
        self.program = Program(write, words, read, timeout, obtain)
        self.inside = Callable(self.program.run, inputs, outputs, parameters, gradient=gradient, on_failure=on_failure)

    @property
    def failures(self) -> Failures:
        """How often a run inside a compiled function failed, and why the last time."""
        return self.inside.failures

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Executable")
        self.program.located()
        return self.inside(fields, key=key)

    def ensemble(
        self, fields: Mapping[str, Any], members: Sequence[Mapping[str, Any]], *, workers: int = 1
    ) -> Ensemble:
        """Run once for each member's parameter values, `workers` programs at a time; failures are kept, not raised.

        A member names the parameters it sets, the rest stay as they are.

        Raises `ValueError` for a parameter the model does not have.
        """
        require(dict(fields), self.inputs, "Executable")
        self.program.located()
        now = {name: np.asarray(p.value, float) for name, p in self.inside.parameters.items()}
        unknown = sorted({name for member in members for name in member} - set(now))
        if unknown:
            raise ValueError(f"members set {', '.join(unknown)}; the model's parameters are {', '.join(now) or 'none'}")
        given = {v.name: np.asarray(fields[v.name], float) for v in self.inputs}
        jobs = [now | {name: np.asarray(value, float) for name, value in member.items()} for member in members]
        with ThreadPoolExecutor(max(1, workers)) as pool:
            made = dict(enumerate(pool.map(lambda values: _tried(self.program, given, values), jobs)))
        return Ensemble(
            {place: answer for place, answer in made.items() if not isinstance(answer, MemberFailed)},
            {place: answer for place, answer in made.items() if isinstance(answer, MemberFailed)},
        )


def _tried(program: Program, fields: Arrays, values: Arrays) -> Arrays | MemberFailed:
    try:
        return program.run(fields, values)
    except MemberFailed as failure:
        return failure


def execute(command: Sequence[str], folder: Path, timeout: float | None = None) -> None:
    """Run a program in a folder, its messages in `run.log` there, and stop it and its children when time is up.

    Raises `MemberFailed` with the last lines of its messages.
    """
    path = folder / "run.log"
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1"}
    with path.open("wb") as log:
        process = subprocess.Popen(
            list(command), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env=surroundings, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(timeout)
        except BaseException as trouble:
            _stop(process)
            if isinstance(trouble, subprocess.TimeoutExpired):
                raise MemberFailed("timed out", f"no answer within {timeout:g} s", last_lines(path)) from None
            raise
    if status != 0:
        ended = f"signal {-status}" if status < 0 else f"exit status {status}"
        raise MemberFailed("crashed", f"{Path(command[0]).name} ended with {ended}", last_lines(path))


def last_lines(path: Path, count: int = LAST_LINES) -> str:
    """The last lines of a text file that are not blank."""
    lines = [line.rstrip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return "\n".join([line for line in lines if line][-count:])


def _written(write: Write, folder: Path, fields: Arrays, values: Arrays) -> None:
    try:
        write(folder, fields, values)
    except Exception as trouble:  # the user's own function, of which one member's values may be too much
        raise MemberFailed(
            "crashed", f"its inputs could not be written ({type(trouble).__name__}: {trouble})"
        ) from trouble


def _stop(process: subprocess.Popen) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _answer(read: Read, folder: Path, fields: Arrays) -> Arrays:
    log = last_lines(folder / "run.log")
    try:
        made = {name: np.asarray(values, float) for name, values in read(folder, fields).items()}
    except Exception as trouble:  # a reader fails in its own way on what a program left unfinished
        raise MemberFailed(
            "crashed", f"its outputs could not be read ({type(trouble).__name__}: {trouble})", log
        ) from trouble
    wrong = [name for name, values in made.items() if not np.all(np.isfinite(values))]
    if wrong:
        raise MemberFailed("not finite", f"{', '.join(wrong)} is not finite", log)
    return made


RESERVOIR = """
import sys
share, now = float(open("share.txt").read()), 0.0
with open("runoff.txt", "w") as out:
    for line in open("precipitation.txt"):
        now += share * (float(line) - now)
        out.write(repr(now) + chr(10))
"""


def example() -> dict[str, Any]:
    """A linear reservoir in a program of its own: `S = (1 - k) S + k P`, from an empty start."""
    rain = Variable("precipitation", "mm day-1", ("time",), (0, np.inf))
    flow = Variable("runoff", "mm day-1", ("time",), (0, np.inf))

    def write(folder: Path, fields: Arrays, values: Arrays) -> None:
        np.savetxt(folder / "precipitation.txt", fields["precipitation"], "%.17g")
        (folder / "share.txt").write_text(repr(float(values["share"])))

    def read(folder: Path, fields: Arrays) -> Arrays:
        return {"runoff": np.loadtxt(folder / "runoff.txt", ndmin=1)}

    share = {"share": Parameter(0.25, "day-1", (0.0, 1.0), "share of the storage that leaves in a day")}
    command = (sys.executable, "-I", "-S", "-c", RESERVOIR)
    model = Executable(write, command, read, (rain,), (flow,), share, gradient="differences")
    inputs = {"precipitation": jnp.array([4.0, 0.0, 8.0])}
    published = {"runoff": [1.0, 0.75, 2.5625]}
    return {"model": model, "inputs": inputs, "published": published, "tolerance": 1e-6, "source": "worked by hand"}
