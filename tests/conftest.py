"""What every test shares: repeatable numbers, a warm compiler, and the folder of real data."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import hypothesis
import jax
import platformdirs
import pytest

# A numpy callback inside a compiled function can wait for itself where there is a single core.
jax.config.update("jax_cpu_enable_async_dispatch", False)
jax.config.update("jax_compilation_cache_dir", str(Path(platformdirs.user_cache_dir("mechlearn")) / "compiled-tests"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, max_examples=25)
hypothesis.settings.load_profile("repeatable")


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
