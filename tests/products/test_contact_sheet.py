import numpy as np
import pytest
from matplotlib.image import imread

from swath.corpus import Chip, Corpus, CorpusWriter, LabelLayer, Location, Part
from swath.errors import CorpusError
from swath.products.contact_sheet import INVALID, preview, stretched
from tests.corpus.fakes import LAYOUTS, OPTICAL, PX, make, writer


def test_a_sheet_shows_every_location_sensor_and_label(tmp_path):
    corpus = make(tmp_path / "corpus")
    small = imread(preview(corpus, tmp_path / "out" / "small.png", locations=2, dates=1))
    large = imread(preview(corpus, tmp_path / "large.png", locations=6, dates=3))
    assert large.shape[0] > 2 * small.shape[0]
    assert large.shape[1] > 1.5 * small.shape[1]
    water = (np.abs(large[..., :3] - (0, 0, 1)).max(axis=-1) < 0.02).sum()
    assert water > 1000  # the declared colour of a class that covers a third of the label maps
    assert (tmp_path / "out" / "small.png").read_bytes()[:4] == b"\x89PNG"


def test_the_same_seed_draws_the_same_sheet(tmp_path):
    corpus = make(tmp_path / "corpus")
    sheets = [
        preview(corpus, tmp_path / f"{i}.png", locations=3, dates=1, seed=seed).read_bytes()
        for i, seed in enumerate((1, 1, 2))
    ]
    assert sheets[0] == sheets[1]
    assert sheets[0] != sheets[2]


def test_missing_chips_dates_and_places_are_drawn_as_such(tmp_path):
    with CorpusWriter(tmp_path / "corpus", LAYOUTS, PX) as w:
        chip = Chip("one", OPTICAL, np.full((4, PX, PX), 500, np.uint16), tag="before")
        w.append(Part([Location("one"), Location("no-chip-and-a-name-that-is-rather-long")], [chip]))
        corpus = w.finish()
    assert imread(preview(corpus, tmp_path / "sheet.png")).ndim == 3


def test_an_empty_corpus_and_a_bad_path_say_so(tmp_path):
    with writer(tmp_path / "corpus"), pytest.raises(CorpusError, match="empty"):
        preview(Corpus.open(tmp_path / "corpus"), tmp_path / "sheet.png")
    corpus = make(tmp_path / "corpus", count=2)
    (tmp_path / "file").write_text("")
    with pytest.raises(CorpusError, match="cannot write the picture"):
        preview(corpus, tmp_path / "file" / "sheet.png")


def test_clouds_do_not_darken_the_ground_and_invalid_pixels_have_their_own_colour():
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0.02, 0.12, (1, 1, 50, 50, 1)).astype(np.float32)
    pixels[..., :25, :, :] = 0.9
    valid = np.ones((1, 1, 50, 50), bool)
    valid[..., 0] = False
    drawn = stretched(pixels, valid, (0.0, 0.3))
    ground = drawn[0, 0, 25:, 1:]
    assert ground.min() == 0
    assert ground.max() == 1
    assert (drawn[0, 0, :25, 1:] == 1).all()
    assert np.allclose(drawn[0, 0, :, 0], INVALID)


def named(tmp_path, layer: LabelLayer, name: str = "cover"):
    with CorpusWriter(tmp_path / "corpus", LAYOUTS, PX, {name: layer}) as w:
        chip = Chip("$x_", OPTICAL, np.full((4, PX, PX), 500, np.uint16), tag="$t_")
        w.append(Part([Location("$x_")], [chip], {name: np.ones((1, PX, PX), np.int64)}))
        return w.finish()


def test_a_dollar_in_a_name_is_a_dollar(tmp_path):
    corpus = named(tmp_path, LabelLayer(classes={1: "$\\frac{$"}), "$l_")
    assert imread(preview(corpus, tmp_path / "sheet.png")).ndim == 3


def test_what_is_no_colour_is_named(tmp_path):
    corpus = named(tmp_path, LabelLayer(classes={1: "water"}, colours={1: "bleu"}))
    with pytest.raises(CorpusError, match="colour of class 1 is 'bleu'"):
        preview(corpus, tmp_path / "sheet.png")


@pytest.mark.parametrize("name", ["Developed, Medium Intensity", "a name that " * 20], ids=["wide", "endless"])
def test_class_names_are_not_cut_off_at_the_edge(tmp_path, name):
    corpus = named(tmp_path, LabelLayer(classes={1: "water", 2: f"1 {name}", 3: f"2 {name}", 4: f"3 {name}"}))
    sheet = imread(preview(corpus, tmp_path / "sheet.png"))
    assert (sheet[:, -1, :3] == 1).all()
    assert sheet.shape[1] < 1000
