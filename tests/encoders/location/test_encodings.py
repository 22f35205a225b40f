"""Every positional encoding against its formula in NumPy, and what it says of the antimeridian and the poles."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from pyproj import Proj
from scipy.special import sph_harm_y

from swath import plugins
from swath.encoders.location import encodings
from swath.encoders.location.encodings import check_degrees, random_fourier
from swath.encoders.location.encodings.random_fourier import equal_earth
from swath.errors import ContractError

RNG = np.random.default_rng(7)
PLACES = np.c_[RNG.uniform(-180, 180, 60), np.degrees(np.arcsin(RNG.uniform(-1, 1, 60)))]
EVERY = pytest.mark.parametrize("name", encodings.names())


def built(name, **settings):
    return encodings.build(plugins.find("swath.encoders.location.encodings", name).Config(**settings))


def encoded(name, places, **settings):
    return built(name, **settings)(torch.tensor(np.atleast_2d(places), dtype=torch.float64)).numpy()


def waves(scales=10, least=1.0, most=360.0):
    """Angles of each scale: degrees over radii in geometric steps, as in the official code."""
    radii = least * np.exp(np.arange(scales) * math.log(most / least) / max(1, scales - 1))
    return PLACES[:, 0, None] / radii, PLACES[:, 1, None] / radii


def by_formula(name):
    s, c = np.sin, np.cos
    lon, lat = np.radians(PLACES).T
    x, y = waves()
    one, lt = np.radians(PLACES[:, 0, None]), np.radians(PLACES[:, 1, None])
    own = s(lon) * 0 + 1
    third = [x, -x / 2 + math.sqrt(3) / 2 * y, -x / 2 - math.sqrt(3) / 2 * y]
    terms = {
        "grid": [s(x), c(x), s(y), c(y)],
        "sphere-c": [s(y), c(y) * c(x), c(y) * s(x)],
        "sphere-c-plus": [s(y), c(y), s(x), c(x), c(y) * c(x), c(y) * s(x)],
        "sphere-m": [s(y), c(y) * c(one), c(lt) * c(x), c(y) * s(one), c(lt) * s(x)],
        "sphere-m-plus": [s(y), c(y), s(x), c(x), c(y) * c(one), c(lt) * c(x), c(y) * s(one), c(lt) * s(x)],
        "theory": [f(a) for a in third for f in (s, c)],
    }
    if name in terms:
        return np.stack(terms[name], axis=2).reshape(len(PLACES), -1)
    return {
        "direct": np.stack([lon, lat], axis=1),
        "cartesian": np.stack([c(lat) * c(lon), c(lat) * s(lon), s(lat)], axis=1),
        "wrap": np.stack([c(lon), s(lon), c(lat), s(lat)], axis=1) * own[:, None],
        "spherical-harmonics": harmonics(10),
        "random-fourier": fourier(),
    }[name]


def harmonics(degrees):
    """SciPy's complex functions made real, without the sign of Condon and Shortley; theta from the south pole."""
    theta, phi = np.radians(PLACES[:, 1] + 90), np.radians(PLACES[:, 0] + 180)
    columns = []
    for degree in range(degrees):
        for m in range(-degree, degree + 1):
            both = sph_harm_y(degree, abs(m), theta, phi) * (-1) ** m * (math.sqrt(2) if m else 1)
            columns.append(both.imag if m < 0 else both.real)
    return np.stack(columns, axis=1)


def fourier():
    x, y = Proj(proj="eqearth", R=1)(*PLACES.T)
    plane = np.stack([x, y], axis=1) * 66.50336 / 180
    matrices = built("random-fourier").waves.numpy()
    turned = [2 * math.pi * plane @ one.T for one in matrices]
    return np.concatenate([f(angles) for angles in turned for f in (np.cos, np.sin)], axis=1)


@EVERY
def test_features_are_the_formula(name):
    found = encoded(name, PLACES)
    assert found.dtype == np.float64
    assert found.shape == (60, built(name).dim)
    np.testing.assert_allclose(found, by_formula(name), atol=1e-9)


@EVERY
def test_the_antimeridian_and_the_poles_are_as_promised(name):
    """Where an encoding promises continuity a millimetre changes nothing; where it does not, there is a jump."""
    encoding, least = built(name), 1e-8
    east, west = encoded(name, [180 - least, 31.0]), encoded(name, [-180 + least, 31.0])
    assert (np.abs(east - west).max() < 1e-4) == encoding.WRAPS
    for pole in (-90.0, 90.0):
        round_it = encoded(name, [[lon, pole] for lon in (-150.0, 20.0, 113.0)])
        assert (np.ptp(round_it, axis=0).max() < 1e-9) == encoding.ONE_POLE
        assert np.isfinite(round_it).all()


def test_latitude_comes_back_after_half_a_turn_in_sinr():
    np.testing.assert_allclose(
        encoded("wrap", PLACES, latitude_period=180)[:, 2:],
        np.stack([np.cos(np.pi * PLACES[:, 1] / 90), np.sin(np.pi * PLACES[:, 1] / 90)], axis=1),
    )
    both = encoded("wrap", [[0, -90], [0, 90]], latitude_period=180)
    np.testing.assert_allclose(both[0], both[1], atol=1e-12)


@pytest.mark.parametrize("name", ["sphere-c", "sphere-m"])
def test_at_one_radian_products_of_points_on_the_sphere_are_cosines_of_distance(name):
    """Sphere2Vec's theorem 1; sphereM says its last two terms twice."""
    features = encoded(name, PLACES, scales=1, min_radius=math.degrees(1), max_radius=math.degrees(1))[:, :3]
    lon, lat = np.radians(PLACES).T
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    if name == "sphere-c":
        np.testing.assert_allclose(features @ features.T, points @ points.T, atol=1e-12)
    else:
        np.testing.assert_allclose(features[:, 1], features[:, 2])


# ------------------------------------------------------------------------------------------------------------ harmonics


def test_harmonics_of_the_first_degrees_are_what_every_table_says():
    lon, lat = np.radians(PLACES).T
    half, root = math.sqrt(3 / (4 * math.pi)), math.sqrt(1 / (4 * math.pi))
    south = [
        np.full(60, root),
        half * np.cos(lat) * -np.sin(lon),
        -half * np.sin(lat),
        half * np.cos(lat) * -np.cos(lon),
    ]
    np.testing.assert_allclose(encoded("spherical-harmonics", PLACES, degrees=2), np.stack(south, axis=1), atol=1e-14)


def test_harmonics_are_orthonormal_up_to_degree_100():
    """Along a meridian by Gauss-Legendre quadrature, exact for these degrees; around it sines and cosines are."""
    nodes, weights = np.polynomial.legendre.leggauss(100)
    latitudes = np.degrees(np.arcsin(nodes))
    functions = encoded("spherical-harmonics", np.c_[np.full(100, -180.0), latitudes], degrees=100)
    for m in range(100):
        own = functions[:, [n * n + n + m for n in range(m, 100)]] / (math.sqrt(2) if m else 1)
        gram = 2 * math.pi * (own * weights[:, None]).T @ own
        np.testing.assert_allclose(gram, np.eye(100 - m), atol=1e-10)


def test_harmonics_are_orthonormal_over_the_whole_sphere():
    nodes, weights = np.polynomial.legendre.leggauss(8)
    grid = np.array([[lon, lat] for lat in np.degrees(np.arcsin(nodes)) for lon in np.arange(16) * 22.5 - 180])
    functions = encoded("spherical-harmonics", grid, degrees=8)
    gram = (functions * np.repeat(weights, 16)[:, None] * 2 * math.pi / 16).T @ functions
    np.testing.assert_allclose(gram, np.eye(64), atol=1e-10)


def test_squares_of_all_harmonics_sum_to_the_same_everywhere():
    places = [[0, 90], [77, -90], [180, 0], [-180, 89.999999], [12.5, 47.1]]
    squares = (encoded("spherical-harmonics", places, degrees=100) ** 2).sum(axis=1)
    np.testing.assert_allclose(squares, 100**2 / (4 * math.pi), rtol=1e-11)


def test_harmonics_of_many_places_are_those_of_each():
    many = np.tile(PLACES, (40, 1))
    np.testing.assert_array_equal(
        encoded("spherical-harmonics", many, degrees=4),
        np.tile(encoded("spherical-harmonics", PLACES, degrees=4), (40, 1)),
    )
    assert encoded("spherical-harmonics", np.zeros((0, 2)), degrees=4).shape == (0, 16)


# ------------------------------------------------------------------------------------------------------------------ map


def test_the_map_is_equal_earth():
    x, y = Proj(proj="eqearth", R=1)(*PLACES.T)
    np.testing.assert_allclose(equal_earth(torch.tensor(PLACES)).numpy(), np.stack([x, y], axis=1), atol=1e-9)


def test_waves_are_as_wide_as_their_scale_says():
    waves = built("random-fourier").waves
    assert waves.shape == (3, 256, 2)
    np.testing.assert_allclose(waves.std(dim=(1, 2)), [1, 16, 256], rtol=0.1)
    assert torch.equal(waves, built("random-fourier").waves)
    assert not torch.equal(waves, built("random-fourier", seed=1).waves)


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ([[48.1, 120.0], [47.0, -11.0]], "latitudes reach 120.*probably swapped"),
        ([[170.0, 20.0], [150.0, 95.0]], "latitudes reach 95, and there are none beyond 90 degrees"),
        ([[200.0, 10.0]], "(?s)longitudes reach 200.*take 360 away"),
        ([[math.nan, math.nan], [1.0, 2.0]], "1 of 2 locations have no coordinates"),
        ([[1.0, math.inf]], "1 of 1 locations have no coordinates"),
    ],
)
def test_what_is_no_location_is_refused(places, said):
    with pytest.raises(ContractError, match=said):
        check_degrees(torch.tensor(places))


def test_latitudes_out_of_range_are_not_called_swapped_where_longitudes_are_too():
    with pytest.raises(ContractError) as error:
        check_degrees(torch.tensor([[170.0, 20.0], [150.0, 95.0]]))
    assert "swapped" not in str(error.value)
    check_degrees(torch.tensor([[180.0, 90.0], [-180.0, -90.0]]))


def test_radii_out_of_order_are_refused():
    with pytest.raises(ValueError, match="min_radius 10 is more than max_radius 5"):
        built("grid", min_radius=10, max_radius=5)


@pytest.mark.parametrize("sigmas", [(0.0,), (1.0, -16.0)])
def test_waves_without_a_frequency_are_none(sigmas):
    with pytest.raises(ValidationError, match="greater than 0"):
        random_fourier.Config(sigmas=sigmas)
