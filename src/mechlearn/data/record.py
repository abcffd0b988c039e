"""Records of many sites through time: series, and profiles over depth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..core import Variable, named
from .units import DataError


@dataclass(frozen=True)
class Record:
    """What was measured at many sites: forcing and static attributes in, observations out.

    A field whose variable has a leading `time` axis is (site, time), or (site, time, depth) for a
    profile with dims ("time", "depth"); every other is (site, ...). `observed` is (site, time) or
    (site, time, depth), with NaN in the gaps. Sites with shorter records than the common `time`
    axis are NaN outside their own. Profiles share one grid of depths, the static field `depth`
    (site, depth) in m; where the static `area` (site, depth) is NaN or 0 lies below a lake's bottom.

    A record of `independent` samples (retrievals, pixels) has groups of related samples as its sites and numbers its
    samples along `time`; a group with fewer than the others is NaN at the end. Fields that are `hidden` tell what
    nobody knows who predicts: they teach and judge, and describe no domain.

    Readers of daily data give every day from the first to the last; a record that only exists on
    sampled days may have irregular dates, which models that step from day to day must not be given.

    Raises `DataError` when an array does not fit the sites, days and depths, or has no declared variable.

        >>> time = np.arange("2000-01-01", "2000-01-04", dtype="datetime64[D]")
        >>> rain = Variable("precipitation", "mm day-1", ("time",))
        >>> record = Record({"precipitation": np.ones((1, 3))}, {}, time, ("leaf",), {rain.name: rain})
        >>> record.dynamic, record.at(["leaf"]).sites
        (('precipitation',), ('leaf',))
    """

    fields: dict[str, np.ndarray]
    observed: dict[str, np.ndarray]
    time: np.ndarray
    sites: tuple[str, ...]
    variables: dict[str, Variable]
    source: str = ""
    regions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    independent: bool = False
    hidden: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.sites)) != len(self.sites):
            raise DataError(f"sites must have different names, got {list(self.sites)}")
        unknown = sorted({*self.fields, *self.observed} - set(self.variables))
        if unknown:
            raise DataError(f"fields {unknown} have no Variable; declared are {sorted(self.variables)}")
        for name, values in {**self.fields, **self.observed}.items():
            series = name in self.observed or name in self.dynamic
            wanted = (len(self.sites), len(self.time)) if series else (len(self.sites),)
            if np.shape(values)[: len(wanted)] != wanted:
                raise DataError(f"{name}: expected an array of {wanted} (site, time), got {np.shape(values)}")
        self._refuse_uneven_depths()

    def _refuse_uneven_depths(self) -> None:
        shapes = {name: np.shape(v) for name, v in {**self.fields, **self.observed}.items() if self.is_profile(name)}
        for name, shape in shapes.items():
            axes = 3 if name in self.observed or name in self.dynamic else 2
            if len(shape) != axes:
                raise DataError(
                    f"{name}: a profile needs {axes} axes, (site, time, depth) or (site, depth), got {shape}"
                )
        if len({shape[-1] for shape in shapes.values()}) > 1:
            sizes = ", ".join(f"{name} has {shape[-1]}" for name, shape in shapes.items())
            raise DataError(f"profiles must be on one grid of depths: {sizes} depths; interpolate them to the same")

    def is_profile(self, name: str) -> bool:
        """Whether a field or target varies with depth."""
        return "depth" in self.variables[name].dims

    @property
    def dynamic(self) -> tuple[str, ...]:
        """Names of the fields that change from day to day."""
        return tuple(name for name in self.fields if self.variables[name].dims[:1] == ("time",))

    @property
    def statics(self) -> tuple[str, ...]:
        """Names of the fields that are fixed attributes of a site."""
        return tuple(name for name in self.fields if self.variables[name].dims[:1] != ("time",))

    @property
    def depths(self) -> np.ndarray:
        """The depths (m, positive down) of the profiles, the same at every site.

        Raises `DataError` when the record has no static field `depth`, or sites differ in it.
        """
        if "depth" not in self.fields:
            raise DataError("a record of profiles needs the static field 'depth' (site, depth) in m")
        grid = np.asarray(self.fields["depth"])
        if not (grid == grid[:1]).all():
            raise DataError("the sites of one record must share their depths; read lakes with other grids separately")
        return grid[0]

    def at(self, sites: Sequence[str] | Sequence[int] | np.ndarray) -> "Record":
        """The record at some of its sites, by name or index.

        Raises `DataError` naming the sites that it does not have.
        """
        unknown = [site for site in sites if isinstance(site, str) and site not in self.sites]
        if unknown:
            raise DataError(f"no site {', '.join(map(repr, unknown))}; the record has {few(self.sites)}")
        places = np.array([self.sites.index(site) if isinstance(site, str) else int(site) for site in sites], dtype=int)
        chosen = tuple(self.sites[place] for place in places)
        return replace(
            self,
            fields={name: values[places] for name, values in self.fields.items()},
            observed={name: values[places] for name, values in self.observed.items()},
            sites=chosen,
            regions={site: region for site, region in self.regions.items() if site in chosen},
        )

    def masked(self, mask: np.ndarray) -> "Record":
        """The record with its observations hidden (NaN) wherever the mask is False.

        The mask is (site, time), for all depths alike, or (site, time, depth); a series is kept
        on the days on which the mask holds at any depth.
        """
        return replace(
            self, observed={name: np.where(_fitted(mask, v), v, np.nan) for name, v in self.observed.items()}
        )

    def with_fields(self, fields: Mapping[str, np.ndarray], variables: Iterable[Variable] = ()) -> "Record":
        """The record with further fields, or others in place of those of the same name."""
        return replace(self, fields={**self.fields, **fields}, variables={**self.variables, **named(variables)})

    def complete(self, names: Sequence[str] | None = None) -> np.ndarray:
        """Where (site, time) every forcing and every static attribute is known.

        A profile is known on a day when all depths that the lake has are: those with an `area` above
        0 where the record has that static, otherwise all depths of the grid.
        """
        there = np.ones((len(self.sites), len(self.time)), dtype=bool)
        for name in self.fields if names is None else names:
            there &= self._known(name)
        return there

    def measured(self) -> np.ndarray:
        """Where (site, time) at least one target was observed, at whatever depth."""
        there = np.zeros((len(self.sites), len(self.time)), dtype=bool)
        for values in self.observed.values():
            there |= np.isfinite(values).reshape(*there.shape, -1).any(axis=-1)
        return there

    def _known(self, name: str) -> np.ndarray:
        """Where a field is known: (site, time), or (site, 1) for a static."""
        known: np.ndarray = np.isfinite(self.fields[name])
        if self.is_profile(name):
            below = ~self._within()
            known = known | (below[:, None] if name in self.dynamic else below)
        days = len(self.time) if name in self.dynamic else 1
        return known.reshape(len(self.sites), days, -1).all(axis=-1)

    def _within(self) -> np.ndarray:
        """Which depths (site, depth) lie in the lake, or (site, 1) of True where no area says so."""
        if "area" in self.fields and self.is_profile("area"):
            return self.fields["area"] > 0  # NaN is below the bottom too
        return np.ones((len(self.sites), 1), dtype=bool)


def _fitted(mask: np.ndarray, values: np.ndarray) -> np.ndarray:
    if np.ndim(mask) < np.ndim(values):
        return np.asarray(mask)[..., None]
    return np.any(mask, axis=-1) if np.ndim(mask) > np.ndim(values) else mask


def few(names: Iterable[str], most: int = 8) -> str:
    """The first names of a long list, for a message that fits a screen."""
    names = list(names)
    return ", ".join(map(str, names[:most])) + (f", ... ({len(names)} in all)" if len(names) > most else "")
