"""Where data enter: readers, units, windows. A reader is a file here with a function `read`."""

import importlib

from .fields import DataError, Record


def read(reader: str, **options) -> Record:
    """Read a record with a reader of this folder by name, or with `"package.module"` of your own.

    Raises `DataError` when there is no such reader.
    """
    name = reader if "." in reader else f"{__name__}.{reader}"
    try:
        module = importlib.import_module(name)
        function = module.read
    except (ModuleNotFoundError, AttributeError) as trouble:
        raise DataError(
            f"no data reader {reader!r}; there are camels_us, file, holmes, or 'package.module' with a function read"
        ) from trouble
    return function(**options)
