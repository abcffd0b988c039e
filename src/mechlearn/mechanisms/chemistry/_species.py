"""The gases of the mechanisms of chemistry: their symbols, their names, the nitrogen in them."""

import math

from ...core import Variable

NAMES = {
    "O3": "ozone",
    "O1D": "excited_atomic_oxygen",
    "O3P": "atomic_oxygen",
    "OH": "hydroxyl_radical",
    "HO2": "hydroperoxyl_radical",
    "H2O2": "hydrogen_peroxide",
    "NO": "nitrogen_monoxide",
    "NO2": "nitrogen_dioxide",
    "NO3": "nitrate_radical",
    "N2O5": "dinitrogen_pentoxide",
    "HONO": "nitrous_acid",
    "HNO3": "nitric_acid",
    "HO2NO2": "peroxynitric_acid",
    "PAN": "peroxyacetyl_nitrate",
    "CO": "carbon_monoxide",
    "CO2": "carbon_dioxide",
    "HCHO": "formaldehyde",
    "ALD": "acetaldehyde",
    "CH3O2": "methyl_peroxy_radical",
    "MEO2": "methyl_peroxy_radical",
    "CH3O": "methoxy_radical",
    "CH3OOH": "methyl_hydroperoxide",
    "C2O3": "peroxyacetyl_radical",
    "SO2": "sulfur_dioxide",
    "SO4": "sulfate",
}
WITHOUT_STANDARD_NAME = {"O1D", "O3P", "CH3O", "C2O3", "SO4"}
NITROGEN = {"NO": 1, "NO2": 1, "NO3": 1, "N2O5": 2, "HONO": 1, "HNO3": 1, "HO2NO2": 1, "PAN": 1}
SULPHUR = {"SO2": 1, "SO4": 1}


def gas(symbol: str) -> tuple[str, Variable]:
    """The symbol of a gas and the variable of its mole fraction, in parts of 1e9."""
    name = NAMES[symbol]
    standard = "" if symbol in WITHOUT_STANDARD_NAME else f"mole_fraction_of_{name}_in_air"
    meaning = f"{name.replace('_', ' ')}, molecules in 1e9 of air"
    return symbol, Variable(name, "1e-9", bounds=(0, math.inf), standard_name=standard, long_name=meaning)
