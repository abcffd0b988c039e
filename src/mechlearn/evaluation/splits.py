"""Which days teach, which select, which judge: by time block, site, region or regime, never random days."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..data.fields import Record, few
from .uncertainty import hydrological_year

YEAR = 365.25
Period = Sequence[str]


@dataclass(frozen=True)
class Split:
    """Masks (site, time) of the days that train, validate and test; no day may be in two of them.

    Raises `ValueError` when the masks differ in shape, overlap (saying by how many days), or leave
    nothing to train or to test on.

        >>> day = np.eye(3, dtype=bool)[:, None, :]
        >>> Split(day[0], day[1], day[2]).test.sum().item()
        1
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self) -> None:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        shapes = {name: np.shape(mask) for name, mask in parts.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"split: masks must all be (site, time) of one shape, got {shapes}")
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            shared = parts[one] & parts[other]
            if shared.any():
                days, sites = int(shared.any(axis=0).sum()), int(shared.any(axis=1).sum())
                raise ValueError(
                    f"split: {one} and {other} overlap on {days} days at {sites} sites; "
                    "choose dates or sites that are apart"
                )
        empty = [name for name in ("train", "test") if not parts[name].any()]
        if empty:
            raise ValueError(f"split: the {' and the '.join(empty)} part holds no day; choose dates inside the record")


def make(record: Record, kind: str, *, fraction_of_training: float = 1.0, by: str = "years", **options) -> Split:
    """Split a record the way an experiment file asks: `kind` names a function of this file.

    `fraction_of_training` below 1 then cuts what there is to train on, to the first of its years (see `tenth`) or to
    some of its observed dates (see `few_dates`).

    Raises `ValueError` for an unknown kind, listing those there are.
    """
    ways = {
        way.__name__: way for way in (time_blocks, last_third, first_samples, by_site, by_region, by_regime, by_fold)
    }
    if kind not in ways:
        raise ValueError(f"split: no kind {kind!r}; there are {', '.join(ways)}")
    split = ways[kind](record, **options)
    if fraction_of_training == 1.0:
        return split
    if by == "samples":
        return few_samples(record, split, fraction_of_training)
    return few_dates(record, split, fraction_of_training) if by == "dates" else tenth(split, fraction_of_training)


def time_blocks(record: Record, train: Period, test: Period, validation: Period | None = None) -> Split:
    """Train, validate and test on periods (first day, last day), both inclusive, the same at every site."""
    nothing = np.zeros((len(record.sites), len(record.time)), dtype=bool)
    chosen = nothing if validation is None else within(record, validation)
    return Split(within(record, train), chosen, within(record, test))


def within(record: Record, period: Period) -> np.ndarray:
    """The mask (site, time) of a period, both days inclusive.

    Raises `ValueError` for a period that is not two dates in order, or lies outside the record.
    """
    try:
        first, last = (np.datetime64(str(day), "D") for day in period)
    except ValueError as trouble:
        raise ValueError(f"split: a period is two dates, ['1980-10-01', '1995-09-30'], got {period!r}") from trouble
    days = (record.time >= first) & (record.time <= last)
    if not days.any():
        raise ValueError(
            f"split: no day between {first} and {last}; the record runs from {record.time[0]} to {record.time[-1]}"
        )
    return np.broadcast_to(days, (len(record.sites), len(record.time))).copy()


def last_third(record: Record, validation: float = 0.15, test: float = 1 / 3) -> Split:
    """Test on the last third of each site's own observed record, validate on the last whole years before it.

    `validation` is a fraction of the training days, rounded to whole years, one at least (0 for none).
    """
    measured = record.measured()
    train, chosen, held = (np.zeros_like(measured) for _ in range(3))
    for site, row in enumerate(measured):
        known = np.flatnonzero(row)
        if not len(known):
            continue
        begin, end = int(known[0]), int(known[-1]) + 1
        judged = begin + round((1 - test) * (end - begin))
        selected = judged - _whole_years(validation * (judged - begin))
        train[site, begin:selected], chosen[site, selected:judged], held[site, judged:end] = True, True, True
    return Split(train, chosen, held)


def first_samples(record: Record, samples: int, validation: float = 0.1) -> Split:
    """Train on the first observations of each site in order of time and depth, test on all that come after.

    The last of the training samples validate, as large a fraction of them as `validation` says (0 for none). Masks
    are (site, time, depth) for profiles.

    Raises `ValueError` when a site has no more observations than `samples`.
    """
    known = np.isfinite(next(iter(record.observed.values())))
    counted = np.cumsum(known.reshape(len(known), -1), axis=1).reshape(known.shape)
    most = int(counted.reshape(len(known), -1)[:, -1].min())
    if not 0 < samples < most:
        raise ValueError(f"split: samples = {samples} must be above 0 and below the {most} observations of the record")
    teach = samples - round(validation * samples)
    return Split(
        known & (counted <= teach), known & (counted > teach) & (counted <= samples), known & (counted > samples)
    )


def _whole_years(days: float) -> int:
    return round(max(1, round(days / YEAR)) * YEAR) if days > 0 else 0


def _periods(record: Record, train: Period | None, validation: Period | None, test: Period | None) -> Split:
    if train is None and test is None:
        return last_third(record)
    if train is None or test is None:
        raise ValueError("split: give the periods of both train and test, or of neither (then the last third tests)")
    return time_blocks(record, train, test, validation)


def _hold_out(inside: Split, held: np.ndarray) -> Split:
    return Split(inside.train & ~held[:, None], inside.validation & ~held[:, None], inside.test & held[:, None])


def by_site(
    record: Record,
    fold: int = 0,
    folds: int = 5,
    seed: int = 0,
    train: Period | None = None,
    validation: Period | None = None,
    test: Period | None = None,
) -> Split:
    """Test on sites never trained on, as if they were ungauged, in years never trained on either.

    Sites are dealt at random into `folds` of near-equal size; fold number `fold` is held out.

    Raises `ValueError` when there are fewer sites than folds, or no such fold.
    """
    if not 1 < folds <= len(record.sites) or not 0 <= fold < folds:
        raise ValueError(
            f"split: fold {fold} of {folds} needs 0 <= fold < folds and 2 <= folds <= {len(record.sites)} sites"
        )
    order = np.random.default_rng(seed).permutation(len(record.sites))
    held = np.isin(np.arange(len(record.sites)), order[fold::folds])
    return _hold_out(_periods(record, train, validation, test), held)


def by_region(
    record: Record,
    region: str,
    train: Period | None = None,
    validation: Period | None = None,
    test: Period | None = None,
) -> Split:
    """Test on a whole region never trained on.

    Raises `ValueError` when the record has no such region, listing those it has.
    """
    held = _in_region(record, region)
    return _hold_out(_periods(record, train, validation, test), held)


def by_regime(
    record: Record, regime: str, fraction: float = 0.2, years: int | None = None, validation: float = 0.15
) -> Split:
    """Test on the driest or the wettest hydrological years (October to September) of each site.

    Years are ranked by their precipitation alone, so that no observation decides; only whole years
    with observations are ranked. `years` says how many are held out, or else `fraction` of them. The
    last whole years of the rest validate.

    Raises `ValueError` for a regime that is neither "driest" nor "wettest".
    """
    if regime not in ("driest", "wettest"):
        raise ValueError(f"split: regime is 'driest' or 'wettest', got {regime!r}")
    measured, rain = record.measured(), record.fields["precipitation"]
    labels = hydrological_year(record.time)
    train, chosen, held = (np.zeros_like(measured) for _ in range(3))
    for site in range(len(record.sites)):
        totals = _annual(rain[site], measured[site], labels)
        ranked = sorted(totals, key=totals.__getitem__, reverse=regime == "wettest")
        count = max(1, round(fraction * len(ranked))) if years is None else years
        rest = sorted(ranked[count:])
        select = rest[len(rest) - max(1, round(validation * len(rest))) :] if validation > 0 else []
        known = np.isfinite(rain[site])
        held[site] = known & np.isin(labels, ranked[:count])
        chosen[site] = known & np.isin(labels, select)
        train[site] = known & ~held[site] & ~chosen[site]
    return Split(train, chosen, held)


def _annual(rain: np.ndarray, measured: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    totals = {}
    for year in np.unique(labels):
        days = labels == year
        if days.sum() >= 365 and np.isfinite(rain[days]).all() and measured[days].any():
            totals[int(year)] = float(rain[days].sum())
    return totals


def tenth(split: Split, fraction: float = 0.1, validation: bool = True) -> Split:
    """Cut the training days of every site to their first `fraction`, one year at least.

    The validation days are cut alike unless `validation` is False; the test is left as it is.

    Raises `ValueError` when the fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"split: the fraction of the training years must be above 0 and at most 1, got {fraction}")
    fewer = replace(split, train=_first(split.train, fraction))
    return replace(fewer, validation=_first(split.validation, fraction)) if validation else fewer


def few_dates(record: Record, split: Split, fraction: float, *, seed: int = 0, validation: float = 0.2) -> Split:
    """Leave some of the observed dates before the test, drawn at random, the same for every coupling.

    Of `n = fraction * (all observed dates that train or validate)` dates a share `validation` validates; of fewer than
    ten none does, because none can be spared. The test is left as it is.

    Raises `ValueError` when the fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"split: the fraction of the training dates must be above 0 and at most 1, got {fraction}")
    pool = split.train | split.validation
    dated = record.masked(pool).measured()
    train, chosen = np.zeros_like(dated), np.zeros_like(dated)
    for site, row in enumerate(dated):
        dates = np.random.default_rng(seed).permutation(np.flatnonzero(row))[: max(1, round(fraction * row.sum()))]
        spared = round(validation * len(dates)) if len(dates) >= 10 else 0
        chosen[site, dates[:spared]], train[site, dates[spared:]] = True, True
    if pool.ndim == 3:
        train, chosen = train[..., None] & pool, chosen[..., None] & pool
    return Split(train, chosen, split.test)


def by_fold(
    record: Record,
    test: Sequence[int] = (7, 8, 9),
    validation: Sequence[int] = (6,),
    region: str | None = None,
    field: str | None = None,
    below: float = 0.0,
) -> Split:
    """Test on independent samples of groups never trained on: the folds that the record's static `fold` deals.

    With a `region` all its samples test, and none of them teaches; with a `field` only samples in which it is `below`
    a value teach and select, and only those of the test folds in which it is not test.

    Raises `ValueError` for a record without folds, or a region or field that it does not have.
    """
    if "fold" not in record.fields:
        raise ValueError("split: by_fold needs the static field 'fold', a number for each group of related samples")
    shape = (len(record.sites), len(record.time))
    folds = np.broadcast_to(record.fields["fold"][:, None], shape)
    tested, selecting = np.isin(folds, test), np.isin(folds, validation)
    taught = ~tested & ~selecting
    if region is not None:
        held = _in_region(record, region)[:, None]
        tested, selecting, taught = np.broadcast_to(held, shape).copy(), selecting & ~held, taught & ~held
    if field is not None:
        low = _below(record, field, below, shape)
        tested, selecting, taught = tested & ~low, selecting & low, taught & low
    known = record.measured() & ~_generated(record)
    return Split(taught & known, selecting & known, tested & known)


def generated_from(record: Record, mask: np.ndarray) -> np.ndarray:
    """The samples (group, sample) that a mechanism has made of those under a mask; none where a record has none."""
    if "generated_from" not in record.fields:
        return np.zeros_like(mask)
    parent = record.fields["generated_from"]
    return _generated(record) & np.take_along_axis(mask, np.nan_to_num(parent).astype(int), axis=1)


def _generated(record: Record) -> np.ndarray:
    none = np.zeros((len(record.sites), len(record.time)), bool)
    return np.isfinite(record.fields["generated_from"]) if "generated_from" in record.fields else none


def _in_region(record: Record, region: str) -> np.ndarray:
    held = np.array([record.regions.get(site) == str(region) for site in record.sites])
    if not held.any() or held.all():
        known = few(sorted(set(record.regions.values()))) or "no regions"
        raise ValueError(f"split: region {region!r} must hold some sites but not all; the record has {known}")
    return held


def _below(record: Record, field: str, limit: float, shape: tuple[int, int]) -> np.ndarray:
    if field not in record.fields:
        raise ValueError(f"split: the record has no field {field!r}; it has {few(record.fields, 20)}")
    values = record.fields[field]
    with np.errstate(invalid="ignore"):
        return np.broadcast_to(values if values.ndim == 2 else values[:, None], shape) < limit


def few_samples(record: Record, split: Split, fraction: float, *, seed: int = 0, validation: float = 0.2) -> Split:
    """Leave some of the samples before the test, drawn at random, the same for every coupling.

    Of `n = fraction * (all samples that train or validate)` a share `validation` validates, the others teach.

    Raises `ValueError` when the fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"split: the fraction of the training samples must be above 0 and at most 1, got {fraction}")
    generator = np.random.default_rng(seed)
    number = round(fraction * int((split.train | split.validation).sum()))
    spared = max(1, round(validation * number))
    return Split(
        _some(split.train, max(1, number - spared), generator), _some(split.validation, spared, generator), split.test
    )


def _some(mask: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """A mask that holds at some of the places of another, drawn at random."""
    places = generator.permutation(np.flatnonzero(mask))[:number]
    chosen = np.zeros(mask.size, bool)
    chosen[places] = True
    return chosen.reshape(mask.shape)


def _first(mask: np.ndarray, fraction: float) -> np.ndarray:
    keep = np.maximum(np.round(fraction * mask.sum(axis=1)), 366)
    return mask & (np.cumsum(mask, axis=1) <= keep[:, None])
