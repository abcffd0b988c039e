"""Parameters with one value for each of many sites."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from .compose import Dial, Rollout
from .core import Fields, Model, Variable
from .parameters import Parameter, parameters, variable_of


class OneForEachSite(Model):
    """A parameter with one value a site: the value of the site whose number a sample carries.

    `theta = table[site_number]`; a site without a number of its own must not be asked for.
    """

    table: Parameter
    outputs: tuple[Variable, ...] = eqx.field(static=True)
    inputs: ClassVar[tuple[Variable, ...]] = (Variable("site_number", "1"),)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        place = jnp.asarray(fields["site_number"]).astype(int)
        return {self.outputs[0].name: jnp.asarray(self.table.value)[place]}


def site_by_site(step: Model, sites: int) -> Rollout:
    """A one-step model carried through time with its own value of every free parameter at each of many sites."""
    free = {path: p for path, p in parameters(step).items() if not p.fixed}
    tables = {path: eqx.tree_at(lambda q: q.value, p, jnp.full(sites, p.value)) for path, p in free.items()}
    settings = {path: OneForEachSite(tables[path], (variable_of(path, p),)) for path, p in free.items()}
    return Rollout(Dial(step, settings), static=("site_number",))
