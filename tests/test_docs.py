"""What the documentation shows must run: Python blocks, experiment tables, links and the names of couplings."""

import importlib
import inspect
import re
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mechlearn.compose import Rollout
from mechlearn.experiments.resolve import names
from mechlearn.learners.mlp import MLP

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?P<untested><!-- not run[^>]*-->\n+)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language, less those marked `<!-- not run: why -->`."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [hit["text"] for hit in found if hit["language"] == language and not hit["untested"]]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def ran(page: Path) -> dict:
    """Run the Python blocks of a page in order, later ones seeing earlier ones; examples are gathered."""
    namespace: dict = {"__name__": "documentation", "examples_shown": []}
    for text in blocks(page, "python"):
        exec(compile(text, name(page), "exec"), namespace)
        if "example" in namespace:
            namespace["examples_shown"].append(namespace.pop("example")())
    return namespace


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_python_runs(page: Path) -> None:
    ran(page)


def test_the_extensions_do_what_they_say() -> None:
    namespace = ran(ROOT / "docs" / "extending.md")
    mechanism, law, learner = namespace["examples_shown"]
    for field, value in mechanism["model"](mechanism["inputs"]).items():
        np.testing.assert_allclose(value, mechanism["published"][field], rtol=mechanism["tolerance"])
    assert law["law"].residual(law["obeyed"]) == 0 < law["law"].residual(law["broken"])
    taught = learner["learner"].fit(learner["inputs"], learner["targets"], key=jax.random.key(0))
    predicted = jax.vmap(taught)(learner["inputs"])["runoff"]
    assert jnp.abs(predicted - learner["targets"]["runoff"]).max() < 0.05
    system = namespace["scaled"](Rollout(mechanism["model"]), MLP)
    year = {"precipitation": jnp.full(400, 3.0), "potential_evapotranspiration": jnp.full(400, 1.0)}
    inputs, targets = system.lessons[0].examples(system.model, year, {"runoff": jnp.full(400, 2.0)})
    assert system(year)["runoff"].shape == (400,)
    assert {"runoff_mean_1"} <= set(inputs) and targets["factor"].shape == (400,)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_tables_are_toml(page: Path) -> None:
    for text in blocks(page, "toml"):
        table = tomllib.loads(text).get("data", {})
        if "reader" in table:
            reader = importlib.import_module(f"mechlearn.data.{table.pop('reader')}").read
            assert set(table) <= set(inspect.signature(reader).parameters)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_couplings_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for module, function in re.findall(r"`((?:cascade|embedded|infused)\.\w+|hybrid)\.(\w+)`", text):
        assert hasattr(importlib.import_module(f"mechlearn.couplings.{module}"), function), f"{module}.{function}"


@pytest.mark.parametrize("page", ["README.md", "docs/theory.md"])
def test_every_coupling_is_named(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert not [coupling for coupling in names("couplings") if f"`{coupling}`" not in text]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing, f"{name(page)} links to {missing}"
