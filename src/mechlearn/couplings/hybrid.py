"""Method 10, hybrid use: couplings of couplings, declared as such."""

from collections.abc import Callable, Sequence

from ..compose import Mean
from ..core import Model, System
from .series import Untaught

Coupling = Callable[..., System]


def compose(mechanism: Model, learner: Untaught, *, methods: Sequence[Coupling]) -> System:
    """Apply couplings one upon another: the system one returns is the mechanism of the next.

    The inner systems are taught first; the outer couplings decide whether they then stay as they are.
    """
    system = mechanism if isinstance(mechanism, System) else System(mechanism)
    for method in methods:
        system = method(system, learner)
    return system


def average(mechanism: Model, learner: Untaught, *, methods: Sequence[Coupling]) -> System:
    """Teach several couplings apart and average what they predict: their errors differ, so part of them cancels."""
    return System(Mean(*(method(mechanism, learner) for method in methods)), stages=())
