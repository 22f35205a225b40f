"""Damage and nonsense, at random but from a seed: nothing ends in a traceback, hangs, or is taken without a word.

Counts of the three are what each test asserts: none. Slow, so run by `make test-all`; what was found once has a test of
its own beside the code.
"""

import copy
import json
import random
import shutil
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import yaml

from swath import config, encoders, pipeline, sensors
from swath.cli._tables import print_table
from swath.corpus import Corpus, Reader, Selection, check
from swath.corpus.ground import vector
from swath.corpus.places import draw
from swath.corpus.sources.published._tar import members
from swath.corpus.sources.stac._addresses import checked
from swath.corpus.sources.stac._scenes import scene_of
from swath.encoders.timm import Config as Timm
from swath.errors import SwathError
from swath.products.maps import maps
from swath.recipes import shipped, source_text
from tests.corpus import fakes
from tests.corpus.places.test_every_strategy import SMALL, settings
from tests.corpus.sources.published.cases import CASES
from tests.corpus.sources.published.test_tar import written
from tests.corpus.sources.reading import made
from tests.corpus.sources.stac.test_malformed import good
from tests.products.conftest import make_run
from tests.products.test_maps import make_run as run_with_maps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

HANG_S = 30.0
"""Of the processor, so that a busy machine is no fault; what waits forever runs into the timeout."""
ODD: list[Any] = [
    *(None, True, False, -1, 0, 1, 5, 1.5, -0.0, 1e308, float("inf"), 2**31, 2**63, 10**30),
    *("", "x", "../x", "/etc/passwd", "NaN", "null", "2021-02-30", "1e5", "a\0b", "\ud800", "$x_", "[/b]", "x" * 400),
    *([], [[]], [1], ["a", "b"], {}, {"a": 1}, {"name": "x"}),
]


def faults(cases: Iterable[tuple[str, Callable[[], bool]]]) -> list[str]:
    """What is wrong with how each case ended; a case says whether it was taken although something is wrong."""
    found = []
    for name, act in cases:
        started = time.process_time()
        try:
            if act():
                found.append(f"{name}: taken without a word")
        except SwathError as error:
            if "\x1b" in str(error) or "object at 0x" in str(error):
                found.append(f"{name}: {error}")
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            found.append(f"{name}: {type(error).__name__}: {error} in {last.filename}:{last.lineno}")
        if time.process_time() - started > HANG_S:
            found.append(f"{name}: {time.process_time() - started:.0f} s")
    return found


# -- ways to spoil -----------------------------------------------------------------------------------------------------


def places(tree: Any, way: tuple = ()) -> list[tuple]:
    """Paths to everything inside a tree of mappings and lists."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path for key, value in inside for path in [(*way, key), *places(value, (*way, key))]]


def spoilt(tree: Any, rng: random.Random) -> tuple[str, Any]:
    """A copy in which one value is another, is gone, or has another name; and what was done."""
    changed, way = copy.deepcopy(tree), rng.choice(places(tree))
    inside = changed
    for key in way[:-1]:
        inside = inside[key]
    kind = rng.choice(["value", "value", "value", "gone", "renamed"])
    if kind == "value":
        inside[way[-1]] = value = rng.choice(ODD)
        return f"{way} = {value!r}", changed
    value = inside.pop(way[-1])
    if kind == "renamed" and isinstance(inside, dict):
        inside[f"{way[-1]}x"] = value
    return f"{way} {kind}", changed


def damaged(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Bytes that a disk, a transfer or an editor could have left."""
    at, length = rng.randrange(len(content)), rng.choice([1, 4, 64])
    kinds = {
        "flipped bit": lambda: content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :],
        "cut": lambda: content[:at],
        "zeros": lambda: content[:at] + bytes(min(length, len(content) - at)) + content[at + length :],
        "hole": lambda: content[:at] + content[at + length :],
        "inserted": lambda: content[:at] + rng.randbytes(length) + content[at:],
        "empty": lambda: b"",
        "another": lambda: rng.choice([b"null", b"[]", b"5", b"{}", b"hello", b"\xe9", b"[" * 100_000]),
    }
    kind = rng.choice(list(kinds))
    return f"{kind} at {at}", kinds[kind]()


# -- recipes -----------------------------------------------------------------------------------------------------------


def taken(path: Path, text: str | bytes, was: config.Recipe | None) -> bool:
    """Load a recipe that differs from one that is right; one that says another thing has to be another."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    recipe = config.load(path)
    again = path.with_name("again.yaml")
    again.write_text(config.dump(recipe))
    return config.load(again) != recipe or recipe == was


@pytest.mark.parametrize("name", ["quickstart", "s4-belgium", "build-s1-s2-series", "hls-landcover"])
def test_recipes_with_other_values(name, tmp_path):
    assert name in shipped()
    rng, was = random.Random(name), config.load(name)
    document = yaml.safe_load(source_text(name)[1])
    changes = [spoilt(document, rng) for _ in range(300)]
    texts = [(what, yaml.safe_dump(changed, allow_unicode=True)) for what, changed in changes if changed != document]
    # what is gone may have been said as it is by default
    cases = [
        (what, partial(taken, tmp_path / "mine.yaml", text, None if what.endswith("gone") else was))
        for what, text in texts
    ]
    assert faults(cases) == []


def test_recipes_of_other_bytes(tmp_path):
    rng = random.Random(1)
    text = source_text("quickstart")[1].encode()

    def readable(content: bytes) -> bool:
        (tmp_path / "mine.yaml").write_bytes(content)
        return not isinstance(config.load(tmp_path / "mine.yaml"), config.Recipe)

    cases = [(what, partial(readable, content)) for what, content in (damaged(text, rng) for _ in range(300))]
    assert faults(cases) == []


# -- corpora -----------------------------------------------------------------------------------------------------------


def read_whole(folder: Path) -> tuple | None:
    """What is learnt from and judged by; None where the check of the corpus finds an error."""
    corpus = Corpus.open(folder)
    if any(finding.level == "error" for finding in check(corpus)):
        return None
    reader = Reader(corpus, {name: layout.bands for name, layout in corpus.info.sensors.items()})
    images = reader.batch(np.arange(len(corpus)), Selection(dates="all")).images
    pixels = {name: (one.pixels.numpy().tobytes(), one.valid.numpy().tobytes()) for name, one in images.items()}
    labels = {name: corpus.labels(name, np.arange(len(corpus))).tobytes() for name in corpus.label_layers}
    tables = corpus.locations.to_wkb().to_csv(), corpus.chips.to_csv()
    # without a digest nobody can tell what else was edited
    known = None if corpus.info.digest else {"chip_px", "sensors", "labels", "complete"}
    return pixels, labels, tables, corpus.info.model_dump(mode="json", include=known)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return fakes.make(tmp_path_factory.mktemp("fuzz") / "corpus", count=4, dates=2).path


def otherwise(corpus: Path, copy_at: Path, spoil: Callable[[Path], None], was: tuple | None) -> bool:
    shutil.rmtree(copy_at, ignore_errors=True)
    shutil.copytree(corpus, copy_at)
    spoil(copy_at)
    said = read_whole(copy_at)
    return said is not None and said != was


def test_corpora_of_other_bytes(corpus, tmp_path):
    rng, was = random.Random(2), read_whole(corpus)
    files = sorted(path.relative_to(corpus) for path in corpus.rglob("*") if path.is_file() and path.stat().st_size)
    cases = []
    for number in range(100):
        name = files[number % len(files)]
        what, content = damaged((corpus / name).read_bytes(), rng)
        spoil = partial(lambda folder, name, content: (folder / name).write_bytes(content), name=name, content=content)
        cases.append((f"{name}: {what}", partial(otherwise, corpus, tmp_path / "c", spoil, was)))
    assert faults(cases) == []


def without_digest(corpus: Path) -> Path:
    """The corpus as an earlier swath wrote it."""
    content = json.loads((corpus / "corpus.json").read_text())
    del content["digest"]
    (corpus / "corpus.json").write_text(json.dumps(content))
    return corpus


@pytest.mark.parametrize("digest", [True, False])
def test_corpora_whose_headers_say_other_things(digest, corpus, tmp_path):
    corpus = corpus if digest else without_digest(shutil.copytree(corpus, tmp_path / "old"))
    rng, was = random.Random(3), read_whole(corpus)
    names = [path.relative_to(corpus) for path in sorted(corpus.rglob("*.json"))]
    cases = []
    for number in range(150):
        name = names[0] if number % 2 else rng.choice(names)
        what, changed = spoilt(json.loads((corpus / name).read_text()), rng)
        text = json.dumps(changed)
        spoil = partial(lambda folder, name, text: (folder / name).write_text(text), name=name, text=text)
        cases.append((f"{name}: {what}", partial(otherwise, corpus, tmp_path / "c", spoil, was)))
    assert faults(cases) == []


def other_table(folder: Path, name: str, column: str, value: Any) -> None:
    """One column of an index file says one thing everywhere, or is gone."""
    table = pq.read_table(folder / name)
    at = table.schema.get_field_index(column)
    if value == "gone":
        table = table.remove_column(at)
    else:
        table = table.set_column(at, column, pa.array([value] * table.num_rows))
    pq.write_table(table, folder / name)


def test_index_files_of_other_columns(corpus, tmp_path):
    was, cases = read_whole(corpus), []
    values = ["gone", None, 5, -1, 10**12, 1.5, float("nan"), "x", "l0000", b"x", True, [1.0]]
    for name in ("locations.parquet", "chips.parquet"):
        for column in pq.read_schema(corpus / name).names:
            for value in values:
                spoil = partial(other_table, name=name, column=column, value=value)
                cases.append((f"{name} {column} {value!r}", partial(otherwise, corpus, tmp_path / "c", spoil, was)))
    assert faults(cases) == []


# -- encoders and runs -------------------------------------------------------------------------------------------------


def test_encoders(tmp_path):
    bands = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04"))
    contract = encoders.InputContract(3, bands, True, ("reflectance",) * 3, (0.1, 0.2, 0.3), (0.05, 0.06, 0.07))
    settings = Timm(model="test_resnet")
    encoders.save(encoders.build(settings, contract), settings, tmp_path / "e", {"seed": 0})
    rng, good = random.Random(4), {path: path.read_bytes() for path in sorted(tmp_path.iterdir())}

    def accepted(path: Path, content: bytes) -> bool:
        for one, right in good.items():
            one.write_bytes(right)
        path.write_bytes(content)
        encoders.load(tmp_path / "e")
        return path.suffix != ".json" or json.loads(content) != json.loads(good[path])

    cases = []
    for path, content in good.items():
        changes = [damaged(content, rng) for _ in range(100)]
        if path.suffix == ".json":
            trees = [spoilt(json.loads(content), rng) for _ in range(200)]
            changes += [(what, json.dumps(tree).encode()) for what, tree in trees]
        cases += [
            (f"{path.name}: {what}", partial(accepted, path, other)) for what, other in changes if other != content
        ]
    assert faults(cases) == []


def test_runs(tmp_path):
    """A report of a damaged run is written with what is left, or refused."""
    run = make_run(tmp_path / "run")
    shutil.rmtree(run / "corpus")
    rng = random.Random(5)
    names = ["manifest.json", "evaluate/classes.json", "evaluate/table.csv", "evaluate/comparisons.csv"]
    names += ["evaluate/predictions.parquet", "pretrain/byol/seed-0/log.csv"]
    manifest = json.loads((run / "manifest.json").read_text()) | {"format": 1}
    (run / "manifest.json").write_text(json.dumps(manifest))
    good = {name: (run / name).read_bytes() for name in names}

    def reported(name: str, content: bytes) -> bool:
        for one, right in good.items():
            (run / one).write_bytes(right)
        (run / name).write_bytes(content)
        pipeline.report(run)
        print_table(run / "evaluate" / "table.csv")
        return not (run / "report.html").read_text().startswith("<!doctype html>")

    cases = []
    for number in range(12):
        name = names[number % len(names)]
        what, content = damaged(good[name], rng)
        cases.append((f"{name}: {what}", partial(reported, name, content)))
    for _ in range(24):
        what, changed = spoilt(manifest, rng)
        cases.append((f"manifest: {what}", partial(reported, "manifest.json", json.dumps(changed).encode())))
    assert faults(cases) == []


# -- what others provide -----------------------------------------------------------------------------------------------


def test_items_of_a_catalogue():
    sensor, rng = sensors.get("sentinel-2-l2a"), random.Random(6)
    read = partial(
        scene_of,
        sensor=sensor,
        bands=("B02",),
        keys=sensor.assets["earth-search"],
        address=partial(checked, home="https://example.org"),
    )
    items = [spoilt(good(), rng) for _ in range(2000)]
    assert faults([(what, lambda item=item: read(item) is None) for what, item in items]) == []


def test_shards(tmp_path):
    """Tar files: all members are found as they were, or there is an error."""
    good, rng = written(tmp_path / "a.tar").read_bytes(), random.Random(8)
    was = [(one.name, one.offset_data, one.size) for one in members(tmp_path / "a.tar", "a.tar")]

    def listed(content: bytes) -> bool:
        (tmp_path / "a.tar").write_bytes(content)
        return [(one.name, one.offset_data, one.size) for one in members(tmp_path / "a.tar", "a.tar")] != was

    # the data between the heads have checksums of their own, of which tar knows nothing
    cases = [(what, partial(listed, content)) for what, content in (damaged(good, rng) for _ in range(500))]
    assert faults(cases) == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # GDAL says what it mends
@pytest.mark.parametrize("suffix", ["parquet", "gpkg", "geojson", "fgb", "shp"])
def test_shapes(suffix, tmp_path):
    frame, rng = (
        draw(settings("uniform", count=20, area=(0.0, 0.0, 1.0, 1.0)), SMALL)[["uid", "geometry"]],
        random.Random(9),
    )
    path = tmp_path / f"a.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_file(path)
    good = path.read_bytes()

    def read(content: bytes) -> bool:
        path.write_bytes(content)
        return vector.read(path, "area").empty

    cases = [(what, partial(read, content)) for what, content in (damaged(good, rng) for _ in range(200))]
    assert faults(cases) == []


def test_plans(tmp_path):
    path, rng = tmp_path / "plan.parquet", random.Random(10)
    draw(settings("uniform", count=20, area=(0.0, 0.0, 1.0, 1.0)), SMALL).to_parquet(path)
    good = path.read_bytes()

    def drawn() -> bool:
        return draw(settings("planned", path=path), SMALL).empty

    def from_bytes(content: bytes) -> bool:
        path.write_bytes(content)
        return drawn()

    def from_column(column: str, value: Any) -> bool:
        path.write_bytes(good)
        other_table(tmp_path, path.name, column, value)
        drawn()
        return True

    cases = [(what, partial(from_bytes, content)) for what, content in (damaged(good, rng) for _ in range(200))]
    values = ["gone", None, 5, -1, 1.5, float("nan"), "x", b"x", [1.0]]
    cases += [
        (f"{column} {value!r}", partial(from_column, column, value))
        for column in ("lon", "lat", "crs", "transform", "px", "geometry")
        for value in values
    ]
    assert faults(cases) == []


ARCHIVES = {
    "south-sudan": 30,  # npz and JSON
    "worldcereal-patches": 16,  # netCDF
    "worldcereal-cubes": 16,
    "ssl4eo-s12-v1-1": 16,  # Zarr in zip files
}


def errors(corpus: Corpus) -> set[str]:
    """Where a check finds errors."""
    return {finding.where for finding in check(corpus) if finding.level == "error"}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name, tmp_path):
    """Published files, damaged: an error, or named in the log; what is stored of the others is right."""
    (tmp_path / "data").mkdir()
    CASES[name].write(tmp_path / "data")
    files = sorted(path for path in (tmp_path / "data").rglob("*") if path.is_file())
    good, rng = {path: path.read_bytes() for path in files}, random.Random(7)

    def ingested(path: Path, content: bytes) -> bool:
        path.write_bytes(content)
        shutil.rmtree(tmp_path / "c", ignore_errors=True)
        try:
            corpus = made(name, tmp_path / "data", tmp_path / "c", **CASES[name].settings, on_bad_file="skip")
        finally:
            path.write_bytes(good[path])
        return bool(errors(corpus) - known)

    whole = made(name, tmp_path / "data", tmp_path / "whole", **CASES[name].settings)
    known = errors(whole)  # the small files of a format need not look like land
    cases = []
    for number in range(ARCHIVES[name]):
        path = files[number % len(files)]
        what, content = damaged(good[path], rng)
        cases.append((f"{path.name}: {what}", partial(ingested, path, content)))
    assert faults(cases) == []


def test_maps(tmp_path):
    """`swath map` of a damaged run: maps as they were, or an error."""
    run_with_maps(run := tmp_path / "run")
    files = [run / "evaluate" / name for name in ("maps.parquet", "predictions.parquet", "classes.json")]
    files += [run / "manifest.json", *sorted((run / "corpus").glob("*.*"))]
    good = {path: path.read_bytes() for path in files if path.is_file() and path.stat().st_size}
    rng, was = random.Random(11), {}

    def mapped(path: Path, content: bytes) -> bool:
        path.write_bytes(content)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        try:
            written = maps(run, tmp_path / "out", task="cover", input="optical", row="s4")
        finally:
            path.write_bytes(good[path])
        found = {one.name: rasterio.open(one).read() for one in written if one.suffix == ".tif"}
        was.setdefault("maps", found)
        same = found.keys() == was["maps"].keys()
        return not (same and all(np.array_equal(found[name], was["maps"][name]) for name in found))

    path, content = next(iter(good.items()))
    cases = [("as it is", partial(mapped, path, content))]
    for path, content in good.items():
        changes = [damaged(content, rng) for _ in range(40)]
        cases += [(f"{path.name}: {what}", partial(mapped, path, other)) for what, other in changes]
    assert faults(cases) == []
