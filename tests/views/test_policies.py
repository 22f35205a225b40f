"""Every policy that is found, against what methods and the loader rely on; then each one's own promise."""

import pytest
import torch

from swath import plugins, views
from swath.batch import NO_DAY
from swath.errors import ContractError, RecipeError, SwathError
from swath.sensors import band_id, bands
from swath.views import Augment, Crop, Inputs
from swath.views.policies import (
    augmented_series,
    image_and_location,
    location,
    ms_only,
    neighbours,
    other_sensor,
    paired_series,
    rgb_s1s2,
    rs_byol_1,
    rs_byol_3,
    seasons,
    sensor_series,
    two_crops,
    two_dates,
)

from ._make import OPTICAL, RADAR, batch, generator, image

QUIET = Augment()
NUMBER = {"one-crop": 1, "multi-crop": 5, "three-dates": 4, "two-periods": 8, "with-targets": 2, "location": 1}
"""Views of policies that do not draw two."""


def example(name):
    """The config that a policy shows as an example in its schema."""
    module = plugins.find("swath.views.policies", name)
    return module.Config(**module.Config.model_config["json_schema_extra"]["examples"][0])


def t_of(policy):
    """Dates in a batch that the policy is given."""
    return policy.dates if isinstance(policy.dates, int) else 3


def of_single_dates(policy):
    """Whether its views are single dates, and not series."""
    chosen_by_itself = policy.config.name in {*NUMBER, "change-aware"}
    return chosen_by_itself or isinstance(policy.dates, int | views.Nearby | views.Seasons)


def keys_of(view):
    return [[bands()[i].key for i in row] for row in view.image.band_ids.tolist()]


@pytest.fixture(params=views.names())
def policy(request):
    return views.build(example(request.param))


def test_names():
    known = ["augmented-series", "ms-only", "paired-series", "rgb-s1s2", "rs-byol-1", "rs-byol-3"]
    assert set(known) < set(views.names())
    with pytest.raises(RecipeError, match="did you mean 'two-crops'"):
        plugins.find("swath.views.policies", "two-crop")


def test_it_says_what_it_reads(policy):
    assert isinstance(policy.inputs, Inputs)
    assert policy.dates in {1, 2, "all", "paired"} or isinstance(policy.dates, views.Nearby | views.Seasons)
    assert policy.most is None
    assert policy.inputs.channels == (policy.inputs.branches or (policy.inputs.channels,))[0]
    read = [f"{sensor}/{name}" for sensor, names in policy.reads.items() for name in names]
    predicted = [key for target in policy.inputs.targets if target.kind == "map" for key in target.of]
    assert {*policy.inputs.bands, *predicted} == set(read)
    assert len(read) == len(set(read))


def test_its_views_fit_its_inputs_and_come_with_their_geometry(policy):
    given = batch(policy.reads, b=6, t=t_of(policy), side=32, invalid=0.02)
    made = policy(given, generator())
    assert len(made) == NUMBER.get(policy.config.name, 2)
    assert len({view.role for view in made}) == len(made)
    counts = policy.inputs.branches or (policy.inputs.channels,) * len(made)
    if policy.inputs.any_number:
        counts = tuple(map(len, policy.reads.values()))
    ids = [band_id(key) for key in policy.inputs.bands]
    branches = [ids[: counts[0]], ids[counts[0] :]] if policy.inputs.branches else [ids] * len(made)
    if policy.inputs.targets:  # the second view is predicted, not fed
        branches[1] = [band_id(key) for key in policy.inputs.targets[0].of]
        counts = (counts[0], len(branches[1]))
    for view, channels, own in zip(made, counts, branches, strict=True):
        b, t, c, _, _ = view.image.pixels.shape
        assert (b, t, c) == (6, 1 if of_single_dates(policy) else 3, channels)
        assert view.affine.shape == (6, 2, 3)
        assert view.image.pixels.isfinite().all()
        assert 0 < view.image.valid.float().mean() < 1
        if policy.inputs.fixed:
            assert view.image.band_ids.tolist() == [own] * 6
        else:
            assert set(view.image.band_ids.flatten().tolist()) <= set(ids)


def test_it_is_a_function_of_the_generator(policy):
    given = batch(policy.reads, t=t_of(policy))
    first, second, other = (policy(given, generator(seed)) for seed in (7, 7, 8))
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.image.pixels, b.image.pixels)
        assert torch.equal(a.image.band_ids, b.image.band_ids)
    if policy_is_random(policy):
        assert any(
            a.image.pixels.shape != c.image.pixels.shape or not torch.equal(a.image.pixels, c.image.pixels)
            for a, c in zip(first, other, strict=True)
        )


def policy_is_random(policy):
    """All but those that take series as they are, and locations that are not moved."""
    return not isinstance(policy, paired_series.Policy | sensor_series.Policy | location.Policy)


def test_its_views_differ_in_place_or_are_aligned_pixel_by_pixel(policy):
    if NUMBER.get(policy.config.name) == 1:
        pytest.skip("there is one view, of which methods hide a part")
    first, second, *_ = policy(batch(policy.reads, t=t_of(policy)), generator())
    alike = not of_single_dates(policy) or bool(policy.inputs.targets)
    assert torch.equal(first.affine, second.affine) == alike
    assert first.image.pixels.shape != second.image.pixels.shape or not torch.equal(
        first.image.pixels, second.image.pixels
    )


def test_it_finds_its_bands_by_id_whatever_their_order(policy):
    given = batch(policy.reads, t=t_of(policy))
    reordered = {name: one.channels(list(reversed(range(one.pixels.shape[2])))) for name, one in given.images.items()}
    turned = type(given)(reordered, given.lonlat, given.uid)
    for a, b in zip(policy(given, generator()), policy(turned, generator()), strict=True):
        assert torch.equal(a.image.pixels, b.image.pixels)


def test_it_says_what_a_batch_lacks(policy):
    given = batch(policy.reads, t=t_of(policy))
    sensor = next(iter(policy.reads))
    without = type(given)({k: v for k, v in given.images.items() if k != sensor}, given.lonlat, given.uid)
    with pytest.raises(ContractError, match=f"no {sensor}"):
        policy(without, generator())
    poor = type(given)({**given.images, sensor: given.images[sensor].channels([0])}, given.lonlat, given.uid)
    if len(policy.reads[sensor]) > 1:
        with pytest.raises(ContractError, match=f"{sensor} image lacks"):
            policy(poor, generator())


@pytest.mark.parametrize("name", [n for n in views.names() if "shared_crop" in example(n).__class__.model_fields])
def test_a_shared_crop_is_the_same_crop(name):
    config = example(name).model_copy(update={"shared_crop": True})
    policy = views.build(config)
    first, second = policy(batch(policy.reads, t=t_of(policy)), generator())
    assert torch.equal(first.affine, second.affine)


def test_two_crops_shows_one_chip_twice():
    policy = views.build(two_crops.Config(bands=OPTICAL, augment=QUIET, second=Augment(crop=Crop(size=10))))
    given = batch(policy.reads)
    query, key = policy(given, generator())
    assert torch.equal(query.image.pixels, given.images["sentinel-2-l2a"].pixels)
    assert key.image.pixels.shape[-1] == 10
    assert (query.role, key.role) == ("query", "key")


def test_paired_series_are_the_series_themselves_and_cut_alike():
    quiet = views.build(paired_series.Config(bands=OPTICAL, other=RADAR))
    given = batch(quiet.reads, t=3)
    first, second = quiet(given, generator())
    assert torch.equal(first.image.pixels, given.images["sentinel-2-l2a"].pixels)
    assert torch.equal(second.image.pixels, given.images[RADAR[0].partition("/")[0]].pixels)
    turned = views.build(
        paired_series.Config(
            bands=OPTICAL, other=RADAR, augment=Augment(hflip=0.5, crop=Crop(size=8, scale=(0.3, 0.6)))
        )
    )
    first, second = turned(given, generator())
    assert torch.equal(first.affine, second.affine)
    assert len(first.affine.unique(dim=0)) > 1


def test_paired_series_are_of_two_sensors():
    with pytest.raises(RecipeError, match="both of sentinel-2-l2a"):
        paired_series.Config(bands=OPTICAL[:1], other=OPTICAL[1:])


def test_an_augmented_series_keeps_its_pixels_in_place():
    cut = Augment(hflip=0.5, crop=Crop(size=8, scale=(0.3, 0.6)))
    policy = views.build(augmented_series.Config(bands=OPTICAL, augment=cut))
    first, second = policy(batch(policy.reads, t=3), generator())
    assert torch.equal(first.image.pixels, second.image.pixels)
    assert torch.equal(first.affine, second.affine)


def test_seasons_shows_the_dates_that_were_chosen_for_it():
    policy = views.build(seasons.Config(bands=OPTICAL, apart_days=90, augment=QUIET))
    first, second = policy(batch(policy.reads, t=2), generator())
    assert (second.image.days - first.image.days == 1).all()
    assert policy.dates == views.Seasons(90.0)


def test_neighbours_shows_the_location_first_and_the_other_one_second():
    policy = views.build(neighbours.Config(bands=OPTICAL, within_m=500.0, augment=QUIET))
    given = batch(policy.reads, t=2)
    query, key = policy(given, generator())
    assert torch.equal(query.image.pixels, given.images["sentinel-2-l2a"].pixels[:, :1])
    assert torch.equal(key.image.pixels, given.images["sentinel-2-l2a"].pixels[:, 1:])
    assert policy.dates == views.Nearby(500.0)


def test_other_sensor_shows_both_sensors_in_one_contract_or_two_branches():
    toa, sr = ("landsat-oli-toa/B4", "landsat-oli-toa/B5"), ("landsat-oli-sr/SR_B4", "landsat-oli-sr/SR_B5")
    policy = views.build(other_sensor.Config(bands=toa, other=sr, augment=QUIET))
    given = batch(policy.reads)
    query, key = policy(given, generator())
    assert torch.equal(query.image.pixels, given.images["landsat-oli-toa"].pixels)
    assert torch.equal(key.image.pixels, given.images["landsat-oli-sr"].pixels)
    assert policy.inputs == Inputs(2, (*toa, *sr), fixed=False)
    radar = views.build(other_sensor.Config(bands=OPTICAL, other=RADAR))
    assert radar.inputs == Inputs(4, (*OPTICAL, *RADAR), fixed=True, branches=(4, 2))
    with pytest.raises(RecipeError, match="both of landsat-oli-toa"):
        other_sensor.Config(bands=toa[:1], other=toa[1:])


def test_two_dates_shows_two_dates_in_either_order():
    policy = views.build(two_dates.Config(bands=OPTICAL, augment=QUIET))
    first, second = policy(batch(policy.reads, b=2000, t=2, side=2), generator())
    days = torch.cat([first.image.days, second.image.days], dim=1)
    assert (days[:, 0] != days[:, 1]).all()
    assert torch.equal(days.amin(dim=1) // 2, torch.arange(2000))
    assert 0.45 < (days[:, 0] < days[:, 1]).float().mean() < 0.55


def test_two_dates_pairs_a_lone_date_with_itself():
    policy = views.build(two_dates.Config(bands=OPTICAL, augment=QUIET))
    given = batch(policy.reads, t=2)
    given.images["sentinel-2-l2a"].valid[:2, 1] = False
    given.images["sentinel-2-l2a"].days[:2, 1] = NO_DAY
    first, second = policy(given, generator())
    assert torch.equal(first.image.days[:2], second.image.days[:2])
    assert (first.image.days[:2] != NO_DAY).all()
    assert (first.image.days[2:] != second.image.days[2:]).all()


def pairs(config, b=2000):
    policy = views.build(config)
    return [keys_of(view) for view in policy(batch(policy.reads, b=b, side=2), generator())]


def test_rs_byol_1_draws_every_band_equally_often_on_its_own():
    config = rs_byol_1.Config(optical=OPTICAL, radar=RADAR, augment=QUIET)
    optical, radar = pairs(config)
    for drawn, known in ((optical, OPTICAL), (radar, RADAR)):
        for key in known:
            assert abs(drawn.count([key]) / 2000 - 1 / len(known)) < 0.04
    for key in OPTICAL:
        partners = [r for o, r in zip(optical, radar, strict=True) if o == [key]]
        assert abs(partners.count([RADAR[0]]) / len(partners) - 0.5) < 0.1


def test_pixels_follow_their_band():
    config = rs_byol_1.Config(optical=OPTICAL, radar=RADAR, augment=QUIET)
    policy = views.build(config)
    given = batch(policy.reads)
    for view, keys in zip(policy(given, generator()), (OPTICAL, RADAR), strict=True):
        source = given.images[keys[0].partition("/")[0]]
        for i, (key,) in enumerate(keys_of(view)):
            assert torch.equal(view.image.pixels[i, :, 0], source.pixels[i, :, keys.index(key)])


def test_rs_byol_3_takes_three_bands_and_copies_one_polarisation():
    config = rs_byol_3.Config(optical=OPTICAL, radar=RADAR, augment=QUIET)
    optical, radar = pairs(config)
    assert all(len(set(row)) == 3 for row in optical)
    for place in range(3):
        assert abs(sum(row[place] == OPTICAL[0] for row in optical) / 2000 - 0.25) < 0.04
    assert all(row[:2] == list(RADAR) for row in radar)
    assert abs(sum(row[2] == RADAR[0] for row in radar) / 2000 - 0.5) < 0.04


def test_rs_byol_3_copies_a_single_polarisation_three_times():
    _, radar = pairs(rs_byol_3.Config(optical=OPTICAL, radar=RADAR[1:], augment=QUIET), b=3)
    assert radar == [[RADAR[1]] * 3] * 3


def test_rgb_s1s2_mixes_two_sensors_and_is_valid_where_both_are():
    others = ("sentinel-2-l2a/B05", "sentinel-2-l2a/B8A", "sentinel-2-l2a/B11")
    config = rgb_s1s2.Config(rgb=OPTICAL[:3], optical=others, radar=RADAR, augment=QUIET)
    rgb, mixed = pairs(config)
    assert rgb == [list(OPTICAL[:3])] * 2000
    assert {row[0] for row in mixed} == set(RADAR)
    assert {key for row in mixed for key in row[1:]} == set(others)
    assert all(row[1] != row[2] for row in mixed)
    policy = views.build(config)
    given = batch(policy.reads, invalid=0.3)
    _, view = policy(given, generator())
    assert torch.equal(view.image.valid, given.images["sentinel-2-l2a"].valid & given.images["sentinel-1-grd"].valid)


def test_rgb_s1s2_needs_one_grid():
    config = rgb_s1s2.Config(rgb=OPTICAL[:3], optical=("sentinel-2-l2a/B05", "sentinel-2-l2a/B11"), radar=RADAR)
    policy = views.build(config)
    given = batch(policy.reads)
    given.images["sentinel-1-grd"] = image(RADAR, h=12, w=12)
    with pytest.raises(ContractError, match=r"\(1, 12, 12\) and \(1, 24, 24\)"):
        policy(given, generator())


@pytest.mark.parametrize("channels", [1, 3])
def test_ms_only_shows_no_band_twice(channels):
    keys = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04", "B05", "B06", "B07", "B08"))
    first, second = pairs(ms_only.Config(bands=keys, channels=channels, augment=QUIET))
    assert all(len(set(a + b)) == 2 * channels for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (two_crops.Config(bands=(*OPTICAL, *RADAR)), "2 sensors: sentinel-2-l2a, sentinel-1-grd"),
        (two_crops.Config(bands=("sentinel-2-l2a/B4",)), "unknown band 'sentinel-2-l2a/B4'"),
        (two_dates.Config(bands=(OPTICAL[0], OPTICAL[0])), "listed twice"),
        (ms_only.Config(bands=OPTICAL, channels=3), "list at least 6 bands"),
        (rgb_s1s2.Config(rgb=OPTICAL[:3], optical=OPTICAL[2:], radar=RADAR), "B04 is in rgb and in optical"),
        (rs_byol_1.Config(optical=OPTICAL, radar=(*RADAR, OPTICAL[0])), "2 sensors"),
    ],
)
def test_a_config_that_cannot_work_says_so(config, message):
    with pytest.raises(SwathError, match=message):
        views.build(config)


def test_locations_are_moved_around_the_antimeridian_and_not_beyond_a_pole():
    policy = views.build(location.Config(jitter_deg=4.0))
    given = batch(policy.reads, b=64, side=1)
    pixels = torch.tensor([180.0, 90.0]).view(1, 1, 2, 1, 1).expand(64, 1, 2, 1, 1).contiguous()
    given.images["location"].pixels.copy_(pixels)
    (view,) = policy(given, generator())
    lon, lat = view.image.pixels[:, 0, :, 0, 0].T
    assert ((lon >= 178) | (lon <= -178)).all()
    assert lon.abs().max() <= 180
    assert (lon < 0).any()
    assert (lon > 0).any()
    assert lat.min() > 87
    assert lat.max() == 90
    assert torch.equal(given.images["location"].pixels, pixels), "what was read is not changed"


def test_satclips_views_are_an_image_and_its_location():
    policy = views.build(image_and_location.Config(bands=OPTICAL))
    given = batch(policy.reads, b=5)
    seen, where = policy(given, generator())
    assert (seen.role, where.role) == ("image", "location")
    assert policy.inputs.branches == (len(OPTICAL), 2)
    moved = where.image.pixels - given.images["location"].pixels
    assert 0 < moved.abs().max() <= 0.005 + 1e-5
