"""Graphs as files: torch.export's and ONNX."""

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as shapes

from swath.errors import RecipeError, SwathError
from swath.products.model_export._graphs import FIXED, Graph

Format = Literal["pt2", "onnx"]
Run = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""Runs a graph: inputs by name to outputs by name."""
LARGEST = 2**31
"""Bytes that one file of ONNX can hold."""


def traced(graph: Graph[Any], given: Any, constant: tuple[str, ...]) -> ExportedProgram:
    """The graph that torch makes of what was trained, for inputs of any size.

    Args:
        graph: that as a function of tensors.
        given: what it is fed while torch looks on; nothing is computed.
        constant: axes that always have the length that they have there.

    Raises:
        RecipeError: torch cannot; the message says why.
    """
    axes = tuple(
        {i: Dim.DYNAMIC for i, name in enumerate(names) if name not in (*FIXED, *constant)}
        for names in graph.axes.values()
    )
    arguments = tuple(graph.arguments(given).values())
    # sizes are not assumed to be other than 1: a batch of one, a patch, a date
    unassuming = cast(Any, shapes).patch(backed_size_oblivious=True)
    with torch.no_grad(), quietly("torch.export"), unassuming:
        program = torch.export.export(graph, arguments, dynamic_shapes=graph.by_argument(axes))
    # with them go the conditions that only held for the pictures that torch was shown
    program.example_inputs = None
    return program


@contextmanager
def quietly(what: str, does: str = "make") -> Iterator[None]:
    """Say in one sentence why an exporter, or what runs a graph, failed, which itself prints pages."""
    said, before = io.StringIO(), logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with redirect_stdout(said), redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (SwathError, OSError):
        raise
    except Exception as error:  # whatever it is: exporters raise anything
        raise RecipeError(
            f"{what} cannot {does} a graph of this encoder: {_reason(error)}",
            remedy="try the other format; or use the encoder's weights by swath, or by `swath export weights`",
        ) from error
    finally:
        logging.disable(before)


def _reason(error: Exception) -> str:
    """Why an exporter failed, from pages that say how to report it."""
    if missing := re.search(r"No ONNX function found for \S*op='([\w.]+)'", str(error)):
        return f"ONNX has no counterpart of {missing[1]}"
    if "specialized it to be a constant" in str(error):
        return "it computes with one number of dates or one size alone (as what goes over dates one by one does)"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no reason is given'}"


def _write_pt2(program: ExportedProgram, graph: Graph[Any], names: list[str], path: Path) -> None:  # noqa: ARG001
    content = io.BytesIO()
    with quietly("torch.export"):
        torch.export.save(program, content)
    path.write_bytes(content.getbuffer())


def _run_pt2(path: Path) -> Run:
    with path.open("rb") as file, quietly("torch.export"):
        module = torch.export.load(file).module()
    return lambda arguments: module(*arguments.values())


def _write_onnx(program: ExportedProgram, graph: Graph[Any], names: list[str], path: Path) -> None:
    with quietly("torch.onnx"):
        made = torch.onnx.export(program, dynamo=True, verbose=False, output_names=names, input_names=[*graph.axes])
        assert made is not None
        proto: Any = made.model_proto
    if proto.ByteSize() >= LARGEST:
        raise RecipeError(
            f"the encoder has {proto.ByteSize() / 2**30:.1f} GiB, and a file of ONNX holds 2", remedy="choose pt2"
        )
    _tidy(proto.graph, graph)
    path.write_bytes(proto.SerializeToString())


def _tidy(proto: Any, graph: Graph[Any]) -> None:
    """Call sizes by the axes' names, and leave out where torch found each operation on this machine."""
    symbols = {
        dimension.dim_param: axis
        for given in proto.input
        for dimension, axis in zip(given.type.tensor_type.shape.dim, graph.axes[given.name], strict=True)
        if dimension.dim_param
    }
    for value in (*proto.input, *proto.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = re.sub(r"\w+", lambda found: symbols.get(found[0], found[0]), dimension.dim_param)
    del proto.value_info[:]
    for node in proto.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")


def _run_onnx(path: Path) -> Run:
    runtime = _onnx()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    taken = {one.name for one in session.get_inputs()}

    def run(arguments: dict[str, Tensor]) -> dict[str, Tensor]:
        given = {name: tensor.numpy() for name, tensor in arguments.items() if name in taken}
        return dict(zip(names, map(torch.from_numpy, session.run(names, given)), strict=True))

    return run


def _onnx() -> Any:
    """Import onnxruntime, after a look whether what writes ONNX is there too.

    Raises:
        RecipeError: one of them is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise RecipeError(
            f"{error.name} is not installed", remedy='pip install "swath[onnx]", or choose pt2'
        ) from error
    return onnxruntime


@dataclass(frozen=True, slots=True)
class FileFormat:
    """How one kind of file is written and run, and what a STAC item says of it."""

    check: Callable[[], object]
    """Raises RecipeError where what it needs is not installed."""
    write: Callable[[ExportedProgram, Graph[Any], list[str], Path], None]
    run: Callable[[Path], Run]
    framework: str
    artifact: str
    """What STAC's `mlm:artifact_type` is."""
    media_type: str


FORMATS: dict[Format, FileFormat] = {
    "pt2": FileFormat(
        lambda: None,
        _write_pt2,
        _run_pt2,
        "PyTorch",
        "torch.export.save",
        "application/octet-stream; framework=pytorch",
    ),
    "onnx": FileFormat(_onnx, _write_onnx, _run_onnx, "ONNX", "onnx", "application/octet-stream; framework=onnx"),
}
