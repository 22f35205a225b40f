"""Draws docs/images/any-sensor.png: bands that an encoder was trained on, those it is asked for, how far these are."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swath.encoders import InputContract, nearest_band
from swath.sensors import band

TRAINED = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04", "B08", "B11"))
ASKED = {
    "Landsat 5": tuple(f"landsat-tm-sr/SR_B{i}" for i in (1, 2, 3, 4, 5, 7)),
    "MODIS": tuple(f"modis/sur_refl_b0{i}" for i in (1, 2, 3, 4, 5, 6, 7)),
}
FAR_UM = 0.05
"""What is farther from all bands of the training is drawn in red."""


def contract() -> InputContract:
    """Of an encoder that was trained on these bands of Sentinel-2."""
    number = len(TRAINED)
    return InputContract(
        number, TRAINED, False, ("reflectance",) * number, (0.1,) * number, (0.1,) * number, any_number=True
    )


def draw(axis: Axes, row: int, key: str, colour: str) -> float:
    """A band as a bar as wide as it is; returns where its middle is."""
    one = band(key)
    assert one.centre_um is not None
    width = one.width_um or 0.01
    axis.barh(row, width, left=one.centre_um - width / 2, height=0.5, color=colour)
    return one.centre_um


def main() -> None:
    """Write the picture beside this file."""
    figure = Figure(figsize=(9, 2.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    for key in TRAINED:
        at = draw(axis, 0, key, "#3b6ea5")
        axis.text(at, -0.42, key.partition("/")[2], ha="center", va="bottom", fontsize=7)
    for row, keys in enumerate(ASKED.values(), 1):
        for key in keys:
            found = nearest_band(contract(), key)
            colour = "#c0392b" if found.um > FAR_UM else "#4f9d69"
            at, name = draw(axis, row, key, colour), key.rpartition("/")[2].rpartition("_")[2]
            axis.text(at, row - 0.42, f"{name}\n{1000 * found.um:.0f}", ha="center", va="bottom", fontsize=6)
    axis.set_xscale("log")
    axis.set_xlim(0.43, 2.5)
    axis.set_xticks(ticks := [0.45, 0.55, 0.65, 0.85, 1.2, 1.6, 2.2], [f"{um:g}" for um in ticks])
    axis.minorticks_off()
    axis.set_yticks(range(1 + len(ASKED)), ["trained on:\nSentinel-2", *ASKED])
    axis.set_ylim(len(ASKED) + 0.4, -0.65)
    axis.set_xlabel("wavelength in micrometres")
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_name("any-sensor.png"))


if __name__ == "__main__":
    main()
