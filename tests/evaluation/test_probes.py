"""Each probe is passed by a correct bucket and catches a model broken on purpose."""

import equinox as eqx
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.evaluation import probes

STORES = ("snowpack", "soil")
DAYS = np.arange(365 * 4)


@pytest.fixture
def forcing():
    generator = np.random.default_rng(0)
    rain = generator.gamma(0.5, 6.0, DAYS.size) * (generator.random(DAYS.size) < 0.5)
    return {
        "precipitation": rain,
        "air_temperature": 3 - 12 * np.cos(2 * np.pi * DAYS / 365) + generator.normal(0, 3, DAYS.size),
        "potential_evapotranspiration": 1.5 - np.cos(2 * np.pi * DAYS / 365),
    }


def bucket(fields):
    """Snow by a threshold and degree-days, soil that evaporates, overflows and drains."""
    snow, soil, made = 0.0, 50.0, []
    forcing = (fields[n] for n in ("precipitation", "air_temperature", "potential_evapotranspiration"))
    for rain, temperature, demand in zip(*forcing, strict=True):
        fallen = rain if temperature < 0 else 0.0
        snow += fallen
        melt = min(snow, 3.0 * max(temperature, 0.0))
        snow, soil = snow - melt, soil + rain - fallen + melt
        evaporated = min(soil, demand * min(soil / 150, 1.0))
        soil -= evaporated
        runoff = max(soil - 150, 0.0) + 0.02 * min(soil, 150)
        soil -= runoff
        made.append((runoff, evaporated, snow, soil))
    names = ("runoff", "evapotranspiration", "snowpack", "soil")
    return dict(zip(names, np.asarray(made).T, strict=True))


def without_stores(fields):
    return {"runoff": bucket(fields)["runoff"]}


def leaky(fields):
    made = bucket(fields)
    return {**made, "runoff": 0.98 * made["runoff"]}


def indebted(fields):
    made = bucket(fields)
    return {**made, "soil": made["soil"] - 200}


def contrary(fields):
    made = bucket(fields)
    return {**made, "runoff": np.maximum(8 - 0.5 * fields["precipitation"], 0) + 0 * made["runoff"]}


def spring(fields):
    made = bucket(fields)
    return {**made, "runoff": made["runoff"] + 1.0}


def stirring(fields):
    made = bucket(fields)
    return {**made, "runoff": made["runoff"] + 0.2 * (1 + np.sin(np.arange(len(made["runoff"])) / 20))}


def insensitive(fields):
    return bucket({**fields, "air_temperature": np.full_like(fields["air_temperature"], 8.0)})


def clairvoyant(fields):
    made = bucket(fields)
    return {**made, "runoff": np.append(made["runoff"][1:], 0.0)}


def unbounded(fields):
    return {"runoff": 3 * fields["precipitation"]}


BROKEN = {
    "mass_balance": leaky,
    "non_negative_stores": indebted,
    "monotone_response_to_rain": contrary,
    "nothing_from_nothing": spring,
    "dry_recession": stirring,
    "warming_moves_snow_to_rain": insensitive,
    "causality": clairvoyant,
}


def test_a_correct_bucket_passes_every_probe(forcing):
    found = probes.probe_all(bucket, forcing, stores=STORES)
    assert [one.name for one in found] == list(BROKEN)
    assert all(one.passed for one in found), found


def test_a_model_without_stores_is_judged_by_what_it_gives(forcing):
    assert all(one.passed for one in probes.probe_all(without_stores, forcing))
    assert not probes.mass_balance(unbounded, forcing).passed
    assert not probes.nothing_from_nothing(lambda f: {"runoff": 1 + without_stores(f)["runoff"]}, forcing).passed


@pytest.mark.parametrize("name", BROKEN)
def test_each_probe_catches_the_model_broken_for_it(name, forcing):
    found = {one.name: one for one in probes.probe_all(BROKEN[name], forcing, stores=STORES)}
    assert found[name].passed is False, found[name]


def test_a_model_that_gives_nan_passes_nothing_it_is_judged_by(forcing):
    broken = probes.probe_all(lambda f: {"runoff": np.full(len(f["precipitation"]), np.nan)}, forcing)
    assert not any(one.passed for one in broken)


def test_warming_does_not_apply_where_there_is_no_snow(forcing):
    warm = {**forcing, "air_temperature": forcing["air_temperature"] + 30}
    assert probes.warming_moves_snow_to_rain(bucket, warm).passed is None


def test_what_is_missing_is_named(forcing):
    with pytest.raises(ValueError, match="gives 'runoff'"):
        probes.causality(lambda f: {"level": f["precipitation"]}, forcing)
    with pytest.raises(ValueError, match="needs 'precipitation'"):
        probes.causality(bucket, {"rain": DAYS})


@pytest.mark.parametrize("name", ["hbv", "gr4j", "exphydro"])
def test_published_mechanisms_pass_every_probe(name, forcing):
    module = pytest.importorskip(f"mechlearn.mechanisms.water.{name}", reason=f"water.{name} is not here")
    model = module.example()["model"]
    steps = model if isinstance(model, Rollout) else Rollout(model)
    fields = {v.name: forcing.get(v.name, np.full(DAYS.size, 0.5)).astype("float32") for v in steps.inputs}
    predict = eqx.filter_jit(steps)
    found = probes.probe_all(predict, fields, stores=steps.step.stores, exchange=steps.step.exchange)
    assert all(one.passed for one in found), found
