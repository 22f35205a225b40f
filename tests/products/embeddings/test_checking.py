"""A file that would make a reader take vectors for what they are not is found out, fault by fault."""

import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from swath.cli import app
from swath.errors import SwathError
from swath.products.embeddings import Storage, build_index, check_embeddings
from swath.products.search import Index
from tests.products.indices import make_squares


@pytest.fixture(scope="module")
def sound(squares, encoder_path, tmp_path_factory):
    target = tmp_path_factory.mktemp("sound") / "x.parquet"
    return build_index(encoder_path, squares, target, storage=Storage(quantise="linear", pca=4)).path


def changed(path, to, column=None, header=None, drop=(), **metadata):
    """A copy with another column, or other metadata."""
    table = pq.read_table(path)
    said = {key.decode(): value for key, value in table.schema.metadata.items()}
    if header:
        said["swath"] = json.dumps(json.loads(said["swath"]) | header)
    said |= metadata
    for name, values in (column or {}).items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    table = table.replace_schema_metadata({key: value for key, value in said.items() if key not in drop})
    pq.write_table(table, to)
    return to


def test_what_swath_writes_is_sound(sound, squares, encoder_path, tmp_path):
    assert check_embeddings(sound) == []
    assert check_embeddings(build_index(encoder_path, squares, tmp_path / "x.parquet").path) == []
    result = CliRunner().invoke(app, ["embed", "check", str(sound)])
    assert result.exit_code == 0


def vectors(values):
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


GEO = json.dumps({"version": "1.1.0", "columns": {"geometry": {"encoding": "WKB", "crs": None}}})
LEAST = np.full((12, 4), -128, np.int8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"column": {"embedding": vectors(np.zeros((12, 4), np.int16))}}, r"is fixed_size_list.*int16.*metadata says"),
        ({"column": {"embedding": vectors(np.zeros((12, 3), np.int8))}}, r"\[3\], the metadata says .*\[4\]"),
        ({"column": {"embedding": vectors(LEAST)}}, "12 vectors hold the byte -128"),
        (
            {"column": {"uid": pa.array(["a"] * 12), "date": pa.array([0] * 12, pa.timestamp("us", "UTC"))}},
            "11 rows repeat",
        ),
        ({"column": {"uid": pa.array([None] * 12, pa.string())}}, "12 rows have no uid"),
        ({"header": {"quantisation": None}}, "the scale is missing"),
        ({"header": {"quantisation": {"method": "linear", "scale": [1.0]}}}, "1 scales for 4 dimensions"),
        ({"header": {"quantisation": {"method": "linear", "scale": [0.0] * 4}}}, "a scale is not above 0"),
        ({"header": {"format": 99}}, "the index has format 99"),
        ({"header": {"dims": "many"}}, "metadata is damaged: dims"),
        ({"drop": ("swath",)}, "no embeddings that swath wrote"),
        ({"drop": ("geo",)}, "no metadata `geo`"),
        ({"geo": GEO}, "the reference system is not WGS 84"),
    ],
)
def test_faults_are_found(sound, tmp_path, change, message):
    (tmp_path / "x.pca.safetensors").symlink_to(sound.with_name("x.pca.safetensors"))
    said = "; ".join(check_embeddings(changed(sound, tmp_path / "x.parquet", **change)))
    assert re.search(message, said), said


def test_values_that_are_not_finite_boxes_elsewhere_and_lost_components(sound, squares, encoder_path, tmp_path):
    plain = build_index(encoder_path, squares, tmp_path / "x.parquet").path
    values = np.stack(pq.read_table(plain)["embedding"].to_pylist()).astype(np.float32)
    values[5, 1] = np.nan
    broken = changed(plain, tmp_path / "nan.parquet", {"embedding": vectors(values)})
    assert check_embeddings(broken) == ["1 vectors are not finite"]
    boxes = pq.read_table(plain)["bbox"].combine_chunks()
    moved = changed(plain, tmp_path / "boxes.parquet", {"bbox": pa.concat_arrays([boxes[1:], boxes[:1]])})
    assert check_embeddings(moved) == ["12 boxes are not those of their geometries"]
    alone = changed(sound, tmp_path / "alone.parquet")
    assert check_embeddings(alone)[0].startswith("cannot read the principal components")


def test_a_file_that_is_not_there_is_said(tmp_path):
    for name in ("x.zarr", "x.tif", "x.parquet"):
        assert check_embeddings(tmp_path / name) == ["there is no such file"]


def test_the_command_says_it_and_fails(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not")
    result = CliRunner().invoke(app, ["embed", "check", str(tmp_path / "x.parquet")])
    assert result.exit_code == 1


@pytest.mark.parametrize("column", ["uid", "embedding.list.element"])
def test_a_changed_byte_in_a_page_is_found_by_its_checksum(sound, tmp_path, column):
    """Most such bytes give other numbers and no error of their own."""
    with pq.ParquetFile(sound) as file:
        group = file.metadata.row_group(0)
    parts = {one.path_in_schema: one for one in map(group.column, range(group.num_columns))}
    content = bytearray(sound.read_bytes())
    start = parts[column].dictionary_page_offset or parts[column].data_page_offset
    content[start + parts[column].total_compressed_size - 3] ^= 4
    shutil.copy(sound.with_name("x.pca.safetensors"), tmp_path)
    (tmp_path / "x.parquet").write_bytes(content)
    assert re.match("the file is damaged: .*CRC", check_embeddings(tmp_path / "x.parquet")[0])
    with pytest.raises(SwathError, match=r"damaged: .*CRC|cannot read the index: .*CRC"):
        Index.open(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"header": {"quantisation": None}}, "the scale is missing"),
        ({"header": {"quantisation": {"method": "linear", "scale": [1.0]}}}, "1 scales for 4 dimensions"),
        ({"header": {"quantisation": {"method": "linear", "scale": [1.0, -1.0, 1.0, 1.0]}}}, "not above 0"),
        ({"column": {"uid": pa.array([None, *"abcdefghijk"])}}, "1 rows have no uid"),
    ],
)
def test_nobody_searches_in_bytes_without_scales_or_among_rows_without_an_id(sound, tmp_path, change, message):
    with pytest.raises(SwathError, match=message):
        Index.open(changed(sound, tmp_path / "x.parquet", **change))


def test_what_described_an_older_index_goes_with_it(squares, encoder_path, tmp_path):
    """A file without coordinates has no STAC collection: nor that of what it replaces."""
    build_index(encoder_path, squares, tmp_path / "x.parquet")
    assert {one.name for one in tmp_path.glob("*.json")} == {"x.collection.json", "x.item.json"}
    build_index(encoder_path, make_squares(tmp_path / "corpus", n=2, located=False), tmp_path / "x.parquet")
    assert not list(tmp_path.glob("x.*.json"))


@pytest.mark.parametrize("name", ["x.tif", "x.zarr"])
def test_nobody_searches_in_a_grid(name):
    with pytest.raises(SwathError, match="a grid of embeddings is no index") as error:
        Index.open(name)
    assert "--to NAME.parquet" in error.value.remedy
