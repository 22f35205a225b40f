"""Explanations of what a run trained: files whose numbers agree with each other, and what is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from PIL import Image
from typer.testing import CliRunner

from swath import pipeline, plugins
from swath.cli import app
from swath.errors import ContractError, CorpusError, RecipeError
from swath.products.explain import attributions, explain
from swath.products.explain.attributions import fullgrad, occlusion
from swath.tasks import Features
from swath.tasks.data import BandReader
from swath.tasks.probes import knn
from swath.tasks.trained import TrainedProbe
from tests.test_pipeline_maps import evaluation, run  # noqa: F401  a fixture

CHIPS = pipeline.Result(task="chips", row="a", seed=0)


@pytest.fixture(scope="module")
def written(run, tmp_path_factory):  # noqa: F811
    """A location explained by all methods."""
    out = tmp_path_factory.mktemp("explained")
    return pipeline.explain_run(run[0], out, result=CHIPS, count=1), out, run[0]


@pytest.fixture(scope="module")
def judged(run):  # noqa: F811
    return evaluation(run[0])[0].trained(task="chips", row="a", seed=0)


def test_tables_add_up_and_agree_with_the_maps(written):
    paths, out, folder = written
    assert [path.name for path in paths[:3]] == ["attributions.csv", "checks.csv", "curves.csv"]
    parts, checks, curves = (pd.read_csv(path) for path in paths[:3])
    assert parts["uid"].nunique() == 1
    assert set(parts["part"]) == {"test"}
    for method in ("integrated-gradients", "fullgrad"):
        of_it = parts[parts["method"] == method]
        total = of_it.groupby("uid")["attribution"].sum()
        score = of_it.groupby("uid")["score"].first()
        np.testing.assert_allclose(total, score, rtol=0.02, atol=0.02 * score.abs().max())
    _, corpus = evaluation(folder)
    locations = corpus.locations.set_index("uid")
    for uid in parts["uid"].unique():
        with rasterio.open(out / f"{uid}.tif") as file:
            assert (file.crs.to_epsg(), file.shape) == (32631, (16, 16))
            assert file.transform == Affine(*locations.loc[uid, "transform"])
            bands = dict(zip(file.descriptions, file.read(), strict=True))
        assert set(bands) == set(attributions.names())
        own = parts[(parts["uid"] == uid) & (parts["method"] == "integrated-gradients") & (parts["bands"].notna())]
        assert bands["integrated-gradients"].sum() == pytest.approx(own["attribution"].sum(), rel=1e-3, abs=1e-4)
        assert (out / f"{uid}.png").stat().st_size < 250_000
    assert set(checks["method"]) == set(attributions.names())
    for _, line in checks.iterrows():
        own = curves[
            (curves["uid"] == line["uid"])
            & (curves["method"] == line["method"])
            & (curves["removed"] == line["removed"])
        ]
        assert line["deletion"] == pytest.approx(np.trapezoid(own["deleted"], own["share"]))
        assert own["deleted"].iloc[0] == pytest.approx(line["probability"], abs=1e-5)
        assert own["inserted"].iloc[-1] == pytest.approx(line["probability"], abs=1e-5)


def test_what_falls_with_the_near_infrared_is_what_the_labels_are_made_of(written):
    """Water is dark in B08 and nothing else tells it from wood: deletion has to find it as well."""
    parts, checks = (pd.read_csv(path) for path in written[0][:2])
    fell = parts[(parts["method"] == "occlusion") & parts["group"].isna()].set_index(["uid", "bands"])["attribution"]
    for uid in parts["uid"].unique():
        assert fell[uid, "B08"] > abs(fell[uid, "B04"])
    of_bands = checks[(checks["removed"] == "bands") & (checks["method"] == "integrated-gradients")]
    assert (of_bands["deletion"] <= of_bands["random_deletion"] + 1e-9).all()


def test_certain_locations_and_classes_are_explained_by_the_command(run, tmp_path, judged):  # noqa: F811
    uid = str(judged.task.corpus.locations["uid"][judged.task.parts["train"].locations[0]])
    said = ["--task", "chips", "--row", "a", "--seed", "0", "--locations", uid, "--class", "water"]
    result = CliRunner().invoke(app, ["explain", str(run[0]), *said, "--method", "occlusion", "--to", str(tmp_path)])
    assert result.exit_code == 0, result.output
    parts = pd.read_csv(tmp_path / "attributions.csv")
    assert set(parts["uid"]) == {uid}
    assert set(parts["part"]) == {"train"}
    assert set(parts["explained"]) == {"water"}
    assert str(tmp_path / f"{uid}.tif") in result.output


def test_nearest_neighbours_are_explained_by_occlusion_alone_and_that_is_said(judged, tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(8, judged.trained.encoder.dim)).astype(np.float32)
    fitted = knn.fit(knn.Config(k=3), Features(x, np.arange(8) % 2, x[:0], np.arange(0), x, 2), 0)
    blind = replace(judged, trained=TrainedProbe(judged.trained.encoder, judged.trained.bands, fitted))
    explain(blind, tmp_path, count=1)
    assert "has no gradient: occlusion alone" in " ".join(capsys.readouterr().err.split())
    parts = pd.read_csv(tmp_path / "attributions.csv")
    assert set(parts["method"]) == {"occlusion"}
    assert set(parts["unit"]) == {"probability"}
    assert pd.read_csv(tmp_path / "checks.csv")["shuffled_weights"].isna().all()
    with pytest.raises(ContractError, match="follows gradients"):
        explain(blind, tmp_path, count=1, methods=attributions.settings(["fullgrad"]))


def test_a_method_that_cannot_explain_some_locations_is_left_out_there_and_that_is_said(judged, tmp_path, capsys):
    asked = []

    def sometimes(config, explained, images, target):
        asked.append(config)
        if len(asked) == 1:
            raise ContractError("not this one")
        return occlusion.attribute(occlusion.Config(squares=2), explained, images, target)

    module = plugins.find("swath.products.explain.attributions", "fullgrad")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "attribute", sometimes)
        patch.setattr(attributions, "names", lambda: ["fullgrad", "occlusion"])
        patch.setattr("swath.products.explain._pictures.draw", lambda *given: given[-1])
        explain(judged, tmp_path, count=2)
    assert "without fullgrad at 1 of 2 locations: not this one" in " ".join(capsys.readouterr().err.split())
    methods = pd.read_csv(tmp_path / "attributions.csv").groupby("uid")["method"].unique().map(set).tolist()
    assert sorted(methods, key=len) == [{"occlusion"}, {"fullgrad", "occlusion"}]


def test_several_rows_are_explained_at_the_same_locations_side_by_side(judged, tmp_path, monkeypatch):
    monkeypatch.setattr("swath.products.explain._pictures.draw", lambda *given: given[-1])
    other = replace(judged, row="a/gain")
    written = explain(judged, tmp_path, beside=[other], count=2, methods=[occlusion.Config(squares=1)])
    folders = [tmp_path / "a", tmp_path / "a%2Fgain"]
    assert tmp_path / "occlusion.png" in written
    with Image.open(tmp_path / "occlusion.png") as picture:
        assert picture.size == (810, 520)  # an image and two rows, two locations
    tables = [pd.read_parquet(folder / "attributions.parquet") for folder in folders]
    assert [set(table["row"]) for table in tables] == [{"a"}, {"a/gain"}]
    assert tables[0]["uid"].tolist() == tables[1]["uid"].tolist()
    # the same network says the same, and what the GeoTIFF says
    for (_, one), (_, again) in zip(tables[0].iterrows(), tables[1].iterrows(), strict=True):
        np.testing.assert_array_equal(one["map"], again["map"])
        with rasterio.open(folders[0] / f"{one['uid']}.tif") as file:
            np.testing.assert_array_equal(file.read(1).ravel(), one["map"])


def test_pictures_of_an_earlier_call_do_not_stay_beside_other_tables(judged, tmp_path, monkeypatch):
    monkeypatch.setattr("swath.products.explain._pictures.draw", lambda *given: given[-1].touch() or given[-1])
    beside, few = [replace(judged, row="b")], occlusion.Config(squares=1)
    explain(judged, tmp_path, beside=beside, count=2, methods=[few, fullgrad.Config()])
    (tmp_path / "b" / "mine.png").touch()
    explain(judged, tmp_path, beside=beside, count=1, methods=[few])
    (uid,) = pd.read_parquet(tmp_path / "b" / "attributions.parquet")["uid"].unique()
    assert {path.name for path in (tmp_path / "b").glob("*.[pt]*[gf]")} == {f"{uid}.png", f"{uid}.tif", "mine.png"}
    assert {path.name for path in tmp_path.glob("*.png")} == {"occlusion.png"}


def test_names_that_are_not_there_are_answered_with_the_nearest(run, judged, tmp_path):  # noqa: F811
    uid = str(judged.task.corpus.locations["uid"][0])
    with pytest.raises(CorpusError, match=f"no location '{uid}x'") as error:
        explain(judged, tmp_path, locations=[f"{uid}x"])
    assert f"did you mean '{uid}'" in error.value.remedy
    with pytest.raises(RecipeError, match="no class 'watr'") as error:
        explain(judged, tmp_path, of_class="watr")
    assert "did you mean 'water'" in error.value.remedy
    with pytest.raises(RecipeError, match="no result is of task chip, row aa") as error:
        pipeline.explain_run(run[0], tmp_path, result=pipeline.Result(task="chip", row="aa"))
    known = "task: did you mean 'chips'? known: chips, pixels, several; row: did you mean 'a'? known: a, "
    assert known in error.value.remedy


def test_a_location_without_valid_pixels_is_refused_where_it_is_named_and_else_left_out(
    judged, tmp_path, monkeypatch, capsys
):
    read, first = BandReader.read, judged.task.parts["test"].locations[0]

    def nothing(self, locations, device="cpu"):
        images = read(self, locations, device)
        seen = bool(locations[0] != first)
        return {sensor: replace(image, valid=image.valid & seen) for sensor, image in images.items()}

    monkeypatch.setattr(BandReader, "read", nothing)
    monkeypatch.setattr("swath.products.explain._pictures.draw", lambda *given: given[-1])
    with pytest.raises(CorpusError, match="has no valid pixel"):
        explain(judged, tmp_path, locations=[str(judged.task.corpus.locations["uid"][first])])
    with pytest.raises(CorpusError, match="has no valid pixel"):
        explain(judged, tmp_path, count=1)
    explain(judged, tmp_path, count=2, methods=[occlusion.Config(squares=1)])
    assert "1 of 2 locations are left out: no valid pixel" in " ".join(capsys.readouterr().err.split())
    assert pd.read_csv(tmp_path / "checks.csv")["uid"].nunique() == 1


@pytest.mark.slow
def test_the_class_of_pixels_is_explained_by_those_that_have_it(run, tmp_path):  # noqa: F811
    result = pipeline.Result(task="pixels", row="unet")
    pipeline.explain_run(run[0], tmp_path, result=result, count=1, of_class="wood")
    parts, checks = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("attributions", "checks"))
    assert set(parts["explained"]) == {"wood"}
    assert (checks["gap"].dropna() <= 0.01).all()
    assert {"fullgrad", "grad-cam", "integrated-gradients", "occlusion"} == set(checks["method"])
