"""Writes docs/scale.md's figures: what a corpus of SSL4EO-L's size costs, from measured rates and stated assumptions.

    python -m benchmarks._scale docs/scale.md

measures drawing, building and opening on this machine (minutes) and computes the rest.
"""

import argparse
import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely

from benchmarks import __main__ as commands
from benchmarks import _page
from swath.corpus.sources.stac import Config
from swath.corpus.sources.stac._cost import BLOCK_PX, COMPRESSED, HEADER_BYTES, Rate, cost

BLOCK = re.compile(r"<!-- swath:scale -->\n.*?<!-- /swath:scale -->", re.DOTALL)
LOCATIONS = 250_000
PRODUCTS = {
    "landsat-tm-sr": 2010,
    "landsat-etm-sr": 2002,
    "landsat-oli-sr": 2022,
    "sentinel-2-l2a": 2022,
    "sentinel-1-rtc": 2022,
}
"""Five products that Planetary Computer has, and the later of their two years."""
WORKERS = (8, 64, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="such as docs/scale.md")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    options = parser.parse_args()
    measured = {name: commands._apart(name, options.quick) for name in ("sample", "build", "index")}
    block = "<!-- swath:scale -->\n" + "\n".join(lines(measured)) + "\n<!-- /swath:scale -->"
    options.page.write_text(BLOCK.sub(lambda _: block, options.page.read_text()))


def lines(measured: dict[str, dict[str, Any]]) -> list[str]:
    """The page's tables."""
    rate = Rate()
    costs = {name: cost(_section([name]), _plan(), rate) for name in PRODUCTS}
    whole = cost(_section(list(PRODUCTS)), _plan(), rate)
    rows = [*costs.items(), ("all five", whole)]
    table = ["| product | chips | requests | download | stored |", "|---|---|---|---|---|"]
    table += [
        f"| {name} | {c.chips / 1e6:.1f} M | {c.requests / 1e6:.0f} M | {c.download_bytes / 1e12:.1f} TB "
        f"| {c.stored_bytes / 1e12:.2f} TB |"
        for name, c in rows
    ]
    speed = measured["build"]["ours"]
    hours = [
        "| worker processes | hours waiting for requests | hours of a core each, at the measured rate |",
        "|---|---|---|",
    ]
    for workers in WORKERS:
        waiting = whole.requests * rate.request_s / workers / 3600
        hours.append(f"| {workers} | {waiting:,.0f} | {whole.chips / speed / workers / 3600:,.1f} |")
    return [
        *table,
        "",
        *hours,
        "",
        f"Measured ({_page._cpu()}, one core): drawing {measured['sample']['setting']['locations']:,} locations takes "
        f"{measured['sample']['setting']['seconds']:.1f} s; building from local files {speed:.1f} chips/s "
        f"({measured['build']['ratio']:.2f} of rasterio reading the same windows); opening an index of "
        f"{measured['index']['setting']['chips']:,} chips {measured['index']['ours']:.2f} s.",
        "",
        f"Assumed: {1000 * rate.request_s:.0f} ms a request, one at a time and process; blocks of {BLOCK_PX} pixels, "
        f"compressed to {COMPRESSED:.0%}; {HEADER_BYTES:,} bytes to open a file; every season has a usable scene, "
        f"chosen among {_section(list(PRODUCTS)).products[0].look} by their masks.",
    ]


def _section(names: list[str]) -> Config:
    products = tuple(
        {"sensor": name, "when": {"name": "seasons", "year": PRODUCTS[name]}, **_bands(name)} for name in names
    )
    when = {"name": "seasons", "year": 2022}
    settings = {"chip_px": 264, "gsd_m": 30.0, "catalogue": {"name": "planetary-computer"}, "products": products}
    return Config.model_validate({"where": {"name": "uniform", "count": LOCATIONS}, "when": when, **settings})


def _bands(name: str) -> dict[str, Any]:
    return {"bands": ("VV", "VH")} if name == "sentinel-1-rtc" else {}


def _plan() -> gpd.GeoDataFrame:
    """As many locations; where they lie does not matter to the estimate."""
    square = shapely.box(9.0, 48.0, 9.1, 48.1)
    uid = [f"{number:07d}" for number in range(LOCATIONS)]
    return gpd.GeoDataFrame({"uid": uid}, geometry=[square] * LOCATIONS, crs="EPSG:4326")


if __name__ == "__main__":
    main()
