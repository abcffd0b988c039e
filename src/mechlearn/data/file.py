"""Your own data: NetCDF, Zarr or CSV, with any names, units and calendar.

[data]
reader = "file"
path = "catchments.nc"                      # or a .zarr store, a .csv, or a folder with one .csv a site
targets = ["runoff"]
statics = ["elevation"]
names = { precipitation = "P", runoff = "Q" }
units = { precipitation = "mm/h", runoff = "m3/s", elevation = "m" }
area = "area"                               # the catchment area that turns m3/s into mm day-1
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core import Variable
from ..variables import AIR_TEMPERATURE, POTENTIAL_EVAPOTRANSPIRATION, PRECIPITATION, RUNOFF
from .check import refuse_impossible
from .fields import DataError, Record, few, open_file, to_record, variable
from .tables import open_tables

METEOROLOGY = (PRECIPITATION.name, AIR_TEMPERATURE.name, POTENTIAL_EVAPOTRANSPIRATION.name)


def read(
    path: str | Path,
    forcing: Sequence[str] = METEOROLOGY,
    targets: Sequence[str] = (RUNOFF.name,),
    statics: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    time: str = "time",
    site: str = "site",
    sites: Sequence[str] | None = None,
    attributes: str | Path | None = None,
    area: str | None = None,
    regions: str | None = None,
    bridge: bool = False,
) -> Record:
    """Read daily or sub-daily series of one or many sites, in mechlearn's names and units.

    `names` says what the file calls a variable and `units` what it is in; units the file states
    itself need not be repeated. Sub-daily rates and states are averaged over each whole day (a
    depth per time step, "mm", becomes a rate first); a day with a missing step is missing. Gaps
    stay gaps, also 29 February in a calendar without; `bridge` gives forcing there the mean of the
    days around. `area` is the file's catchment area, for runoff as a discharge. `attributes` is a
    CSV of static fields, one row a site; `regions` the name of its (or the file's) region labels.

    Raises `DataError` for what cannot be used: a missing or damaged file, a missing variable, days
    out of order or twice, a time step above a day, negative rain, a site without any data.
    Raises `UnitError` for units that are missing or of another kind.
    """
    path = Path(path).expanduser()
    names, units = dict(names or {}), dict(units or {})
    _refuse_unknown(names, units, (*forcing, *targets, *statics, *([area] if area else [])))
    with open_tables(path, time, site, attributes) if _tabular(path) else open_file(path, chunks={}) as dataset:
        dataset = _at(dataset, site, sites, path)

        def declared(wanted: Sequence[str]) -> list[Variable]:
            return [variable(name, units.get(name) or _stated(dataset, names.get(name, name))) for name in wanted]

        record = to_record(
            dataset,
            declared(forcing),
            declared(targets),
            declared(statics),
            names=names,
            units=units,
            time=time,
            site=site,
            area=area,
            regions=regions,
            bridge=bridge,
            source=str(path),
        )
    refuse_impossible(record)
    return record


def _tabular(path: Path) -> bool:
    csv = path.suffix.lower() in (".csv", ".txt", ".gz")
    return csv or (path.is_dir() and path.suffix != ".zarr" and any(path.glob("*.csv")))


def _stated(dataset, column: str) -> str:
    return dataset[column].attrs.get("units", "") if column in dataset else "1"


def _at(dataset, site: str, sites: Sequence[str] | None, path: Path):
    if sites is None or site not in dataset.dims:
        return dataset
    known = [str(name) for name in dataset[site].values]
    unknown = [name for name in sites if name not in known]
    if unknown:
        raise DataError(f"{path}: no site {few(map(repr, unknown))}; it has {few(known)}")
    return dataset.isel({site: [known.index(name) for name in sites]})


def _refuse_unknown(names: Mapping[str, str], units: Mapping[str, str], wanted: Sequence[str]) -> None:
    stray = sorted((set(names) | set(units)) - set(wanted))
    if stray:
        raise DataError(
            f"file: names and units are given for {few(stray)}, which is not read; asked for are {few(wanted, 20)}. "
            "Write mechlearn's name on the left, as in names = { precipitation = 'P' }, and list it in "
            "forcing, targets or statics"
        )
