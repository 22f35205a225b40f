"""Legends of files of classes: names and colours as GDAL and QGIS read them.

QGIS takes a style beside a file, `NAME.qml`, be it a raster or a vector file; without one, of a raster, its attribute
table, or its table of colours with the names of categories.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from swath._files import write_whole
from swath._progress import console
from swath.errors import UNPRINTABLE

BYTE = 255
"""Largest code of which a list of categories, which begins at 0, is written."""
INTEGER, REAL, TEXT = range(3)
"""Types of an attribute table's columns, as GDAL counts them; an integer has 32 bits."""
FIELDS = (("Class", TEXT, 2), ("Red", INTEGER, 6), ("Green", INTEGER, 7), ("Blue", INTEGER, 8))
"""Name, type and usage of the columns behind that of the codes, whose usage is 5."""
RASTERS, SHAPES = (".tif", ".tiff", ".vrt"), (".gpkg", ".geojson", ".parquet")
"""Endings of the files whose style QGIS reads from `NAME.qml`."""
OF_RASTER = "<rasterrenderer"
"""What a style of a raster holds, and one of shapes does not."""
QGIS = '<!DOCTYPE qgis PUBLIC "http://mrcc.com/qgis.dtd" "SYSTEM">\n<qgis version="3.28.0">{}</qgis>\n'


@dataclass(frozen=True, slots=True)
class Legend:
    """Names and colours of a raster's classes."""

    codes: tuple[int, ...]
    names: tuple[str, ...]
    colours: tuple[str, ...]
    """`#rrggbb` of each class."""

    @property
    def colour_table(self) -> dict[int, tuple[int, int, int, int]]:
        """Red, green, blue and opacity by code, as a GeoTIFF has them."""
        return {code: (*rgb(colour), BYTE) for code, colour in zip(self.codes, self.colours, strict=True)}

    @property
    def band_xml(self) -> str:
        """What says it inside of a band's element in GDAL's files: a list of categories, and an attribute table."""
        value = INTEGER if max(map(abs, self.codes)) < 2**31 else REAL
        fields = "".join(
            f'<FieldDefn index="{k}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>'
            for k, (name, kind, usage) in enumerate((("Value", value, 5), *FIELDS))
        )
        rows = "".join(
            f'<Row index="{k}">{"".join(f"<F>{value}</F>" for value in (code, _text(name), *rgb(colour)))}</Row>'
            for k, (code, name, colour) in enumerate(zip(self.codes, self.names, self.colours, strict=True))
        )
        table = f'<GDALRasterAttributeTable tableType="thematic">{fields}{rows}</GDALRasterAttributeTable>'
        return self._categories + table

    @property
    def _categories(self) -> str:
        if not 0 <= min(self.codes) <= max(self.codes) <= BYTE:
            return ""
        by_code = dict(zip(self.codes, self.names, strict=True))
        names = (_text(by_code.get(code, "")) for code in range(max(self.codes) + 1))
        return f"<CategoryNames>{''.join(f'<Category>{name}</Category>' for name in names)}</CategoryNames>"

    def write_beside(self, raster: Path, bands: int = 1) -> list[Path]:
        """Write it beside a raster of classes, all bands of which have it: `NAME.tif.aux.xml` and `NAME.qml`."""
        aux, _ = _beside(raster)
        said = "".join(f'<PAMRasterBand band="{k}">{self.band_xml}</PAMRasterBand>' for k in range(1, bands + 1))
        write_whole(aux, f"<PAMDataset>{said}</PAMDataset>\n")
        return [aux, *self.write_style(raster)]

    def write_style(self, raster: Path) -> list[Path]:
        """Write `NAME.qml` beside a raster, in whose first band the classes are, unless it is another file's."""
        entries = "".join(
            f'<paletteEntry value="{code}" label={_attribute(name)} color="{colour}" alpha="{BYTE}"/>'
            for code, name, colour in zip(self.codes, self.names, self.colours, strict=True)
        )
        renderer = f'{OF_RASTER} type="paletted" band="1" opacity="1" alphaBand="-1">'
        said = f"<pipe>{renderer}<colorPalette>{entries}</colorPalette></rasterrenderer></pipe>"
        return _write_style(raster, QGIS.format(said))


def remove_beside(raster: Path) -> None:
    """Remove the legend that an earlier raster of classes of this name left, so that numbers are not shown by it."""
    for file, mark in zip(_beside(raster), ("<GDALRasterAttributeTable", "<paletteEntry"), strict=True):
        if file.is_file() and mark in file.read_text(encoding="utf-8", errors="replace"):
            file.unlink()


def write_shapes_style(shapes: Path, column: str, colours: Mapping[str, str], *, areas: bool) -> list[Path]:
    """Write `NAME.qml` beside a vector file, unless it is another file's: each class of a column in its colour.

    A table of styles inside a GeoPackage would be a second layer, of which readers that expect one warn.

    Args:
        shapes: the vector file.
        column: with the classes.
        colours: `#rrggbb` by class.
        areas: whether shapes are polygons; else they are points.
    """
    categories = "".join(
        f'<category value={_attribute(name)} label={_attribute(name)} symbol="{k}" render="true" type="string"/>'
        for k, name in enumerate(colours)
    )
    kind, layer = ("fill", "SimpleFill") if areas else ("marker", "SimpleMarker")
    symbols = "".join(
        f'<symbol name="{k}" type="{kind}" alpha="1"><layer class="{layer}" enabled="1" pass="0">'
        f'<prop k="color" v="{",".join(map(str, rgb(colour)))},{BYTE}"/></layer></symbol>'
        for k, colour in enumerate(colours.values())
    )
    renderer = f'<renderer-v2 type="categorizedSymbol" attr={_attribute(column)}>'
    said = f"{renderer}<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2>"
    return _write_style(shapes, QGIS.format(said))


def _write_style(path: Path, said: str) -> list[Path]:
    """Write the style of a file; where that of another file has its name, leave it, and say so."""
    style = path.with_suffix(".qml")
    there = style.read_text(encoding="utf-8", errors="replace") if style.is_file() else said
    endings = RASTERS if OF_RASTER in there else SHAPES
    others = [other for other in map(style.with_suffix, endings) if other.is_file() and other != path]
    if others and there != said:
        console().print(
            f"{style} is the legend of {others[0].name}, and stays so, although QGIS reads it for {path.name} too: "
            "give one of them another name",
            soft_wrap=True,
        )
        return []
    write_whole(style, said)
    return [style]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, from 0 to 255, of `#rrggbb`."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def _beside(raster: Path) -> tuple[Path, Path]:
    """Where GDAL and QGIS look for what they know of a raster."""
    return raster.with_name(f"{raster.name}.aux.xml"), raster.with_suffix(".qml")


def _text(name: str) -> str:
    return escape(UNPRINTABLE.sub("?", name))


def _attribute(name: str) -> str:
    return quoteattr(UNPRINTABLE.sub("?", name))
