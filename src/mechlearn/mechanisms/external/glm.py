"""The General Lake Model (GLM 3), a one-dimensional model of lakes and reservoirs, run as the program it is."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ...core import Fields, Variable, Wrapped, require
from ...parameters import Parameter
from ...variables import (
    AIR_TEMPERATURE,
    DEPTH,
    LAYER_AREA,
    LONGWAVE,
    PRECIPITATION,
    RELATIVE_HUMIDITY,
    SHORTWAVE,
    SNOWFALL,
    WATER_TEMPERATURE,
    WIND_SPEED,
)
from ._glm_files import (
    Settings,
    bundled,
    merged,
    namelist,
    package_folder,
    read_namelist,
    read_output,
    read_weather,
    write_weather,
)
from ._glm_settings import PARAMETERS, lake, mendota, morphometry
from .callable import Arrays
from .executable import Ensemble, Executable, Program

__all__ = [
    "GLM",
    "PARAMETERS",
    "example_lakes",
    "lake",
    "mendota",
    "read_output",
    "read_weather",
    "run_folder",
    "unpack",
]

ICE_THICKNESS = Variable("ice_thickness", "m", bounds=(0, 50), long_name="blue and white ice together")
WEATHER = (SHORTWAVE, LONGWAVE, AIR_TEMPERATURE, RELATIVE_HUMIDITY, WIND_SPEED, PRECIPITATION, SNOWFALL)
OBTAIN = (
    "it comes with glm-py: pip install 'mechlearn[lakes]' (and the system library libX11: apt-get install libx11-6), "
    "or give binary= the path of one you compiled"
)


class GLM(Wrapped):
    """A lake as the General Lake Model computes it: temperature at depths, ice, day after day.

    Layers of varying thickness exchange heat by wind stirring, convective overturn, shear and deep mixing under the
    surface balance of heat and water. Fields are daily weather (time,), the depths at which temperature is wanted
    (depth,) and, where the settings have no morphometry, the area at those depths (NaN below the bottom). Given are
    `water_temperature` (time, depth) in degC and `ice_thickness` (time,) in m at the end of each day.

    `settings` are GLM's namelist as a dictionary of blocks or the path of a `glm3.nml`; `lake` makes them from a
    hypsography. `start` is the first day of the series; `parameters` names what may be calibrated (of `PARAMETERS`;
    or your own, as a dictionary, of any scalar the settings hold), everything else stays as set. `folder` holds
    further files that the settings name, such as inflows. A failed run is a `MemberFailed`; `on_failure="nan"`
    answers it with NaN inside a compiled function. There is no gradient.

    Raises `ValueError` for a parameter that GLM's settings do not have or a namelist that is not there.
    Source: Hipsey et al. (2019), doi:10.5194/gmd-12-473-2019.

        >>> model = GLM(lake([0, 10, 20], [4e6, 2e6, 0.0], latitude=43.1), "2009-04-01", parameters=("kw",))
        >>> [variable.name for variable in model.outputs]
        ['water_temperature', 'ice_thickness']
    """

    program: Executable
    wraps: ClassVar = "program"

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, Any]] | str | Path,
        start: str | np.datetime64,
        *,
        parameters: Sequence[str] | Mapping[str, Parameter] = ("kw", "wind_factor", "coef_mix_hyp"),
        folder: str | Path | None = None,
        timeout: float | None = 600.0,
        on_failure: Literal["raise", "nan"] = "raise",
        binary: str | Path | None = None,
    ):
        given = merged(read_namelist(settings) if isinstance(settings, str | Path) else settings)
        _refuse_endless(given)
        free = _free(given, parameters)
        blocks = {name: _block(given, name) for name in free}
        shaped = "h" in given.get("morphometry", {})
        first = np.datetime64(str(start), "D")

        def write(place: Path, fields: Arrays, values: Arrays) -> None:
            if folder is not None:
                shutil.copytree(folder, place, dirs_exist_ok=True)
            count = len(fields[AIR_TEMPERATURE.name])
            # GLM looks a day ahead: the last one comes twice.
            weather = {v.name: np.append(fields[v.name], fields[v.name][-1:]) for v in WEATHER}
            write_weather(place / "weather.csv", first + np.arange(count + 1), weather)
            shape = {} if shaped else morphometry(fields[DEPTH.name], fields[LAYER_AREA.name])
            set_now = [{block: {name: _like(given, block, name, values[name])}} for name, block in blocks.items()]
            (place / "glm3.nml").write_text(namelist(merged(shape, given, _run_of(first, count), *set_now)))

        def read(place: Path, fields: Arrays) -> Arrays:
            made = read_output(place / "output" / "output.nc", fields[DEPTH.name])
            return _complete(made, len(fields[AIR_TEMPERATURE.name]))

        inputs = (*(v.over("time") for v in WEATHER), DEPTH, *(() if shaped else (LAYER_AREA,)))
        outputs = (WATER_TEMPERATURE.over("time"), ICE_THICKNESS.over("time"))
        command = (str(binary or bundled()), "--nml", "glm3.nml")
        self.program = Executable(
            write, command, read, inputs, outputs, free, timeout=timeout, on_failure=on_failure, obtain=OBTAIN
        )

    @property
    def tolerates(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return tuple(v.name for v in self.inputs if v.name == LAYER_AREA.name)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "GLM")
        return self.program(fields, key=key)

    def ensemble(
        self, fields: Mapping[str, Any], members: Sequence[Mapping[str, Any]], *, workers: int = 1
    ) -> Ensemble:
        """Run GLM once for each member's parameter values, `workers` at a time; failures are kept, not raised."""
        return self.program.ensemble(fields, members, workers=workers)


def _refuse_endless(settings: Settings) -> None:
    known = settings.get("init_profiles", {}).get("the_depths", ())
    if not isinstance(known, Sequence) or len(known) < 2:
        raise ValueError(
            f"init_profiles: the_depths must hold two depths or more, got {known!r}; GLM 3.3 never ends with fewer"
        )


def _free(settings: Settings, wanted: Sequence[str] | Mapping[str, Parameter]) -> dict[str, Parameter]:
    """The parameters asked for, at the values of the settings where these have them."""
    if isinstance(wanted, Mapping):
        free = dict(wanted)
    else:
        unknown = sorted(set(wanted) - set(PARAMETERS))
        if unknown:
            raise ValueError(
                f"GLM has no described parameter {', '.join(unknown)}; there are {', '.join(PARAMETERS)}. "
                "Give your own as a dictionary of Parameter"
            )
        free = {name: PARAMETERS[name][1] for name in wanted}
        found = {name: settings.get(_block(settings, name), {}).get(name) for name in wanted}
        values = {name: float(value) for name, value in found.items() if value is not None}
        free |= {name: eqx.tree_at(lambda p: p.value, free[name], value) for name, value in values.items()}
    for name in free:
        _block(settings, name)
    return free


def _block(settings: Settings, name: str) -> str:
    if name in PARAMETERS:
        return PARAMETERS[name][0]
    homes = [block for block, values in settings.items() if name in values]
    if len(homes) != 1 or not isinstance(settings[homes[0]][name], int | float):
        raise ValueError(f"the settings hold {name!r} in {len(homes)} blocks; a parameter is one number of one block")
    return homes[0]


def _like(settings: Settings, block: str, name: str, value: np.ndarray) -> float | int:
    """A value as GLM reads it: where it wants a whole number, "2.0" stands for something else."""
    number = float(value)
    whole = isinstance(settings.get(block, {}).get(name), int) and name not in PARAMETERS
    return round(number) if whole and np.isfinite(number) else number


def _run_of(first: np.datetime64, count: int) -> Settings:
    return {
        "time": {"timefmt": 3, "start": f"{first} 00:00:00", "num_days": count, "dt": 3600.0},
        "meteorology": {"meteo_fl": "weather.csv", "subdaily": False, "lw_type": "LW_IN", "rad_mode": 1},
        "output": {"out_dir": "output", "out_fn": "output", "nsave": 24, "csv_point_nlevs": 0},
    }


def _complete(made: dict[str, np.ndarray], count: int) -> Arrays:
    if len(made["time"]) != count:
        raise ValueError(f"GLM stopped after {len(made['time'])} of {count} days")
    return {name: made[name] for name in (WATER_TEMPERATURE.name, ICE_THICKNESS.name)}


def example_lakes() -> tuple[str, ...]:
    """The lakes that glm-py carries, ready to run.

    Raises `FileNotFoundError` when it is not installed.
    """
    folder = package_folder()
    if folder is None:
        raise FileNotFoundError(f"the example lakes come with glm-py; {OBTAIN}")
    return tuple(sorted(path.stem for path in (folder / "data" / "example_sims").glob("*.glmpy")))


def unpack(name: str, folder: str | Path) -> Path:
    """Lay out one of the example lakes in a folder of its own, and return where its `glm3.nml` stands.

    Raises `ValueError` for a lake that is none of them.
    """
    if name not in example_lakes():
        raise ValueError(f"glm-py has no lake {name!r}; it has {', '.join(example_lakes())}")
    from glmpy.simulation import GLMSim

    package = package_folder()
    simulation = GLMSim.from_file(f"{package}/data/example_sims/{name}.glmpy")
    simulation.sim_dir_path = str(folder)
    simulation.prepare_all_inputs()
    return Path(simulation.get_sim_dir()) / "glm3.nml"


def run_folder(
    namelist_path: str | Path,
    depths: Sequence[float] | np.ndarray,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    days: int | None = None,
    timeout: float | None = 600.0,
    binary: str | Path | None = None,
) -> dict[str, np.ndarray]:
    """Run a lake just as its folder stands (any weather table, inflows, water quality), for `days` if given.

    The folder is copied and left untouched; `settings` replace those of the namelist. Returns `time`,
    `water_temperature` (time, depth), `ice_thickness` and `lake_depth`, as often as the namelist saves.

    Raises `MemberFailed` when GLM crashes, runs out of time or answers NaN.
    """
    path = Path(namelist_path)
    now = merged(read_namelist(path), settings or {})
    limit = {"time": {"timefmt": 3, "num_days": days}} if days else {}

    def write(place: Path, fields: Arrays, values: Arrays) -> None:
        shutil.copytree(path.parent, place, dirs_exist_ok=True)
        where = {"output": {"out_dir": "output", "out_fn": "output"}}
        (place / "glm3.nml").write_text(namelist(merged(now, limit, where)))

    def read(place: Path, fields: Arrays) -> Arrays:
        return read_output(place / "output" / "output.nc", fields["depth"])

    program = Program(write, (str(binary or bundled()), "--nml", "glm3.nml"), read, timeout, OBTAIN)
    return program.run({"depth": np.asarray(depths, float)}, {})


def example() -> dict[str, Any]:
    """A small lake under five days of the same May weather, with the numbers of GLM's own program."""
    settings = lake([0, 5, 10], [1e6, 5e5, 0.0], latitude=46.0, initial_temperature=[(0, 12.0), (10, 6.0)])
    weather = dict(zip((v.name for v in WEATHER), (220.0, 300.0, 14.0, 70.0, 3.0, 1.0, 0.0), strict=True))
    inputs = {name: jnp.full(5, value) for name, value in weather.items()} | {"depth": jnp.array([0.5, 4.0, 9.0])}
    warmth = [
        [11.3240, 9.7723, 6.6607],
        [11.8322, 10.0201, 6.6810],
        [12.2963, 10.2582, 6.7006],
        [12.7176, 10.4886, 6.7197],
        [13.0875, 10.7217, 6.7390],
    ]
    return {
        "model": GLM(settings, "2010-05-10"),
        "inputs": inputs,
        "published": {"water_temperature": warmth, "ice_thickness": [0.0] * 5},
        "tolerance": 2e-3,
        "source": "numbers of the program GLM 3.3.3 in glm-py 0.5.0, kept as a reference",
        "needs": "glmpy",
        "differentiable": False,
    }
