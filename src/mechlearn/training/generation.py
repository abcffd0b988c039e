"""Samples that a mechanism generates, its parameters first fitted to what was observed."""

import numpy as np

from ..data.record import Record

SENSITIVE, SIMULATED = "sensitivity_to_", "simulated_"


def calibrated_generation(record: Record, mask: np.ndarray) -> Record:
    """A record whose generated samples are as the mechanism would make them, were its parameters those of the data.

    The changes p of the parameters are those that best turn what the mechanism says of a learner's input into what was
    measured, over the samples under the mask: `min sum (x - x_simulated - S p)^2`, with S the sensitivities that the
    record holds. Then `x' = x + S p` for every generated sample. Unchanged where a record holds no sensitivities.
    """
    for name in record.dynamic:
        if SIMULATED + name in record.fields:
            moved = record.fields[name] + _sensitivities(record) @ changes(record, mask, name)
            made = np.isfinite(record.fields["generated_from"])
            record = record.with_fields({name: np.where(made, moved, record.fields[name]).astype(np.float32)})
    return record


def changes(record: Record, mask: np.ndarray, name: str) -> np.ndarray:
    """The changes of the mechanism's parameters that explain how a measured input differs from the simulated one."""
    slopes, missed = _sensitivities(record), record.fields[name].astype(float) - record.fields[SIMULATED + name]
    known = mask & np.isfinite(missed) & np.isfinite(slopes).all(axis=-1)
    return np.linalg.lstsq(slopes[known], missed[known], rcond=None)[0]


def _sensitivities(record: Record) -> np.ndarray:
    """How much an input changes with each parameter: (group, sample, parameter)."""
    names = [name for name in record.fields if name.startswith(SENSITIVE)]
    shape = (len(record.sites), len(record.time), 0)
    return np.stack([record.fields[name] for name in names], axis=-1).astype(float) if names else np.zeros(shape)
