"""The files of a finished map: cloud-optimised GeoTIFFs, a legend for GIS programs, a STAC item, a mosaic of zones."""

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pystac
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import array_bounds
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_geom
from rasterio.windows import Window
from shapely.geometry import box, mapping, shape

from swath._files import replacing, write_whole
from swath._progress import console, track
from swath.errors import SwathError
from swath.products import _checksums
from swath.products._shapes import box_around
from swath.products._writing import writing
from swath.products.legends import Legend, remove_beside
from swath.products.scene_maps._layout import Layout
from swath.products.scene_maps._products import NOTHING, Classes, Layer
from swath.products.scene_maps._work import ZoneWork
from swath.products.words import word

BLOCK = 512
"""Side of the blocks of the files, in pixels."""
CACHE_MB = 64
"""What the raster library may keep in memory of the files that it writes."""
SETTINGS = "swath_settings"
"""Tag of a map with all that it depends on, as JSON."""


def named(path: Path, layer: Layer) -> Path:
    """The file of a layer of a map."""
    return path.with_name(f"{path.stem}{layer.ending}{path.suffix}")


def write_layers(work: ZoneWork, path: Path, settings: Mapping[str, Any]) -> list[Path]:
    """All files of a zone whose windows are finished; each appears whole, the map itself last.

    Raises:
        SwathError: the disk has no room for them.
    """
    layers = list(work.product.layers())
    _require_room(work, layers, path)
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), writing(path):
        written = [_write_layer(work, layer, named(path, layer), settings) for layer in reversed(layers)][::-1]
    if isinstance(work.product, Classes):
        written += work.product.legend.write_beside(path)
    else:
        remove_beside(path)
    return [*written, _described(work, path, [named(path, layer) for layer in layers], settings)]


def _require_room(work: ZoneWork, layers: Sequence[Layer], path: Path) -> None:
    """Raise SwathError unless there is room for the largest file twice: as it is collected, and packed."""
    pixels = work.layout.height * work.layout.width * np.dtype(work.product.dtype).itemsize
    needed = 2 * pixels * max(layer.bands.stop - layer.bands.start for layer in layers)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise SwathError(
            f"the disk is full: writing the map takes {needed / 1e9:.2g} GB, {free / 1e9:.2g} are left",
            where=str(path),
            remedy="make room, and give the same command again: the finished windows are kept",
        )


def _write_layer(work: ZoneWork, layer: Layer, path: Path, settings: Mapping[str, Any]) -> Path:
    """Collect the windows in a plain file, and pack it."""
    collected = work.folder / f"collected{layer.ending}.tif"
    bands = layer.bands.stop - layer.bands.start
    profile = {
        "driver": "GTiff",
        "height": work.layout.height,
        "width": work.layout.width,
        "count": bands,
        "dtype": work.product.dtype,
        "crs": work.zone.crs,
        "transform": work.transform,
        "nodata": layer.nodata,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "band",
        "bigtiff": "if_safer",
    }
    with rasterio.open(collected, "w", **profile) as file:
        for number in track(range(len(work.layout)), len(work.layout), f"writing {path.name}"):
            owned = work.layout.owned(number)
            rows, columns = (owned.row, owned.row + owned.height), (owned.column, owned.column + owned.width)
            window = Window.from_slices(rows, columns)
            file.write(work.stored(number)[layer.bands], window=window)
        file.descriptions = layer.names
        file.scales = (layer.scale,) * bands
        file.update_tags(**_tags(work, layer, settings))
        if isinstance(work.product, Classes) and not layer.ending:
            file.write_colormap(1, work.product.legend.colour_table)
    if factors := _overviews(work.layout):
        # half as long as when the packing makes them, which packs them twice
        with rasterio.open(collected, "r+") as file:
            file.build_overviews(factors, layer.resampling)
    with replacing(path) as temporary:
        _pack(collected, temporary)
    collected.unlink()
    return path


def _overviews(layout: Layout) -> list[int]:
    """By how much overviews are smaller, until the last one is a block."""
    count = math.ceil(math.log2(max(layout.height, layout.width, BLOCK) / BLOCK))
    return [2**k for k in range(1, count + 1)]


def _pack(source: Path, target: Path) -> None:
    # a higher level takes as long as the network, and saves a tenth
    how = {
        "compress": "deflate",
        "level": 1,
        "blocksize": BLOCK,
        "overviews": "force_use_existing",
        "bigtiff": "if_safer",
    }
    rasterio.shutil.copy(source, target, driver="COG", predictor="yes", **how)
    target.with_name(f"{target.name}.aux.xml").unlink(missing_ok=True)


def _tags(work: ZoneWork, layer: Layer, settings: Mapping[str, Any]) -> dict[str, str]:
    tags = {SETTINGS: json.dumps(settings, sort_keys=True)}
    if isinstance(work.product, Classes) and not layer.ending:
        said = zip(work.product.shown, work.product.names, strict=True)
        tags["classes"] = ", ".join(f"{code} {name}" for code, name in said)
    return tags


# -- what catalogues read ----------------------------------------------------------------------------------------------


def _described(work: ZoneWork, path: Path, layers: Sequence[Path], settings: Mapping[str, Any]) -> Path:
    """Write a STAC item; a collection where the input says no date, since an item has to have one."""
    layout, days = work.layout, [datetime.combine(date, time(), UTC) for date in work.zone.dates]
    outline = mapping(box(*array_bounds(layout.height, layout.width, work.transform)))
    geometry = shape(transform_geom(work.zone.crs, "EPSG:4326", outline, precision=7))
    grid = {
        "proj:code": work.zone.crs,
        "proj:shape": [layout.height, layout.width],
        "proj:transform": list(work.transform)[:6],
    }
    facts = {"swath:settings": dict(settings)}
    item, collection = path.with_suffix(".json"), path.with_suffix(".collection.json")
    if days:
        said, target, other = _item(path.stem, geometry, days, grid | facts), item, collection
    else:
        console().print("no date is known: there is a STAC collection, but no item", soft_wrap=True)
        said, target, other = _collection(path.stem, geometry, facts), collection, item
    said.stac_extensions = ["https://stac-extensions.github.io/projection/v2.0.0/schema.json", _checksums.EXTENSION]
    if isinstance(work.product, Classes):
        said.stac_extensions.append("https://stac-extensions.github.io/classification/v2.0.0/schema.json")
    for layer, file in zip(work.product.layers(), layers, strict=True):
        # a collection has no grid of its own
        said.add_asset(layer.ending.removeprefix(".") or "map", _asset(work, layer, file, {} if days else grid))
    write_whole(target, json.dumps(said.to_dict(include_self_link=False, transform_hrefs=False), indent=1))
    other.unlink(missing_ok=True)
    return target


def _item(name: str, geometry: Any, days: Sequence[datetime], facts: dict[str, Any]) -> pystac.Item:
    one = len(days) == 1
    return pystac.Item(
        name,
        mapping(geometry),
        box_around(np.array([geometry])),
        datetime=days[0] if one else None,
        start_datetime=None if one else days[0],
        end_datetime=None if one else days[-1],
        properties=facts,
    )


def _collection(name: str, geometry: Any, facts: dict[str, Any]) -> pystac.Collection:
    extent = pystac.Extent(
        pystac.SpatialExtent([box_around(np.array([geometry]))]), pystac.TemporalExtent([[None, None]])
    )
    return pystac.Collection(name, "A map of images of unknown date", extent, extra_fields=facts)


def _asset(work: ZoneWork, layer: Layer, file: Path, facts: Mapping[str, Any]) -> pystac.Asset:
    more = dict(facts) | {"bands": [{"name": name} for name in layer.names]} | _checksums.checksum(file)
    if isinstance(work.product, Classes) and not layer.ending:
        said = zip(work.product.shown, work.product.names, work.product.colours, strict=True)
        more["classification:classes"] = [
            {"value": code, "name": word(name), "title": name, "color_hint": colour.removeprefix("#").upper()}
            for code, name, colour in said
        ]
    return pystac.Asset(f"./{file.name}", media_type=pystac.MediaType.COG, roles=["data"], extra_fields=more)


# -- several zones -----------------------------------------------------------------------------------------------------


def write_mosaic(maps: Sequence[Path], path: Path, legend: Legend | None) -> list[Path]:
    """A virtual raster over the maps of several reference systems, in that of the first; the others are warped as they
    are read, to the nearest pixel. With the legend of their classes, if they have any.
    """
    with rasterio.open(maps[0]) as first:
        crs, res, nodata, dtype = first.crs, first.res, first.nodata, first.dtypes[0]
        table = first.colormap(1) if first.colorinterp[0] == ColorInterp.palette else {}
        bands = list(zip(first.descriptions, first.scales, strict=True))
    sources, warped = [], []
    for one in maps:
        with rasterio.open(one) as source:
            if source.crs == crs:
                sources.append((one, source.bounds, source.shape))
                continue
            target = path.with_name(f"{one.stem}.warped.vrt")
            with WarpedVRT(source, crs=crs, resampling=Resampling.nearest, nodata=nodata) as seen:
                rasterio.shutil.copy(seen, target, driver="VRT")
                sources.append((target, seen.bounds, seen.shape))
            warped.append(target)
    named_classes = "" if legend is None else legend.band_xml
    write_whole(path, _vrt(sources, crs.to_wkt(), res, nodata, dtype, table, bands, named_classes))
    if legend is None:
        remove_beside(path)
        return [path, *warped]
    return [path, *legend.write_style(path), *warped]


def _vrt(
    sources: Sequence[tuple[Path, Any, tuple[int, int]]],
    wkt: str,
    res: tuple[float, float],
    nodata: float | None,
    dtype: str,
    table: Mapping[int, tuple[int, ...]],
    bands: Sequence[tuple[str | None, float]],
    named_classes: str,
) -> str:
    """The text of a virtual raster.

    Args:
        sources: files, their bounds in the raster's reference system, and their heights and widths.
        wkt: the reference system; `res`, `nodata` and `dtype` of its pixels likewise.
        res: see there.
        nodata: see there.
        dtype: see there.
        table: colours by value; none of what has no colours.
        bands: description and scale of each.
        named_classes: elements of a band that say its classes' names; empty if it has none.
    """
    west, north = min(b.left for _, b, _ in sources), max(b.top for _, b, _ in sources)
    width = round((max(b.right for _, b, _ in sources) - west) / res[0])
    height = round((north - min(b.bottom for _, b, _ in sources)) / res[1])
    placed = "".join(
        f'<ComplexSource><SourceFilename relativeToVRT="1">{escape(file.name)}</SourceFilename>'
        "<SourceBand/>"
        f'<SrcRect xOff="0" yOff="0" xSize="{shape[1]}" ySize="{shape[0]}"/>'
        f'<DstRect xOff="{(b.left - west) / res[0]:.6f}" yOff="{(north - b.top) / res[1]:.6f}" '
        f'xSize="{(b.right - b.left) / res[0]:.6f}" ySize="{(b.top - b.bottom) / res[1]:.6f}"/>'
        f"<NODATA>{nodata}</NODATA></ComplexSource>"
        for file, b, shape in sources
    )
    colours = [table[k] for k in range(NOTHING + 1)] if table else []
    entries = "".join("<Entry " + " ".join(f'c{n}="{c}"' for n, c in enumerate(one, 1)) + "/>" for one in colours)
    palette = f"<ColorInterp>Palette</ColorInterp><ColorTable>{entries}</ColorTable>" if table else ""
    kind = {"uint8": "Byte", "float32": "Float32", "int8": "Int8"}[dtype]
    described = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}"><Description>{escape(name or "")}</Description>'
        f"<NoDataValue>{nodata}</NoDataValue><Scale>{scale}</Scale>{palette}{named_classes}"
        + placed.replace("<SourceBand/>", f"<SourceBand>{number}</SourceBand>")
        + "</VRTRasterBand>"
        for number, (name, scale) in enumerate(bands, 1)
    )
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{escape(wkt)}</SRS>'
        f"<GeoTransform>{west}, {res[0]}, 0, {north}, 0, {-res[1]}</GeoTransform>"
        f"{described}</VRTDataset>\n"
    )
