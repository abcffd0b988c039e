"""How far the classical retrievals of surface temperature are off on simulated scenes, published and refitted.

5,810 generated columns through `radiation.thermal`, one surface each; noise in all that is given. Fitted on seven folds
of neighbourhoods, tested on three. Prints the root-mean-square error in K by classes of column water, and writes it to
results/surface_temperature_retrievals.json. Needs the profiles: mechlearn data fetch rfmip_atmospheres, and then
neuralgcm_wheel and ecrad_meridian. Run: python benchmarks/surface_temperature_retrievals.py
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mechlearn.data.generated_atmospheres import GeneratedAtmospheres, generate
from mechlearn.mechanisms.radiation.generalised_single_channel import GeneralisedSingleChannel
from mechlearn.mechanisms.radiation.mono_window import MonoWindow
from mechlearn.mechanisms.radiation.practical_single_channel import PracticalSingleChannel
from mechlearn.mechanisms.radiation.split_window import SplitWindow
from mechlearn.mechanisms.radiation.statistical_mono_window import StatisticalMonoWindow
from mechlearn.mechanisms.radiation.thermal import Thermal

CLASSES = (0, 10, 20, 30, 40, 50, 60, 200)  # kg m-2
METHODS = (GeneralisedSingleChannel, PracticalSingleChannel, StatisticalMonoWindow, MonoWindow, SplitWindow)
TEST_FOLDS = (7, 8, 9)


def scenes(made: GeneratedAtmospheres, draw: np.random.Generator) -> tuple[dict, np.ndarray, np.ndarray]:
    """What a retrieval is given (noisy), the true surface temperatures, and the true column water."""
    count, near = len(made), made.profiles.temperature[:, 0]
    truth, emissivity = near + draw.uniform(-8, 20, count), 1 - draw.gamma(2.2, 0.012, count)
    scene = {name: jnp.asarray(values, jnp.float32) for name, values in made.profiles.profiles().items()}
    scene |= {"surface_temperature": truth, "surface_emissivity": emissivity, "view_zenith_angle": np.zeros(count)}
    scene = {name: jnp.asarray(values, jnp.float32) for name, values in scene.items()}
    first, second = (
        jax.jit(lambda fields, model=Thermal(band=f"landsat8_{band}"): jax.lax.map(model, fields, batch_size=50))(scene)
        for band in ("tirs10", "tirs11")
    )
    water = np.asarray(first["atmosphere_mass_content_of_water_vapor"])
    seen = {
        "brightness_temperature": first["brightness_temperature"] + 0.1 * draw.standard_normal(count),
        "brightness_temperature_tirs11": second["brightness_temperature"] + 0.1 * draw.standard_normal(count),
        "surface_emissivity": np.clip(emissivity + 0.01 * draw.standard_normal(count), 0.7, 1.0),
        "atmosphere_mass_content_of_water_vapor": np.maximum(
            water * (1 + 0.1 * draw.standard_normal(count)) + 0.5 * draw.standard_normal(count), 0.1
        ),
        "air_temperature": near - 273.15 + 1.5 * draw.standard_normal(count),
        "transmittance": first["transmittance"],
    }
    seen["surface_emissivity_tirs11"] = seen["surface_emissivity"]
    return {name: jnp.asarray(values) for name, values in seen.items()}, truth, water


def errors(model, seen: dict, truth: np.ndarray) -> np.ndarray:
    """Retrieved less true, in K."""
    given = {variable.name: seen[variable.name] for variable in model.inputs}
    return np.asarray(jax.jit(jax.vmap(lambda fields: model(fields)))(given)["surface_temperature"]) - truth


def main() -> None:
    """Print and write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=5810)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    made = generate(chosen.count, seed=chosen.seed)
    seen, truth, water = scenes(made, np.random.default_rng(chosen.seed + 1))
    test = np.isin(made.fold, TEST_FOLDS)
    parts = [
        test,
        *(test & (water >= low) & (water < high) for low, high in pairwise(CLASSES)),
    ]
    table = {"samples in the test": [int(part.sum()) for part in parts]}
    taught = {name: values[~test] for name, values in seen.items()}, {"surface_temperature": jnp.asarray(truth[~test])}
    for method in METHODS:
        for word, model in (("published", method()), ("refitted", method().refitted(*taught))):
            off = errors(model, seen, truth)
            row = [round(float(np.sqrt(np.mean(off[part] ** 2))), 2) for part in parts]
            table[f"{method.__name__} {word}"] = row
            print(f"{method.__name__:26s} {word:10s} {row} bias {off[test].mean():.2f}")
    about = {"profiles": made.profiles.source, "classes of water, kg m-2": CLASSES, "root-mean-square error, K": table}
    target = Path(__file__).parent / "results" / "surface_temperature_retrievals.json"
    target.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
