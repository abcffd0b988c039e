"""Method 4, replacement: a learner takes the gas optics of `radiation.longwave`, and the exact solution stays."""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ...core import Fields, Model, System, Variable
from ...descent import Descended, Descent, descend
from ...learners.mlp import MLP
from ...longwave import FLUXES, STEFAN_BOLTZMANN
from ...mechanisms.radiation._gas_optics import Air, GasOptics, Optics
from ...mechanisms.radiation.longwave import Longwave
from ...parameters import replace_at
from ..series import Untaught, bare, terms_of

WELL_MIXED = ("carbon_dioxide", "methane", "nitrous_oxide")
SEEN = (
    Variable("ln_air_pressure", "1"),
    Variable("air_temperature", "K"),
    *(Variable(f"ln_mole_fraction_of_{gas}", "1") for gas in ("water_vapour", "ozone", *WELL_MIXED)),
)
LEAST = (1e-8, 1e-11, 1e-8, 1e-9, 1e-9)  # mole fractions, of the gases in `SEEN`
LOGARITHMS = (-14.0, 3.0)  # of absorption (Pa-1), what points are spread over before they are taught
TOLERANCE = (0.4, 0.08)  # W m-2 and K day-1: what a misfit of 1 is
ALOFT = 8.0  # Pa: where the tolerance of heating has doubled
TAUGHT = "longwave_emulator.npz"


class LearnedOptics(GasOptics):
    """A learned correlated k-distribution: a learner tells the absorption at each of a few points, layer by layer.

    `tau_g = k_g(ln p, T, ln x_1..x_5) dp`, ln k_g the learner's; `B_g(T) = f_g(T) sigma T^4` with the shares f_g of the
    points cubic in temperature and of sum 1, so that the black body is kept whole. Nothing in it knows a grid.
    """

    learner: Model
    share: Array  # (power, point)
    frozen: ClassVar[bool] = False

    def __call__(self, air: Air) -> Optics:
        told = jax.vmap(self.learner)(seen(air))
        logarithm = jnp.stack([told[v.name] for v in self.learner.outputs], axis=-1)
        deep = -jnp.diff(air.half_level_pressure)
        depth = jnp.exp(jnp.minimum(logarithm, 8.0)) * deep[:, None]
        edge = self.black(air.half_level_temperature)
        ground = self.black(air.surface_temperature)
        return Optics(depth, self.black(air.temperature), edge[:-1], edge[1:], ground)

    def black(self, temperature: Array) -> Array:
        """The black-body flux of every point, W m-2."""
        at = (temperature[..., None] - 250.0) / 50.0
        whole = jnp.zeros_like(self.share).at[0].set(1 / self.share.shape[-1])
        one, two, three, four = whole + 0.1 * (self.share - self.share.mean(axis=-1, keepdims=True))
        return (one + at * (two + at * (three + at * four))) * STEFAN_BOLTZMANN * temperature[..., None] ** 4


def seen(air: Air) -> Fields:
    """What the learner is told of every layer."""
    gases = ("water_vapour", "ozone", *WELL_MIXED)
    mixed = [jnp.log(jnp.maximum(air.gases[gas], least)) for gas, least in zip(gases, LEAST, strict=True)]
    values = (jnp.log(air.pressure), air.temperature, *mixed)
    return {v.name: jnp.broadcast_to(value, air.pressure.shape) for v, value in zip(SEEN, values, strict=True)}


def learned_k(scheme: Model, learner: Untaught = partial(MLP, width=48, depth=2), *, points: int = 16) -> System:
    """Put a learner in the place of the gas optics of `radiation.longwave`, to be taught by its fluxes and heating.

    The scheme solves the transfer as before, so that the emulator works on any levels, radiates as a black body
    where the air is black, and closes the energy of the column by structure. `teach` teaches it.

    Raises `ValueError` for a scheme that is not `radiation.longwave`.

    Source: Chevallier et al. (1998), doi:10.1175/1520-0450(1998)037<1385:ANNAFA>2.0.CO;2; learned gas optics as in
    Ukkonen et al. (2020), doi:10.1029/2020MS002226.

        >>> from ...longwave import example_column
        >>> made = learned_k(Longwave())(example_column())
        >>> made["upwelling_longwave_flux_in_air"].shape
        (5,)
    """
    host = bare(scheme)
    if not isinstance(host, Longwave):
        raise ValueError(f"learned_k needs the scheme radiation.longwave, got {type(host).__name__}")
    absorption = [Variable(f"ln_absorption_{point}", "Pa-1") for point in range(1, points + 1)]
    made = learner(SEEN, absorption)
    spread = jnp.linspace(*LOGARITHMS, points)
    if isinstance(made, MLP):
        made = eqx.tree_at(lambda m: m.leaving.location, made, spread)
    optics = LearnedOptics(made, jnp.zeros((4, points)))
    return System(replace_at(host, "optics", optics), terms_of(scheme), (), ("online",))


class Columns(eqx.Module):
    """Columns and what the scheme says of them, as `descent` takes them."""

    given: Fields
    answer: Fields

    def __len__(self) -> int:
        return len(self.given["surface_temperature"])

    def take(self, indices: Array) -> "Columns":
        """Some of the columns."""
        return jax.tree.map(lambda leaf: leaf[indices], self)


def answered(scheme: Model, columns: Fields, *, batch_size: int = 8) -> Columns:
    """Columns with the fluxes and heating of a scheme, in single precision."""
    given = {v.name: jnp.asarray(columns[v.name], jnp.float32) for v in scheme.inputs}
    run = eqx.filter_jit(lambda scheme, given: jax.lax.map(scheme, given, batch_size=batch_size))
    return Columns(given, run(scheme, given))


def misfit(model: Model, columns: Columns, key: PRNGKeyArray | None = None, *, aloft: float = ALOFT) -> Array:
    """How far fluxes and heating are from the scheme's, in `TOLERANCE`; heating's is doubled at `aloft` (Pa).

    Squares that become straight beyond three times the tolerance, as thin layers may warm by 100 K day-1.
    """
    made = jax.vmap(model)(columns.given)
    up, down, _, warming = (v.name for v in FLUXES)
    apart = {name: made[name] - columns.answer[name] for name in (up, down, warming)}
    thin = 1 + jnp.sqrt(aloft / columns.given["air_pressure"])
    scaled = apart[warming] / (TOLERANCE[1] * thin)
    heat = jnp.mean(18 * (jnp.sqrt(1 + scaled**2 / 9) - 1))
    flux = 0.5 * (jnp.mean(apart[up] ** 2) + jnp.mean(apart[down] ** 2))
    return flux / TOLERANCE[0] ** 2 + heat


def teach(
    system: System,
    columns: Columns,
    validation: Columns | None = None,
    *,
    how: Descent,
    key: PRNGKeyArray,
    aloft: float = ALOFT,
) -> tuple[System, Descended]:
    """Teach an emulator the fluxes and heating of the scheme it replaces, through the solution of the transfer."""
    loss, model = partial(misfit, aloft=aloft), scaled_by(system.model, columns)
    found = descend(model, loss, columns, key=key, validation=validation, how=how)
    return System(found.model, system.terms, (), ()), found


def scaled_by(model: Model, columns: Columns) -> Model:
    """The emulator with its learner's scales set by what it will see."""
    if not isinstance(model, Longwave) or not isinstance(model.optics, LearnedOptics):
        return model
    told = jax.vmap(lambda fields: seen(model.air(fields)))(columns.given)
    learner = model.optics.learner
    standardise = getattr(learner, "standardise", None)
    if standardise is None:
        return model
    flat = {name: value.ravel() for name, value in told.items()}
    return replace_at(model, "optics.learner", standardise(flat, {}))


def weights(model: Model) -> dict[str, np.ndarray]:
    """The arrays of learned gas optics, to be kept in a file."""
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return {f"array_{place}": np.asarray(leaf, np.float32) for place, leaf in enumerate(leaves)}


@cache
def ready(width: int = 48, points: int = 16, path: Path | None = None) -> LearnedOptics:
    """The learned gas optics that come with this package, taught by RRTMGP (256 points) as docs/longwave.md says.

    `Longwave(optics=ready())` is the emulator.

        >>> from ...longwave import example_column
        >>> made = Longwave(optics=ready())(example_column())
        >>> bool(abs(made["upwelling_longwave_flux_in_air"][-1] - 253) < 2)
        True
    """
    host = learned_k(Longwave(), partial(MLP, width=width, depth=2), points=points).model
    empty = host.optics  # pyright: ignore[reportAttributeAccessIssue]
    moving, still = eqx.partition(empty, eqx.is_inexact_array)
    shape = jax.tree.structure(moving)
    with np.load(path or Path(__file__).with_name(TAUGHT)) as file:
        leaves = [jnp.asarray(file[f"array_{place}"]) for place in range(len(file.files))]
    return eqx.combine(jax.tree.unflatten(shape, leaves), still)


def scores(made: Fields, answer: Fields, air_pressure: Sequence | Array) -> dict[str, float]:
    """Root mean square errors of fluxes (W m-2) and heating (K day-1): whole column, and below and above 1 hPa."""
    up, down, net, warming = (v.name for v in FLUXES)
    apart = {name: np.asarray(made[name], float) - np.asarray(answer[name], float) for name in (up, down, net, warming)}
    heat, pressure = apart[warming], np.asarray(air_pressure)
    both = np.stack([apart[up], apart[down]])
    parts = {
        "flux_rmse": both,
        "flux_rmse_top": apart[up][:, -1],
        "flux_rmse_ground": apart[down][:, 0],
        "flux_bias_top": apart[up][:, -1],
        "flux_bias_ground": apart[down][:, 0],
        "heating_rmse": heat,
        "heating_rmse_below_1hPa": heat[pressure > 100.0],
        "heating_rmse_above_1hPa": heat[pressure <= 100.0],
        "heating_rmse_troposphere": heat[pressure > 1e4],
    }
    return {
        name: float(np.mean(part) if "bias" in name else np.sqrt(np.mean(part**2)))
        for name, part in parts.items()
        if part.size
    }
