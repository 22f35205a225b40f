"""A whole build: order, continuation, failures, and what kills leave behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from distributed import Client, LocalCluster
from pyproj import Transformer

from swath.corpus import Corpus, Reader, Selection
from swath.corpus.sources.stac import _place as place
from swath.corpus.sources.stac import _run as runs
from swath.corpus.sources.stac import build
from swath.errors import CorpusError, RecipeError
from tests.corpus.sources.stac import world
from tests.corpus.sources.stac.conftest import SPRING
from tests.corpus.sources.stac.world import S1, S2, at, moment, stored_counts

SERIES = {"name": "every", "start": "2021-01-01", "end": "2021-10-31"}


def series(served, count: int = 6, **changes):
    where = {"name": "uniform", "area": [9.005, 47.818, 9.05, 47.848], "count": count}
    return served.section(where=where, when=SERIES, products=[served.optical(), served.radar()], **changes)


def failures(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "failures.parquet")


def test_a_corpus_of_two_sensors_holds_every_pixel(served, tmp_path):
    build(series(served), tmp_path)
    corpus = Corpus.open(tmp_path)
    assert corpus.info.complete
    assert (len(corpus), corpus.chips["sensor"].value_counts().to_dict()) == (6, {S2: 24, S1: 18})
    assert corpus.locations["uid"].tolist() == [f"{i:07d}" for i in range(6)]
    assert failures(tmp_path).empty
    batch = Reader(corpus, {S2: ["B02"], S1: ["VV", "VH"]}).batch(np.arange(6), Selection(dates="paired"))
    assert batch.images[S1].pixels.max() <= 10 * np.log10(3100 / 3000)  # decibels
    assert batch.images[S2].pixels.min() >= 0.01 - 1e-6  # reflectance, the offset applied once
    import tensorstore as ts

    path = str(tmp_path / "pixels" / f"{S2}.zarr" / "pixels")
    stored = ts.open({"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}, open=True).result()
    scenes = {scene.id: scene for scene in served.scenes}
    for chip in corpus.chips_of(S2).itertuples():
        transform = corpus.locations["transform"][chip.location]
        for position, band in enumerate(["B02", "B05", "B01"]):
            wanted = stored_counts(scenes[chip.source], band, transform[2], transform[5], 30)
            np.testing.assert_array_equal(stored[chip.row, position].read().result(), wanted)


def test_fields_elsewhere_are_refused_before_anything_is_built(served, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_in_order", lambda *_: pytest.fail("something was built"))
    table = gpd.GeoDataFrame({"crop": ["maize"]}, geometry=[shapely.box(29.0, 47.81, 29.03, 47.86)], crs="EPSG:4326")
    table.to_file(tmp_path / "fields.fgb")
    layer = {"layer": "crops", "file": "fields.fgb", "column": "crop", "classes": {1: "maize"}}
    with pytest.raises(CorpusError, match=r"no shape of .*fields\.fgb lies in any location: shapes lie from 29\.0000"):
        build(series(served, shapes=[layer]), tmp_path / "c", tmp_path)


def test_fields_become_labels_and_groups(served, tmp_path):
    half = shapely.box(9.0, 47.81, 9.03, 47.86)
    table = {"crop": ["maize", "wheat"], "farm": ["one", "two"], "year": [2021, 2020]}
    gpd.GeoDataFrame(table, geometry=[half, half], crs="EPSG:4326").to_file(tmp_path / "fields.fgb")
    layer = {
        "layer": "crops",
        "file": str(tmp_path / "fields.fgb"),
        "column": "crop",
        "classes": {1: "maize", 2: "wheat"},
    }
    period = {"since": "year", "until": "year", "group": "farm"}
    build(series(served, shapes=[layer | period]), tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    for row, (crs, transform) in enumerate(zip(corpus.locations["crs"], corpus.locations["transform"], strict=True)):
        x, y = transform[2] + 10 * (np.arange(30) + 0.5), transform[5] - 10 * (np.arange(30) + 0.5)
        lon, _ = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*np.meshgrid(x, y))
        np.testing.assert_array_equal(corpus.labels("crops", [row])[0], np.where(lon < 9.03, 1, 255))
    inside = corpus.locations["crops_shapes"] == 1
    assert 0 < inside.sum() < 6
    assert corpus.locations["group"][inside].nunique() == 1
    assert corpus.locations["group"][~inside].nunique() == (~inside).sum()


def test_the_hash_depends_neither_on_parts_nor_on_interruptions(served, tmp_path, monkeypatch):
    section = series(served, count=4)
    runs.run(section, tmp_path / "whole")
    in_order = runs._in_order

    def interrupted(client, section, todo):
        for number, outcome in enumerate(in_order(client, section, todo)):
            if number == 3:
                raise KeyboardInterrupt
            yield outcome

    monkeypatch.setattr(runs, "_in_order", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runs.run(section, tmp_path / "parts", part_bytes=1)
    assert len(Corpus.open(tmp_path / "parts")) == 3
    monkeypatch.setattr(runs, "_in_order", in_order)
    runs.run(section, tmp_path / "parts", part_bytes=1)
    assert Corpus.open(tmp_path / "parts").content_hash == Corpus.open(tmp_path / "whole").content_hash


def test_passing_failures_stop_the_build_and_the_same_command_mends_it(served, tmp_path, capsys):
    section = series(served, count=3, retries=0)
    served.files.fail(always={"2021-06-20": "500", "20210620T101000": "500"})
    with pytest.raises(CorpusError, match=r"hosts failed for 3 location\(s\); first: .*500") as error:
        build(section, tmp_path)
    assert "on_failure=leave-out" in str(error.value.remedy)
    assert "hosts fail" in capsys.readouterr().err
    table = failures(tmp_path)
    assert set(table["transient"]) == {True}
    assert {"uid", "sensor", "window", "reason", "lon", "lat"} <= {*table.columns}
    served.files.fail()
    build(section, tmp_path)
    assert len(Corpus.open(tmp_path)) == 3
    assert failures(tmp_path).empty
    assert "hosts fail" not in capsys.readouterr().err


def test_an_error_that_nobody_foresaw_costs_one_location_and_is_said(served, tmp_path, monkeypatch, capsys):
    section = series(served, count=2)
    undisturbed, seen = place._take_group, []

    def faulty(site, *products):
        seen.append(site.location.uid)
        if site.location.uid == seen[0]:
            raise KeyError("https://host/a.tif?sig=secret is [/b] odd")
        undisturbed(site, *products)

    monkeypatch.setattr(place, "_take_group", faulty)
    build(section, tmp_path)
    (row,) = failures(tmp_path).to_dict("records")
    assert row["uid"] == seen[0]
    assert row["reason"].startswith("unforeseen KeyError in test_run.py:")
    assert "a.tif is [/b] odd" in row["reason"]
    assert not row["transient"]
    assert set(Corpus.open(tmp_path).locations["uid"]) == set(seen[1:]) - {seen[0]}
    said = " ".join(capsys.readouterr().err.split())
    assert "1 location(s) are left out for errors that nobody foresaw: please report them" in said
    assert "secret" not in said + row["reason"]


def test_a_fault_in_every_location_is_an_error(served, tmp_path, monkeypatch):
    def faulty(*_):
        raise TypeError("all of it")

    monkeypatch.setattr(place, "_take_group", faulty)
    with pytest.raises(CorpusError, match="no location has a chip; most often: unforeseen TypeError"):
        build(series(served, count=2), tmp_path)


def test_passing_failures_may_be_left_out(served, tmp_path):
    served.files.fail(always={"20210620T101000": "500"})
    section = series(served, count=2, retries=0, timeout_s=30.0, on_failure="leave-out", require="any")
    build(section, tmp_path)
    corpus = Corpus.open(tmp_path)
    assert corpus.info.complete
    assert len(corpus.chips) == 2 * 6, failures(tmp_path).to_string()
    assert failures(tmp_path)["sensor"].tolist() == [S2, S2]


def test_locations_without_a_scene_are_settled_and_listed(served, tmp_path):
    """Half of the area lies outside of all scenes: those locations are not asked for again."""
    where = {"name": "uniform", "area": [8.93, 47.82, 9.05, 47.845], "count": 6}
    section = served.section(where=where, when=SERIES, products=[served.optical()])
    build(section, tmp_path)
    table, corpus = failures(tmp_path), Corpus.open(tmp_path)
    assert 0 < table["uid"].nunique() < 6
    assert len(corpus) + table["uid"].nunique() == 6
    assert set(table["reason"]) <= {"no scene at all"} or (table["lon"] < 9.0).any()
    assert runs.FailureLog(tmp_path).settled == set(table["uid"])


def test_nothing_at_all_is_an_error_with_the_reason(served, tmp_path):
    section = served.section(when={"name": "monthly", "start": "2030-01", "months": 1})
    with pytest.raises(CorpusError, match="no location has a chip; most often: no scene at all"):
        build(section, tmp_path)


def test_a_collection_that_is_not_there_is_refused_before_anything_is_made(served, tmp_path):
    section = served.section(products=[served.optical(collection="sentinel-2-l3a")])
    with pytest.raises(RecipeError, match="there is no collection 'sentinel-2-l3a' at http") as error:
        build(section, tmp_path / "corpus")
    assert "/collections" in error.value.remedy
    assert not (tmp_path / "corpus").exists()


def test_a_catalogue_that_nobody_answers_for_is_refused_at_once(served, tmp_path):
    nowhere = {"name": "earth-search", "url": "http://127.0.0.1:9/"}
    section = served.section(products=[served.optical(catalogue=nowhere)], backoff_s=0.01)
    with pytest.raises(CorpusError, match=r"the catalogue does not answer: http://127\.0\.0\.1:9/.*refused"):
        build(section, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_across_the_antimeridian(other, tmp_path):
    """Scenes of both zones that meet there; chips lie in either, one of them on both sides."""
    east = at(SPRING, epsg=32760, west=60 * 13590, north=60 * 135333, side_m=9_600.0, tile="60K")
    west = at(SPRING, epsg=32701, west=60 * 2960, north=60 * 135333, side_m=9_600.0, tile="01K")
    served = other(east, west)
    where = {"name": "uniform", "area": [179.98, -17.07, -179.98, -17.02], "count": 12}
    section = served.section(where=where, require="any")
    build(section, tmp_path)
    corpus = Corpus.open(tmp_path)
    assert set(corpus.locations["crs"]) == {"EPSG:32760", "EPSG:32701"}
    assert (corpus.locations["lon"].abs() > 179.9).all()
    assert len(corpus) > 6


def test_a_read_only_folder_is_said(served, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CorpusError, match="cannot write here"):
        build(served.section(), blocked / "corpus")


def test_a_torn_line_of_the_log_is_forgotten(tmp_path):
    (tmp_path / runs.LOG).write_text('{"uid": "a", "left_out": true, "failures": []}\n{"uid": "b", "lef')
    assert runs.FailureLog(tmp_path).settled == {"a"}


def test_few_locations_are_under_way(served, tmp_path, monkeypatch):
    """Memory is flat: never more than AHEAD locations a thread are submitted and not yet committed."""
    section = series(served, count=8)
    under_way, most = 0, 0

    submit = Client.submit

    def counted(client, *arguments, **options):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        return submit(client, *arguments, **options)

    monkeypatch.setattr(Client, "submit", counted)
    monkeypatch.setattr(runs, "build", lambda section, location: runs.Outcome(location, (), ()))
    with (
        LocalCluster(1, processes=False, threads_per_worker=1, dashboard_address="127.0.0.1:0") as one,
        Client(one) as client,
    ):
        todo = list(runs.locations(runs.places.draw(section.where, runs.sections.footprint(section))))
        for _ in runs._in_order(client, section, todo):
            under_way -= 1
    assert most == runs.AHEAD
    assert under_way == 0


def test_a_cluster_that_stays_without_workers_is_an_error(served, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "ALONE_SECONDS", 0.2)
    monkeypatch.setattr(runs, "LOOK_SECONDS", 0.1)
    with LocalCluster(1, processes=False, dashboard_address="127.0.0.1:0") as cluster, Client(cluster) as client:
        cluster.scale(0)
        while client.nthreads():
            time.sleep(0.01)
        with pytest.raises(CorpusError, match=r"no worker for 0 s") as caught:
            build(series(served), tmp_path)
    assert "continues" in caught.value.remedy


@pytest.mark.slow
def test_the_command_builds_and_trains_with_processes_of_this_machine(served, tmp_path):
    """`swath corpus build` on two workers, then two steps of pre-training from what it made."""
    source = json.loads(series(served, count=8).model_dump_json())
    bands = [f"{S2}/B02", f"{S2}/B05"]
    recipe = {
        "name": "mine",
        "corpus": {"source": source},
        "split": {"fractions": [1.0, 0.0, 0.0]},
        "pretrain": {
            "encoder": {"name": "timm", "model": "test_resnet"},
            "method": {"name": "simclr", "hidden": 16},
            "views": {"name": "two-crops", "bands": bands},
            "training": {"epochs": 1, "batch_size": 4, "optimizer": {"name": "adamw", "lr": 0.001, "scale_lr": False}},
        },
    }
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(recipe))
    swath = [sys.executable, "-m", "swath"]
    out = ["--out", str(tmp_path / "run")]
    subprocess.run([*swath, "corpus", "build", str(path), *out, "--workers", "2"], check=True)
    assert Corpus.open(tmp_path / "run" / "corpus").info.complete
    trained = subprocess.run([*swath, "pretrain", str(path), *out], check=True, stdout=subprocess.PIPE, text=True)
    assert Path(trained.stdout.split()[-1]).exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_at_any_moment_change_nothing(other, tmp_path):
    """Twenty builds by two workers; in each a worker and then the client are killed, and a new client goes on."""
    days = [f"2021-0{month}-{day} 10:10:00" for month in (3, 5, 7) for day in (11, 21)]
    scenes = [at(SPRING, when=moment(day)) for day in days]
    radar = [
        world.Scene(moment(day.replace("10:10", "05:20")), S1, catalogue="planetary-computer",
                    platform="sentinel-1a", tile="R") for day in days
    ]  # fmt: skip
    served = other(*scenes, *radar)
    section = series(served, count=16, on_failure="stop")
    document = tmp_path / "section.json"
    document.write_text(json.dumps(section.model_dump(mode="json")))
    runs.run(section, tmp_path / "undisturbed")
    wanted = Corpus.open(tmp_path / "undisturbed")
    rng, killed = random.Random(0), 0
    with (
        LocalCluster(2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as observer,
        _clients(document, cluster.scheduler_address) as clients,
    ):
        for attempt in range(20):
            target = tmp_path / f"killed-{attempt}"
            pid = clients.start(target)
            _kill_a_worker_and_the_client(target, pid, observer, rng)
            killed += clients.end() == -signal.SIGKILL
            clients.start(target)
            assert clients.end() == 0
            corpus = Corpus.open(target)
            assert corpus.content_hash == wanted.content_hash, f"attempt {attempt}"
            assert not corpus.chips.duplicated(["uid", "sensor", "datetime"]).any()
            assert len(corpus.chips) == 16 * 12
    assert killed > 10


def _kill_a_worker_and_the_client(target: Path, pid: int, observer: Client, rng: random.Random) -> None:
    deadline = time.monotonic() + 60
    while not (target / "plan.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 1.0))
    os.kill(rng.choice(list(observer.run(os.getpid).values())), signal.SIGKILL)
    time.sleep(rng.uniform(0, 2.0))
    with suppress(ProcessLookupError):  # it may have got to its end
        os.kill(pid, signal.SIGKILL)


class _Clients:
    """The process that builds, one folder after the other."""

    def __init__(self, process: subprocess.Popen):
        self._process = process

    def start(self, target: Path) -> int:
        self._process.stdin.write(f"{target}\n")
        return int(self._process.stdout.readline())

    def end(self) -> int:
        return int(self._process.stdout.readline())


@contextmanager
def _clients(document: Path, address: str) -> Iterator[_Clients]:
    command = [sys.executable, str(Path(__file__).with_name("client.py")), str(document), address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(command, **pipes) as process:
        yield _Clients(process)
        process.stdin.close()
