"""Draws masked-series.png: a generated year of a field, what is hidden of it, and what is read off the rest.

    python docs/images/masked_series.py

Half a minute on one core. All series are generated, so that nothing has to be downloaded.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt

from swath import encoders, methods
from swath.batch import Batch, Image, View
from swath.encoders import series_transformer
from swath.methods.masked_series import Config, draw, kept
from swath.sensors import band, band_id

BANDS = {
    "sentinel-2-l2a/B04": "red (reflectance)",
    "sentinel-2-l2a/B08": "near infrared (reflectance)",
    "sentinel-1-grd/VH": "VH (dB)",
}
OPTICAL, RADAR = tuple(BANDS)[:2], tuple(BANDS)[2:]
MONTHS, STEPS, BATCH = 12, 600, 64
MONTH = 30.4375
COLOURS = {"shown": "#1a1a1a", "hidden": "#b0b0b0", "read off": "#c2410c"}


def fields(number: int, rng: np.random.Generator) -> np.ndarray:
    """Series of fields that green and ripen at some time, "b t 3": red falls, near infrared and VH rise."""
    month = np.arange(MONTHS) + 0.5
    middle, width = rng.uniform(5, 8, (number, 1)), rng.uniform(1, 2, (number, 1))
    green = np.exp(-(((month - middle) / width) ** 2)) * rng.uniform(0.6, 1, (number, 1))
    noise = rng.normal(size=(number, MONTHS, 3)) * [0.008, 0.015, 0.5]
    return np.stack([0.18 - 0.13 * green, 0.2 + 0.28 * green, -22 + 7 * green], axis=2) + noise


def views(series: np.ndarray) -> list[View]:
    """One of each sensor, a month apart, as pixels."""
    days = (17_900 + MONTH * torch.arange(MONTHS)).round().int().repeat(len(series), 1)
    made = []
    for keys in (OPTICAL, RADAR):
        ids = tuple(band_id(key) for key in keys)
        columns = [list(BANDS).index(key) for key in keys]
        image = Image(
            pixels=torch.from_numpy(series[:, :, columns]).float()[..., None, None],
            valid=torch.ones(len(series), MONTHS, 1, 1, dtype=torch.bool),
            days=days,
            band_ids=torch.tensor([ids] * len(series), dtype=torch.int32),
            gsd_m=10.0,
            common_ids=ids,
        )
        made.append(View(image, keys[0].partition("/")[0], torch.eye(2, 3).expand(len(series), 2, 3)))
    return made


def _no_views(batch: Batch, generator: torch.Generator) -> list[View]:  # noqa: ARG001 - a policy's signature
    return []


def trained(rng: np.random.Generator) -> methods.Method:
    """A small network after some hundred steps."""
    sample = fields(1000, rng).reshape(-1, 3)
    contract = encoders.InputContract(
        channels=len(OPTICAL),
        bands=tuple(BANDS),
        fixed=True,
        units=tuple(band(key).unit for key in BANDS),
        mean=tuple(sample.mean(axis=0)),
        std=tuple(sample.std(axis=0)),
        branches=(len(OPTICAL), len(RADAR)),
    )
    encoder = encoders.build(series_transformer.Config(dim=32, heads=4), contract)
    config = Config(decoder_dim=32, decoder_heads=4, decoder_depth=1)
    method = methods.build(config, encoder, _no_views)
    optimiser = torch.optim.AdamW(method.parameters(), lr=0.003)
    for _ in range(STEPS):
        loss = method.loss(views(fields(BATCH, rng))).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return method.eval()


@torch.no_grad()
def panels(method: methods.Method, series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which values of one field are hidden, and what is read off for all, both "t 3"."""
    encoder, given = method.encoder, views(series)
    tokens = encoder.tokens([view.image for view in given])
    hidden = draw(tokens, len(encoder.groups), ("random",), 0.75)
    at, shown = kept(tokens.valid & ~hidden, 0.75)
    encoded = encoder.encoded(tokens.x.gather(1, at[..., None].expand(-1, -1, tokens.x.shape[2])), shown)
    said = method.decoder(encoded, at, shown, tokens)[0]
    month = ((tokens.days[0] - 17_900) / MONTH).round().long()
    is_hidden, read = np.zeros((MONTHS, 3), bool), np.zeros((MONTHS, 3))
    mean, std = (np.array(numbers) for numbers in (encoder.contract.mean, encoder.contract.std))
    for n in range(tokens.valid.shape[1]):
        for v, key in enumerate(encoder.groups[int(tokens.group[0, n])]):
            where = int(month[n]), list(BANDS).index(key)
            is_hidden[where] = hidden[0, n]
            read[where] = said[n, v] * std[where[1]] + mean[where[1]]
    return is_hidden, read


def main() -> None:
    """Train, and draw a field that was not trained on."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    method = trained(np.random.default_rng(0))
    series = fields(1, np.random.default_rng(1))
    hidden, read = panels(method, series)
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
    month = np.arange(MONTHS)
    for k, (axis, name) in enumerate(zip(axes, BANDS.values(), strict=True)):
        here, line = hidden[:, k], {"linestyle": "none", "marker": "o", "markersize": 5}
        axis.plot(month[~here], series[0, ~here, k], color=COLOURS["shown"], label="shown", **line)
        axis.plot(month[here], series[0, here, k], color=COLOURS["hidden"], label="hidden", **line)
        axis.plot(month[here], read[here, k], color=COLOURS["read off"], label="read off", linestyle="none", marker="x")
        axis.set_title(name, fontsize=9, loc="left")
        axis.set_xticks(month, "JFMAMJJASOND", fontsize=8)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(fontsize=8, frameon=False)
    figure.savefig(Path(__file__).with_name("masked-series.png"), dpi=110)


if __name__ == "__main__":
    main()
