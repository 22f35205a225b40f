"""Boxes around shapes as GeoJSON and STAC have them, also across the antimeridian."""

import numpy as np
import pytest
import shapely
from rasterio.warp import transform_geom
from shapely.geometry import MultiPolygon, box, mapping, shape

from swath.products._shapes import box_around, outline_of


def test_a_scene_across_the_antimeridian_has_a_narrow_box():
    """UTM zone 60 on both sides of 180 degrees: the corners by PROJ."""
    there = shape(transform_geom("EPSG:32660", "EPSG:4326", mapping(box(830_000, 0, 836_000, 5_000))))
    west, south, east, north = box_around(np.array([there]))
    assert (west, east) == pytest.approx((179.964294, -179.981858), abs=1e-5)
    assert (south, north) == pytest.approx((0, 0.0451756), abs=1e-5)
    area = outline_of([west, south, east, north])
    assert isinstance(area, MultiPolygon)
    assert area.area == pytest.approx(there.area, rel=1e-3)


@pytest.mark.parametrize(
    ("lonlat", "expected"),
    [
        ([(10, 1), (12, 3)], [10, 1, 12, 3]),
        ([(-180, -90), (180, 90), (0, 0)], [-180, -90, 180, 90]),
        ([(179.5, -17), (-179.2, -16), (177, -18)], [177, -18, -179.2, -16]),
        ([(-150, 60), (170, 65)], [-150, 60, 170, 65]),
        ([(5, 5)], [5, 5, 5, 5]),
    ],
)
def test_boxes_of_points(lonlat, expected):
    shapes = np.array([*shapely.points(lonlat), None], object)
    assert box_around(shapes) == expected


def test_shapes_all_around_the_globe_have_the_whole_of_it():
    around = shapely.box(np.arange(-180, 180, 20), -10, np.arange(-160, 200, 20), 10)
    assert box_around(around) == [-180, -10, 180, 10]
    assert outline_of([-180.0, -10.0, 180.0, 10.0]).equals(box(-180, -10, 180, 10))
