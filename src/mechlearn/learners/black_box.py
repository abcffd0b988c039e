"""Estimators that live outside JAX: called from inside it, without gradients."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..core import Fields, Variable
from .scaling import clip

Predict = Callable[[np.ndarray], np.ndarray]
"""Features (sample, input) in, estimates (sample, output) out, in numpy."""


def ask(predict: Predict, fields: Fields, inputs: Sequence[Variable], outputs: Sequence[Variable], who: str) -> Fields:
    """Call a numpy estimator from a compiled function: one call for a whole batch under vmap.

    Raises `TypeError` when a gradient is asked for.
    """
    features = jnp.stack(jnp.broadcast_arrays(*(jnp.asarray(fields[v.name]) for v in inputs)), axis=-1)
    kind = jnp.result_type(float, features)
    shape = jax.ShapeDtypeStruct((len(outputs),), kind)

    def outside(x: np.ndarray) -> np.ndarray:
        rows = np.asarray(x, dtype=float).reshape(-1, len(inputs))
        return np.asarray(predict(rows)).reshape(*np.shape(x)[:-1], len(outputs)).astype(kind)

    @jax.custom_jvp
    def called(x: Array) -> Array:
        return jax.pure_callback(outside, shape, x, vmap_method="expand_dims")

    @called.defjvp
    def refuse(primals, tangents):
        raise TypeError(
            f"{who} has no gradient. It works in the couplings that teach it alone, offline: cascade.initialization "
            "(quality_control, sample_generation), cascade.transfer, cascade.refinement, infused.input_constraint. "
            "Where a gradient must pass (embedded.*, infused.objective_constraint, online teaching) take MLP or LSTM"
        )

    answers = called(features)
    return {v.name: clip(answers[place], v.bounds) for place, v in enumerate(outputs)}


def rows_of(fields: Fields, variables: Sequence[Variable]) -> np.ndarray:
    """Fields with a sample axis as a numpy table (sample, variable)."""
    return np.stack([np.asarray(fields[v.name], dtype=float) for v in variables], axis=-1)
