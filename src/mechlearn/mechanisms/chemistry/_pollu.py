"""POLLU: the chemistry of an air-pollution model, a standard test of stiff solvers: Verwer (1994)."""

import numpy as np

from ._network import Network
from ._species import gas

# Reactions and constants in ppm and minutes, as published.
TABLE = (
    ("NO2 -> NO + O3P", 0.35),
    ("NO + O3 -> NO2", 26.6),
    ("HO2 + NO -> NO2 + OH", 1.23e4),
    ("HCHO -> 2 HO2 + CO", 8.6e-4),
    ("HCHO -> CO", 8.2e-4),
    ("HCHO + OH -> HO2 + CO", 1.5e4),
    ("ALD -> MEO2 + HO2 + CO", 1.3e-4),
    ("ALD + OH -> C2O3", 2.4e4),
    ("C2O3 + NO -> NO2 + MEO2 + CO2", 1.65e4),
    ("C2O3 + NO2 -> PAN", 9.0e3),
    ("PAN -> C2O3 + NO2", 0.022),
    ("MEO2 + NO -> CH3O + NO2", 1.2e4),
    ("CH3O -> HCHO + HO2", 1.88),
    ("NO2 + OH -> HNO3", 1.63e4),
    ("O3P -> O3", 4.8e6),
    ("O3 -> O1D", 3.5e-4),
    ("O3 -> O3P", 0.0175),
    ("O1D -> 2 OH", 1.0e8),
    ("O1D -> O3P", 4.44e11),
    ("SO2 + OH -> SO4 + HO2", 1.24e3),
    ("NO3 -> NO", 2.1),
    ("NO3 -> NO2 + O3P", 5.78),
    ("NO2 + O3 -> NO3", 0.0474),
    ("NO3 + NO2 -> N2O5", 1.78e3),
    ("N2O5 -> NO3 + NO2", 3.12),
)
SYMBOLS = (
    "NO2", "NO", "O3P", "O3", "HO2", "OH", "HCHO", "CO", "ALD", "MEO2",
    "C2O3", "CO2", "PAN", "CH3O", "HNO3", "O1D", "SO2", "SO4", "NO3", "N2O5",
)  # fmt: skip
NETWORK = Network(tuple(gas(symbol) for symbol in SYMBOLS), tuple(reaction for reaction, _ in TABLE))
MINUTE, PPM = 60.0, 1e3  # in seconds and in parts of 1e9
MEETING = NETWORK.partners[:, 1] < len(SYMBOLS)
CONSTANTS = np.asarray([constant for _, constant in TABLE]) / MINUTE / np.where(MEETING, PPM, 1.0)
START = {"NO": 200.0, "O3": 40.0, "HCHO": 100.0, "CO": 300.0, "ALD": 10.0, "SO2": 7.0}
# The test set's reference after 60 minutes, computed in quadruple precision, in ppm and the order of SYMBOLS.
REFERENCE = (
    0.5646255480022769e-01, 0.1342484130422339e00, 0.4139734331099427e-08, 0.5523140207484359e-02,
    0.2018977262302196e-06, 0.1464541863493966e-06, 0.7784249118997964e-01, 0.3245075353396018e00,
    0.7494013383880406e-02, 0.1622293157301561e-07, 0.1135863833257075e-07, 0.2230505975721359e-02,
    0.2087162882798630e-03, 0.1396921016840158e-04, 0.8964884856898295e-02, 0.4352846369330103e-17,
    0.6899219696263405e-02, 0.1007803037365946e-03, 0.1772146513969984e-05, 0.5682943292316392e-04,
)  # fmt: skip
