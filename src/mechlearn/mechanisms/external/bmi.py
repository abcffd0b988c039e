"""Somebody else's model behind the Basic Model Interface as a mechanism."""

from collections.abc import Callable as Function
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ...core import Fields, Variable, Wrapped
from .callable import Arrays, Callable


class Bmi(Wrapped):
    """Any component that speaks BMI, run from its start: forcing in, what it computes out.

    `component()` makes one, `config` is what its `initialize` takes. Every call is a whole run: inputs without the
    axis `time` are set once, the others before each `update`; outputs are read after it. With `clock`, the name of an
    input of times in the component's units, it runs until each of them instead. `names` gives the component's names
    where they differ from the variables'. Values on a grid are passed in the order of the component's nodes. No
    gradient by default; with `gradient="differences"` one by ten runs for each number that needs it. Failures are
    treated as by `external.callable`.

    Raises `ValueError` for a name the component does not have, other units than its own, or nothing along time.

    Source: Hutton et al. (2020), doi:10.21105/joss.02317.
    """

    box: Callable
    wraps: ClassVar = "box"

    def __init__(
        self,
        component: Function[[], Any],
        inputs: tuple[Variable, ...],
        outputs: tuple[Variable, ...],
        *,
        config: str = "",
        names: Mapping[str, str] | None = None,
        clock: str | None = None,
        gradient: Literal["differences", "none"] = "none",
        on_failure: Literal["raise", "nan"] = "raise",
        timeout: float | None = None,
    ):
        called = {v.name: (names or {}).get(v.name, v.name) for v in (*inputs, *outputs)}
        dynamic = tuple(v for v in inputs if v.dims[:1] == ("time",))
        if not dynamic or not all(v.dims[:1] == ("time",) for v in outputs):
            raise ValueError("a component runs through time: one input and every output need 'time' as first axis")
        told = tuple(v for v in inputs if v.name != clock)
        _agree(component, config, told, outputs, called)

        def simulate(fields: Arrays, values: Arrays) -> Arrays:
            model = component()
            model.initialize(config)
            try:
                return _run(model, fields, [v for v in told if v not in dynamic], dynamic, outputs, called, clock)
            finally:
                model.finalize()

        self.box = Callable(simulate, inputs, outputs, gradient=gradient, on_failure=on_failure, timeout=timeout)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        return self.box(fields, key=key)


def read(model: Any, name: str) -> np.ndarray:
    """The values of one variable of a component, in the order of its nodes."""
    size = model.get_var_nbytes(name) // model.get_var_itemsize(name)
    return np.array(model.get_value(name, np.empty(size, dtype=model.get_var_type(name))), float)


def write(model: Any, name: str, values: np.ndarray) -> None:
    """Set all values of one variable of a component."""
    model.set_value(name, np.ravel(values).astype(model.get_var_type(name)))


def _run(model: Any, fields: Arrays, fixed, dynamic, outputs, called: dict[str, str], clock: str | None) -> Arrays:
    for variable in fixed:
        write(model, called[variable.name], fields[variable.name])
    series: dict[str, list[np.ndarray]] = {v.name: [] for v in outputs}
    for now in range(len(fields[dynamic[0].name])):
        for variable in dynamic:
            if variable.name != clock:
                write(model, called[variable.name], fields[variable.name][now])
        if clock is None:
            model.update()
        else:
            model.update_until(float(fields[clock][now]))
        for variable in outputs:
            series[variable.name].append(read(model, called[variable.name]))
    return {v.name: _shaped(np.stack(series[v.name]), v, fields, (*fixed, *dynamic)) for v in outputs}


def _shaped(values: np.ndarray, variable: Variable, fields: Arrays, inputs) -> np.ndarray:
    sizes = {dim: n for v in inputs for dim, n in zip(v.dims, np.shape(fields[v.name]), strict=True)}
    return values.reshape([sizes[dim] for dim in variable.dims])


def _agree(component: Function[[], Any], config: str, inputs, outputs, called: dict[str, str]) -> None:
    """Refuse names and units that are not the component's, before anything is run."""
    model = component()
    model.initialize(config)
    try:
        sides = (("input", inputs, model.get_input_var_names()), ("output", outputs, model.get_output_var_names()))
        for side, variables, there in sides:
            for variable in variables:
                _refuse(model, side, variable, called[variable.name], tuple(there))
    finally:
        model.finalize()


def _refuse(model: Any, side: str, variable: Variable, name: str, there: tuple[str, ...]) -> None:
    if name not in there:
        raise ValueError(
            f"the component has no {side} {name!r}; it has {', '.join(there) or 'none'}: "
            f"names={{{variable.name!r}: ...}} says what it calls {variable.name}"
        )
    units = model.get_var_units(name)
    if _plain(units) != _plain(variable.units):
        raise ValueError(f"the component has {name} in {units!r}, declared is {variable.units!r}; declare its own")


def _plain(units: str) -> str:
    return units.strip().replace("^", "").replace("**", "") or "1" if units.strip() not in ("-", "none", "") else "1"


class _Reservoir:
    """A linear reservoir as a BMI component, as far as it is asked: `S' = S + k (P - S)`."""

    def initialize(self, config: str) -> None:
        self.values = {"rain": np.zeros(1), "flow": np.zeros(1)}
        self.share = float(config or 0.25)

    def finalize(self) -> None:
        self.values = {}

    def update(self) -> None:
        self.values["flow"] += self.share * (self.values["rain"] - self.values["flow"])

    def get_input_var_names(self) -> tuple[str, ...]:
        return ("rain",)

    def get_output_var_names(self) -> tuple[str, ...]:
        return ("flow",)

    def get_var_units(self, name: str) -> str:
        return "mm day-1"

    def get_var_type(self, name: str) -> str:
        return "float64"

    def get_var_itemsize(self, name: str) -> int:
        return 8

    def get_var_nbytes(self, name: str) -> int:
        return 8

    def set_value(self, name: str, values: np.ndarray) -> None:
        self.values[name][:] = values

    def get_value(self, name: str, dest: np.ndarray) -> np.ndarray:
        dest[:] = self.values[name]
        return dest


def example() -> dict[str, Any]:
    """A linear reservoir from an empty start."""
    rain = Variable("precipitation", "mm day-1", ("time",), (0, np.inf))
    flow = Variable("runoff", "mm day-1", ("time",), (0, np.inf))
    names = {"precipitation": "rain", "runoff": "flow"}
    return {
        "model": Bmi(_Reservoir, (rain,), (flow,), names=names, gradient="differences"),
        "inputs": {"precipitation": jnp.array([4.0, 0.0, 8.0])},
        "published": {"runoff": [1.0, 0.75, 2.5625]},
        "tolerance": 1e-6,
        "source": "worked by hand",
    }
