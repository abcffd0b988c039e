"""A mechlearn system behind the Basic Model Interface, for frameworks that couple models by it."""

import json
from collections.abc import Mapping
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..compose import Rollout
from ..core import Model, System, Variable, named
from ..forecast import Forecast


class BmiSystem:
    """Any model that is one step in time, or a system around one, as a BMI component.

    The variables are the fields of the step, states included; a `grid` is a set of axes, 0 the scalars. `time_step` is
    how long one step is in `time_units`; `sizes` gives the length of every axis that no state has. `initialize` takes
    the path of a JSON file {field: value or list} of what differs from the start, or "". Nothing needs the package
    bmipy. Values are in double precision at the interface, the step computes in jax's.

    Raises `ValueError` for a system that reads whole series and cannot be advanced step by step, and for an axis of
    unknown length.

    Source: Hutton et al. (2020), doi:10.21105/joss.02317, BMI 2.0.

        >>> from mechlearn.mechanisms.flow.lorenz96 import Lorenz96
        >>> model = BmiSystem(Lorenz96(size=8), time_step=0.05, time_units="1")
        >>> model.initialize("")
        >>> model.set_value("atmospheric_quantity", np.full(8, 8.0))
        >>> model.update_until(0.5)
        >>> model.get_current_time(), model.get_value("atmospheric_quantity", np.empty(8)).tolist()[0]
        (0.5, 8.0)
    """

    def __init__(
        self,
        system: Model,
        *,
        time_step: float = 1.0,
        time_units: str = "d",
        end_time: float = np.inf,
        sizes: Mapping[str, int] | None = None,
        name: str = "",
    ):
        self._step = _one_step(system)
        self._name = name or f"mechlearn {type(self._step).__name__}"
        self._time_step, self._time_units, self._end = time_step, time_units, end_time
        self._variables = named((*self._step.inputs, *self._step.outputs))
        known = {n: np.shape(value) for n, value in self._step.initial().items()}
        self._sizes = {d: s for n, shape in known.items() for d, s in zip(self._variables[n].dims, shape, strict=True)}
        self._sizes |= dict(sizes or {})
        lacking = {dim for v in self._variables.values() for dim in v.dims} - set(self._sizes)
        if lacking:
            raise ValueError(f"how long are the axes {sorted(lacking)}? Give sizes={{'{min(lacking)}': ...}}")
        self._grids = list(dict.fromkeys([(), *(v.dims for v in self._variables.values())]))
        self._values: dict[str, np.ndarray] = {}
        self._done = 0

    def initialize(self, config_file: str = "") -> None:
        """Put every field to its start: states as the step begins, the rest 0, then what the file says."""
        start = {n: np.zeros(self._shape(v)) for n, v in self._variables.items()}
        start |= {n: np.array(value, float) for n, value in self._step.initial().items()}
        for field, value in (json.loads(Path(config_file).read_text("utf-8")) if config_file else {}).items():
            self._known(field)
            start[field] = np.broadcast_to(np.asarray(value, float), start[field].shape)
        self._values = {n: np.array(value, float).ravel() for n, value in start.items()}
        self._done, self._compiled = 0, eqx.filter_jit(self._step)

    def update(self) -> None:
        """Advance by one step."""
        fields = {
            v.name: jnp.asarray(self.get_value_ptr(v.name).reshape(self._shape(v)), jnp.result_type(float))
            for v in self._step.inputs
        }
        for name, value in self._compiled(fields).items():
            self._values[name][:] = np.asarray(value, float).ravel()
        self._done += 1

    def update_until(self, time: float) -> None:
        """Advance by whole steps to a time.

        Raises `ValueError` for a time that has passed, or that no whole step reaches.
        """
        steps = (time - self.get_current_time()) / self._time_step
        if steps < -1e-9 or abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f"from {self.get_current_time():g} the time {time:g} is no whole number of steps of {self._time_step:g}"
            )
        for _ in range(round(steps)):
            self.update()

    def finalize(self) -> None:
        """Let go of all values."""
        self._values = {}

    def get_component_name(self) -> str:
        """The name of the component."""
        return self._name

    def get_input_var_names(self) -> tuple[str, ...]:
        """What may be set: forcing and state."""
        return tuple(v.name for v in self._step.inputs)

    def get_output_var_names(self) -> tuple[str, ...]:
        """What is computed."""
        return tuple(v.name for v in self._step.outputs)

    def get_input_item_count(self) -> int:
        """How many fields may be set."""
        return len(self._step.inputs)

    def get_output_item_count(self) -> int:
        """How many fields are computed."""
        return len(self._step.outputs)

    def get_value(self, name: str, dest: np.ndarray) -> np.ndarray:
        """Copy the values of a field into an array."""
        dest[:] = self.get_value_ptr(name)
        return dest

    def get_value_ptr(self, name: str) -> np.ndarray:
        """The values of a field themselves: what is written into them is seen by the next step."""
        self._known(name)
        if not self._values:
            raise ValueError("initialize the component first")
        return self._values[name]

    def get_value_at_indices(self, name: str, dest: np.ndarray, inds: np.ndarray) -> np.ndarray:
        """Copy some values of a field into an array."""
        dest[:] = self.get_value_ptr(name)[np.asarray(inds)]
        return dest

    def set_value(self, name: str, src: np.ndarray) -> None:
        """Set all values of a field."""
        self.get_value_ptr(name)[:] = np.ravel(src)

    def set_value_at_indices(self, name: str, inds: np.ndarray, src: np.ndarray) -> None:
        """Set some values of a field."""
        self.get_value_ptr(name)[np.asarray(inds)] = src

    def get_var_units(self, name: str) -> str:
        """The units of a field."""
        return self._known(name).units

    def get_var_type(self, name: str) -> str:
        """The type of a field's values."""
        self._known(name)
        return "float64"

    def get_var_itemsize(self, name: str) -> int:
        """The bytes of one value."""
        self._known(name)
        return 8

    def get_var_nbytes(self, name: str) -> int:
        """The bytes of all values."""
        return 8 * int(np.prod(self._shape(self._known(name))))

    def get_var_location(self, name: str) -> str:
        """Where on a grid the values are."""
        self._known(name)
        return "node"

    def get_var_grid(self, name: str) -> int:
        """The number of the grid a field is on."""
        return self._grids.index(self._known(name).dims)

    def get_start_time(self) -> float:
        """When the run begins."""
        return 0.0

    def get_current_time(self) -> float:
        """How far the run is."""
        return self._done * self._time_step

    def get_end_time(self) -> float:
        """When the run ends."""
        return self._end

    def get_time_step(self) -> float:
        """How long one step is."""
        return self._time_step

    def get_time_units(self) -> str:
        """The units of time."""
        return self._time_units

    def get_grid_rank(self, grid: int) -> int:
        """How many axes a grid has."""
        return len(self._grids[grid])

    def get_grid_size(self, grid: int) -> int:
        """How many nodes a grid has."""
        return int(np.prod([self._sizes[dim] for dim in self._grids[grid]]))

    def get_grid_node_count(self, grid: int) -> int:
        """How many nodes a grid has."""
        return self.get_grid_size(grid)

    def get_grid_type(self, grid: int) -> str:
        """A scalar, a vector along one axis, or points along several; where they are the system does not say."""
        return ("scalar", "vector", "points")[min(len(self._grids[grid]), 2)]

    def get_grid_shape(self, grid: int, shape: np.ndarray) -> np.ndarray:
        """The lengths of a grid's axes."""
        shape[:] = [self._sizes[dim] for dim in self._grids[grid]]
        return shape

    def __getattr__(self, name: str):
        if name.startswith("get_grid_"):
            raise NotImplementedError(f"{name}: a mechlearn system does not say where on Earth its nodes are")
        raise AttributeError(name)

    def _known(self, name: str) -> Variable:
        if name not in self._variables:
            raise ValueError(f"{self._name} has no {name!r}; it has {', '.join(self._variables)}")
        return self._variables[name]

    def _shape(self, variable: Variable) -> tuple[int, ...]:
        return tuple(self._sizes[dim] for dim in variable.dims)


def _one_step(model: Model) -> Model:
    """The step inside systems and roll-outs."""
    while isinstance(model, System):
        model = model.model
    step = model.step if isinstance(model, Rollout | Forecast) else model
    if any("time" in v.dims for v in (*step.inputs, *step.outputs)):
        raise ValueError(
            f"{type(step).__name__} reads whole series and cannot be advanced step by step; BMI takes one step, "
            "Rollout(step), Forecast(step), or a system around one of them"
        )
    return step
