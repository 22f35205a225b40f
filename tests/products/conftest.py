"""A run directory as `swath run` leaves it, made up in a second: three arms, floors, bands, a corpus with pictures."""

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.ndimage import gaussian_filter

from swath.corpus import Chip, CorpusWriter, LabelLayer, Location, Part, SensorLayout
from swath.sensors import get
from swath.sweep import EFFECTS
from swath.tasks import metrics, schema
from swath.tasks.statistics import StatisticsConfig, TaskRules, summarise
from tests.products.indices import encoder_path, squares  # noqa: F401  fixtures

CLASSES = ["water", "forest", "grass", "maize", "built-up"]
S2, S1 = ("B02", "B03", "B04", "B08"), ("VV", "VH")
BAND_KEYS = [*(f"sentinel-2-l2a/{b}" for b in S2), *(f"sentinel-1-rtc/{b}" for b in S1)]
ARMS = ("byol", "simclr", "moco-v2")
SEEDS = (0, 1, 2)
SKILL = {
    ("byol", "pretrained"): 0.86,
    ("simclr", "pretrained"): 0.83,
    ("moco-v2", "pretrained"): 0.74,
    ("scratch", "scratch"): 0.80,
    ("random encoder (frozen)", "random-twin"): 0.62,
    ("random convolutions", "floor"): 0.66,
    ("image statistics + linear", "floor"): 0.70,
    ("majority", "floor"): 0.0,
}
"""Chance that a sample is classified rightly for a reason; the rest is guessed."""
LOCATIONS, PX = 240, 24
SWEPT = {"byol": ("byol", "<b>mild"), "simclr": ("simclr", "<b>mild"), "moco-v2": ("moco", "strong")}
"""Method and crops of each arm, where the run is a sweep."""


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """Read only; use `run` for one to change."""
    return make_run(tmp_path_factory.mktemp("runs") / "fields")


@pytest.fixture
def run(finished_run, tmp_path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "fields")


def make_run(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    labels = rng.integers(0, len(CLASSES), LOCATIONS)
    corpus_hash = make_corpus(folder / "corpus", labels, rng)
    recipe = make_recipe()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))
    for arm in ARMS:
        for seed in SEEDS:
            make_log(folder / "pretrain" / arm / f"seed-{seed}", arm, rng)
    make_evaluation(folder / "evaluate", labels, rng)
    (folder / "manifest.json").write_text(json.dumps(make_manifest(recipe, corpus_hash), indent=1))
    return folder


def write_lines(folder: Path, table: schema.Table, *lines: dict) -> None:
    """Write a table of an evaluation; columns that a line does not give are empty, 0 or missing."""
    usual = {column.name: "" if str(column.type) == "string" else 0 for column in table.schema}
    table.write(folder, table.frame([usual | line for line in lines]))


def uid(i: int) -> str:
    return f"field-{i:03d}"


def split_of(i: int) -> str:
    return "train" if i < 96 else "val" if i < 120 else "test"


def make_corpus(path: Path, labels: np.ndarray, rng: np.random.Generator) -> str:
    sensors = {
        "sentinel-2-l2a": SensorLayout.of(get("sentinel-2-l2a"), S2, gsd_m=10.0),
        "sentinel-1-rtc": SensorLayout(bands=S1, gsd_m=10.0, dtype="float32"),
    }
    layer = LabelLayer(classes=dict(enumerate(CLASSES)), void=255)
    writer = CorpusWriter(
        path, sensors=sensors, chip_px=PX, labels={"cover": layer}, provenance={"source": "made up for a test"}
    )
    with writer:
        chips = [chip for i in range(LOCATIONS) for chip in make_chips(i, int(labels[i]), rng)]
        masks = np.repeat(labels.astype(np.uint8), PX * PX).reshape(-1, PX, PX)
        writer.append(Part([make_location(i) for i in range(LOCATIONS)], chips, {"cover": masks}))
        return writer.finish().content_hash


def make_location(i: int) -> Location:
    column, row = i % 20, i // 20
    transform = (10.0, 0.0, 500_000.0 + 2200 * column, 0.0, -10.0, 5_400_000.0 - 1800 * row)
    return Location(uid(i), crs="EPSG:32632", transform=transform, group=f"block-{i // 3:02d}", split=split_of(i))


def make_chips(i: int, label: int, rng: np.random.Generator) -> list[Chip]:
    optical = np.array([[300, 400, 300, 200], [300, 500, 300, 3000], [500, 900, 600, 3600],
                        [700, 1000, 1200, 2600], [1300, 1500, 1800, 2200]])[label]  # fmt: skip
    radar = np.array([-20.0, -8.0, -13.0, -11.0, -4.0])[label]
    chips = []
    for month in (4, 7):
        texture = 1 + 0.25 * gaussian_filter(rng.standard_normal((PX, PX)), 2) / 0.14
        counts = np.clip(optical[:, None, None] * texture, 1, 10_000).astype(np.uint16)
        cloud = float(np.clip(rng.beta(0.4, 2), 0, 1))
        counts[:, : round(PX * cloud * 0.6)] = 0
        when = dt.datetime(2023, month, 1 + i % 28, 10, 30)
        chips.append(Chip(uid(i), "sentinel-2-l2a", counts, datetime=when, cloud=cloud, source=f"S2-{month}"))
        decibels = np.stack([radar * texture, (radar - 6) * texture]).astype(np.float32)
        later = when + dt.timedelta(days=3)
        chips.append(Chip(uid(i), "sentinel-1-rtc", decibels, datetime=later, source=f"S1-{month}"))
    return chips


def make_recipe() -> dict:
    arm = {"encoder": {"name": "timm", "model": "resnet18"}, "training": {"epochs": 40, "batch_size": 64}}
    return {
        "name": "fields",
        "description": "Do the features of three methods tell crops apart better than the floors do?",
        "seeds": list(SEEDS),
        "split": {"by": "given"},
        "corpus": {"source": {"name": "synth", "locations": LOCATIONS}},
        "arms": {name: {**arm, "method": {"name": name}} for name in ARMS},
        "tasks": {"land-cover": {"target": {"rule": "dominant", "layer": "cover", "min_share": 0.6}}},
    }


def make_log(folder: Path, arm: str, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    steps = np.arange(10, 1001, 10)
    progress = steps / 1000
    speed = {"byol": 5, "simclr": 4, "moco-v2": 3}[arm]
    log = pd.DataFrame({"step": steps, "epoch": steps // 25})
    log["loss"] = 0.4 + 1.6 * np.exp(-speed * progress) + 0.04 * rng.standard_normal(len(steps))
    log["lr"] = 0.05 * (1 + np.cos(np.pi * progress))
    log["seconds"] = steps * 0.11
    gauges = {
        "feature_std": 0.62 - 0.3 * np.exp(-speed * progress) + 0.01 * rng.standard_normal(len(steps)),
        "effective_rank": 12 + speed * 9 * (1 - np.exp(-4 * progress)) + rng.standard_normal(len(steps)),
        "rankme": 6 + speed * 7 * (1 - np.exp(-4 * progress)),
        "knn": 0.55 + 0.06 * speed * (1 - np.exp(-5 * progress)) + 0.01 * rng.standard_normal(len(steps)),
    }
    for name, values in gauges.items():
        log[name] = np.where(steps % 50 == 0, values, np.nan)
    log.to_csv(folder / "log.csv", index=False)


def make_evaluation(folder: Path, labels: np.ndarray, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    frames = []
    for probe, loss in (("linear", 0.0), ("knn", 0.05)):
        for (row, role), skill in SKILL.items():
            frames += predict(labels, "all bands", probe, row, role, skill - loss, rng)
    for key in BAND_KEYS:
        for (row, role), skill in SKILL.items():
            if role == "pretrained" or row == "random encoder (frozen)":
                harder = 0.14 if key.startswith("sentinel-1") else 0.2 * rng.random()
                frames += predict(labels, key, "band-wise", row, role, skill - 0.15 - harder, rng)
    predictions = pd.concat(frames, ignore_index=True)
    groups = {"optical": tuple(BAND_KEYS[:4]), "radar": tuple(BAND_KEYS[4:])}
    rules = TaskRules(metrics=("accuracy", "macro_f1"), band_groups={"band-wise": groups})
    config = StatisticsConfig(tasks={"land-cover": rules}, flips=499)
    notes = pd.DataFrame([left_out()])
    table, comparisons, claims = summarise(predictions, config, notes)
    schema.PREDICTIONS.write(folder, predictions)
    schema.TABLE.write(folder, table)
    schema.COMPARISONS.write(folder, comparisons)
    schema.CLAIMS.write(folder, claims)
    (folder / "classes.json").write_text(json.dumps({"land-cover": CLASSES}))


def left_out() -> dict:
    return {
        "task": "land-cover",
        "input": "all bands",
        "probe": "linear",
        "row": "imagenet",
        "role": "reference",
        "of_arm": "",
        "seed": 0,
        "note": "no ImageNet weights are given: set encoder.weights to a file",
    }


def predict(labels, input_name, probe, row, role, skill, rng) -> list[pd.DataFrame]:
    test = np.array([i for i in range(LOCATIONS) if split_of(i) == "test"])
    y = labels[test]
    # what is hard for a row is hard whatever its seed: otherwise a mean over seeds would never be wrong
    ease = rng.random(len(y))
    frames = []
    for seed in SEEDS if row not in {"majority", "image statistics + linear"} else SEEDS[:1]:
        logits = rng.gumbel(size=(len(y), len(CLASSES))) * 0.8
        logits[np.arange(len(y)), y] += np.where(ease + 0.1 * rng.standard_normal(len(y)) < skill, 3.0, 0.0)
        if row == "majority":
            logits = np.tile(np.bincount(labels, minlength=len(CLASSES)), (len(y), 1)).astype(float)
        score = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        frame = pd.DataFrame({"uid": [uid(i) for i in test], "group": [f"block-{i // 3:02d}" for i in test]})
        frame["y_true"], frame["y_pred"], frame["score"] = y, score.argmax(1), list(score)
        of_arm = {"pretrained": row, "floor": ""}.get(role, ",".join(ARMS))
        key = {"task": "land-cover", "input": input_name, "probe": probe, "row": row, "role": role, "of_arm": of_arm}
        frames.append(frame.assign(**key, seed=seed, fold=0, replicate=SEEDS.index(seed), count=1))
    return frames


def make_manifest(recipe: dict, corpus_hash: str) -> dict:
    stages = [{"stage": "corpus", "arm": None, "seed": None, "seconds": 14.2, "status": "done",
               "figures": {"locations": LOCATIONS, "chips": 4 * LOCATIONS}}]  # fmt: skip
    stages += [
        {
            "stage": "pretrain",
            "arm": arm,
            "seed": seed,
            "seconds": 110.0 + seed,
            "status": "done",
            "figures": {"knn": 0.8},
        }
        for arm in ARMS
        for seed in SEEDS
    ]
    stages.append({"stage": "evaluate", "arm": None, "seed": None, "seconds": 64.0, "status": "done", "figures": {}})
    return {
        "format": 1,
        "name": "fields",
        "swath_version": "0.1.0",
        "created": "2026-03-01T10:00:00+00:00",
        "updated": "2026-03-01T10:21:00+00:00",
        "recipe": recipe,
        "recipe_hash": "0123456789abcdef",
        "machine": {
            "platform": "Linux",
            "cpu": "some CPU",
            "cores": 2,
            "python": "3.11.9",
            "torch": "2.8.0",
            "device": "cpu",
        },
        "packages": {"torch": "2.8.0", "timm": "1.0.19"},
        "corpus": {"path": "corpus", "hash": corpus_hash, "locations": LOCATIONS, "chips": 4 * LOCATIONS},
        "stages": stages,
    }


@pytest.fixture
def metric_in_kelvin(monkeypatch) -> str:
    """A metric that is no share, and of which less is better."""
    usual = metrics.find
    kelvin = replace(usual("accuracy"), name="kelvin", label="error in K", unit="number", better="lower")
    monkeypatch.setattr(metrics, "find", lambda name: kelvin if name == "kelvin" else usual(name))
    return "kelvin"


@pytest.fixture
def swept(run):
    """A run whose arms are called the points of a sweep."""
    folder = run / "sweep"
    folder.mkdir()
    values = schema.TABLE.read(run / "evaluate", role="pretrained").rename(columns={"row": "arm"})
    levels = pd.DataFrame([(arm, *own) for arm, own in SWEPT.items()], columns=["arm", "method", "crops"])
    costs = levels[["arm"]].assign(seconds=[61.0, 62.0, float("nan")], samples=[5000.0, 5000.0, 4000.0])
    columns = ["arm", "task", "input", "probe", "metric", "value", "low", "high"]
    levels.merge(values[columns], on="arm").merge(costs, on="arm").to_csv(folder / "arms.csv", index=False)
    panel = {name: values[name].iloc[0] for name in ("task", "input", "probe", "metric")}
    usual = {**panel, "other_axis": "", "other_level": "", "mean": 0.8, "low": -0.01, "high": 0.05, "p": 0.2, "arms": 1}
    lines = [
        usual | {"axis": "method", "level": "byol", "effect": 0.021},
        usual | {"axis": "method", "level": "moco", "effect": -0.021, "low": float("nan"), "high": float("nan")},
        usual | {"axis": "crops", "level": "<b>mild", "effect": 0.003},
        usual | {"axis": "method", "level": "byol", "other_axis": "crops", "other_level": "<b>mild", "effect": 0.004},
    ]
    EFFECTS.write(folder, EFFECTS.frame(line | {"note": "9 groups and 2 trainings are too few"} for line in lines))
    return run
