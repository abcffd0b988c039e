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
SHORTWAVE = Variable(
    "shortwave_downwelling", "W m-2", bounds=(0, 1500), standard_name="surface_downwelling_shortwave_flux_in_air"
)
LONGWAVE = Variable(
    "longwave_downwelling", "W m-2", bounds=(0, 800), standard_name="surface_downwelling_longwave_flux_in_air"
)
RELATIVE_HUMIDITY = Variable("relative_humidity", "percent", bounds=(0, 110), standard_name="relative_humidity")
WIND_SPEED = Variable("wind_speed", "m s-1", bounds=(0, 80), standard_name="wind_speed")
SNOWFALL = Variable(
    "snowfall", "mm day-1", bounds=(0, math.inf), standard_name="lwe_snowfall_rate", long_name="snow as water"
)
DEPTH = Variable("depth", "m", ("depth",), bounds=(0, 2000), standard_name="depth", long_name="depth below the surface")
LAYER_AREA = Variable(
    "area", "m2", ("depth",), bounds=(0, math.inf), long_name="horizontal area of the lake at each depth"
)
WATER_TEMPERATURE = Variable(
    "water_temperature", "degC", ("depth",), bounds=(-1, 45), standard_name="sea_water_temperature"
)
AIR_PRESSURE = Variable(
    "air_pressure", "Pa", ("level",), bounds=(0, 1.1e5), standard_name="air_pressure", long_name="surface first"
)
AIR_TEMPERATURE_PROFILE = Variable(
    "air_temperature_profile", "K", ("level",), bounds=(150, 350), standard_name="air_temperature"
)
SPECIFIC_HUMIDITY = Variable(
    "specific_humidity", "1", ("level",), bounds=(0, 0.06), standard_name="specific_humidity"
)  # fmt: skip
OZONE = Variable(
    "mole_fraction_of_ozone_in_air", "1", ("level",), bounds=(0, 3e-5), standard_name="mole_fraction_of_ozone_in_air"
)
SURFACE_TEMPERATURE = Variable(
    "surface_temperature", "K", bounds=(180, 370), standard_name="surface_temperature", long_name="of the skin"
)
SURFACE_EMISSIVITY = Variable(
    "surface_emissivity", "1", bounds=(0, 1), standard_name="surface_longwave_emissivity", long_name="in the band"
)
VIEW_ZENITH_ANGLE = Variable("view_zenith_angle", "degree", bounds=(0, 85), standard_name="sensor_zenith_angle")
TRANSMITTANCE = Variable(
    "transmittance", "1", bounds=(0, 1), long_name="share of the surface's radiance in the band that reaches the sensor"
)
UPWELLING_RADIANCE = Variable(
    "upwelling_radiance", "W m-2 sr-1 um-1", bounds=(0, math.inf), long_name="what the air itself sends to the sensor"
)
DOWNWELLING_RADIANCE = Variable(
    "downwelling_radiance", "W m-2 sr-1 um-1", bounds=(0, math.inf), long_name="sky's flux on the surface over pi"
)
RADIANCE = Variable(
    "radiance", "W m-2 sr-1 um-1", bounds=(0, math.inf), standard_name="toa_outgoing_radiance_per_unit_wavelength"
)
BRIGHTNESS_TEMPERATURE = Variable(
    "brightness_temperature", "K", bounds=(100, 400), standard_name="toa_brightness_temperature"
)
WATER_VAPOUR_COLUMN = Variable(
    "atmosphere_mass_content_of_water_vapor",
    "kg m-2",
    bounds=(0, 150),
    standard_name="atmosphere_mass_content_of_water_vapor",
)
SURFACE_AIR_PRESSURE = Variable("surface_air_pressure", "Pa", bounds=(3e4, 1.1e5), standard_name="surface_air_pressure")
HALF_LEVEL_PRESSURE = Variable(
    "air_pressure_at_half_levels",
    "Pa",
    ("half_level",),
    bounds=(0, 1.2e5),
    standard_name="air_pressure",
    long_name="between the levels, below the first and above the last: the ground's first",
)
HALF_LEVEL_TEMPERATURE = Variable(
    "air_temperature_at_half_levels", "K", ("half_level",), bounds=(130, 360), standard_name="air_temperature"
)
UPWELLING_LONGWAVE = Variable(
    "upwelling_longwave_flux_in_air",
    "W m-2",
    ("half_level",),
    bounds=(0, 1500),
    standard_name="upwelling_longwave_flux_in_air",
)
DOWNWELLING_LONGWAVE = Variable(
    "downwelling_longwave_flux_in_air",
    "W m-2",
    ("half_level",),
    bounds=(0, 1500),
    standard_name="downwelling_longwave_flux_in_air",
)
NET_LONGWAVE_FLUX = Variable(
    "net_downward_longwave_flux_in_air", "W m-2", ("half_level",), standard_name="net_downward_longwave_flux_in_air"
)
LONGWAVE_HEATING = Variable(
    "tendency_of_air_temperature_due_to_longwave_heating",
    "K day-1",
    ("level",),
    standard_name="tendency_of_air_temperature_due_to_longwave_heating",
)
