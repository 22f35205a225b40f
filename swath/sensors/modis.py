"""MODIS land bands 1 to 7: surface reflectance of the MOD09 and MYD09 families."""

from swath.sensors._build import edges
from swath.sensors._types import CloudRule, Scaling, Sensor

_BANDS = edges(
    "modis",
    (
        ("sur_refl_b01", "red", 0.620, 0.670, 250.0),
        ("sur_refl_b02", "nir08", 0.841, 0.876, 250.0),
        ("sur_refl_b03", "blue", 0.459, 0.479, 500.0),
        ("sur_refl_b04", "green", 0.545, 0.565, 500.0),
        ("sur_refl_b05", None, 1.230, 1.250, 500.0),
        ("sur_refl_b06", "swir16", 1.628, 1.652, 500.0),
        ("sur_refl_b07", "swir22", 2.105, 2.155, 500.0),
    ),
)

SENSOR = Sensor(
    name="modis",
    title="MODIS surface reflectance",
    kind="optical",
    family="modis",
    revisit_days=1.0,
    bands=_BANDS,
    dtype="int16",
    nodata=-28672.0,
    scaling=Scaling(1e-4),
    valid_range=(-0.01, 1.6),
    # Cloud shadow and the internal cloud flag; the two-bit cloud state (bits 0-1) is left out, as its value 3 means
    # "assumed clear".
    cloud=CloudRule("sur_refl_state_500m", bits=(2, 10), dtype="uint16", fill=65535),
    rgb=("sur_refl_b01", "sur_refl_b04", "sur_refl_b03"),
    display_range=(0.0, 0.3),
)
