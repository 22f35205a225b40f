"""Items that are none: each is left out and named, and the others are taken as if it were not there."""

import copy
import json
import math
from dataclasses import replace
from functools import partial

import pytest
import shapely

from swath import sensors
from swath.corpus.sources.stac import _place as place
from swath.corpus.sources.stac import _search as search
from swath.corpus.sources.stac._addresses import checked
from swath.corpus.sources.stac._scenes import scene_of
from swath.errors import CorpusError
from tests.corpus.sources.stac import servers, world
from tests.corpus.sources.stac.conftest import SPRING
from tests.corpus.sources.stac.world import S2, at, moment

SENSOR = sensors.get(S2)
KEYS = SENSOR.assets["earth-search"]
BOW_TIE = [[[9, 47], [10, 48], [10, 47], [9, 48], [9, 47]]]


def good() -> dict:
    asset = {"href": "https://example.org/B02.tif", "proj:transform": [10, 0, 499980, 0, -10, 5300040],
             "raster:bands": [{"scale": 1e-4, "offset": -0.1}]}  # fmt: skip
    properties = {"datetime": "2021-03-18T10:10:00Z", "platform": "sentinel-2b", "eo:cloud_cover": 5,
                  "s2:processing_baseline": "05.09", "s2:mgrs_tile": "32TPT", "proj:epsg": 32632}  # fmt: skip
    assets = {"blue": asset, "scl": {"href": "https://example.org/scl.tif"}}
    outline = shapely.geometry.mapping(shapely.box(8.99, 47.8, 9.06, 47.86))
    return json.loads(json.dumps({"id": "S2B_X", "geometry": outline, "properties": properties, "assets": assets}))


def put(path: str, value) -> dict:
    """A good item but for one thing; `path` leads to it, `-` at its end takes it away."""
    item = good()
    *way, last = path.removesuffix("-").split("/")
    inside = item
    for step in way:
        inside = inside[int(step) if step.isdigit() else step]
    if path.endswith("-"):
        del inside[last]
    else:
        inside[last] = value
    return item


def outline(kind: str, coordinates) -> dict:
    return {"type": kind, "coordinates": coordinates}


FORMS = [
    ("id", None), ("id", 7), ("id", ""), ("id", "a\nb"), ("id", "a\x00b"), ("id", "x" * 600), ("id", ["a"]), ("id-", 0),
    ("properties", None), ("properties", []), ("properties", "text"), ("properties-", 0),
    ("properties/datetime", None), ("properties/datetime", "yesterday"), ("properties/datetime", 1616062200),
    ("properties/datetime", "2021-13-01T00:00:00Z"), ("properties/datetime", "2021-02-30"), ("properties/datetime", {}),
    ("properties/datetime", "0001-01-01T00:00:00+14:00"), ("properties/datetime", "9999-12-31T23:59:59-12:00"),
    ("properties/datetime", "1021-01-01T00:00:00Z"), ("properties/datetime-", 0),
    ("properties/eo:cloud_cover", "little"), ("properties/eo:cloud_cover", "5"),
    ("properties/eo:cloud_cover", math.nan),
    ("properties/eo:cloud_cover", math.inf), ("properties/eo:cloud_cover", -1), ("properties/eo:cloud_cover", 500),
    ("properties/eo:cloud_cover", [5]), ("properties/eo:cloud_cover", True), ("properties/sat:orbit_state", 7),
    ("properties/s2:processing_baseline", "four"), ("properties/s2:processing_baseline", {"a": 1}),
    ("properties/proj:transform", 7),
    ("geometry", None), ("geometry", {}), ("geometry", []), ("geometry", "POLYGON"), ("geometry-", 0),
    ("geometry", outline("Point", [9, 48])), ("geometry", outline("LineString", [[9, 47], [10, 48]])),
    ("geometry", outline("Polygon", BOW_TIE)), ("geometry", outline("Polygon", [])),
    ("geometry", outline("Polygon", [[[9, 47], [10, 48]]])),
    ("geometry", outline("Polygon", [[[9, 47], [9, 47], [9, 47]]])),
    ("geometry", outline("Polygon", [[[9, math.nan], [10, 47], [10, 48], [9, math.nan]]])),
    ("geometry", outline("Polygon", [[["a", "b"], [10, 47], [10, 48], ["a", "b"]]])),
    ("geometry", outline("Polygon", 7)),
    ("geometry", outline("Polygon", [[[48, 99], [48, 100], [49, 100], [48, 99]]])),
    ("geometry", outline("Polygon", [[[1e300, 0], [1e300, 1], [0, 1], [1e300, 0]]])), ("geometry", outline("Blob", [])),
    ("geometry", {"type": "GeometryCollection", "geometries": []}),
    ("assets", None), ("assets", []), ("assets", "text"), ("assets-", 0), ("assets/blue", []), ("assets/blue", "x.tif"),
    ("assets/blue/href-", 0), ("assets/blue/href", None), ("assets/blue/href", 7),
    ("assets/blue/href", "/etc/hostname"),
    ("assets/blue/href", "file:///etc/hostname"), ("assets/scl/href", "/vsicurl/http://127.0.0.1"), ("assets/scl", 3),
    ("assets/blue/proj:transform", ["a", 0, 0]), ("assets/blue/proj:transform", {"a": 1}),
    ("assets/blue/proj:transform", [math.nan]), ("assets/blue/raster:bands", "text"),
    ("assets/blue/raster:bands", {"a": 1}),
    ("assets/blue/raster:bands", [7]), ("assets/blue/raster:bands/0/scale", 0),
    ("assets/blue/raster:bands/0/scale", -1e-4),
    ("assets/blue/raster:bands/0/scale", math.nan), ("assets/blue/raster:bands/0/scale", 1e308),
    ("assets/blue/raster:bands/0/scale", 1), ("assets/blue/raster:bands/0/scale", 1e-308),
    ("assets/blue/raster:bands/0/scale", "1e-4"), ("assets/blue/raster:bands/0/scale", 10**400),
    ("assets/blue/raster:bands/0/offset", math.inf), ("assets/blue/raster:bands/0/offset", 1e308),
    ("assets/blue/raster:bands/0/offset", -1000), ("assets/blue/raster:bands/0/offset", "none"),
]  # fmt: skip
WHOLE = [None, 7, "text", [], ["a"], {}, {"id": "x"}]


def read(item):
    return scene_of(item, SENSOR, ("B02",), KEYS, None, partial(checked, home="https://example.org"))


def test_the_item_that_is_spoilt_is_a_good_one():
    scene = read(good())
    assert (scene.id, scene.tile, scene.cloud, scene.missing) == ("S2B_X", "32TPT", 5.0, ())
    assert len(FORMS) + len(WHOLE) >= 60


@pytest.mark.parametrize(("path", "value"), FORMS)
def test_what_makes_no_sense_is_refused_by_name(path, value):
    with pytest.raises(CorpusError) as caught:
        read(put(path, value))
    text = str(caught.value)
    assert text.startswith("item ")
    assert text.isprintable()
    assert len(text) < 300


@pytest.mark.parametrize("item", WHOLE)
def test_what_is_no_item_at_all_is_refused(item):
    with pytest.raises(CorpusError, match=r"^item "):
        read(item)


def test_an_outline_that_touches_itself_is_mended():
    """Nothing of it is lost, unlike of one that crosses itself."""
    ring = [[9, 47], [10, 47], [10, 48], [9.5, 47], [9, 48], [9, 47]]
    scene = read(put("geometry", outline("Polygon", [ring])))
    assert scene.outline.is_valid
    assert scene.outline.area == pytest.approx(0.5)


def test_malformed_items_cost_no_location_and_are_listed(served, monkeypatch):
    """All forms at once beside two proper items: the chip is the one of an undisturbed build."""
    undisturbed = served.take()
    spoilt = [*WHOLE, *(put(path, value) for path, value in FORMS)]
    asked = search.items
    monkeypatch.setattr(place, "items", lambda *arguments: [*copy.deepcopy(spoilt), *asked(*arguments)])
    outcome = served.take(products=[served.optical(bands=["B02", "B05", "B01"])])
    assert outcome.location is not None
    assert (outcome.chips[0].pixels == undisturbed.chips[0].pixels).all()
    assert {(one.window, one.transient, one.sensor) for one in outcome.failures} == {(None, False, S2)}
    # items that fail for one reason and have one name are one line
    assert len(outcome.failures) > 40
    assert all(one.reason.startswith("item ") for one in outcome.failures)


def test_a_place_with_malformed_items_alone_says_so(served, monkeypatch):
    monkeypatch.setattr(place, "items", lambda *_: [put("properties/datetime", "yesterday")])
    outcome = served.take()
    assert outcome.location is None
    assert [(one.window, one.reason) for one in outcome.failures] == [
        ("03-20", "1 item cannot be used; first: item S2B_X: its datetime is no time: 'yesterday'"),
        (None, "item S2B_X: its datetime is no time: 'yesterday'"),
    ]


def test_an_item_of_the_file_system_is_left_out_and_the_next_is_taken(other):
    """The whole way, over a STAC server: an item that names this machine's files, and a proper one."""
    best = at(SPRING, when=moment("2021-03-20 10:10:00"), cloud=0.0)
    there = other(best, SPRING)
    item = best.write(there.folder, str(there.folder))
    items = world.save([item, SPRING.write(there.folder, there.files.base)], there.folder / "astray.json")
    with servers.stac(items) as api:
        astray = replace(there, api=api)
        outcome = astray.take()
        assert outcome.chips[0].source == SPRING.id
        assert "is not opened: only http, https, s3, gs, az are" in outcome.failures[0].reason
        local = astray.take(catalogue={"name": "earth-search", "url": api, "local": True})
        assert (local.chips[0].source, local.failures) == (best.id, ())
