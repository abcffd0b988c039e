"""Laws as metrics: by how much predicted fields break what must hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechlearn.core import Fields, Law, require


def audit(
    laws: Mapping[str, Law], fields: Fields, *, tolerance: float | Mapping[str, float] = 1e-3
) -> list[dict[str, Any]]:
    """Judge one sample of fields by each law: a row for each with the mean, the worst and how often it is broken.

    `fields` are those of one sample (a site's series). A residual counts as broken when its size is above the
    tolerance, in the law's units: one number, or one for each law. Values that are not finite count as broken, and
    are left out of the mean. A law that cannot be applied, because a model does not give what it reads, gets a row
    with NaN and the reason, so that nothing is passed over in silence.

    Rows: {law, mean, max, broken, tolerance, n, reason}.
    """
    limits = tolerance if isinstance(tolerance, Mapping) else dict.fromkeys(laws, tolerance)
    return [_judge(name, law, fields, limits.get(name, 1e-3)) for name, law in laws.items()]


def audit_sites(
    laws: Mapping[str, Law], samples: Mapping[str, Fields], *, tolerance: float | Mapping[str, float] = 1e-3
) -> list[dict[str, Any]]:
    """The audit of each site's sample, with the site's name in each row."""
    return [
        {"site": site, **row} for site, fields in samples.items() for row in audit(laws, fields, tolerance=tolerance)
    ]


def _judge(name: str, law: Law, fields: Fields, tolerance: float) -> dict[str, Any]:
    try:
        require(fields, law.inputs, name)
    except ValueError as error:
        return _row(name, np.full(1, np.nan), tolerance) | {"broken": np.nan, "n": 0, "reason": str(error)}
    return _row(name, law.residual(fields), tolerance)


def _row(name: str, residual: ArrayLike, tolerance: float) -> dict[str, Any]:
    size = np.abs(np.ravel(np.asarray(residual, float)))
    finite = size[np.isfinite(size)]
    return {
        "law": name,
        "mean": float(finite.mean()) if finite.size else np.nan,
        "max": float(finite.max()) if finite.size else np.nan,
        "broken": float(np.mean(~(size <= tolerance))) if size.size else np.nan,
        "tolerance": float(tolerance),
        "n": int(size.size),
        "reason": "" if finite.size == size.size else f"{size.size - finite.size} residuals are not finite",
    }
