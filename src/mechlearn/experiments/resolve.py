"""A name is a file: how experiment files and the command line find what they name."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from ..core import Law, Learner, Model

ROOMS: dict[str, type] = {"mechanisms": Model, "learners": Learner, "laws": Law}


class UnknownName(ValueError):
    """A name that resolves to nothing; the message lists what there is."""


def names(room: str) -> list[str]:
    """Every name of a room, found by looking: "water.hbv" for mechanisms/water/hbv.py."""
    package = importlib.import_module(f"mechlearn.{room}")
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    modules = (info.name for info in found if not info.ispkg)
    if room == "couplings":
        return sorted(name for module in modules for name in _coupling_names(module))
    return sorted(short(name, room) for name in modules if _holds_one(name, room))


def thing(room: str, name: str) -> Any:
    """The class (or coupling function) that a name stands for; "package.module:Thing" for outsiders.

    Raises `UnknownName` with the nearest names when there is none.
    """
    if ":" in name:
        return _outside(name)
    if room == "couplings":
        return _coupling(name)
    try:
        module = importlib.import_module(f"mechlearn.{room}.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("mechlearn"):
            raise UnknownName(
                f"{room[:-1]} {name!r} needs the package {error.name!r}: pip install {error.name}"
            ) from None
        raise _unknown(room, name) from None
    return the_class(module, ROOMS[room])


def the_class(module: ModuleType, kind: type) -> type:
    """The public class of a file: the only concrete one of its kind, or the one named like the file."""
    here = [c for c in vars(module).values() if _is_concrete(c, kind, module) and not c.__name__.startswith("_")]
    if len(here) == 1:
        return here[0]
    wanted = module.__name__.rsplit(".", 1)[-1].replace("_", "")
    named = [c for c in here if c.__name__.lower() == wanted]
    if len(named) != 1:
        raise UnknownName(f"{module.__name__} holds {[c.__name__ for c in here]}; name one of them like the file")
    return named[0]


def keyword_arguments(
    function: Callable, given: dict[str, Any], where: str, taken: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Check a table of an experiment file against what a constructor takes.

    Raises `ValueError` naming the unknown key and the allowed ones.
    """
    allowed = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is not p.VAR_KEYWORD and p.name not in taken
    ]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    for key in given:
        if key not in allowed and not open_ended:
            raise ValueError(
                f"[{where}] has an unknown key {key!r}{_hint(key, allowed)}; allowed: {', '.join(allowed)}"
            )
    return given


def short(module_name: str, room: str) -> str:
    """The name users write for a module."""
    return module_name.removeprefix(f"mechlearn.{room}.")


def paradigm(name: str) -> str:
    """The paradigm a coupling belongs to: the folder it stands in."""
    return name.split(".", 1)[0] if "." in name else "baseline"


def _is_concrete(candidate: Any, kind: type, module: ModuleType) -> bool:
    is_ours = inspect.isclass(candidate) and issubclass(candidate, kind) and candidate.__module__ == module.__name__
    return is_ours and not inspect.isabstract(candidate)


def _holds_one(module_name: str, room: str) -> bool:
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError:
        return False
    return hasattr(module, "example") and any(_is_concrete(c, ROOMS[room], module) for c in vars(module).values())


def _coupling_names(module_name: str) -> list[str]:
    module = importlib.import_module(module_name)
    return [f"{short(module_name, 'couplings')}.{name}" for name, f in vars(module).items() if _is_coupling(f, module)]


def _is_coupling(candidate: Any, module: ModuleType) -> bool:
    if (
        not inspect.isfunction(candidate)
        or candidate.__module__ != module.__name__
        or candidate.__name__.startswith("_")
    ):
        return False
    first = next(iter(inspect.signature(candidate).parameters), "")
    return (
        first in ("mechanism", "mechanisms")
        and getattr(candidate.__annotations__.get("return"), "__name__", "") == "System"
    )


def _coupling(name: str) -> Callable:
    module_name, _, function = name.rpartition(".")
    try:
        module = importlib.import_module(f"mechlearn.couplings.{module_name}")
        found = getattr(module, function)
    except (ModuleNotFoundError, AttributeError):
        raise _unknown("couplings", name) from None
    if not _is_coupling(found, module):
        raise _unknown("couplings", name)
    return found


def _outside(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UnknownName(
            f"{name!r} cannot be imported ({error}); write package.module:Thing of an installed package"
        ) from None


def _unknown(room: str, name: str) -> UnknownName:
    there = names(room)
    return UnknownName(f"there is no {room[:-1]} {name!r}{_hint(name, there)}; there are: {', '.join(there)}")


def _hint(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
