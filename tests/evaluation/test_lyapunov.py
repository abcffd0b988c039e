"""Lyapunov exponents against published ones."""

import numpy as np

from mechlearn.evaluation.lyapunov import dimension, lyapunov_exponents
from mechlearn.mechanisms.flow.lorenz63 import Lorenz63
from mechlearn.mechanisms.flow.lorenz96 import Lorenz96


def test_lorenz_63():
    """Sprott (2003), Chaos and Time-Series Analysis: 0.9056, 0 and -14.5723, and the dimension 2.062."""
    found = lyapunov_exponents(Lorenz63(), 0.01, 20000)
    np.testing.assert_allclose(found, [0.9056, 0.0, -14.5723], atol=0.04)
    assert abs(dimension(found) - 2.062) < 0.01


def test_lorenz_96():
    """Lorenz (1996): 13 positive exponents of 40, errors doubling in 2.1 days; a volume shrinks as exp(-40 t).

    The leading exponent is 1.67 and the dimension 27.1: Karimi & Paul (2010), doi:10.1063/1.3496397.
    """
    found = lyapunov_exponents(Lorenz96(), 0.05, 3000)
    assert abs(found[0] - 1.67) < 0.1
    assert 12 <= np.sum(found > 0.02) <= 14
    assert abs(found.sum() + 40) < 0.5
    assert abs(dimension(found) - 27.1) < 0.6
