"""A package outside of swath adds a sensor, a method and a probe, and a tiny run uses them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import from_origin

from swath.corpus import Corpus

ROOT = Path(__file__).parents[1]
METHOD = (ROOT / "docs" / "plugins.md").read_text().split("```python\n")[1].split("```")[0]
"""The method that the documents show."""
SENSOR = """
from swath.sensors import Band, Scaling, Sensor

SENSOR = Sensor(
    name="acme-cam",
    title="Acme camera",
    kind="optical",
    family="acme-cam",
    bands=tuple(
        Band("acme-cam", name, centre, 0.03, 10.0, "reflectance") for name, centre in (("red", 0.66), ("nir", 0.85))
    ),
    dtype="uint16",
    nodata=0.0,
    scaling=Scaling(2e-5),
    valid_range=(0.0, 1.3),
    rgb=("red",),
)
"""
PROBE = """
from typing import Literal

import numpy as np

from swath.errors import TrainingError
from swath.tasks import Prediction
from swath.tasks.probes import ProbeSettings


class Config(ProbeSettings):
    name: Literal["nearest-mean"] = "nearest-mean"


def fit_predict(config, features, seed):
    known = np.unique(features.train_y)
    if len(known) < 2:
        raise TrainingError("the training part holds 1 class(es)")
    means = np.stack([features.train_x[features.train_y == one].mean(axis=0) for one in known])
    far = ((features.test_x[:, None] - means) ** 2).sum(axis=2)
    scores = np.zeros((len(far), features.classes), np.float32)
    scores[np.arange(len(far)), known[far.argmin(axis=1)]] = 1
    return Prediction.of(scores, multi_label=False)
"""
RUN = """
import json, sys
from swath import config, pipeline, plugins, testing
report = pipeline.run(config.load(sys.argv[1]), sys.argv[2])
passed = []
for kind, name in (("sensors", "acme-cam"), ("methods", "my-method"), ("probes", "nearest-mean")):
    for check in testing.checks(kind):
        check(name)
        passed.append(f"{kind} {check}")
print(json.dumps({"report": str(report), "passed": passed, "origin": plugins.origins("swath.methods")["my-method"]}))
"""
OFFERS = """
[swath.sensors]
acme-cam = acme_swath.camera
[swath.methods]
my-method = acme_swath.method
[swath.probes]
nearest-mean = acme_swath.probe
"""


def installed(site: Path) -> Path:
    """The package as an installer leaves it; its `__init__` imports swath, as careless ones do."""
    package, metadata = site / "acme_swath", site / "acme_swath-0.3.dist-info"
    package.mkdir(parents=True)
    metadata.mkdir()
    (package / "__init__.py").write_text("from swath import methods, sensors, tasks  # noqa\n")
    for name, text in (("camera", SENSOR), ("method", METHOD), ("probe", PROBE)):
        (package / f"{name}.py").write_text(text)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-swath\nVersion: 0.3\n")
    (metadata / "entry_points.txt").write_text(OFFERS)
    return site


def images(folder: Path) -> None:
    """Bright and dark fields as the package's camera would store them."""
    folder.mkdir()
    for i in range(24):
        level = (5_000, 20_000)[i % 2]
        counts = np.random.default_rng(i).integers(level, level + 2_000, (2, 16, 16)).astype(np.uint16)
        profile = {"driver": "GTiff", "height": 16, "width": 16, "count": 2, "dtype": "uint16", "crs": "EPSG:32632"}
        where = from_origin(500_000 + 4_000 * i, 5_600_000, 10, 10)
        with rasterio.open(folder / f"p{i:02}_{'ab'[i % 2]}.tif", "w", transform=where, **profile) as file:
            file.write(counts)


def recipe(folder: Path) -> dict:
    keys = ["acme-cam/red", "acme-cam/nir"]
    entry = {"sensor": "acme-cam", "files": "*.tif", "id": r"(?P<id>p\d+)_(?P<cover>\w)\.tif$", "bands": ["red", "nir"]}
    return {
        "name": "outside",
        "data": str(folder),
        "corpus": {"source": {"name": "folder", "chip_px": 16, "images": [entry]}},
        "pretrain": {
            "encoder": {"name": "timm", "model": "test_resnet"},
            "method": {"name": "my-method", "margin": 0.5},
            "views": {"name": "two-crops", "bands": keys},
            "training": {"epochs": 1, "batch_size": 8, "precision": "32"},
        },
        "arms": {"mine": {}},
        "tasks": {
            "cover": {
                "target": {"rule": "scalar", "column": "cover"},
                "inputs": {"both": keys},
                "probes": [{"name": "nearest-mean"}],
                "floors": ["majority"],
            }
        },
    }


@pytest.mark.slow
def test_a_run_of_a_packages_plug_ins(tmp_path):
    images(tmp_path / "images")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(tmp_path / "images")))
    (tmp_path / "run.py").write_text(RUN)
    path = os.pathsep.join([str(installed(tmp_path / "site")), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "run.py", "recipe.yaml", "out"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["origin"] == "acme-swath 0.3"
    assert "methods a_step_does_not_wait_for_the_device" in said["passed"]
    out = tmp_path / "out"
    card = json.loads((out / "pretrain" / "mine" / "seed-0" / "encoder.json").read_text())
    assert list(card["sensors"]) == ["acme-cam"]
    table = (out / "evaluate" / "table.csv").read_text()
    assert "nearest-mean" in table
    assert "Acme camera" in Path(tmp_path / said["report"]).read_text()
    # this process has no such package: the corpus tells what the sensor is
    corpus = Corpus.open(out / "corpus")
    assert 0.1 < corpus.statistics["acme-cam"]["red"].mean < 0.45
