"""What FCMAE and MP-MAE are shown of the generated landscape and what they fill in, for docs/methods.md.

`python -m benchmarks._masked_picture docs/images` trains a small MP-MAE for a minute or two of a core and draws it.
"""

import io
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from PIL import Image as Picture
from torch import Tensor

from swath import encoders, methods, views
from swath.batch import View
from swath.corpus import Corpus, Loader
from swath.corpus.sources import synth
from swath.encoders import InputContract, convnext_v2
from swath.methods import mp_mae
from swath.training import targets
from swath.views import Augment
from swath.views.policies import with_targets

SENSOR = "sentinel-2-l2a"
BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
RGB = (2, 1, 0)
CELL, PX = 8, 64
STEPS, BATCH = 150, 16
ROWS = 3
BRIGHTEST, GAMMA = 0.2, 0.7
"""Reflectance that is shown as white; and what lightens the middle tones."""
WORLD = synth.Config.model_validate(
    {
        "locations": 256,
        "chip_px": PX,
        "dates_optical": 1,
        "dates_radar": 0,
        "structures": True,
        "cloud_fraction": 0.0,
    }
)


def main(folder: Path) -> None:
    """Write `masked-landscape.png`."""
    with tempfile.TemporaryDirectory() as there:
        synth.build(WORLD, Path(there) / "corpus")
        corpus = Corpus.open(Path(there) / "corpus")
        method = trained(corpus)
        path = folder / "masked-landscape.png"
        path.write_bytes(sheet(method, next(batches(corpus, method, 1, 7)), corpus))
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def policy() -> views.Policy:
    """Flips and turns of whole chips, and the land cover of every pixel beside them."""
    bands = tuple(f"{SENSOR}/{band}" for band in BANDS)
    turned = Augment(hflip=0.5, vflip=0.5, quarter_turns=0.75)
    return views.build(with_targets.Config(bands=bands, layers=("landcover",), augment=turned))


def trained(corpus: Corpus) -> mp_mae.Method:
    """MP-MAE after some steps on the corpus."""
    drawn = policy()
    statistics = [corpus.statistics[SENSOR][band] for band in BANDS]
    mean, std = tuple(one.mean for one in statistics), tuple(one.std for one in statistics)
    contract = InputContract(len(BANDS), drawn.inputs.bands, True, ("reflectance",) * len(BANDS), mean, std)
    torch.manual_seed(0)
    network = convnext_v2.Config(depths=(1, 1, 2, 1), widths=(24, 48, 96, 160), cell=CELL)
    method = methods.build(mp_mae.Config(decoder_width=192), encoders.build(network, contract), drawn)
    assert isinstance(method, mp_mae.Method)
    method.expect(targets.found(drawn.inputs.targets, corpus, np.arange(len(corpus))))
    optimizer = torch.optim.AdamW(method.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, STEPS)
    for step, views_of in enumerate(batches(corpus, method, STEPS, 0)):
        loss = method.loss(views_of)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        schedule.step()
        if step % 40 == 0:
            print(step, {name: round(float(value), 3) for name, value in loss.terms.items()})
    return method


def batches(corpus: Corpus, method: mp_mae.Method, steps: int, seed: int):
    """Views of so many random batches."""
    reads, generator = policy().reads, torch.Generator().manual_seed(seed)
    loader = Loader(corpus, reads, np.arange(len(corpus)), BATCH, labels=("landcover",), seed=seed)
    for step in range(steps):
        epoch, start = divmod(step, len(loader))
        yield method.views(next(loader.epoch(epoch, start)), generator)


@torch.no_grad()
def sheet(method: mp_mae.Method, drawn: list[View], corpus: Corpus) -> bytes:
    """A PNG: a row a location; the chip, what is shown of it, what is filled in; land cover as it is and as said."""
    (view,) = drawn
    assert view.kept is not None
    grid = method.encoder.grid(view.image)
    every = method.decoder(method.encoder.tokens(view.image, view.kept), view.kept, grid)
    chip, seen = view.image.pixels[:, 0], shown(view, grid)
    said = whole(method.predict(every).unflatten(2, (len(BANDS), -1)), grid)
    filled = torch.where(seen, chip, restored(said, chip, method))
    classes = whole(method.heads[0].of_cells(every), grid).argmax(dim=1)
    codes = list(corpus.label_layers["landcover"].labelled)
    true = np.searchsorted(codes, view.targets["landcover"].numpy())
    cover = torch.where(seen[:, 0], torch.from_numpy(true), classes).numpy()
    grey = torch.where(seen, chip, torch.full_like(chip, 0.09))
    colours = [corpus.label_layers["landcover"].colours.get(code, "#808080") for code in codes]
    titles = ("chip", "shown", "filled in", "land cover", "said where hidden")
    figure = Figure(figsize=(1.3 * len(titles), 1.3 * ROWS + 0.2), dpi=100, layout="constrained")
    axes = figure.subplots(ROWS, len(titles), squeeze=False)
    for row in range(ROWS):
        pictures = [*(light(one[row]) for one in (chip, grey, filled)), true[row], cover[row]]
        for axis, picture in zip(axes[row], pictures, strict=True):
            how = {} if picture.ndim == 3 else {"cmap": ListedColormap(list(map(to_rgb, colours))), "vmin": 0}
            axis.imshow(picture, interpolation="nearest", **how, **({"vmax": len(codes) - 1} if how else {}))
            axis.axis("off")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png")
    Picture.open(buffer).convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    return small.getvalue()


def light(pixels: Float[Tensor, "c h w"]) -> Float[np.ndarray, "h w 3"]:
    """True colour."""
    return np.moveaxis(np.clip(pixels[list(RGB)].numpy() / BRIGHTEST, 0, 1) ** GAMMA, 0, -1)


def shown(view: View, grid: tuple[int, int]) -> Tensor:
    """True at the pixels of seen cells: "b 1 h w"."""
    assert view.kept is not None
    mask = torch.zeros(len(view.kept), grid[0] * grid[1], dtype=torch.bool).scatter(1, view.kept, value=True)
    return mask.view(-1, 1, *grid).repeat_interleave(CELL, 2).repeat_interleave(CELL, 3)


def whole(cells: Float[Tensor, "b n c p"], grid: tuple[int, int]) -> Float[Tensor, "b c h w"]:
    """The picture that cells make."""
    parts = cells.unflatten(1, grid).unflatten(4, (CELL, CELL))  # b down across c side side
    return parts.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


def restored(said: Float[Tensor, "b c h w"], chip: Float[Tensor, "b c h w"], method: mp_mae.Method) -> Tensor:
    """Reflectance of normalised cells, each with the mean and deviation that it really has."""
    mean, std = (
        torch.tensor(numbers)[:, None, None] for numbers in (method.encoder.contract.mean, method.encoder.contract.std)
    )
    cells = ((chip - mean) / std).unflatten(3, (-1, CELL)).unflatten(2, (-1, CELL))
    middle, spread = cells.mean(dim=(1, 3, 5), keepdim=True), cells.std(dim=(1, 3, 5), keepdim=True)
    filled = said.unflatten(3, (-1, CELL)).unflatten(2, (-1, CELL)) * spread + middle
    return filled.flatten(4).flatten(2, 3) * std + mean


if __name__ == "__main__":
    main(Path(sys.argv[1]))
