"""An area and a period of a catalogue as an input of maps and embeddings: chips side by side, which are read once."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import yaml
from typer.testing import CliRunner

from swath import encoders, pipeline
from swath.cli import app
from swath.corpus import Corpus, Reader
from swath.products.scene_maps import How
from tests.corpus.sources.stac.world import S2
from tests.products.indices import RGB, saved


def first(image, k, px):
    """The upper left corner of one chip of a batch."""
    part = slice(k, k + 1)
    pixels, valid = image.pixels[part, ..., :px, :px], image.valid[part, :, :px, :px]
    return replace(image, pixels=pixels, valid=valid, days=image.days[part], band_ids=image.band_ids[part])


@pytest.mark.slow
def test_an_area_and_a_period_are_mapped_and_embedded(served, tmp_path):
    saved(tmp_path / "encoder")
    where = {"name": "grid", "area": [9.005, 47.835, 9.0125, 47.84]}
    bands = [key.partition("/")[2] for key in RGB]
    said = served.section(where=where, products=[served.optical(bands=bands)]).model_dump(mode="json")
    (tmp_path / "area.yaml").write_text(yaml.safe_dump(said))
    how = How(device="cpu")
    written = pipeline.map_encoder(
        tmp_path / "encoder", tmp_path / "area.yaml", tmp_path / "e.tif", chip=10, cell=10, how=how
    )
    corpus = Corpus.open(tmp_path / "e.corpus")
    assert len(corpus) == 4
    image = Reader(corpus, {S2: tuple(bands)}).batch(np.arange(4)).images[S2]
    encoder = encoders.load(tmp_path / "encoder")
    with rasterio.open(written[0]) as file:
        assert (file.shape, file.crs.to_epsg()) == ((6, 6), 32632)
        made, corner = file.read(), file.transform
    assert np.isfinite(made).all()
    for k, transform in enumerate(corpus.locations["transform"]):
        row, column = round((corner.f - transform[5]) / 100), round((transform[2] - corner.c) / 100)
        np.testing.assert_allclose(made[:, row, column], encoder.embed(first(image, k, 10)).numpy()[0], atol=1e-5)
    (tmp_path / "e.corpus").rename(tmp_path / "f.corpus")  # the catalogue is not asked again
    arguments = ["embed", str(tmp_path / "encoder"), str(tmp_path / "area.yaml"), "--to", str(tmp_path / "f.parquet")]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0, said.output
    assert sorted(gpd.read_parquet(tmp_path / "f.parquet")["uid"]) == sorted(corpus.locations["uid"])
