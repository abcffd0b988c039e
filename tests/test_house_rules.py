"""The house rules: what keeps the tree readable, checked on every file, each rule shown to catch a breach."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mechlearn
import mechlearn.core

SOURCE = Path(mechlearn.__file__).parent
ROOT = Path(__file__).parents[1]

ROOMS = [
    {"core"},
    {"parameters", "variables", "freshwater", "spectral_bands", "soundings"},
    {"compose", "along", "forecast", "heat_exchange", "hypsography", "planck"},
    {"descent", "parameter_sets", "radiative_transfer", "longwave", "moist_air"},
    {"mechanisms", "laws", "learners", "solvers", "assimilation"},
    {"couplings"},
    {"data"},
    {"training", "export"},
    {"evaluation"},
    {"knowledge"},
    {"experiments"},
]
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
DOORS = {
    "xarray": ("data/fields.py", "data/scenes.py"),
    "zarr": ("data/scenes.py", "data/chunks.py"),
    "pint": "data/units.py",
    "matplotlib": "experiments/",
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc", "tools"}
UNSAFE_IMPORTS = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
UNSAFE_CALLS = {"eval", "exec", "__import__"}
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

Rule = Callable[[str, str], list[str]]


def imported(path: str, text: str) -> Iterator[tuple[int, str]]:
    """Every module a file imports, by its full dotted name, relative imports resolved."""
    package = ["mechlearn", *Path(path).parent.parts]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            stem = [*above, *(node.module.split(".") if node.module else [])]
            yield from ((node.lineno, ".".join([*stem, alias.name])) for alias in node.names)


def functions(text: str) -> Iterator[ast.FunctionDef]:
    """Every function of a file, methods and inner functions included."""
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS))


def imports_one_way(path: str, text: str) -> list[str]:
    """A room imports only from rooms below it; rooms of one floor do not know each other."""
    room = Path(path).parts[0].removesuffix(".py")
    if room == "__init__":
        return []
    complaints = []
    for line, module in imported(path, text):
        words = module.split(".")
        if words[0] != "mechlearn":
            continue
        other = words[1] if len(words) > 1 else "__init__"
        if other != room and FLOOR.get(other, 99) >= FLOOR[room]:
            complaints.append(f"{path}:{line} imports {module}; {room} may not know {other}")
    return complaints


def one_door(path: str, text: str) -> list[str]:
    """xarray, pint and matplotlib each enter through one door."""
    return [
        f"{path}:{line} imports {module}; only {DOORS[module.split('.')[0]]} does"
        for line, module in imported(path, text)
        if not path.startswith(DOORS.get(module.split(".")[0], path))
    ]


def short_files(path: str, text: str) -> list[str]:
    """A file has at most 400 lines."""
    lines = text.count("\n")
    return [f"{path} has {lines} lines, more than 400"] if lines > 400 else []


def short_functions(path: str, text: str) -> list[str]:
    """A function has at most 60 lines."""
    sizes = [(node.name, node.lineno, node.end_lineno - node.lineno + 1) for node in functions(text)]
    return [f"{path}:{line} {name} has {size} lines, more than 60" for name, line, size in sizes if size > 60]


def depth(node: ast.AST, level: int = 0) -> int:
    """How deep blocks stand inside each other; an elif is no deeper, an inner function starts anew."""
    deepest = level
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            continue
        is_elif = isinstance(child, ast.If) and isinstance(node, ast.If) and node.orelse == [child]
        deepest = max(deepest, depth(child, level + (isinstance(child, BLOCKS) and not is_elif)))
    return deepest


def shallow(path: str, text: str) -> list[str]:
    """Blocks stand at most three deep."""
    return [f"{path}:{node.lineno} {node.name} nests {depth(node)} deep" for node in functions(text) if depth(node) > 3]


def safe(path: str, text: str) -> list[str]:
    """No assert, no pickle, nothing evaluated."""
    complaints = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assert):
            complaints.append(f"{path}:{node.lineno} asserts; raise ValueError or TypeError with the remedy")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in UNSAFE_CALLS:
            complaints.append(f"{path}:{node.lineno} calls {node.func.id}")
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            complaints.append(f"{path}:{node.value.lineno} allows pickle")
    unsafe = [(line, module) for line, module in imported(path, text) if module.split(".")[0] in UNSAFE_IMPORTS]
    return complaints + [f"{path}:{line} imports {module}" for line, module in unsafe]


def telling_names(path: str, text: str) -> list[str]:
    """No file or folder is named after nothing in the field."""
    return [f"{path}: {word!r} says nothing" for word in Path(path).with_suffix("").parts if word in VAGUE_NAMES]


def documented(path: str, text: str) -> list[str]:
    """Every module, public class and public function says what it is."""
    tree = ast.parse(text)
    public = [n for n in tree.body if isinstance(n, (*FUNCTIONS, ast.ClassDef)) and not n.name.startswith("_")]
    complaints = [f"{path}:{n.lineno} {n.name} has no docstring" for n in public if not ast.get_docstring(n)]
    silent = text.strip() and not ast.get_docstring(tree) and Path(path).name != "__init__.py"
    return [f"{path} has no docstring", *complaints] if silent else complaints


def is_abstract(node: ast.ClassDef) -> bool:
    """Whether a class declares something abstract, as far as its own text tells."""
    methods = [member for member in node.body if isinstance(member, FUNCTIONS)]
    decorators = {ast.unparse(decorator) for method in methods for decorator in method.decorator_list}
    notes = [ast.unparse(member.annotation) for member in node.body if isinstance(member, ast.AnnAssign)]
    return any("abstractmethod" in d for d in decorators) or any("Abstract" in note for note in notes)


def abstract_or_final(path: str, text: str) -> list[str]:
    """No concrete class of a file is subclassed in it."""
    classes = {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)}
    concrete = {name for name, node in classes.items() if not is_abstract(node)}
    pairs = [(node, ast.unparse(parent)) for node in classes.values() for parent in node.bases]
    return [f"{path}:{node.lineno} {node.name} subclasses the concrete {p}" for node, p in pairs if p in concrete]


def no_private_paths(path: str, text: str) -> list[str]:
    """Nothing names a folder that only one machine has."""
    private = re.compile(r"(?<![\w.:/-])/(work|home|root|opt|tmp|Users|mnt)/|file://")
    hits = [(number, private.search(line)) for number, line in enumerate(text.split("\n"), 1)]
    return [f"{path}:{number} names {hit[0]!r}" for number, hit in hits if hit]


CODE_RULES = [
    imports_one_way, one_door, short_files, short_functions, shallow, safe, telling_names, documented,
    abstract_or_final, no_private_paths,
]  # fmt: skip
LONG_FUNCTION = "def f():\n    '''Long.'''\n" + "    x = 1\n" * 60
DEEP = "def f():\n  if a:\n    for b in c:\n      while d:\n        with e:\n          pass\n"
BROKEN: list[tuple[Rule, str, str]] = [
    (imports_one_way, "core.py", "from .compose import Chain"),
    (imports_one_way, "core.py", "import mechlearn"),
    (imports_one_way, "mechanisms/water/hbv.py", "from ...learners.mlp import MLP"),
    (imports_one_way, "learners/mlp.py", "from mechlearn.laws import bounds"),
    (imports_one_way, "couplings/cascade/transfer.py", "from ... import training"),
    (imports_one_way, "data/fields.py", "def f():\n    from ..evaluation.scores import nse"),
    (one_door, "evaluation/scores.py", "import xarray as xr"),
    (one_door, "data/fields.py", "from pint import UnitRegistry"),
    (one_door, "evaluation/scores.py", "import matplotlib.pyplot as plt"),
    (short_files, "core.py", "x = 1\n" * 401),
    (short_functions, "core.py", LONG_FUNCTION),
    (shallow, "core.py", DEEP),
    (safe, "core.py", "assert x"),
    (safe, "core.py", "import pickle"),
    (safe, "core.py", "eval('1')"),
    (safe, "core.py", "np.load(f, allow_pickle=True)"),
    (telling_names, "data/utils.py", ""),
    (telling_names, "helpers/water.py", ""),
    (documented, "core.py", "x = 1"),
    (documented, "core.py", "'''Module.'''\nclass Public:\n    pass"),
    (documented, "core.py", "'''Module.'''\ndef public():\n    pass"),
    (abstract_or_final, "core.py", "class A:\n    x: int\nclass B(A):\n    pass"),
    (no_private_paths, "core.py", "folder = '/home/" + "ada/data'"),
]
KEPT: list[tuple[Rule, str, str]] = [
    (imports_one_way, "couplings/hybrid.py", "from ..core import Model\nfrom ..learners.mlp import MLP\nimport jax"),
    (imports_one_way, "mechanisms/water/__init__.py", "from .hbv import HBV\nfrom ..energy import x"),
    (one_door, "data/fields.py", "import xarray"),
    (one_door, "experiments/report.py", "import matplotlib.pyplot as plt"),
    (shallow, "core.py", "def f():\n  if a:\n    pass\n  elif b:\n    pass\n  elif c:\n    pass\n  elif d:\n    pass"),
    (abstract_or_final, "core.py", "class A:\n  @abc.abstractmethod\n  def f(self): ...\nclass B(A): ..."),
    (no_private_paths, "core.py", "see https://example.org/work/tmp/"),
]


def sources() -> dict[str, str]:
    """The text of every file of the package, by its path inside it."""
    return {p.relative_to(SOURCE).as_posix(): p.read_text(encoding="utf-8") for p in sorted(SOURCE.rglob("*.py"))}


@pytest.mark.parametrize("rule", CODE_RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule: Rule) -> None:
    complaints = [complaint for path, text in sources().items() for complaint in rule(path, text)]
    assert not complaints, f"{rule.__doc__}\n" + "\n".join(complaints)


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_a_breach_is_caught(rule: Rule, path: str, text: str) -> None:
    assert rule(path, text), f"{rule.__name__} let pass: {text[:80]}"


@pytest.mark.parametrize(("rule", "path", "text"), KEPT)
def test_what_is_allowed_passes(rule: Rule, path: str, text: str) -> None:
    assert rule(path, text) == []


def test_every_rule_is_shown_to_catch_something() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(CODE_RULES)


def test_every_room_is_on_a_floor() -> None:
    rooms = {Path(path).parts[0].removesuffix(".py") for path in sources()} - {"__init__"}
    assert rooms <= set(FLOOR), f"give {rooms - set(FLOOR)} a floor in ROOMS, or another home"


def subclassed_although_concrete(classes: list[type]) -> list[str]:
    """Pairs of classes where something that can be built is also subclassed; errors and protocols may be."""
    pairs = [(child, parent) for child in classes for parent in child.__bases__ if parent in classes]
    return [
        f"{child.__module__}.{child.__qualname__} subclasses the concrete {parent.__qualname__}"
        for child, parent in pairs
        if not (inspect.isabstract(parent) or getattr(parent, "__abstractvars__", None))
        and not issubclass(parent, Exception)
    ]


def test_classes_are_abstract_or_final() -> None:
    names = [info.name for info in pkgutil.walk_packages([str(SOURCE)], "mechlearn.") if "__main__" not in info.name]
    modules = [importlib.import_module(name) for name in names]
    classes = {c for m in modules for c in vars(m).values() if inspect.isclass(c) and c.__module__ == m.__name__}
    assert subclassed_although_concrete(list(classes)) == []


def test_a_subclassed_concrete_class_is_caught() -> None:
    child = type("Child", (mechlearn.core.Term,), {})
    assert subclassed_although_concrete([mechlearn.core.Term, child])
    assert subclassed_although_concrete([mechlearn.core.Learner, mechlearn.core.Model]) == []


def test_the_rest_of_the_project_names_no_private_folder() -> None:
    folders = ("docs", "experiments", "benchmarks", "news")
    files = [p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in {".md", ".py", ".toml"}]
    files += [ROOT / name for name in ("README.md", "pyproject.toml", "Makefile", "requirements-dev.lock")]
    texts = [(str(p.relative_to(ROOT)), p.read_text(encoding="utf-8")) for p in files if p.exists()]
    complaints = [complaint for path, text in texts for complaint in no_private_paths(path, text)]
    assert not complaints, "\n".join(complaints)
