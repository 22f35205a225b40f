"""A map of locations: where a corpus lies, at one glance."""

from pathlib import Path

import geopandas as gpd
import numpy as np
from matplotlib.figure import Figure

from swath._files import whole
from swath.corpus.places import shapes


def draw_map(plan: gpd.GeoDataFrame, path: Path, land: Path | None = None) -> None:
    """Draw the centres of a plan in longitude and latitude over a graticule, and over land if a file of it is given."""
    lon, lat = plan["lon"].to_numpy(float), plan["lat"].to_numpy(float)
    if np.ptp(lon) > 180 and np.ptp(lon % 360) < 180:
        lon = lon % 360  # both sides of the antimeridian are neighbours
    margin = max(0.05 * max(np.ptp(lon), np.ptp(lat)), 0.05)
    # a map of the globe in plate carrée is twice as wide as it is high
    stretch = 1 / max(np.cos(np.radians(np.clip(lat.mean(), -75, 75))), 0.25) if np.ptp(lat) < 60 else 1.0
    figure = Figure(figsize=(10, 5.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    if land is not None:
        shapes(land, "land").plot(ax=axes, color="#e8e4da", edgecolor="#8c8775", linewidth=0.4)
    size = float(np.clip(2000 / len(plan), 0.2, 12))
    axes.scatter(lon, lat, s=size, color="#0b6e6e", linewidths=0)
    axes.set(xlim=(lon.min() - margin, lon.max() + margin), ylim=(lat.min() - margin, lat.max() + margin))
    axes.set(xlabel="longitude (degrees)", ylabel="latitude (degrees)", title=f"{len(plan):,} locations")
    axes.set_aspect(stretch, adjustable="box")
    axes.grid(color="#cccccc", linewidth=0.4)
    axes.set_axisbelow(True)
    with whole(path) as temporary:
        figure.savefig(temporary, format="png")
