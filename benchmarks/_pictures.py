"""Pictures of the views that each joint-embedding method compares, of the generated landscape, for docs/methods.md.

`python -m benchmarks._pictures docs/images` makes them anew.
"""

import io
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image as Picture

from swath import views
from swath.batch import Batch, Image, View
from swath.corpus.sources import synth
from swath.sensors import band_id
from swath.settings import PluginSettings
from swath.views import presets
from swath.views.policies import multi_crop, three_dates, two_crops, two_dates, two_periods

SENSOR = "sentinel-2-l2a"
RGB = (f"{SENSOR}/B04", f"{SENSOR}/B03", f"{SENSOR}/B02")
CHANNELS = (2, 1, 0)
"""Of red, green and blue among the landscape's bands, which begin with blue."""
PX, LOCAL_PX = 64, 32
BRIGHTEST, GAMMA = 0.2, 0.7
"""Reflectance that is shown as white, the same in all pictures, so that changes of brightness can be seen; and what
lightens the middle tones."""
ROWS = (9, 14)
"""Locations that are shown, a row each."""
WORLD = synth.Config.model_validate(
    {"locations": 16, "chip_px": PX, "dates_optical": 4, "dates_radar": 0, "structures": True, "cloud_fraction": 0.0}
)


def policies() -> Mapping[str, PluginSettings]:
    """The published views of each method, by the name of the picture; methods that share them share a picture."""
    first, second = presets.byol()
    large, larger, small = presets.dino(PX, LOCAL_PX)
    lejepa, lejepa_small = presets.lejepa(PX, LOCAL_PX)
    crops = multi_crop.Crops
    return {
        "simclr": two_crops.Config(bands=RGB, augment=presets.simclr()),
        "byol": two_crops.Config(bands=RGB, augment=first, second=second),
        "moco-v2": two_crops.Config(bands=RGB, augment=presets.moco_v2()),
        "dino": multi_crop.Config(
            bands=RGB,
            global_crops=(crops(augment=large), crops(augment=larger)),
            local_crops=(crops(number=4, augment=small),),
        ),
        "lejepa": multi_crop.Config(
            bands=RGB,
            global_crops=(crops(number=2, augment=lejepa),),
            local_crops=(crops(number=4, augment=lejepa_small),),
        ),
        "gassl": two_dates.Config(bands=RGB, augment=presets.gassl()),
        "seco": three_dates.Config(bands=RGB),
        "caco": two_periods.Config(bands=RGB),
    }


def main(folder: Path) -> None:
    """Write `views-NAME.png` of each policy."""
    batch = landscape()
    for name, config in policies().items():
        policy = views.build(config)
        given = first_dates(batch) if policy.dates == 1 else batch
        drawn = policy(given, torch.Generator().manual_seed(1))
        path = folder / f"views-{name}.png"
        path.write_bytes(sheet(batch.images[SENSOR], drawn))
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def landscape() -> Batch:
    """Some locations of the generated landscape on four clear dates, in reflectance."""
    places = [synth.locations(WORLD)[row] for row in ROWS]
    made = [synth.make(WORLD, place).optical for place in places]
    counts = np.stack([series.pixels[:, list(CHANNELS)] for series in made]).astype(np.float32)
    b, t = counts.shape[:2]
    image = Image(
        pixels=torch.from_numpy(counts * 1e-4 - 0.1),
        valid=torch.ones(b, t, PX, PX, dtype=torch.bool),
        days=torch.arange(t, dtype=torch.int32).repeat(b, 1) * 90,
        band_ids=torch.tensor([[band_id(key) for key in RGB]] * b, dtype=torch.int32),
        gsd_m=10.0,
    )
    return Batch({SENSOR: image}, torch.zeros(b, 2, dtype=torch.float64), [str(row) for row in ROWS])


def first_dates(batch: Batch) -> Batch:
    """The same locations on their first date alone."""
    series = batch.images[SENSOR]
    image = Image(series.pixels[:, :1], series.valid[:, :1], series.days[:, :1], series.band_ids, series.gsd_m)
    return Batch({SENSOR: image}, batch.lonlat, batch.uid)


def sheet(chips: Image, drawn: list[View]) -> bytes:
    """A PNG: a row a location, its first chip and then all views, in 64 colours."""
    columns = [("chip", chips), *((view.role, view.image) for view in drawn)]
    figure = Figure(figsize=(0.95 * len(columns), 0.95 * len(chips) + 0.2), dpi=90, layout="constrained")
    grid = figure.subplots(len(chips), len(columns), squeeze=False)
    for column, (title, image) in enumerate(columns):
        for row in range(len(chips)):
            axes = grid[row, column]
            shown = np.clip(image.pixels[row, 0].numpy() / BRIGHTEST, 0, 1) ** GAMMA
            axes.imshow(np.moveaxis(shown, 0, -1))
            # a local crop stands as small as it is beside the chip
            gap = (PX - image.pixels.shape[-1]) / 2
            axes.set(xlim=(-0.5 - gap, PX - 0.5 - gap), ylim=(PX - 0.5 - gap, -0.5 - gap))
            axes.axis("off")
            if row == 0:
                axes.set_title(title, fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    small = io.BytesIO()
    Picture.open(buffer).convert("RGB").quantize(64).save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
