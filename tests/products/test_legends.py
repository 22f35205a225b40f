"""Names and colours of classes as QGIS and GDAL read them, whatever a name holds."""

from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from swath.products.legends import Legend, remove_beside, rgb, write_shapes_style

NAMES = ('a "quoted" name', "<b>&", "be\x07ll")
SAFE = [*NAMES[:2], "be?ll"]
LEGEND = Legend((0, 3, 9), NAMES, ("#0000ff", "#00ff00", "#ff0000"))
SHADES = dict(zip(NAMES, LEGEND.colours, strict=True))


@pytest.fixture
def raster(tmp_path):
    path = tmp_path / "map.x.tif"
    profile = {"driver": "GTiff", "height": 4, "width": 4, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs="EPSG:32631", transform=rasterio.Affine(1, 0, 0, 0, -1, 4)) as file:
        file.write(np.zeros((1, 4, 4), np.uint8))
        file.write_colormap(1, LEGEND.colour_table)
    return path


def test_gdal_reads_categories_and_attributes(raster, tmp_path):
    aux, style = LEGEND.write_beside(raster)
    assert (aux.name, style.name) == ("map.x.tif.aux.xml", "map.x.qml")
    rasterio.shutil.copy(raster, tmp_path / "copy.png", driver="PNG")  # which says beside it what GDAL has read
    read = ElementTree.parse(tmp_path / "copy.png.aux.xml")
    categories = [one.text or "" for one in read.iter("Category")]
    assert (len(categories), [categories[code] for code in LEGEND.codes]) == (10, SAFE)
    assert [one.text for one in read.iter("Usage")] == ["5", "2", "6", "7", "8"], "code, name, red, green, blue"
    assert [[value.text for value in row] for row in read.iter("Row")] == [
        ["0", SAFE[0], "0", "0", "255"],
        ["3", SAFE[1], "0", "255", "0"],
        ["9", SAFE[2], "255", "0", "0"],
    ]


def test_the_style_of_a_raster_has_an_entry_for_each_class(raster):
    (style,) = LEGEND.write_style(raster)
    root = ElementTree.parse(style).getroot()
    renderer = root.find("pipe/rasterrenderer")
    assert (root.tag, renderer.get("type"), renderer.get("band")) == ("qgis", "paletted", "1")
    entries = [(one.get("value"), one.get("label"), one.get("color")) for one in renderer.iter("paletteEntry")]
    assert entries == list(zip(map(str, LEGEND.codes), SAFE, LEGEND.colours, strict=True))


def test_codes_beyond_a_byte_have_attributes_and_no_list_of_categories():
    for codes, kind in (((-9, 0, 40_000), "0"), ((1, 2, 3301010301), "1")):
        band = ElementTree.fromstring(f"<b>{Legend(codes, NAMES, LEGEND.colours).band_xml}</b>")
        assert not list(band.iter("Category"))
        assert next(band.iter("Type")).text == kind
        assert [int(row[0].text) for row in band.iter("Row")] == list(codes)


def test_numbers_get_no_legend_of_earlier_classes_and_a_style_of_ones_own_stays(raster):
    aux, style = LEGEND.write_beside(raster)
    remove_beside(raster)
    assert not aux.exists()
    assert not style.exists()
    style.write_text("<qgis><pipe><rasterrenderer type='singlebandgray'/></pipe></qgis>")
    remove_beside(raster)
    assert style.exists()


@pytest.mark.parametrize(("areas", "kind"), [(True, "fill"), (False, "marker")])
def test_the_style_of_shapes_has_a_symbol_for_each_class(tmp_path, areas, kind):
    (path,) = write_shapes_style(tmp_path / "x.gpkg", "class", SHADES, areas=areas)
    renderer = ElementTree.parse(path).getroot().find("renderer-v2")
    assert (path.name, renderer.get("type"), renderer.get("attr")) == ("x.qml", "categorizedSymbol", "class")
    symbols = {one.get("name"): one for one in renderer.iter("symbol")}
    assert {one.get("type") for one in symbols.values()} == {kind}
    shown = {
        one.get("value"): symbols[one.get("symbol")].find("layer/prop").get("v") for one in renderer.iter("category")
    }
    assert shown == dict(zip(SAFE, ("0,0,255,255", "0,255,0,255", "255,0,0,255"), strict=True))


def test_the_style_of_another_file_stays_and_that_is_said(raster, capsys):
    shapes, style = raster.with_suffix(".gpkg"), raster.with_suffix(".qml")
    LEGEND.write_style(raster)
    before = style.read_text()
    assert write_shapes_style(shapes, "class", SHADES, areas=True) == []
    assert style.read_text() == before
    assert "map.x.qml is the legend of map.x.tif, and stays so" in capsys.readouterr().err
    # its own is written anew, whatever lies beside it
    shapes.touch()
    assert Legend((0,), ("water",), ("#0000ff",)).write_style(raster) == [style]
    # and once the other file is gone, the name is free
    raster.unlink()
    assert write_shapes_style(shapes, "class", SHADES, areas=True) == [style]
    assert len(LEGEND.write_beside(raster)) == 1
    assert capsys.readouterr().err.count("is the legend of map.x.gpkg") == 1


def test_two_rasters_of_one_name_share_a_style_that_is_the_same(raster, capsys):
    (style,) = LEGEND.write_style(raster)
    assert LEGEND.write_style(raster.with_suffix(".vrt")) == [style]
    assert Legend((0,), ("water",), ("#0000ff",)).write_style(raster.with_suffix(".vrt")) == []
    assert capsys.readouterr().err.count("is the legend of map.x.tif") == 1


def test_colours_are_numbers():
    assert rgb("#0102ff") == (1, 2, 255)
