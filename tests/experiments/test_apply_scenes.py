"""A taught coupling at every pixel of a scene: the same on any workers, gone on with, lost in one chunk alone."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mechlearn.core import Variable
from mechlearn.couplings.series import Trailing
from mechlearn.data import scenes
from mechlearn.data.chunks import refuse_cut_off
from mechlearn.data.units import DataError
from mechlearn.experiments import config, retrieval, spread, storage
from mechlearn.experiments.journal import Journal
from mechlearn.experiments.run import Run
from mechlearn.experiments.taught_on import domain_of
from mechlearn.learners.boosted_trees import BoostedTrees
from mechlearn.learners.sklearn import Sklearn

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")

INPUTS = ["brightness_temperature", "air_temperature", "emissivity"]
SHAPE, CHUNKS = (3, 40, 50), (1, 20, 25)
EXPERIMENT = """
[experiment]
title = "A single channel and a small network"
target = "surface_temperature"
metric = "rmse"
seeds = 2
[data]
reader = "file"
path = "samples.csv"
forcing = ["brightness_temperature", "air_temperature", "emissivity"]
targets = ["surface_temperature"]
units = { brightness_temperature = "K", air_temperature = "degC", emissivity = "1", surface_temperature = "K" }
[split]
kind = "last_third"
[mechanism]
model = "external.recorded"
target = "surface_temperature"
field = "brightness_temperature"
dims = ["time"]
units = "K"
[learner]
model = "mlp"
width = 4
days = [1]
also = ["brightness_temperature", "air_temperature", "emissivity"]
[training]
window = 50
warmup = 0
[uncertainty]
couplings = ["infused.input_constraint.simulated_input"]
[[coupling]]
name = "infused.input_constraint.simulated_input"
"""


def samples(count: int, seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    ranges = {"brightness_temperature": (260, 320), "air_temperature": (-10, 40), "emissivity": (0.93, 0.99)}
    return {name: draw.uniform(*limits, count).astype(np.float32) for name, limits in ranges.items()}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose networks are as they were drawn: what they say matters, not whether it is right."""
    folder = tmp_path_factory.mktemp("thermal")
    columns = samples(700, 0)
    columns |= {"surface_temperature": columns["brightness_temperature"] + 3}
    dates = pd.date_range("2001-01-01", periods=700).strftime("%Y-%m-%d")
    pd.DataFrame({"time": dates, **columns}).to_csv(folder / "samples.csv", index=False)
    (folder / "thermal.toml").write_text(EXPERIMENT, encoding="utf-8")
    settings = config.load(str(folder / "thermal.toml"), [])
    out = folder / "run"
    run = Run(settings, out, print)
    for job in run.jobs()[1:]:
        models = [one.model for one in run.build(job)]
        storage.write_models(out / "state" / f"{job.name}.weights.npz", models)
    storage.write_models(spread.place(run, job), spread.untaught(run, job, models[0], run.record))
    storage.write_text(out / "experiment.resolved.toml", config.dump(settings))
    storage.write_json(out / "report.json", {"chosen": "learner_only"})
    return out


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a scene of clouds and gaps, retrieved in blocks so small that there are several."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(scenes, "AIM", 1000)
    monkeypatch.setattr(retrieval, "AT_ONCE", 256)
    scene().to_zarr("scene.zarr", encoding={n: {"chunks": CHUNKS} for n in INPUTS[:2]}, consolidated=False)
    return tmp_path


def scene() -> xr.Dataset:
    made = {name: values.reshape(SHAPE) for name, values in samples(int(np.prod(SHAPE)), 1).items()}
    made["brightness_temperature"][:, 5:15, 10:30] = np.nan
    made["brightness_temperature"][0, 0, :3] = 400, 200, np.nan
    made["air_temperature"][1, 30, 40] = 99
    dims = ("time", "y", "x")
    data = {
        "brightness_temperature": (dims, made["brightness_temperature"], {"units": "K"}),
        "air_temperature": (dims, made["air_temperature"] + np.float32(273.15), {"units": "kelvin"}),
        "emissivity": (dims[1:], made["emissivity"][0], {"units": "1"}),
    }
    where = {"units": "degrees_north", "standard_name": "latitude"}
    coordinates = {
        "time": pd.date_range("2020-06-01", periods=SHAPE[0], freq="16D"),
        "x": ("x", 30.0 * np.arange(SHAPE[2]), {"units": "m"}),
        "lat": (dims[1:], np.full(SHAPE[1:], 40.0), where),
    }
    return xr.Dataset(data, coordinates)


def contents(store: Path) -> dict[str, bytes]:
    return {p.relative_to(store).as_posix(): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}


@pytest.fixture
def applied(mechlearn_: Callable, taught: Path) -> Callable[..., str]:
    """`mechlearn apply` of the run, which must end with a given code; what it says."""

    def call(*words: str | Path, code: int = 0) -> str:
        answer = mechlearn_("apply", taught, *words)
        assert answer.code == code, answer
        return " ".join((answer.out + answer.err).split())

    return call


@pytest.fixture
def whole(place: Path, applied: Callable) -> dict[str, bytes]:
    """What one worker leaves when nothing goes wrong."""
    applied("scene.zarr", "whole.zarr", "--workers", "1")
    return contents(place / "whole.zarr")


def test_a_pixel_is_a_sample(place: Path, whole: dict, taught: Path) -> None:
    run = Run(config.load(str(taught / "experiment.resolved.toml"), []), taught, print)
    models = run.taught(next(job for job in run.jobs() if job.label == "learner_only"))
    given = {n: np.broadcast_to(v.values, SHAPE).ravel().copy() for n, v in scene().data_vars.items()}
    given["air_temperature"] = (given["air_temperature"].astype(float) - 273.15).astype(np.float32)
    said = np.stack([model({n: jnp.asarray(v) for n, v in given.items()})["surface_temperature"] for model in models])
    with xr.open_zarr("whole.zarr", chunks=None) as found:
        status, got = found["status"].values.ravel(), found["status"].values.ravel() == 0
        np.testing.assert_allclose(found["surface_temperature"].values.ravel()[got], said.mean(0)[got], rtol=2e-6)
        deviation = found["surface_temperature_standard_deviation"].values.ravel()
        np.testing.assert_allclose(deviation[got], said.std(0)[got], rtol=1e-3, atol=1e-4)
        clouded = np.isnan(given["brightness_temperature"])
        hot = np.arange(len(got)) == np.ravel_multi_index((1, 30, 40), SHAPE)
        np.testing.assert_array_equal(status, np.select([hot, clouded], [2, 1], 0))
        assert np.isnan(found["surface_temperature"].values.ravel()[~got]).all()
        other = run.record.at([0])
        days = np.arange(len(got)) + other.time[0]
        other = type(other)({n: v[None] for n, v in given.items()}, {}, days, other.sites, other.variables)
        inside = domain_of(run).contains(other.fields)[0] & got
        np.testing.assert_array_equal(found["in_domain"].values.ravel(), inside)
        assert 0.5 < inside.mean() < 1
        assert not inside[1]
        assert all("provenance" in found[name].attrs for name in found.variables)
        assert found["surface_temperature"].attrs["units"] == "K"
        assert {"time", "x", "lat"} <= set(found.coords)
    page = (place / "whole.zarr.report.html").read_text()
    assert "data:image/png" in page
    assert "cloud or gap" in page


def test_the_same_bytes_when_stopped_and_begun_again(place, whole, applied, monkeypatch) -> None:
    add = Journal.add

    def killed(_: str) -> None:
        raise KeyboardInterrupt

    def stopped(self: Journal, told: dict) -> None:
        if len(self.done) == 3:
            raise KeyboardInterrupt
        add(self, told)

    with monkeypatch.context() as patch:
        patch.setattr(zarr, "consolidate_metadata", killed)
        applied("scene.zarr", "out.zarr", code=1)
        assert not (place / "out.zarr").exists()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add", stopped)
        assert "go on with the same command" in applied("scene.zarr", "out.zarr", "--workers", "1", code=1)
    assert contents(place / "out.zarr") != whole
    journal = place / "out.zarr.journal.jsonl"
    done = [json.loads(line)["block"] for line in journal.read_text().splitlines()[1:]]
    chunks = {n: place / "out.zarr" / "status" / "c" / f"{n // 2}" / "0" / f"{n % 2}" for n in range(6)}
    (under_way,) = (chunk for n, chunk in chunks.items() if n not in done and chunk.exists())
    under_way.write_bytes(b"cut off")
    under_way.with_suffix(".0123.partial").write_bytes(b"never finished")
    journal.write_text(journal.read_text() + '{"block": 4, "retr')
    other = "infused.input_constraint.simulated_input"
    assert "begun with another coupling" in applied("scene.zarr", "out.zarr", "--coupling", other, code=2)
    assert "3 are done already" in applied("scene.zarr", "out.zarr")
    assert contents(place / "out.zarr") == whole
    assert "--force" in applied("scene.zarr", "out.zarr", code=2)


def test_the_same_bytes_from_two_workers_and_a_cluster(place, whole, applied) -> None:
    applied("scene.zarr", "two.zarr", "--workers", "2")
    assert contents(place / "two.zarr") == whole
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        applied("scene.zarr", "cluster.zarr", "--scheduler", cluster.scheduler_address)
    assert contents(place / "cluster.zarr") == whole


def test_a_damaged_chunk_is_lost_alone(place, whole, applied) -> None:
    chunk = place / "scene.zarr" / "brightness_temperature" / "c" / "1" / "1" / "0"
    kept = chunk.read_bytes()
    chunk.write_bytes(kept[: len(kept) // 2])
    said = applied("scene.zarr", "out.zarr", code=1)
    assert "1 of 6 blocks" in said
    assert "500 pixels; brightness_temperature" in said
    with xr.open_zarr("out.zarr", chunks=None) as torn, xr.open_zarr("whole.zarr", chunks=None) as sound:
        lost = torn["status"].values == 3
        assert lost[1, 20:, :25].all()
        assert lost.sum() == 500
        np.testing.assert_array_equal(torn["status"].values[~lost], sound["status"].values[~lost])
        value = torn["surface_temperature"].values
        assert np.isnan(value[lost]).all()
        np.testing.assert_allclose(value[~lost], sound["surface_temperature"].values[~lost], rtol=1e-6)
    chunk.write_bytes(kept)
    assert "5 are done already" in applied("scene.zarr", "out.zarr")
    assert contents(place / "out.zarr") == whole


def spoilt() -> Iterator[tuple[str, Callable[[xr.Dataset], xr.Dataset], list[str]]]:
    def labelled(name: str, units: str):
        return lambda d: d.assign({name: d[name].assign_attrs(units=units)})

    yield "no units", labelled("emissivity", ""), ["'emissivity' states no units", "data.units.emissivity"]
    said = ["'W m-2 sr-1 um-1'", "needed in 'K'", "inverse Planck"]
    yield "radiance", labelled("brightness_temperature", "W m-2 sr-1 um-1"), said
    yield "missing", lambda d: d.drop_vars("emissivity"), ["has no emissivity (1)", "brightness_temperature (K)"]
    said = ["air_temperature", "-80 to 60", "state the units"]
    yield "mislabelled", labelled("air_temperature", "degC"), said


@pytest.mark.parametrize(("spoil", "told"), [case[1:] for case in spoilt()], ids=[case[0] for case in spoilt()])
def test_what_cannot_be_read_is_refused(tmp_path, monkeypatch, applied, spoil, told) -> None:
    monkeypatch.chdir(tmp_path)
    spoil(scene()).to_netcdf("scene.nc")
    said = applied("scene.nc", "out.zarr", code=2)
    for words in told:
        assert words in said
    assert not (tmp_path / "out.zarr").exists()


def test_the_command_line(tmp_path, monkeypatch, applied) -> None:
    monkeypatch.chdir(tmp_path)
    assert "ending in .zarr" in applied("scene.nc", "out.nc", code=2)
    assert "at least one" in applied("scene.nc", "out.zarr", "--workers", "0", code=2)
    assert "are for scenes" in applied("out.nc", "--workers", "2", code=2)
    assert "no coupling" in applied("scene.nc", "out.zarr", "--coupling", "learner", code=2)
    assert "data.names" in applied("scene.nc", "out.zarr", "--set", "data.path=other.nc", code=2)
    assert "no file" in applied("scene.nc", "out.zarr", code=2)


def test_a_netcdf_file_along_other_axes_with_other_names_and_a_learned_deviation(place, taught, applied) -> None:
    scene().isel(time=0, y=3).rename(brightness_temperature="BT", x="pixel").to_netcdf("line.nc")
    label = "infused.input_constraint.simulated_input"
    applied("line.nc", "out.zarr", "--set", "data.names.brightness_temperature=BT", "--coupling", label)
    run = Run(config.load(str(taught / "experiment.resolved.toml"), []), taught, print)
    job = next(job for job in run.jobs() if job.label == label)
    widths = run.spread_of(job, run.record.at([0]))[:, 0]
    with xr.open_zarr("out.zarr", chunks=None) as found:
        assert found["surface_temperature"].dims == ("pixel",)
        assert (found["status"] == 0).all()
        deviation = found["surface_temperature_standard_deviation"]
        assert "as learned" in deviation.attrs["comment"]
        expected = np.sqrt(np.mean(widths**2, axis=0))
        assert expected.min() * 0.9 < deviation.min() <= deviation.max() < expected.max() * 1.1


def test_a_model_that_remembers_does_not_stand_alone() -> None:
    rain = Variable("rain", "mm day-1", ("time",))
    fields = {"rain": np.arange(9.0, dtype=np.float32) ** 2}
    assert retrieval.stands_alone(Trailing((rain,), (1,)), fields, "rain_mean_1")
    assert not retrieval.stands_alone(Trailing((rain,), (3,)), fields, "rain_mean_3")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_of_blosc_that_is_cut_off_is_noticed(tmp_path: Path, zarr_format: int) -> None:
    blosc = numcodecs.Blosc() if zarr_format == 2 else zarr.codecs.BloscCodec()
    group = zarr.open_group(str(tmp_path), mode="w", zarr_format=zarr_format)
    group.create_array("x", data=np.random.default_rng(0).random((8, 8)), chunks=(4, 8), compressors=blosc)
    refuse_cut_off(tmp_path, "x", (slice(0, 8), slice(2, 5)), 0)
    chunk = tmp_path / "x" / ("1.0" if zarr_format == 2 else "c/1/0")
    chunk.write_bytes(chunk.read_bytes()[:200])
    refuse_cut_off(tmp_path, "x", (slice(0, 4), slice(2, 5)), 0)
    with pytest.raises(DataError, match=r"1.0 is cut off"):
        refuse_cut_off(tmp_path, "x", (slice(0, 8), slice(2, 5)), 0)


def test_trees_are_kept_and_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    x, y = Variable("x", "1"), Variable("y", "1")
    fields = {"x": np.linspace(0, 1, 60, dtype=np.float32)}
    fresh = BoostedTrees([x], [y], rounds=5)
    taught = fresh.fit(fields, {"y": fields["x"] ** 2}, key=jax.random.key(0))
    storage.write_models(tmp_path / "trees.npz", [taught, taught])
    again = storage.read_models(tmp_path / "trees.npz", [fresh, fresh])[1]
    np.testing.assert_array_equal(jax.vmap(again)(fields)["y"], jax.vmap(taught)(fields)["y"])
    assert np.ptp(jax.vmap(again)(fields)["y"]) > 0.1
    line = Sklearn([x], [y], estimator="sklearn.linear_model.Ridge")
    storage.write_models(tmp_path / "line.npz", [line])
    with pytest.raises(storage.NotKept, match="scikit-learn"):
        storage.read_models(tmp_path / "line.npz", [line])


def test_a_folder_that_is_no_store_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(DataError, match="no Zarr store"):
        scenes.removed(tmp_path / "mine.zarr")
