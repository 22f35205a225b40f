"""Distances and pixel sizes on the ground, against rasterio's projections and geodesics."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import Geod
from rasterio.warp import transform

from swath.corpus.sources._position import check_same_place, metres_apart, pixel_m, pixels_apart
from swath.corpus.sources._raster import BadFileError, File, Header

UTM = Affine(10, 0, 500_000, 0, -10, 5_600_000)


def head(transform: Affine | None = UTM, crs: str | None = "EPSG:32632", size: int = 32) -> Header:
    return Header(height=size, width=size, crs=crs, transform=transform)


def moved(east: float, north: float, size: float = 10) -> Affine:
    return Affine(size, 0, 500_000 + east, 0, -size, 5_600_000 + north)


def turned(degrees: float, size: float = 10) -> Affine:
    s, c = size * np.sin(np.radians(degrees)), size * np.cos(np.radians(degrees))
    return Affine(c, s, 5e5, s, -c, 5.6e6)


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        ("EPSG:32632", UTM),
        ("EPSG:32632", turned(40)),
        ("EPSG:32632", turned(90, 30)),
        ("EPSG:32632", Affine(10, 0, 5e5, 0, -20, 5.6e6)),
        ("EPSG:4326", Affine(0.00027, 0, 9, 0, -0.00027, 50)),
        ("EPSG:3857", Affine(20, 0, 1e6, 0, -20, 8.4e6)),
        ("EPSG:2263", Affine(98.425, 0, 9.8e5, 0, -98.425, 2e5)),
    ],
)
def test_a_pixel_is_as_large_as_on_the_ground(crs, place):
    points = [place @ point for point in ((16, 16), (17, 16), (16, 17))]
    lon, lat = transform(crs, "EPSG:4326", *(list(axis) for axis in zip(*points, strict=True)))
    expected = [Geod(ellps="WGS84").inv(lon[0], lat[0], lon[k], lat[k])[2] for k in (1, 2)]
    np.testing.assert_allclose(pixel_m(head(place, crs)), expected, rtol=0.001)


def test_pixels_of_maps_in_metres_and_feet_have_their_nominal_size():
    assert pixel_m(head()) == (10, 10)
    assert pixel_m(head(Affine(98.425, 0, 9.8e5, 0, -98.425, 2e5), "EPSG:2263")) == pytest.approx((30, 30), abs=1e-3)


def test_nobody_knows_the_pixels_of_what_lies_nowhere():
    assert pixel_m(head(crs=None)) is None
    assert pixel_m(head(None, None)) is None
    assert pixel_m(head(Affine(10, 0, 1e12, 0, -10, 1e12))) is None


@pytest.mark.parametrize(
    ("other", "pixels"),
    [
        (head(), 0),
        (head(moved(4, 0)), 0.4),
        (head(moved(0, 80)), 8),
        (head(moved(0, 0, 20), size=16), 0),
        (head(moved(0, 320, 20), size=16), 32),
        (head(None, None), 0),
        (head(moved(30, 0), None), 3),
        (head(Affine(10, 0, 500_000, 0, -20, 5_600_000)), 32),
    ],
)
def test_corners_are_compared_in_pixels(other, pixels):
    assert pixels_apart(head(), other) == pytest.approx(pixels)


def test_reference_systems_are_compared_on_the_ground():
    # the same ground in the neighbouring zone: a chip that is turned by the zones' convergence
    x, y = transform("EPSG:32632", "EPSG:32633", [500_000, 500_320, 500_000], [5_600_000, 5_600_000, 5_599_680])
    a, d, b, e = ((v[k] - v[0]) / 32 for k in (1, 2) for v in (x, y))
    assert pixels_apart(head(), head(Affine(a, b, x[0], d, e, y[0]), "EPSG:32633")) < 0.01
    assert pixels_apart(head(), head(crs="EPSG:32633")) > 40_000
    assert pixels_apart(head(), head(Affine(10, 0, 1e12, 0, -10, 1e12), "EPSG:3035")) == np.inf


def test_an_error_names_both_files_and_the_distance():
    one, other = File(Path("lab/a.tif"), "lab/a.tif"), File(Path("img/a.tif"), "img/a.tif")
    check_same_place(one, head(moved(4.9, 0)), other, head())
    for east, said in ((5, "5.0 m"), (1000, "1,000 m")):
        with pytest.raises(BadFileError, match=rf"lab/a.tif does not lie where img/a.tif does: .* {said} apart"):
            check_same_place(one, head(moved(east, 0)), other, head())
    with pytest.raises(BadFileError, match=r"\(EPSG:32633 and EPSG:32632\)"):
        check_same_place(one, head(crs="EPSG:32633"), other, head())
    with pytest.raises(BadFileError, match=r"3\.0 pixels apart"):
        check_same_place(one, head(moved(30, 0), None), other, head(crs=None))


def test_metres_are_those_of_the_ellipsoid():
    lon, lat = transform("EPSG:32632", "EPSG:4326", [500_000, 600_000], [5_600_000, 5_500_000])
    expected = Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])[2]
    assert metres_apart(head(), head(moved(100_000, -100_000))) == pytest.approx(expected, rel=1e-4)
