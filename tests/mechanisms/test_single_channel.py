"""The classical retrievals of land surface temperature: exact where the air is known, refitted where it is not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.data.generated_atmospheres import generate
from mechlearn.mechanisms.radiation import (
    generalised_single_channel,
    mono_window,
    practical_single_channel,
    split_window,
    statistical_mono_window,
)
from mechlearn.mechanisms.radiation._water_classes import ELSEWHERE, least_squares, weights
from mechlearn.mechanisms.radiation.thermal import Thermal
from mechlearn.planck import band_radiance, brightness_temperature
from mechlearn.radiative_transfer import at_sensor_radiance

GSC = generalised_single_channel.GeneralisedSingleChannel
PSC = practical_single_channel.PracticalSingleChannel
SMW = statistical_mono_window.StatisticalMonoWindow
ALL = (GSC, PSC, SMW, split_window.SplitWindow, mono_window.MonoWindow)


def pixels(count=4000, seed=1):
    """Pixels of all humidities: drawn, not simulated."""
    draw = np.random.default_rng(seed)
    water = draw.uniform(0, 68, count)
    warm = 268 + 0.45 * water + draw.uniform(0, 20, count)
    return {
        "brightness_temperature": jnp.asarray(warm),
        "brightness_temperature_tirs11": jnp.asarray(warm - draw.uniform(-0.5, 4, count)),
        "surface_emissivity": jnp.asarray(draw.uniform(0.9, 0.995, count)),
        "surface_emissivity_tirs11": jnp.asarray(draw.uniform(0.9, 0.995, count)),
        "atmosphere_mass_content_of_water_vapor": jnp.asarray(water),
        "air_temperature": jnp.asarray(warm - 273.15 + draw.uniform(-5, 5, count)),
    }


def shifted(model, seed=7):
    """The model with other coefficients, for a refit to find."""
    draw = np.random.default_rng(seed)
    free, rest = eqx.partition(model, eqx.is_inexact_array_like)
    moved = jax.tree.map(lambda leaf: np.asarray(leaf) * (1 + 0.001 * draw.standard_normal(np.shape(leaf))), free)
    return eqx.combine(moved, rest)


def leaves(model):
    return jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array_like))


def test_known_functions_of_the_atmosphere_invert_the_transfer_equation(float64):
    tau, up, down, e = 0.62, 3.1, 4.4, 0.96
    surface = band_radiance("landsat8_tirs10", 305.0)
    radiance = at_sensor_radiance(tau, e, surface, down, up)
    one, two, three = generalised_single_channel.atmospheric_functions(tau, up, down)
    found = (one * radiance + two) / e + three
    assert float(found) == pytest.approx(float(surface), rel=1e-12)
    # Linearised around a brightness temperature that is not far from it, Planck's law costs little.
    warmth = brightness_temperature("landsat8_tirs10", radiance)
    slope, offset = generalised_single_channel.linearised(warmth, radiance, 1324.0)
    assert abs(slope * found + offset - 305.0) < 0.05 * (305.0 - warmth)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_a_refit_on_what_the_method_itself_makes_finds_its_coefficients(kind, float64):
    truth, fields = shifted(kind()), pixels()
    water = fields["atmosphere_mass_content_of_water_vapor"] / 10
    if kind is mono_window.MonoWindow:
        fields["transmittance"] = mono_window.transmittance(truth.transmittance.value, water)
    # Water that one range holds alone: what two ranges share is no sample of either, what none holds of all.
    single = water < {mono_window.MonoWindow: 5.5, split_window.SplitWindow: 2.0}.get(kind, 6.8)
    fields = {name: values[single] for name, values in fields.items()}
    predict = jax.jit(jax.vmap(lambda model, sample: model(sample), in_axes=(None, 0)))
    made = predict(truth, fields)["surface_temperature"]
    found = kind().refitted(fields, {"surface_temperature": made.at[::50].set(jnp.nan)})
    np.testing.assert_allclose(predict(found, fields)["surface_temperature"], made, atol=1e-4)
    if kind in (GSC, SMW):
        np.testing.assert_allclose(leaves(found)[0], leaves(truth)[0], rtol=1e-5)
    if kind is mono_window.MonoWindow:
        np.testing.assert_allclose(leaves(found)[2], leaves(truth)[2], rtol=1e-6)


def test_published_coefficients_leave_dry_air_and_black_surfaces_nearly_alone():
    pixel = {"surface_emissivity": 1.0, "surface_emissivity_tirs11": 1.0, "atmosphere_mass_content_of_water_vapor": 1.0}
    pixel |= {"brightness_temperature": 285.0, "brightness_temperature_tirs11": 285.0, "air_temperature": 10.0}
    models = tuple(kind() for kind in ALL)
    found = jax.jit(lambda fields: jnp.stack([model(fields)["surface_temperature"] for model in models]))(pixel)
    # Du's split window is 1.3 K warmer where both bands agree, as in its publication.
    assert jnp.abs(found - 285.0).max() < 1.5


def test_classes_of_water_share_overlap_and_fall_back():
    ranges = ((0.0, 2.5), (2.0, 3.5), ELSEWHERE)
    np.testing.assert_array_equal(weights(jnp.asarray([1.0, 2.2, 9.0]), ranges), [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]])
    draw = np.random.default_rng(0)
    x, w = np.stack([np.ones(50), draw.normal(size=50)], axis=1), np.full(50, 1.0)
    fitted = least_squares(x, x @ [2.0, 3.0], w, ranges)
    np.testing.assert_allclose(fitted, [[2, 3]] * 3, rtol=1e-9, err_msg="a range without samples takes its neighbour's")
    with pytest.raises(ValueError, match="at least 6"):
        least_squares(x[:4], np.ones(4), w[:4], ranges)


@pytest.mark.parametrize("kind", [GSC, SMW])
def test_an_unknown_sensor_is_refused(kind):
    with pytest.raises(ValueError, match="there are landsat8"):
        kind(sensor="modis")
    assert float(kind(sensor="landsat5")(pixels(1) | {})["surface_temperature"][0]) > 200


def test_an_unknown_atmosphere_or_band_is_refused():
    with pytest.raises(ValueError, match="mid-latitude winter"):
        mono_window.MonoWindow(atmosphere="desert")
    with pytest.raises(ValueError, match="unknown band"):
        PSC("landsat8_tirs12")


def test_published_coefficients_fail_in_humid_air_as_the_literature_says(data_folder):
    """GSC: below 1 K for little water, "not acceptable" above 3 g cm-2 (Jimenez-Munoz et al. 2009): a check of the
    radiative transfer by coefficients that it had no part in."""
    made = generate(240, sets=("rfmip", "rfmip_warmer")).profiles
    draw = np.random.default_rng(2)
    truth = made.temperature[:, 0] + draw.uniform(-8, 20, len(made))
    e = 1 - draw.gamma(2.2, 0.012, len(made))
    air = {name: jnp.asarray(values, jnp.float32) for name, values in made.profiles().items()}
    scene = air | {"surface_temperature": jnp.asarray(truth), "surface_emissivity": jnp.asarray(e)}
    scene |= {"view_zenith_angle": jnp.zeros(len(made))}
    seen = jax.lax.map(Thermal(), scene, batch_size=40) | {"surface_emissivity": scene["surface_emissivity"]}
    retrieve = jax.jit(lambda fields: jnp.stack([jax.vmap(model)(fields)["surface_temperature"] for model in models]))
    models = (GSC(), PSC(), SMW())
    error = np.asarray(retrieve(seen)) - truth
    water = made.water()

    def rmse(chosen):
        return np.sqrt(np.mean(error[:, chosen] ** 2, axis=1))

    assert rmse(water < 10)[0] < 1.0 and rmse(water > 30)[0] > 2.5
    assert (rmse(water < 10) < 1.0).all() and (rmse(water > 30)[1:] < 0.6 * rmse(water > 30)[0]).all()
