"""Where data enter: readers, units, windows. A reader is a file here with a function `read`."""

import importlib
from collections.abc import Callable

from .fields import DataError, Record


def read(name: str, /, **options) -> Record:
    """Read a record with a reader of this folder by name, or with `"package.module:function"` of your own.

    Raises `DataError` when there is no such reader.
    """
    return reader(name)(**options)


def reader(name: str) -> Callable[..., Record]:
    """The function that a reader's name stands for: `read` of that file, unless another is named after a colon.

    Raises `DataError` when there is none.
    """
    path, _, function = name.partition(":")
    outside = "." in path or ":" in name
    try:
        return getattr(importlib.import_module(path if outside else f"{__name__}.{path}"), function or "read")
    except (ModuleNotFoundError, AttributeError) as trouble:
        raise DataError(
            f"no data reader {name!r}; there are camels_us, file, holmes, or your own 'package.module:function'"
        ) from trouble
