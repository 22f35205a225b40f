"""Draws docs/images/harmonics.png: spherical harmonics of degrees 1 to 4 on the globe."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from swath.encoders.location.encodings.spherical_harmonics import SphericalHarmonics

DEGREES, PX = 5, 160
VIEW = np.radians((15.0, 20.0))
"""Longitude and latitude that the observer is above."""


def globe() -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of each pixel of a globe seen from afar, and which pixels show it."""
    x, y = np.meshgrid(np.linspace(-1, 1, PX), np.linspace(1, -1, PX))
    shown = x**2 + y**2 <= 1
    depth = np.sqrt(np.where(shown, 1 - x**2 - y**2, 0))
    lon0, lat0 = VIEW
    up = y * np.cos(lat0) + depth * np.sin(lat0)
    out = depth * np.cos(lat0) - y * np.sin(lat0)
    lon = (np.degrees(np.arctan2(x, out) + lon0) + 180) % 360 - 180
    return np.stack([lon, np.degrees(np.arcsin(np.clip(up, -1, 1)))], axis=-1), shown


def main() -> None:
    """Write the picture beside this file."""
    lonlat, shown = globe()
    values = SphericalHarmonics(DEGREES)(torch.from_numpy(lonlat.reshape(-1, 2))).numpy().reshape(PX, PX, -1)
    figure = Figure(figsize=(9, 4.2), dpi=110, layout="constrained")
    axes = figure.subplots(DEGREES - 1, 2 * DEGREES - 1)
    for axis in axes.flat:
        axis.axis("off")
    for degree in range(1, DEGREES):
        for order in range(-degree, degree + 1):
            axis = axes[degree - 1, DEGREES - 1 + order]
            one = np.where(shown, values[..., degree * degree + degree + order], np.nan)
            axis.imshow(one, cmap="RdBu_r", vmin=-1, vmax=1)
            axis.set_title(f"{degree}, {order}", fontsize=7, pad=2)
    figure.savefig(Path(__file__).with_name("harmonics.png"))


if __name__ == "__main__":
    main()
