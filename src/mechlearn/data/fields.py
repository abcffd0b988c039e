"""From files to records and from predictions to files: the only door to xarray."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from .. import variables as shared
from ..core import Variable, named
from .days import Days, days_of, in_order
from .record import Record, few
from .units import DataError, UnitError, cf, convert

__all__ = ["DataError", "Record", "few"]


def every_day(first: np.datetime64, last: np.datetime64) -> np.ndarray:
    """All days from the first to the last, both inclusive."""
    return np.arange(first, last + np.timedelta64(1, "D"), dtype="datetime64[D]")


def variable(name: str, units: str, dims: tuple[str, ...] = ()) -> Variable:
    """The variable mechlearn shares under this name with these axes, or a new one in these units.

    Raises `UnitError` for a new one without units.
    """
    known = {v.name: v for v in vars(shared).values() if isinstance(v, Variable) and v.dims == dims}
    if name not in known and not units:
        raise UnitError(
            f'{name}: the data state no units. State them in the experiment file: units = {{ {name} = "..." }}, '
            'with "1" for what has none'
        )
    return known.get(name) or Variable(name, cf(units), dims)


def open_file(path: str | Path, *, chunks: Mapping[str, int] | None = None) -> xr.Dataset:
    """Open a NetCDF file or a Zarr store lazily; nothing is read until it is asked for.

    Raises `DataError` when there is no such file or it cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"no file {path}; give the path of a NetCDF, Zarr or CSV file")
    _refuse_pickle(path)
    try:
        if path.is_dir():
            return xr.open_zarr(path, chunks=chunks, consolidated=_consolidated(path))
        return xr.open_dataset(path, chunks=chunks)
    except Exception as trouble:  # every back end fails in its own way on a damaged file
        first = (str(trouble).splitlines() or [""])[0][:200]
        raise DataError(
            f"{path} cannot be read ({type(trouble).__name__}: {first}); is it damaged or not NetCDF/Zarr?"
        ) from trouble


def _consolidated(path: Path) -> bool:
    """Whether a Zarr store keeps what describes all its arrays in one place."""
    root = path / "zarr.json"
    return (path / ".zmetadata").exists() or (root.exists() and '"consolidated_metadata": {' in root.read_text("utf-8"))


def _refuse_pickle(path: Path) -> None:
    for described in (*path.rglob(".zarray"), *path.rglob("zarr.json")) if path.is_dir() else ():
        if '"pickle"' in described.read_text(encoding="utf-8", errors="replace"):
            raise DataError(f"{path} holds pickled objects, which could run code; store numbers and strings instead")


def from_frame(frame, time: str, site: str, attributes=None) -> xr.Dataset:
    """A table with columns of time and site as a dataset over both; `attributes` has one row a site."""
    dataset = xr.Dataset.from_dataframe(frame.set_index([site, time]))
    return dataset if attributes is None else dataset.merge(xr.Dataset.from_dataframe(attributes), join="left")


def column(
    dataset: xr.Dataset, name: str, units: str | None, wanted: Variable, *, area=None, step: float = 1.0
) -> np.ndarray:
    """One variable of a dataset as float32, converted to the units mechlearn wants.

    Raises `DataError` when the dataset does not have it or it is damaged, `UnitError` when its units do not fit.
    """
    if name not in dataset:
        known = few(map(str, dataset.data_vars), 20)
        raise DataError(
            f"{wanted.name}: the file has no variable {name!r}; it has {known}. "
            f'Say what it is called: names = {{ {wanted.name} = "..." }}'
        )
    given = units or dataset[name].attrs.get("units", "")
    try:
        values = np.asarray(dataset[name].values, dtype=np.float64)
    except (OSError, RuntimeError, ValueError, TypeError) as trouble:
        raise DataError(f"{wanted.name}: {name!r} is damaged or holds no numbers ({str(trouble)[:200]})") from trouble
    return convert(values, given, wanted.units, wanted.name, area=area, step=step).astype(np.float32)


def to_record(
    dataset: xr.Dataset,
    forcing: Sequence[Variable],
    targets: Sequence[Variable],
    statics: Sequence[Variable] = (),
    *,
    names: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    site: str = "site",
    time: str = "time",
    area: str | None = None,
    regions: str | None = None,
    bridge: bool = False,
    source: str = "",
) -> Record:
    """Take the named variables of a dataset as a daily record in mechlearn's units.

    `names` says what the file calls them, `units` what they are in where the file does not say.
    `area` is the file's catchment area, which turns a discharge into a depth; `regions` its labels
    of regions. Series finer than a day are averaged; with `bridge`, forcing on days that the file's
    calendar does not have (29 February) is the mean of the days around.

    Raises `DataError` for what is missing, `UnitError` for units that are missing or do not fit.
    """
    dataset, calendar, notes = in_order(dataset, time, source)
    if site not in dataset.dims:
        name = str(dataset[site].values) if site in dataset else Path(source).stem or "site"
        dataset = dataset.drop_vars(site, errors="ignore").expand_dims({site: [name]})
    days = days_of(dataset[time].values, calendar)
    taken = _Columns(dataset, names or {}, units or {}, (site, time), days, area)
    if days.step < 0.9:
        notes.append(f"a time step of {days.step * 24:.3g} hours was averaged to days; a day lacking a step is missing")
    if bridge and days.absent.any():
        notes.append(f"forcing on {int(days.absent.sum())} days not in the calendar {calendar} was interpolated")
    sites = tuple(str(name) for name in dataset[site].values)
    series = {v.name: taken.series(v) for v in forcing}
    return Record(
        fields={name: days.bridged(values) if bridge else values for name, values in series.items()}
        | {v.name: taken.static(v) for v in statics},
        observed={v.name: taken.series(v) for v in targets},
        time=days.time,
        sites=sites,
        variables=named([*(v.over("time") for v in (*forcing, *targets)), *statics]),
        source=source,
        regions=_labels(dataset, regions, sites) if regions else {},
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Columns:
    dataset: xr.Dataset
    names: Mapping[str, str]
    units: Mapping[str, str]
    axes: tuple[str, str]
    days: Days
    area: str | None

    def static(self, wanted: Variable) -> np.ndarray:
        return column(self._upright(wanted, self.axes[:1]), self._name(wanted), self.units.get(wanted.name), wanted)

    def series(self, wanted: Variable) -> np.ndarray:
        upright, given = self._upright(wanted, self.axes), self.units.get(wanted.name)
        area, step = self._square_metres(), self.days.step
        return self.days.mean(column(upright, self._name(wanted), given, wanted, area=area, step=step)).astype(
            np.float32
        )

    def _name(self, wanted: Variable) -> str:
        return self.names.get(wanted.name, wanted.name)

    def _upright(self, wanted: Variable, axes: tuple[str, ...]) -> xr.Dataset:
        name = self._name(wanted)
        if name not in self.dataset:
            return self.dataset
        there = self.dataset[name].dims
        if set(there) != set(axes):
            raise DataError(
                f"{wanted.name}: {name!r} has axes {there}, expected {axes}; list it under forcing or statics"
            )
        return self.dataset[[name]].transpose(*axes)

    def _square_metres(self) -> np.ndarray | None:
        if self.area is None:
            return None
        name = self.names.get(self.area, self.area)
        return column(self.dataset, name, self.units.get(self.area), Variable("area", "m2"))[:, None]


def _labels(dataset: xr.Dataset, name: str, sites: Sequence[str]) -> dict[str, str]:
    if name not in dataset or dataset[name].size != len(sites):
        raise DataError(
            f"regions: the file has no label {name!r} for each site; it has {few(map(str, dataset.data_vars))}"
        )
    return dict(zip(sites, map(str, dataset[name].values), strict=True))


def to_dataset(
    record: Record,
    predicted: Mapping[str, np.ndarray],
    *,
    spread: Mapping[str, np.ndarray] | None = None,
    in_domain: np.ndarray | None = None,
    provenance: str = "",
    leading: Mapping[str, Sequence[str]] | None = None,
) -> xr.Dataset:
    """Predictions as a CF dataset: value, standard deviation, whether in the taught domain, and what was observed.

    Arrays are (site, time), or (site, time, depth) for what varies with depth, after the axes named
    by `leading`, such as `{"coupling": [...]}`. Units and provenance are written on every variable.
    """
    leading = dict(leading or {})
    origin = provenance or record.source
    data: dict[str, tuple] = {}
    for name, values in predicted.items():
        axes = ("site", "time", *(("depth",) if "depth" in record.variables[name].dims else ()))
        about = _attributes(record.variables[name], origin)
        made = about | ({} if record.independent else {"cell_methods": "time: mean"})
        data[name] = ((*leading, *axes), np.asarray(values, np.float32), made)
        if spread and name in spread:
            data[f"{name}_standard_deviation"] = (
                (*leading, *axes),
                np.asarray(spread[name], np.float32),
                _modified(about, "standard deviation", "standard_error"),
            )
        if name in record.observed:
            source = {**_modified(about, "observed", ""), "provenance": record.source}
            data[f"{name}_observed"] = (axes, np.asarray(record.observed[name], np.float32), source)
    if in_domain is not None:
        data["in_domain"] = _domain(record, np.asarray(in_domain, np.int8), tuple(leading), origin)
    profiles = any("depth" in axes for axes, *_ in data.values())
    kind = {"featureType": "timeSeriesProfile" if profiles else "timeSeries"}
    about = {"Conventions": "CF-1.11"} | ({} if record.independent else kind)
    about |= {"source": record.source, "history": origin}
    return xr.Dataset(data, {**leading, **_coordinates(record, profiles)}, about)


def _domain(record: Record, inside: np.ndarray, leading: tuple[str, ...], origin: str) -> tuple:
    flat = inside.shape[-2:] == (len(record.sites), len(record.time))
    axes = (*leading, "site", "time") if flat else (*leading, "site", "time", "depth")
    meaning = {
        "units": "1",
        "long_name": "input lies in the domain taught on",
        "flag_values": np.array([0, 1], np.int8),
        "flag_meanings": "outside inside",
        "provenance": origin,
    }
    return axes[-inside.ndim :], inside, meaning


def _coordinates(record: Record, profiles: bool) -> dict[str, xr.Variable]:
    names, whence = np.array(record.sites, dtype=str), {"provenance": record.source}
    if record.independent:
        counted = {"units": "1", "long_name": "number of the sample in its group"} | whence
        return {
            "site": xr.Variable("site", names, {"long_name": "group of related samples"} | whence),
            "time": xr.Variable("time", np.arange(len(record.time)), counted),
        }
    made = {
        "site": xr.Variable("site", names, {"cf_role": "timeseries_id", "long_name": "site"} | whence),
        "time": xr.Variable(
            "time", record.time.astype("datetime64[ns]"), {"standard_name": "time", "axis": "T"} | whence
        ),
    }
    if profiles:
        below = _attributes(shared.DEPTH, record.source) | {"axis": "Z", "positive": "down"}
        made["depth"] = xr.Variable("depth", record.depths, below)
    return made


def _attributes(v: Variable, provenance: str) -> dict[str, str]:
    about = {"units": v.units, "long_name": v.long_name or v.name.replace("_", " "), "provenance": provenance}
    return about | ({"standard_name": v.standard_name} if v.standard_name else {})


def _modified(about: Mapping[str, str], word: str, modifier: str) -> dict[str, str]:
    standard = about.get("standard_name")
    changed = {"long_name": f"{about['long_name']}, {word}"}
    return {**about, **changed} | ({"standard_name": f"{standard} {modifier}".strip()} if standard else {})


def write(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a dataset as NetCDF so that the file is either whole or not there.

    Raises `DataError` when the folder cannot be written to.
    """
    path = Path(path)
    part = path.with_name(path.name + ".part")
    encoding = {name: {"zlib": True, "complevel": 1} for name in dataset.data_vars}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.to_netcdf(part, engine="netcdf4", encoding=encoding)
        os.replace(part, path)
    except OSError as trouble:
        with contextlib.suppress(OSError):
            part.unlink()
        raise DataError(
            f"{path} cannot be written ({trouble}); choose a folder you may write to, with room left"
        ) from trouble
    return path
