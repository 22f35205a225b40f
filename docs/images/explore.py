"""Draws docs/images/explore.png: the page of `swath explore` on the synthetic landscape, with a few labels."""

import tempfile
import threading
from pathlib import Path

import numpy as np

from benchmarks._chromium import Page
from swath import config, encoders, pipeline
from swath.encoders import InputContract, image_statistics
from swath.products.embeddings import build_index
from swath.products.explore import Explorer, Server

LANDSCAPE = ["locations=1500", "chip_px=24", "extent_km=60", "dates_optical=3", "dates_radar=1", "cloud_fraction=0"]
LABELS = {"water": ["water"], "forest": ["forest"], "built-up": ["built-up"], "crop": ["maize", "rapeseed"]}
EACH = 6


def main() -> None:
    """Write the picture beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        index = embedded(Path(folder))
        with Explorer.open(index) as explorer, Server(explorer) as server:
            rows = labelled(explorer)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with Page(1200, 760) as page:
                page.open(server.address)
                page.value("import('./app.js').then((one) => { Object.assign(window, one) })")
                page.until("page.predicted !== null && page.queue.length > 0")
                page.value("document.getElementById('mode').value = 'predicted'")
                page.value(f"document.getElementById('text').value = '{explorer.names[rows[0]]}'")
                page.value("document.querySelector('#find button').click()")
                page.until(f"page.row === {rows[0]} && map.marked.length > 0")
                page.until("[...document.querySelectorAll('#chips img')].every((one) => one.complete)")
                page.value("document.getElementById('mode').dispatchEvent(new Event('change'))")
                page.value("new Promise((done) => setTimeout(done, 2000))")
                page.picture(Path(__file__).with_suffix(".png"))
            server.shutdown()


def embedded(folder: Path) -> Path:
    """Embeddings of a landscape by statistics of its images."""
    corpus = pipeline.make_corpus(config.resolve_source("synth", LANDSCAPE), folder / "landscape", None)
    bands = tuple(f"sentinel-2-l2a/{band}" for band in corpus.info.sensors["sentinel-2-l2a"].bands)
    units, ones = ("reflectance",) * len(bands), (0.1,) * len(bands)
    settings = image_statistics.Config()
    encoder = encoders.build(settings, InputContract(len(bands), bands, True, units, ones, ones))
    encoders.save(encoder, settings, folder / "encoder", provenance={})
    return build_index(folder / "encoder", corpus, folder / "landscape.parquet").path


def labelled(explorer: Explorer) -> list[int]:
    """Give some locations the class that covers most of them; the rows that were labelled."""
    found = explorer.pictures.corpus.locations.set_index("uid")["dominant"]
    kinds = found.loc[explorer.names].to_numpy()
    explorer.declare_missing(list(LABELS))
    rows = list[int]()
    for name, own in LABELS.items():
        some = np.flatnonzero(np.isin(kinds, own))
        rows += some[np.linspace(0, len(some) - 1, EACH).astype(int)].tolist()
        explorer.give(name, rows[-EACH:])
    return rows


if __name__ == "__main__":
    main()
