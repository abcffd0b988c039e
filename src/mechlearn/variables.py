"""Variables that several models share, under their CF names where those exist."""

import math

from .core import Variable

AIR_TEMPERATURE = Variable("air_temperature", "degC", bounds=(-80, 60), standard_name="air_temperature")
PRECIPITATION = Variable(
    "precipitation", "mm day-1", bounds=(0, math.inf), standard_name="lwe_precipitation_rate", long_name="rain and snow"
)
POTENTIAL_EVAPOTRANSPIRATION = Variable(
    "potential_evapotranspiration",
    "mm day-1",
    bounds=(0, math.inf),
    standard_name="water_potential_evapotranspiration_rate",
)
EVAPOTRANSPIRATION = Variable(
    "evapotranspiration", "mm day-1", bounds=(0, math.inf), standard_name="lwe_water_evapotranspiration_rate"
)
RUNOFF = Variable(
    "runoff", "mm day-1", bounds=(0, math.inf), standard_name="runoff_rate", long_name="streamflow over catchment area"
)
STORAGE_CHANGE = Variable("storage_change", "mm day-1", long_name="change of all water stores of the catchment")
