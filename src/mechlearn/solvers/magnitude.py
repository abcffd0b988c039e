"""Priors on the magnitude of a complex image, whose phase is random: what plugs into `plug_and_play` for radar."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import ArrayLike, PRNGKeyArray

from ..core import Fields, Model, Variable, require


class Magnitude(Model):
    """A denoiser of real images put to the magnitude of a complex one, its phase kept: `D(|f|) f / |f|`.

    If D is the proximal map of a penalty R and gives nothing negative, this is that of `R(|f|)`. The complex image
    is the two variables `parts`, real and imaginary.

    Source: Alver et al. (2019), arXiv:1912.03555.

        >>> parts = Variable("re", "1", ("row", "column")), Variable("im", "1", ("row", "column"))
        >>> shrunk = Magnitude(SoftThreshold(Variable("size", "1", ("row", "column")), 1.0), parts)
        >>> float(shrunk({"re": jnp.full((1, 1), 3.0), "im": jnp.full((1, 1), 4.0)})["re"][0, 0].round(3))
        2.4
    """

    denoiser: Model
    parts: tuple[Variable, Variable] = eqx.field(static=True)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return self.parts

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return self.parts

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "Magnitude")
        real, imaginary = (fields[v.name] for v in self.parts)
        size = jnp.sqrt(real**2 + imaginary**2 + jnp.finfo(real.dtype).tiny)
        (image,) = self.denoiser.outputs
        share = jnp.maximum(self.denoiser({image.name: size})[image.name], 0) / size
        return {v.name: share * fields[v.name] for v in self.parts}


class SoftThreshold(Model):
    """Every value moved towards 0 by a threshold: the proximal map of `threshold |x|_1`, for scenes of few points.

    Donoho (1995), doi:10.1109/18.382009.

        >>> SoftThreshold(Variable("x", "1", ("row",)), 1.0)({"x": jnp.array([3.0, -0.5])})["x"].tolist()
        [2.0, -0.0]
    """

    variable: Variable = eqx.field(static=True)
    threshold: ArrayLike = 1.0

    @property
    def inputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        return (self.variable,)

    def __call__(self, fields: Fields, *, key: PRNGKeyArray | None = None) -> Fields:
        require(fields, self.inputs, "SoftThreshold")
        value = fields[self.variable.name]
        return {self.variable.name: jnp.sign(value) * jnp.maximum(jnp.abs(value) - self.threshold, 0)}
