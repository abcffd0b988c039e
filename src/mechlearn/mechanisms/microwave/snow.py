"""Microwave emission of a snow pack, by the Snow Microwave Radiative Transfer model (the package smrt)."""

import warnings
from functools import cache, partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model, Variable, require

DEPTH = Variable("snow_depth", "m", bounds=(0.02, 5), long_name="thickness of the snow pack")
DENSITY = Variable("snow_density", "kg m-3", bounds=(50, 550))
GRAIN = Variable("correlation_length", "mm", bounds=(0.02, 0.6), long_name="exponential correlation length of the ice")
TEMPERATURE = Variable("snow_temperature", "K", bounds=(200, 273.1))
CHANNELS = {"19v": 19.35, "19h": 19.35, "22v": 22.235, "37v": 37.0, "37h": 37.0}
FREQUENCIES = sorted(set(CHANNELS.values()))  # GHz
STEP = 1e-3


class Snow(Model):
    """The brightness temperatures of one layer of dry snow on frozen ground, as SSM/I would see it.

    Improved Born approximation for an exponential microstructure, discrete ordinates with `streams` angles in the
    ice, incidence 53.1 degrees, five channels (K). The ground is a rough surface (Wegmüller & Mätzler 1999) at
    270 K. It runs outside the compiler; its Jacobian is that of central differences, two runs an input.

    Raises `ImportError` where smrt is not installed.

    Source: Picard et al. (2018), doi:10.5194/gmd-11-2763-2018.

        >>> [variable.name for variable in Snow().outputs][:2]
        ['brightness_temperature_19v', 'brightness_temperature_19h']
    """

    streams: int = eqx.field(static=True, default=16)
    inputs: ClassVar = (DEPTH, DENSITY, GRAIN, TEMPERATURE)
    outputs: ClassVar = tuple(Variable(f"brightness_temperature_{name}", "K", bounds=(0, 350)) for name in CHANNELS)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Snow")
        state = jnp.stack([jnp.asarray(fields[v.name], jnp.result_type(float)) for v in self.inputs])
        seen = _emitted(self.streams, state)
        return {v.name: seen[place] for place, v in enumerate(self.outputs)}


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _emitted(streams: int, state: Array) -> Array:
    return _outside(partial(brightness, streams), (len(CHANNELS),), state)


@_emitted.defjvp
def _slope(streams: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (state,), (change,) = primals, tangents
    jacobian = _outside(partial(sensitivity, streams), (len(CHANNELS), len(state)), state)
    return _emitted(streams, state), jacobian @ change


def _outside(function: Any, shape: tuple[int, ...], state: Array) -> Array:
    made = jax.ShapeDtypeStruct(shape, state.dtype)
    return jax.pure_callback(
        lambda x: np.asarray(function(np.asarray(x, float)), state.dtype), made, state, vmap_method="sequential"
    )


def brightness(streams: int, state: np.ndarray) -> np.ndarray:
    """The five brightness temperatures (K) of depth (m), density (kg m-3), correlation length (mm), temperature (K)."""
    smrt, model, sensor, ground = _model(streams)
    depth, density, grain, temperature = (float(np.clip(x, *v.bounds)) for x, v in zip(state, Snow.inputs, strict=True))
    pack = smrt.make_snowpack(
        [depth], "exponential", density=density, temperature=temperature, corr_length=1e-3 * grain, substrate=ground
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a thin pack that lets the ground shine through, as is meant here
        told = model.run(sensor, pack, runner=_one_by_one)
    seen = {"v": np.asarray(told.TbV()), "h": np.asarray(told.TbH())}
    return np.array([seen[name[-1]][FREQUENCIES.index(f)] for name, f in CHANNELS.items()])


def sensitivity(streams: int, state: np.ndarray) -> np.ndarray:
    """The Jacobian (channel, input) by central differences of a thousandth of each input."""
    columns = []
    for place, value in enumerate(state):
        step = np.zeros_like(state)
        step[place] = STEP * value
        columns.append((brightness(streams, state + step) - brightness(streams, state - step)) / (2 * STEP * value))
    return np.stack(columns, axis=1)


def _one_by_one(function: Any, arguments: Any) -> list[Any]:
    return [function(*each) for each in arguments]


@cache
def _model(streams: int) -> tuple[Any, Any, Any, Any]:
    """smrt, its model, sensor and ground, made once."""
    try:
        import smrt
    except ImportError as missing:
        raise ImportError("microwave.snow runs the package smrt: pip install 'mechlearn[microwave]'") from missing
    # On one core an asynchronous callback was seen to wait for itself.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    model = smrt.make_model("iba", "dort", rtsolver_options={"n_max_stream": streams, "error_handling": "exception"})
    sensor = smrt.sensor_list.passive([1e9 * f for f in FREQUENCIES], 53.1)
    ground = smrt.make_soil("soil_wegmuller", complex(5.0, 0.5), temperature=270.0, roughness_rms=0.01)
    return smrt, model, sensor, ground


def example() -> dict[str, Any]:
    """Half a metre of snow of a cold winter: smrt 1.7 itself, with 64 angles in place of 16."""
    state = {"snow_depth": 0.5, "snow_density": 250.0, "correlation_length": 0.2, "snow_temperature": 260.0}
    return {
        "model": Snow(),
        "inputs": {name: jnp.asarray(value) for name, value in state.items()},
        "published": {"brightness_temperature_19h": 247.45, "brightness_temperature_37v": 225.13},
        "tolerance": 3e-3,
        "source": "smrt 1.7, doi:10.5194/gmd-11-2763-2018",
        "needs": "smrt",
    }
