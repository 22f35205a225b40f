"""What MAE, SatMAE and I-JEPA hide, and what is filled in, on the synthetic landscape: `python docs/images/masks.py`.

Trains three small autoencoders, for about two minutes of one core, and draws methods-masks.png and methods-dates.png
beside this file: the third sees three dates of a place together.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from swath import encoders, methods, views
from swath.batch import Image
from swath.corpus import Corpus, Reader, Selection
from swath.corpus.sources import synth
from swath.encoders import InputContract, TokenGrid, vit
from swath.methods import i_jepa, mae, sat_mae
from swath.products.draw.pictures import stretch
from swath.views import Augment
from swath.views.policies import one_crop

SENSOR = "sentinel-2-l2a"
BANDS = ("B04", "B03", "B02", "B08", "B11", "B12")
KEYS = tuple(f"{SENSOR}/{band}" for band in BANDS)
VISIBLE = 3
"""So many bands, the first, make a picture, and are the first group of SatMAE's."""
WORLD = synth.Config.model_validate(
    {
        "locations": 300,
        "chip_px": 32,
        "structures": True,
        "dates_optical": 1,
        "dates_radar": 0,
        "cloud_fraction": 0.0,
    }
)
DATES = 3
PATCH, STEPS, BATCH, RATE = 4, 400, 16, 0.002
TURNED = Augment(hflip=0.5, vflip=0.5, quarter_turns=0.75)
SHOWN = (3, 17, 42)
"""Rows of the corpus that are drawn; they are not trained on."""
GREY = 190


def main(folder: Path) -> None:
    """Train, fill in, draw."""
    torch.set_num_threads(1)
    contract, shown, others = landscape(WORLD, folder)
    encoder = vit.Config(patch=PATCH, width=96, depth=4, heads=4)
    grouped = encoder.model_copy(update={"groups": (KEYS[:VISIBLE], KEYS[VISIBLE:])})
    decoder = {"decoder_width": 96, "decoder_depth": 1, "normalise": False}
    found = {
        "MAE": trained(mae.Config.model_validate(decoder), encoder, contract, others),
        "SatMAE": trained(sat_mae.Config.model_validate(decoder), grouped, contract, others),
    }
    draw(columns_of(found, shown), Path(__file__).with_name("methods-masks.png"))
    seasons = WORLD.model_copy(update={"dates_optical": DATES})
    contract, shown, others = landscape(seasons, folder.with_name("seasons"))
    together = encoder.model_copy(update={"dates": "together"})
    method = trained(sat_mae.Config.model_validate(decoder), together, contract, others)
    draw(dates_of(method, shown), Path(__file__).with_name("methods-dates.png"))


def landscape(world: synth.Config, folder: Path) -> tuple[InputContract, Image, Image]:
    """The bands of a landscape with their statistics, the chips that are drawn, and all others."""
    synth.build(world, folder)
    corpus = Corpus.open(folder)
    reader, rows = Reader(corpus, {SENSOR: BANDS}), np.arange(len(corpus))
    chips = reader.batch(rows, Selection(dates=world.dates_optical)).images[SENSOR]
    return contract_of(corpus), chips.take(SHOWN), chips.take([row for row in rows.tolist() if row not in SHOWN])


def contract_of(landscape: Corpus) -> InputContract:
    """The bands with their statistics."""
    known = [landscape.statistics[SENSOR][band] for band in BANDS]
    mean, std = (tuple(getattr(one, name) for one in known) for name in ("mean", "std"))
    return InputContract(len(KEYS), KEYS, True, ("reflectance",) * len(KEYS), mean, std)


def trained(
    config: mae.Config | sat_mae.Config, encoder: vit.Config, contract: InputContract, chips: Image
) -> mae.Method:
    """A method after some steps on turned chips."""
    policy = views.build(one_crop.Config(bands=KEYS, augment=TURNED, dates=chips.pixels.shape[1]))
    torch.manual_seed(0)
    method = methods.build(config, encoders.build(encoder, contract), policy)
    optimizer = torch.optim.AdamW(method.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=STEPS)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        rows = torch.randint(len(chips), (BATCH,), generator=generator)
        loss = method.loss([views.augment(chips.take(rows), TURNED, generator, "query")]).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return method.eval()  # pyright: ignore[reportReturnType] - both are autoencoders


@torch.no_grad()
def filled_in(method: mae.Method, image: Image) -> tuple[Image, Image]:
    """The visible bands with hidden patches as invalid pixels, and with what the decoder says of these."""
    encoder, grid = method.encoder, method.encoder.grid(image)
    seen = encoder.seen(image)
    torch.manual_seed(1)
    keep = method.keep(grid.layers, seen)
    tokens, positions = encoder.tokens(image, keep), encoder.positions(image, method.decoder.width)
    said = method.decoder(tokens, keep, positions, seen, image)
    numbers, samples = VISIBLE * PATCH**2, (len(image), image.pixels.shape[1])

    def first(of_tokens: torch.Tensor) -> torch.Tensor:
        """Those of each date's first group, whose first numbers are of the visible bands; dates are samples."""
        return of_tokens.unflatten(1, (samples[1], -1, grid.places))[:, :, 0].flatten(0, 1)

    kept = first(torch.zeros_like(seen).scatter_(1, keep, value=True))[..., None]
    both = torch.where(kept, first(encoder.patches(image).values)[..., :numbers], first(said)[..., :numbers])
    visible = image.channels(range(VISIBLE))
    physical = encoder.standardize.undo(pixels_of(both, grid).unflatten(0, samples), visible.band_ids)
    there = pixels_of(kept.repeat(1, 1, PATCH**2), grid)[:, 0].unflatten(0, samples)
    return (
        Image(visible.pixels, visible.valid & there, visible.days, visible.band_ids, visible.gsd_m),
        Image(physical, visible.valid, visible.days, visible.band_ids, visible.gsd_m),
    )


def pixels_of(patches: torch.Tensor, grid: TokenGrid) -> torch.Tensor:
    """Patches "b n p" as pictures "b c h w"."""
    parts = patches.unflatten(2, (-1, PATCH, PATCH)).unflatten(1, (grid.rows, grid.columns))
    return parts.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def columns_of(found: dict[str, mae.Method], image: Image) -> dict[str, list[np.ndarray]]:
    """What is drawn, by its title: a picture of each location."""
    columns = {"image": true_colour(image)}
    for name, method in found.items():
        seen, said = filled_in(method, image)
        columns |= {f"{name} sees": true_colour(seen), f"{name} says": true_colour(said)}
    context, targets = blocks_of(found["MAE"].encoder.grid(image), len(image))
    colours = np.array([(GREY,) * 3, *(np.array(mpl.colormaps["Set2"](range(4)))[:, :3] * 255)]).astype(np.uint8)
    seen = [np.where(at[..., None], picture, GREY) for at, picture in zip(context, columns["image"], strict=True)]
    return columns | {"I-JEPA: context": seen, "I-JEPA: targets": list(colours[targets])}


def dates_of(method: mae.Method, image: Image) -> dict[str, list[np.ndarray]]:
    """Likewise, by date: the image, what is seen of it, and what is said."""
    seen, said = filled_in(method, image)
    shown = {"image": image, "SatMAE sees": seen, "SatMAE says": said}
    return {f"{name}, {t + 1}": true_colour(one, t) for name, one in shown.items() for t in range(DATES)}


def blocks_of(grid: TokenGrid, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels are I-JEPA's context in so many images, and in which target each pixel is, from 1 on; 0: in none."""
    torch.manual_seed(4)
    keep, targets = i_jepa.blocks(grid, samples, i_jepa.Config())
    context, number = np.zeros((samples, grid.places), bool), np.zeros((samples, grid.places), int)
    for i in range(samples):
        context[i, keep[i][keep[i] >= 0].numpy()] = True
        for k, block in enumerate(targets[i].numpy(), start=1):
            number[i, block] = k
    wide = [one.reshape(-1, grid.rows, grid.columns).repeat(PATCH, 1).repeat(PATCH, 2) for one in (context, number)]
    return wide[0], wide[1]


def true_colour(image: Image, date: int = 0) -> list[np.ndarray]:
    """Pictures of the first three bands on a date; grey where nothing is valid."""
    valid = image.valid[:, date].numpy()
    pictures = [stretch(SENSOR, one, np.ones_like(valid[0])) for one in image.pixels[:, date, :VISIBLE].numpy()]
    return [np.where(seen[..., None], picture, GREY) for seen, picture in zip(valid, pictures, strict=True)]


def draw(columns: Mapping[str, Sequence[np.ndarray]], to: Path) -> None:
    """A row for each location."""
    rows = len(SHOWN)
    figure = Figure(figsize=(8.4, 1.05 * rows + 0.45), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for j, (title, pictures) in enumerate(columns.items()):
        for i, picture in enumerate(pictures):
            axes[i][j].imshow(picture, interpolation="nearest")
            axes[i][j].set_axis_off()
        axes[0][j].set_title(title, fontsize=7)
    figure.subplots_adjust(left=0.005, right=0.995, bottom=0.01, top=0.84, wspace=0.04, hspace=0.04)
    figure.savefig(to, metadata={"Software": None})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder) / "corpus")
