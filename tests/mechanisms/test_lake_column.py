"""The lake column keeps its heat, stays stratified, freezes and thaws; its parts against closed forms; a real lake."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlearn.compose import Rollout
from mechlearn.core import Fields, Model
from mechlearn.freshwater import density_anomaly
from mechlearn.hypsography import layers
from mechlearn.laws.heat_balance import HeatBalance
from mechlearn.laws.stratification import Stratification
from mechlearn.mechanisms.lake import _fields as made_of
from mechlearn.mechanisms.lake._layering import convect, diffuse, mix_down_to
from mechlearn.mechanisms.lake.column import Column
from mechlearn.mechanisms.lake.mixing import lifting
from mechlearn.parameters import parameters, set_parameters
from mechlearn.variables import AIR_TEMPERATURE, WIND_SPEED

DEPTHS = np.arange(0.25, 12, 0.5)
STATIC = ("depth", "area")


def lake(depths=DEPTHS, bottom=12.0) -> Fields:
    share = 1 - (depths / bottom) ** 2
    return {"depth": jnp.asarray(depths), "area": jnp.asarray(np.where(depths < bottom, 4e6 * share, np.nan))}


def weather(days: int, seed: int = 0) -> Fields:
    """Seasons, storms and snow of a continental climate, from the first of January."""
    draw, day = np.random.default_rng(seed), np.arange(days)
    season = -np.cos(2 * np.pi * day / 365)
    warmth = 8 + 16 * season + draw.normal(0, 4, days)
    made = {
        "shortwave_downwelling": np.maximum(5, 165 + 110 * season + draw.normal(0, 50, days)),
        "longwave_downwelling": 310 + 70 * season + draw.normal(0, 20, days),
        "air_temperature": warmth,
        "relative_humidity": draw.uniform(45, 95, days),
        "wind_speed": draw.gamma(4, 1.1, days),
        "snowfall": np.where(warmth < 0, draw.gamma(0.3, 6, days), 0.0),
    }
    return {name: jnp.asarray(series) for name, series in made.items()}


def roll(model: Model, fields: Fields) -> dict[str, np.ndarray]:
    made = jax.jit(lambda f: Rollout(model, static=STATIC)(f))(fields)
    return {name: np.asarray(series, float) for name, series in made.items()}


def imbalance(made) -> tuple[float, float]:
    """The largest day's and the mean difference of heat content and flux, over the mean size of the flux."""
    apart, size = made["heat_content_change"] - made["net_heat_flux"], np.abs(made["net_heat_flux"]).mean()
    return np.abs(apart).max() / size, abs(apart.mean()) / size


def inversion(water) -> float:
    return float(jnp.max(Stratification().residual({"water_temperature": jnp.asarray(water)})))


class Wild(Model):
    """A joint that answers anything: waves of any size in what it is asked for."""

    inputs = (AIR_TEMPERATURE, WIND_SPEED)
    made: tuple = eqx.field(static=True)
    size: float = eqx.field(static=True)

    @property
    def outputs(self):
        return self.made

    def __call__(self, fields, *, key=None):
        wave = jnp.sin(37 * fields["air_temperature"] + 11 * fields["wind_speed"])
        shapes = [(len(DEPTHS),) if variable.dims else () for variable in self.made]
        return {v.name: self.size * wave * jnp.cos(jnp.arange(1.0 + sum(s))[: sum(s) or 1].reshape(s)) for v, s in
                zip(self.made, shapes, strict=True)}  # fmt: skip


def wild(joint: str) -> Column:
    made, size = {
        "surface_flux": ((made_of.NET_LONGWAVE, made_of.SENSIBLE, made_of.LATENT), 150.0),
        "diffusivity": ((made_of.EDDY_DIFFUSIVITY,), 1e-2),
        "mixing": ((made_of.MIXED_DEPTH,), 30.0),
    }[joint]
    return eqx.tree_at(lambda m: getattr(m, joint), Column(layers=len(DEPTHS)), Wild(made, size))


YEARS = weather(730)


@pytest.mark.parametrize("joint", [None, "surface_flux", "diffusivity", "mixing"])
def test_heat_closes_and_density_rises_downwards_whatever_a_joint_answers(joint):
    model = wild(joint) if joint else Column(layers=len(DEPTHS))
    fields = {name: value.astype(jnp.float32) for name, value in {**YEARS, **lake()}.items()}
    made = roll(model, fields)
    worst, mean = imbalance(made)
    assert worst < 1e-3  # of one day, by rounding
    assert mean < 1e-4
    assert inversion(made["water_temperature"]) < 1e-5
    assert made["water_temperature"].min() >= 0


@pytest.mark.parametrize("joint", [None, "surface_flux", "diffusivity", "mixing"])
def test_heat_closes_to_rounding_in_double_precision(joint, float64):
    model = wild(joint) if joint else Column(layers=len(DEPTHS))
    made = roll(model, {**weather(200), **lake()})
    assert imbalance(made)[0] < 1e-10
    residual = HeatBalance(given=True, tolerance=1e-4).residual({n: jnp.asarray(v) for n, v in made.items()})
    assert not np.any(residual)


def test_a_lake_freezes_in_winter_and_thaws_in_spring():
    made = roll(Column(layers=len(DEPTHS)), {**YEARS, **lake()})
    ice, surface = made["ice_thickness"], made["water_temperature"][:, 0]
    assert 0.15 < ice[365:480].max() < 1.2
    assert ice[180:270].max() == 0 and ice[545:640].max() == 0
    assert (made["snow_thickness"] <= 0.3 * ice + 1e-6).all()  # deeper snow would press the ice under water
    assert surface[ice > 0.06].max() < 4
    assert 18 < surface[180:240].mean() < 32


def test_under_constant_weather_the_net_flux_dies_out(float64):
    steady = {name: jnp.full(3000, value) for name, value in zip(
        YEARS, (180.0, 320.0, 14.0, 70.0, 4.0, 0.0), strict=True)}  # fmt: skip
    made = roll(Column(layers=len(DEPTHS), substeps=4), {**steady, **lake()})
    assert abs(made["net_heat_flux"][-1]) < 0.05
    assert np.ptp(made["water_temperature"][-200:], axis=0).max() < 0.02


def test_diffusion_follows_the_closed_form_of_a_cosine(float64):
    """In a lake of straight walls `cos(pi z / H)` decays with `exp(-K (pi / H)^2 t)`; order 1 and 2."""
    height, diffusivity, time = 10.0, 1e-4, 86400.0

    def error(cells: int, steps: int) -> float:
        depth = (np.arange(cells) + 0.5) * height / cells
        box, wave = layers(depth, np.ones(cells)), jnp.cos(np.pi * depth / height)

        def step(_, made):
            return diffuse(made, jnp.full(cells, diffusivity), box, time / steps)

        made = jax.lax.fori_loop(0, steps, step, wave)
        return float(jnp.max(jnp.abs(made - wave * np.exp(-diffusivity * (np.pi / height) ** 2 * time))))

    in_time = [error(400, steps) for steps in (8, 16, 32)]
    np.testing.assert_allclose(np.log2(in_time[:-1]) - np.log2(in_time[1:]), 1, atol=0.1)
    in_space = [error(cells, 100 * cells**2) for cells in (4, 8)]
    np.testing.assert_allclose(np.log2(in_space[0] / in_space[1]), 2, atol=0.15)


def test_without_wind_and_flux_a_lake_only_diffuses(float64):
    calm = eqx.tree_at(lambda m: m.surface_flux, Column(layers=len(DEPTHS)), Wild((
        made_of.NET_LONGWAVE, made_of.SENSIBLE, made_of.LATENT), 0.0))  # fmt: skip
    water = jnp.linspace(22, 8, len(DEPTHS))
    now = {name: jnp.asarray(0.0) for name in (*YEARS, "ice_thickness", "snow_thickness")}
    made = calm({**now, **lake(), "water_temperature": water})
    assert abs(float(made["net_heat_flux"])) == 0
    box = layers(**lake())
    np.testing.assert_allclose(box.heat(made["water_temperature"]), box.heat(water), rtol=1e-13)
    assert 1e-4 < float(jnp.max(jnp.abs(made["water_temperature"] - water))) < 2


@settings(max_examples=40)
@given(profile=st.lists(st.floats(-1, 30), min_size=12, max_size=12), seed=st.integers(0, 99))
def test_convection_keeps_heat_and_leaves_no_pair_top_heavy(profile, seed):
    areas = np.sort(np.random.default_rng(seed).uniform(0.1, 1, 12))[::-1]
    box, water = layers(np.arange(0.5, 12), areas), jnp.asarray(profile, jnp.float32)
    after = convect(water, box)
    assert float(jnp.max(-jnp.diff(density_anomaly(after)))) < 1e-5
    np.testing.assert_allclose(jnp.sum(box.volume * after), jnp.sum(box.volume * water), rtol=3e-6, atol=1e-5)
    assert (
        float(jnp.min(water)) - 1e-5 <= float(jnp.min(after)) <= float(jnp.max(after)) <= float(jnp.max(water)) + 1e-5
    )


def test_convection_leaves_a_stable_profile_alone_and_pools_by_volume():
    box = layers([0.5, 1.5, 2.5], [3.0, 2.0, 1.0])
    stable = jnp.array([20.0, 15.0, 8.0])
    np.testing.assert_array_equal(convect(stable, box), stable)
    np.testing.assert_allclose(convect(jnp.array([10.0, 20.0, 8.0]), box), [14.0, 14.0, 8.0], rtol=1e-6)


def test_mixing_takes_the_energy_that_potential_energy_gains(float64):
    depth = np.arange(0.5, 10)
    box, water = layers(depth, np.ones(10)), jnp.linspace(22.0, 8.0, 10)
    mass = density_anomaly(water[:4])
    # Mixing by mass, as the energy argument has it: the centre of gravity rises.
    gained = 9.81 * (jnp.sum(mass * depth[:4]) - 4 * jnp.mean(mass) * 2.0)
    np.testing.assert_allclose(lifting(water, box)[3], gained, rtol=1e-12)


@pytest.mark.parametrize("depth", [0.0, 0.3, 2.5, 7.25, 10.0])
def test_mixing_down_to_any_depth_keeps_heat(depth, float64):
    box, water = layers(np.arange(0.5, 10), np.linspace(1, 0.1, 10)), jnp.linspace(22.0, 8.0, 10)
    after = mix_down_to(jnp.asarray(depth), water, box)
    np.testing.assert_allclose(box.heat(after), box.heat(water), rtol=1e-14)
    np.testing.assert_allclose(after[: int(depth)], after[0], rtol=1e-12)


def test_layers_below_the_bottom_change_nothing():
    """A lake of 12 m on a grid of 18 m is the lake on its own grid, also batched with deeper ones, and its slope."""
    longer = np.arange(0.25, 18, 0.5)
    short, deep = Column(layers=len(DEPTHS)), Column(layers=len(longer))
    days = {name: series[:120] for name, series in weather(365).items()}
    alone = roll(short, {**days, **lake()})
    masked = roll(deep, {**days, **lake(longer)})
    np.testing.assert_allclose(masked["water_temperature"][:, : len(DEPTHS)], alone["water_temperature"], atol=2e-3)
    np.testing.assert_array_equal(masked["water_temperature"][:, -1], masked["water_temperature"][:, len(DEPTHS) - 1])

    def warmth(values):
        run = Rollout(set_parameters(deep, values), static=STATIC, keep=("water_temperature",))
        return jnp.mean(run({**days, **lake(longer)})["water_temperature"])

    assert np.isfinite(jax.grad(warmth)({"extinction": jnp.asarray(0.5)})["extinction"])


def test_batched_lakes_are_the_lakes_one_by_one():
    grid, run = np.arange(0.25, 18, 0.5), Rollout(Column(layers=36), static=STATIC)
    many = [{**weather(60, seed), **lake(grid, bottom)} for seed, bottom in enumerate((6.0, 12.0, 18.0))]
    together = jax.jit(jax.vmap(run))(jax.tree.map(lambda *leaves: jnp.stack(leaves), *many))
    for place, one in enumerate(many):
        for name, series in jax.jit(lambda f: run(f))(one).items():
            np.testing.assert_allclose(together[name][place], series, rtol=2e-3, atol=2e-2, err_msg=name)


def test_every_parameter_has_the_slope_of_finite_differences_over_a_year(float64):
    """Through ice, thaw and summer; kinks make single days rough, so that the misfit of the whole year is judged."""
    model, fields = Column(layers=8, substeps=2), {**weather(300), **lake(np.arange(0.75, 12, 1.5))}
    free = {path: jnp.asarray(p.value, float) for path, p in parameters(model).items()}

    @jax.jit
    def warmth(values):
        made = Rollout(set_parameters(model, values), static=STATIC, keep=("water_temperature",))(fields)
        return jnp.mean((made["water_temperature"] - 10.0) ** 2)

    slopes = jax.grad(warmth)(free)
    for path, value in free.items():
        step = 1e-7 * max(abs(float(value)), 1e-6)
        found = (warmth({**free, path: value + step}) - warmth({**free, path: value - step})) / (2 * step)
        np.testing.assert_allclose(slopes[path], found, rtol=1e-3, atol=1e-7, err_msg=path)


def test_hours_of_weather_and_the_sun_within_a_day_give_the_same_heat():
    """A day by the sun absorbs what a uniform day does; hourly steps of the same weather repeat the day."""
    days = weather(20)
    sunny = roll(Column(layers=24, latitude=43.0), {**days, **lake(), "day_of_year": jnp.arange(1.0, 21)})
    uniform = roll(Column(layers=24), {**days, **lake()})
    np.testing.assert_allclose(sunny["absorbed_shortwave"][:3], uniform["absorbed_shortwave"][:3], rtol=0.02)
    hours = {name: jnp.repeat(series, 24) for name, series in days.items()}
    hourly = roll(Column(layers=24, seconds=3600.0, substeps=1), {**hours, **lake()})
    np.testing.assert_allclose(hourly["water_temperature"][23::24], uniform["water_temperature"], atol=1e-3)


def test_a_profile_of_another_length_is_refused():
    with pytest.raises(ValueError, match="set layers=24"):
        Rollout(Column(layers=10), static=STATIC)({**weather(3), **lake()})
    with pytest.raises(ValueError, match="at least 1"):
        Column(layers=0)
