"""What every test shares: repeatable numbers, a quick compiler, and the folder of real data."""

import gc
import itertools
import os
from importlib.metadata import version
from pathlib import Path

import platformdirs

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# Tests compile thousands of small functions and run each a few times: code is made quickly, not made quick.
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false --xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1 "
    # Later versions no longer know this one, and stop at what they do not know.
    + ("--xla_cpu_use_fusion_emitters=false " if version("jaxlib").startswith("0.10.") else "")
    + os.environ.get("XLA_FLAGS", "")
)
# One store of what was compiled serves all workers, and the commands that tests start as processes of their own.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(Path(platformdirs.user_cache_dir("mechlearn")) / "compiled-tests")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.02"

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.core import Variable, named
from mechlearn.data.fields import Record
from mechlearn.mechanisms.water.hbv import HBV
from mechlearn.parameters import set_parameters
from mechlearn.variables import RUNOFF

# A numpy callback inside a compiled function can wait for itself where there is a single core.
jax.config.update("jax_cpu_enable_async_dispatch", False)

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=25)
hypothesis.settings.load_profile("repeatable")


def pytest_collection_finish(session):
    """What the imports left stays: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_runtest_teardown(item, nextitem, ran=itertools.count(1)):
    """Forget what was compiled when it has grown to some gigabytes: a function holds four pieces of memory, 1.5 MB."""
    if next(ran) % 20 == 0 and pieces_of_memory() > 8_000:
        jax.clear_caches()


def pieces_of_memory() -> int:
    """How many pieces of memory this process holds, where the system tells (Linux allows 65,530)."""
    maps = Path("/proc/self/maps")
    return len(maps.read_bytes().splitlines()) if maps.exists() else 0


@pytest.fixture
def data_folder() -> Path:
    """The folder of real observations, or a skip that says how to name it."""
    folder = os.environ.get("MECHLEARN_DATA", "")
    if not Path(folder or "/nowhere").is_dir():
        pytest.skip("set MECHLEARN_DATA to the folder that holds the data sets of data/registry.toml")
    return Path(folder)


@pytest.fixture
def float64():
    """Double precision for the length of one test: physics is checked to rounding."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(scope="session")
def catchments():
    """Two synthetic catchments of three years: HBV at parameters of its own is the truth, with 2 % of noise."""
    days, sites = 1095, 2
    draw = np.random.default_rng(11)
    day = np.arange(days)
    season = np.sin(2 * np.pi * (day - 110) / 365.25)
    rain = np.where(draw.random((sites, days)) < 0.35, draw.gamma(0.8, 8.0, (sites, days)), 0.0)
    warmth = np.array([[6.0], [12.0]]) + 9 * season + draw.normal(0, 2, (sites, days))
    fields = {
        "precipitation": rain,
        "air_temperature": warmth,
        "potential_evapotranspiration": np.maximum(0.2, 2 + 1.8 * season) * np.ones((sites, 1)),
        "elevation": np.array([900.0, 300.0]),
        "site_number": np.arange(sites, dtype=float),
    }
    truth = Rollout(set_parameters(HBV(), {"field_capacity": 180.0, "recharge_exponent": 3.0}))
    forcing = {v.name: jnp.asarray(fields[v.name], jnp.float32) for v in truth.inputs}
    runoff = np.asarray(jax.vmap(truth)(forcing)["runoff"]) * draw.normal(1, 0.02, (sites, days)).clip(0.9, 1.1)
    declared = [*truth.inputs, RUNOFF.over("time"), Variable("elevation", "m"), Variable("site_number", "1")]
    time = np.datetime64("2001-01-01") + day
    return Record(fields, {"runoff": runoff}, time, ("hill", "plain"), named(declared))
