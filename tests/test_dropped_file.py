"""One new file is enough: the files of docs/extending.md, dropped into a copy of the package, are listed and usable.

The copy is the whole project folder as a user has it; nothing in it is edited but the dropped files.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mechlearn.experiments.cli import main

ROOT = Path(__file__).parents[1]
SECTION = re.compile(r"^## [^\n]*— `(?P<path>\w+/[\w/]+\.py)`(?P<text>.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
DROPPED = {hit["path"]: PYTHON.findall(hit["text"])[0] for hit in SECTION.finditer(PAGE)}
NAMES = {
    "mechanisms/water/linear_reservoir.py": ("mechanisms", "water.linear_reservoir", "test_every_mechanism.py"),
    "laws/energy_limit.py": ("laws", "energy_limit", "test_every_law.py"),
    "learners/ridge.py": ("learners", "ridge", "test_every_learner.py"),
    "couplings/cascade/scaling.py": ("couplings", "cascade.scaling.scaled", "test_every_coupling.py"),
}
SHORT = """
[training]
window = 120
warmup = 30
epochs = 1
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the files of the page dropped in, and a river to run on."""
    folder = tmp_path_factory.mktemp("copy")
    skip = shutil.ignore_patterns("__pycache__", ".*_cache")
    for part in ("src", "tests", "docs", "experiments"):
        shutil.copytree(ROOT / part, folder / part, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path, text in DROPPED.items():
        (folder / "src" / "mechlearn" / path).write_text(text, encoding="utf-8")
    return folder


def outside(copy: Path, *words: str) -> subprocess.CompletedProcess:
    """Run Python on the copy of the package, not on this one."""
    variables = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=copy, env=variables, capture_output=True, text=True, timeout=580
    )


def test_the_page_shows_one_file_of_each_kind() -> None:
    assert set(DROPPED) == set(NAMES)


def test_conformance_finds_and_passes_them(copy: Path) -> None:
    files = [f"tests/{file}" for _, _, file in NAMES.values() if (copy / "tests" / file).exists()]
    which = " or ".join(name.split(".")[1] if "." in name else name for _, name, _ in NAMES.values())
    tested = outside(copy, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-n", "0", *files, "-k", which)
    assert tested.returncode == 0, tested.stdout[-3000:] + tested.stderr[-1000:]
    for _, name, file in NAMES.values():
        if (copy / "tests" / file).exists():
            assert re.search(
                rf"PASSED tests/{file}::.*{name.rsplit('.', 1)[-1] if file.endswith('law.py') else name}", tested.stdout
            ), name


def river(folder: Path) -> None:
    """Three years of rain and what a linear reservoir makes of them; units are in the header's names."""
    draw = np.random.default_rng(0)
    rain = draw.gamma(0.4, 8, 1461) * (draw.random(1461) < 0.5)
    runoff = np.convolve(rain, 0.1 * 0.9 ** np.arange(100))[:1461] * 0.6
    days = np.datetime64("2000-01-01") + np.arange(1461)
    rows = [f"{d},{r:.4f},1.5,{q:.4f}" for d, r, q in zip(days, rain, runoff, strict=True)]
    text = "time,precipitation,potential_evapotranspiration,runoff\n" + "\n".join(rows)
    (folder / "river.csv").write_text(text, encoding="utf-8")


def experiment(folder: Path, **renamed: str) -> Path:
    """The experiment of the page on that river, cut short."""
    river(folder)
    text = TOML.findall(PAGE)[0]
    mm = "'mm day-1'"
    data = f"""reader = "file"
path = "river.csv"
forcing = ["precipitation", "potential_evapotranspiration"]
units = {{ precipitation = {mm}, potential_evapotranspiration = {mm}, runoff = {mm} }}
"""
    text = text.replace('reader = "holmes"\n', data).replace(
        'model = "lstm", hidden = 16', 'model = "mlp", width = 4, alone = { epochs = 0 }'
    )
    for old, new in renamed.items():
        assert old in text.replace(".", "_")
        text = text.replace(old.replace("water_", "water.").replace("cascade_scaling_", "cascade.scaling."), new)
    text = text.replace('target = "runoff"\n', 'target = "runoff"\nseeds = 1\n', 1)
    path = folder / "author_year.toml"
    path.write_text(text + SHORT, encoding="utf-8")
    return path


def test_an_experiment_uses_them(copy: Path) -> None:
    path = experiment(copy)
    words = ["--out", "out", "--set", "experiment.couplings=['cascade.scaling.scaled']"]
    words += ["--set", "mechanism.training={ by = 'nothing' }"]
    ran = outside(copy, "-m", "mechlearn.experiments.cli", "run", path.name, *words)
    assert ran.returncode == 0, ran.stderr
    rows = json.loads((copy / "out" / "results.json").read_text())
    scaled = [row for row in rows if row["coupling"] == "cascade.scaling.scaled"]
    assert {(row["learner"], row["mechanism"], row["paradigm"]) for row in scaled} == {
        ("ridge", "water.linear_reservoir", "cascade")
    }
    assert all(row["value"] is not None for row in scaled if row["metric"] == "nse")


def test_outsiders_are_used_as_they_are(tmp_path: Path, monkeypatch, capsys) -> None:
    """The same files in a package of the user's own, with the library as it is."""
    package = tmp_path / "my_pkg"
    package.mkdir()
    for path, text in DROPPED.items():
        (package / Path(path).name).write_text(text, encoding="utf-8")
    names = {
        "water_linear_reservoir": "my_pkg.linear_reservoir:LinearReservoir",
        "ridge": "my_pkg.ridge:Ridge",
        "cascade_scaling_scaled": "my_pkg.scaling:scaled",
    }
    path = experiment(tmp_path, **names)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["check", path.name]) == 0, capsys.readouterr().err
    assert "my_pkg.scaling:scaled" in capsys.readouterr().out


def test_they_are_listed_and_a_broken_file_costs_only_itself(copy: Path) -> None:
    texts = {"torn": "class Broken(:\n", "lacking": "import a_package_that_is_not_there\n", "failing": "1 / 0\n"}
    files = {name: copy / "src" / "mechlearn" / "mechanisms" / "water" / f"{name}.py" for name in texts}
    for name, file in files.items():
        file.write_text(texts[name], encoding="utf-8")
    try:
        listed = outside(copy, "-m", "mechlearn.experiments.cli", "list")
    finally:
        for file in files.values():
            file.unlink()
    assert listed.returncode == 0, listed.stderr
    assert "Traceback" not in listed.stdout + listed.stderr
    said = {line.split()[0]: line for line in listed.stdout.splitlines() if line.strip()}
    for _, name, _ in NAMES.values():
        assert len(said[name].split()) > 3, "with what it is"
    assert "!!" not in said["water.hbv"]
    assert "SyntaxError: invalid syntax, line 1 of" in said["water.torn"]
    assert "needs the package 'a_package_that_is_not_there'" in said["water.lacking"]
    assert "ZeroDivisionError" in said["water.failing"]
