"""CSV tables as datasets: one table with a column of sites, or a folder with one table a site."""

from pathlib import Path

import pandas as pd

from .fields import DataError, from_frame


def open_tables(path: Path, time: str, site: str, attributes: str | Path | None = None):
    """Read CSV series, and a CSV of static attributes if there is one, as one dataset.

    Raises `DataError` for a file that is no table, or lacks its columns of time or attributes of a site.
    """
    if path.is_dir():
        parts = [_table(file, time, site).assign(**{site: file.stem}) for file in sorted(path.glob("*.csv"))]
        frame = pd.concat(parts, ignore_index=True)
    else:
        frame = _table(path, time, site)
        frame = frame if site in frame else frame.assign(**{site: path.stem})
    _refuse_twice(frame, time, site, path)
    return from_frame(frame, time, site, None if attributes is None else _attributes(Path(attributes), frame, site))


def _read(path: Path, **options) -> pd.DataFrame:
    if not path.exists():
        raise DataError(f"no file {path}; give the path of a NetCDF, Zarr or CSV file")
    try:
        return pd.read_csv(path, skipinitialspace=True, **options)
    except Exception as trouble:  # pandas fails in its own many ways on what is no table
        first = (str(trouble).splitlines() or [""])[0][:200]
        raise DataError(
            f"{path} cannot be read as CSV ({type(trouble).__name__}: {first}); is it damaged?"
        ) from trouble


def _table(path: Path, time: str, site: str) -> pd.DataFrame:
    frame = _read(path, dtype={site: str})
    if time not in frame:
        columns = ", ".join(map(str, frame.columns[:12]))
        raise DataError(f'{path} has no column {time!r}; it has {columns}. Name the column of dates: time = "..."')
    try:
        return frame.assign(**{time: pd.to_datetime(frame[time], utc=True).dt.tz_localize(None)})
    except (ValueError, TypeError) as trouble:
        first = (str(trouble).splitlines() or [""])[0][:200]
        raise DataError(f"{path}: column {time!r} holds what is no date ({first}); write 2001-12-31") from trouble


def _attributes(path: Path, frame: pd.DataFrame, site: str) -> pd.DataFrame:
    table = _read(path, dtype={site: str})
    if site not in table:
        raise DataError(f"{path} has no column {site!r}; the attributes need one row a site, named in that column")
    table = table.set_index(site)
    missing = sorted(set(frame[site]) - set(table.index))
    if missing or table.index.has_duplicates:
        raise DataError(f"{path} needs one row for each site; missing {missing[:8]}, or a site comes twice")
    return table


def _refuse_twice(frame: pd.DataFrame, time: str, site: str, path: Path) -> None:
    twice = frame[frame.duplicated([site, time])]
    if len(twice):
        first = twice.iloc[0]
        raise DataError(
            f"{path}: {len(twice)} times come twice, first {first[time]} at site {first[site]!r}; remove the duplicates"
        )
