"""How a mechanism talks to the sub-process models that it holds."""

from collections.abc import Iterable

from jaxtyping import PRNGKeyArray

from ..core import Fields, Model, Variable, named, union


def ask(joint: Model, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
    """Run a sub-process on the fields that it declares."""
    return joint({variable.name: fields[variable.name] for variable in joint.inputs}, key=key)


def read_by(
    owner: str, own: Iterable[Variable], made: Iterable[Variable], joints: Iterable[Model]
) -> tuple[Variable, ...]:
    """The inputs of a mechanism: its own, and what its joints read that it does not make itself.

    Raises `ValueError` where a joint declares other units or axes than its owner.
    """
    own = tuple(own)
    internal = set(named(made)) - set(named(own))
    wanted = union(*(joint.inputs for joint in joints), where=owner)
    union(wanted, [variable for variable in made if variable.name in named(wanted)], where=owner)
    return union(own, [variable for variable in wanted if variable.name not in internal], where=owner)
