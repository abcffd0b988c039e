"""From any time axis to unbroken calendar days: sorted, of one calendar, averaged where finer than a day."""

from dataclasses import dataclass

import numpy as np

from .units import DataError

STANDARD = ("standard", "gregorian", "proleptic_gregorian")


@dataclass(frozen=True)
class Days:
    """The days of a record, and where among them each time stamp of the file falls.

    `step` is the file's time step in days. `absent` marks days that the file's calendar does not have.
    """

    time: np.ndarray
    place: np.ndarray
    step: float
    absent: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Means (site, day) of a series (site, time stamp); NaN for days not wholly measured."""
        expected = max(1, round(1 / self.step))
        shape = (len(values), len(self.time))
        total, count = np.zeros(shape), np.zeros(shape, dtype=int)
        known = np.isfinite(values)
        for row, there, sums, counts in zip(values, known, total, count, strict=True):
            sums += np.bincount(self.place[there], row[there], minlength=shape[1])
            counts += np.bincount(self.place[there], minlength=shape[1])
        return np.where(count == expected, total / np.maximum(count, 1), np.nan)

    def bridged(self, values: np.ndarray) -> np.ndarray:
        """The series (site, day) with the days its calendar does not have set to the mean of their neighbours."""
        filled = values.copy()
        for day in np.flatnonzero(self.absent[1:-1]) + 1:
            filled[:, day] = (filled[:, day - 1] + values[:, day + 1]) / 2
        return filled


def days_of(stamps: np.ndarray, calendar: str = "standard") -> Days:
    """Place sorted time stamps among calendar days.

    Raises `DataError` when the time step is longer than a day.
    """
    seconds = stamps.astype("datetime64[s]").astype(np.int64)
    step = float(np.median(np.diff(seconds))) / 86400 if len(seconds) > 1 else 1.0
    if step > 1.5:
        raise DataError(
            f"the time step is about {step:.3g} days; models here go by the day: give daily or sub-daily data"
        )
    days = stamps.astype("datetime64[D]")
    time = np.arange(days[0], days[-1] + np.timedelta64(1, "D"), dtype="datetime64[D]")
    place = (days - days[0]).astype(int)
    absent = np.zeros(len(time), dtype=bool)
    if calendar not in STANDARD:
        absent = ~np.isin(np.arange(len(time)), place)
    return Days(time, place, step, absent)


def in_order(dataset, time: str, path) -> tuple[object, str, list[str]]:
    """A dataset on the standard calendar with ascending times, the calendar it had, and what was done to it.

    Raises `DataError` when there is no such axis, it holds no dates, or some come twice.
    """
    if time not in dataset.coords or dataset[time].ndim != 1:
        raise DataError(
            f'{path} has no time axis {time!r}; it has {list(map(str, dataset.sizes))}. Name it: time = "..."'
        )
    if dataset.sizes[time] == 0:
        raise DataError(f"{path}: the time axis {time!r} is empty")
    try:
        calendar = str(dataset[time].dt.calendar)
    except (AttributeError, TypeError) as trouble:
        raise DataError(
            f"{path}: {time!r} holds no dates; give it CF units such as 'days since 1980-01-01'"
        ) from trouble
    notes = []
    index = dataset.indexes[time]
    if index.has_duplicates:
        twice = index[index.duplicated()]
        raise DataError(f"{path}: {len(twice)} times come twice, first {twice[0]}; remove the duplicates")
    if not index.is_monotonic_increasing:
        dataset = dataset.sortby(time)
        notes.append("times were out of order and have been sorted")
    if calendar not in STANDARD:
        spread = calendar == "360_day" and dataset.sizes[time] > 1 and (index[1] - index[0]).days >= 1
        dataset = dataset.convert_calendar(
            "standard", dim=time, use_cftime=False, align_on="year" if spread else "date"
        )
        notes.append(f"calendar {calendar}: dates moved to the standard calendar, days it does not have are gaps")
    return dataset, calendar, notes
