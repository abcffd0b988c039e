"""What keeps an ensemble wide enough: around any analysis, each a wrapper of it."""

import abc
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox import AbstractVar
from jaxtyping import Array, ArrayLike, PRNGKeyArray, PyTree

from ..core import Analysis
from .ensemble import centred, rotated


class Around(Analysis):
    """An analysis around another one.

    Raises `TypeError` for what is no analysis of one time (a smoother has inflation and rotation of its own), and for
    an analysis that learns from cycle to cycle, which only the outermost can.
    """

    analysis: AbstractVar[Analysis]

    def __check_init__(self) -> None:
        own, inner = type(self).__name__, type(self.analysis).__name__
        if not isinstance(self.analysis, Analysis):
            raise TypeError(
                f"{own} goes around a filter, got {inner}; a smoother is inflated and turned by arguments of its own, "
                "as IEnKS(inflation=1.02, rotate=True)"
            )
        if isinstance(self.analysis, AdaptiveInflate):
            raise TypeError(f"{inner} learns from cycle to cycle and must be outermost: {inner}({own}(...))")


class Inflate(Around):
    """Widen the analysed ensemble by a fixed factor: `mean + f A`.

    Anderson & Anderson (1999), doi:10.1175/1520-0493(1999)127<2741:AMCIOT>2.0.CO;2.

        >>> from mechlearn.assimilation.enkf import ETKF
        >>> prior = jnp.linspace(-1, 1, 9)[:, None]
        >>> plain, wide = (
        ...     a.update(prior, prior, jnp.zeros(1), key=jax.random.key(0))
        ...     for a in (ETKF(), Inflate(ETKF(), 2))
        ... )
        >>> round(float(wide.std() / plain.std()), 3)
        2.0
    """

    analysis: Analysis
    factor: ArrayLike

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(self.analysis.update(ensemble, predicted, observed, key=key))
        return mean + self.factor * anomalies


class Rotate(Around):
    """Turn the analysed members at random about their mean: their statistics to second order stay.

    It keeps a deterministic filter from a few outliers. Sakov & Oke (2008), doi:10.1175/2007MWR2021.1.

        >>> from mechlearn.assimilation.enkf import ETKF
        >>> prior = jax.random.normal(jax.random.key(0), (9, 1))
        >>> turned = Rotate(ETKF()).update(prior, prior, jnp.zeros(1), key=jax.random.key(0))
        >>> bool(jnp.allclose(turned.std(), ETKF().update(prior, prior, jnp.zeros(1), key=None).std(), atol=1e-5))
        True
    """

    analysis: Analysis

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        own, turn = jax.random.split(key)
        mean, anomalies = centred(self.analysis.update(ensemble, predicted, observed, key=own))
        return mean + rotated(turn, anomalies)


class Relax(Around):
    """Give the analysed ensemble back a share of the spread that it lost, element by element.

    `A <- A (1 + share (s_forecast - s_analysis) / s_analysis)`: relaxation to prior spread, an inflation
    that adapts itself to where observations are. Whitaker & Hamill (2012), doi:10.1175/MWR-D-11-00276.1.

        >>> from mechlearn.assimilation.enkf import ETKF
        >>> prior = jnp.linspace(-1, 1, 9)[:, None]
        >>> relaxed = Relax(ETKF(), 1.0).update(prior, prior, jnp.zeros(1), key=jax.random.key(0))
        >>> round(float(relaxed.std() / prior.std()), 3)
        1.0
    """

    analysis: Analysis
    share: ArrayLike

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        mean, anomalies = centred(self.analysis.update(ensemble, predicted, observed, key=key))
        before, after = (jnp.sqrt(jnp.mean(part**2, axis=0)) for part in (centred(ensemble)[1], anomalies))
        return mean + anomalies * (1 + self.share * (before / jnp.maximum(after, 1e-12) - 1))


class Recover(Around):
    """Widen the forecast at once when the innovation is far beyond what spread and error explain.

    With p observations `d'd` should be `s = trace(Y'Y / (N - 1)) + p`, give or take `sqrt(2 / p) s`. Beyond `limit`
    times that, the forecast variance is multiplied by `(d'd - p) / trace`: a filter that has lost the truth finds
    it again, one that has not is left alone.

        >>> from mechlearn.assimilation.enkf import ETKF
        >>> narrow, lost = 0.01 * jnp.linspace(-1, 1, 9)[:, None], jnp.array([50.0])
        >>> posterior = Recover(ETKF()).update(narrow, narrow, lost, key=jax.random.key(0))
        >>> bool(jnp.abs(posterior.mean() - 50) < 2)
        True
    """

    analysis: Analysis
    limit: float = eqx.field(static=True, default=5.0)
    most: float = eqx.field(static=True, default=1e6)

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        square, total, count = _innovation(predicted, observed)
        expected = total + count
        surprised = square > expected * (1 + self.limit * jnp.sqrt(2 / count))
        factor = jnp.where(surprised, jnp.clip((square - count) / total, 1, self.most), 1)
        wide, said = _widened(jnp.sqrt(factor), ensemble, predicted)
        return self.analysis.update(wide, said, observed, key=key)


class Adaptive(Analysis):
    """An analysis that learns from one cycle for the next."""

    def begin(self, ensemble: Array) -> Self:
        """Return this analysis as the first cycle takes it."""
        return self

    def weights(self) -> Array | None:
        """The weight (member,) of each member, adding up to 1; none where all are alike."""
        return None

    @abc.abstractmethod
    def adapt(self, predicted: Array, observed: Array) -> Self:
        """Return this analysis as the next cycle takes it, after what was predicted and observed in this one."""


class AdaptiveInflate(Around, Adaptive):
    """Inflate the forecast as the innovations ask for, remembered from cycle to cycle.

    `l_o = (d'd - p) / trace(Y'Y / (N - 1))` of p observations is the variance factor that one cycle asks for;
    it is averaged with what was known before as a Kalman filter does, the known factor's `variance` staying as
    it is. Li, Kalnay & Miyoshi (2009), doi:10.1002/qj.371; Miyoshi (2011), doi:10.1175/2010MWR3570.1.

        >>> from mechlearn.assimilation.enkf import ETKF
        >>> narrow = 0.01 * jax.random.normal(jax.random.key(0), (9, 3))
        >>> bool(AdaptiveInflate(ETKF()).adapt(narrow, jnp.full(3, 2.0)).factor > 1.0)
        True
    """

    analysis: Analysis
    factor: ArrayLike = 1.0
    variance: ArrayLike = 0.01
    least: float = eqx.field(static=True, default=1.0)
    most: float = eqx.field(static=True, default=4.0)

    def update(self, ensemble: Array, predicted: Array, observed: Array, *, key: PRNGKeyArray) -> Array:
        wide, said = _widened(jnp.sqrt(self.factor), ensemble, predicted)
        return self.analysis.update(wide, said, observed, key=key)

    def adapt(self, predicted: Array, observed: Array) -> Self:
        square, total, count = _innovation(predicted, observed)
        asked = jnp.maximum((square - count) / total, 0)
        doubt = 2 / count * ((self.factor * total + count) / total) ** 2
        gain = self.variance / (self.variance + doubt)
        factor = jnp.clip(self.factor + gain * (asked - self.factor), self.least, self.most)
        return eqx.tree_at(lambda a: a.factor, self, factor)


def begun(analysis: PyTree, ensemble: Array) -> PyTree:
    """An analysis or smoother as the first cycle takes it, its numbers as arrays."""
    analysis = analysis.begin(ensemble) if isinstance(analysis, Adaptive) else analysis
    return jax.tree.map(lambda x: jnp.asarray(x) if isinstance(x, float) else x, analysis)


def _innovation(predicted: Array, observed: Array) -> tuple[Array, Array, Array]:
    """The squared innovation of the mean, the ensemble variance of all predictions, and how many there are."""
    middle, differences = centred(predicted)
    spread = jnp.sum(differences**2, axis=0) / (len(predicted) - 1)
    # A missing observation has no spread at all.
    count = jnp.maximum(jnp.sum(spread > 0), 1)
    return jnp.sum((observed - middle) ** 2), jnp.maximum(jnp.sum(spread), 1e-9), count


def _widened(factor: ArrayLike, ensemble: Array, predicted: Array) -> tuple[Array, Array]:
    (mean, anomalies), (middle, differences) = centred(ensemble), centred(predicted)
    return mean + factor * anomalies, middle + factor * differences
