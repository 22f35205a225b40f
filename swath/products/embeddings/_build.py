"""An index: the embeddings of everything in a corpus or folder, as GeoParquet."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import geopandas as gpd
import pandas as pd
import torch

import swath
from swath.corpus import Corpus
from swath.encoders import Encoder, SeriesEncoder, load, load_card
from swath.errors import ContractError
from swath.products._shapes import box_around
from swath.products.embeddings._inputs import bands_of, opened
from swath.products.embeddings._parts import ROWS, Parts, run, workplace
from swath.products.embeddings._plan import Dates, Plan, plan
from swath.products.embeddings._quantise import Method, Quantisation
from swath.products.embeddings._reduce import Apply, Pca, Reduction, fit_pca
from swath.products.embeddings._round_trip import in_words, round_trip
from swath.products.embeddings._stac import PARQUET, remove_stac, write_stac
from swath.products.embeddings._table import EncoderMark, Header, mapped, write_table
from swath.tasks.data import Bands

TABLES = {".parquet", ".geoparquet"}
"""Endings of an index, in small letters."""


@dataclass(frozen=True, slots=True)
class Storage:
    """How vectors are stored: as the encoder gives them (float32), shorter, or as bytes."""

    quantise: Method | None = None
    """int8 with a scale per dimension, `linear` or `signed-power`; float32 if not given."""
    prefix: int | None = None
    """Keep the first dimensions: of an encoder that was trained for it (Matryoshka)."""
    pca: int | None = None
    """Keep so many principal components, which are saved beside the index."""
    pca_from: Path | None = None
    """Where the components come from: a NAME.pca.safetensors, or an index of the same encoder, float32 and not reduced,
    to fit them on; they are fitted on what is embedded if not given."""
    labels: str | None = None
    """Label layer or scalar column for the probe in the report on quantisation; the first layer if not given. Of
    locations, and not of zones, which have no labels."""

    def __post_init__(self) -> None:
        if self.prefix is not None and (self.pca is not None or self.pca_from is not None):
            raise ContractError("both a prefix and principal components are asked for", remedy="choose one of them")
        if self.labels is not None and self.quantise is None:
            raise ContractError(
                f"the labels {self.labels} tell what quantisation changes, and nothing is quantised",
                remedy="leave them out, or say quantise",
            )


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and what has to be said about it."""

    path: Path
    rows: int
    header: Header
    notes: tuple[str, ...]
    """Sentences for people: what was left out, what quantisation changed, what the file lacks."""


def mark(encoder: Path | str) -> EncoderMark:
    """Which encoder is saved there, by what makes its vectors: settings, contract and weights."""
    card = load_card(encoder)
    said = card.model_dump(mode="json", include={"encoder", "contract", "sha256"})
    identity = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return EncoderMark(identity=identity, path=str(encoder), kind=str(card.encoder["name"]))


def build_index(
    encoder: Path | str,
    data: Corpus | Path | str,
    to: Path,
    *,
    bands: Sequence[str] | None = None,
    images: Mapping[str, Any] | None = None,
    dates: Literal["one", "each"] = "one",
    storage: Storage | None = None,
    batch_size: int = 64,
    trusted: bool = False,
) -> Written:
    """Embed a corpus or a folder into a GeoParquet file, with a STAC collection beside it.

    The rows stand along a Hilbert curve, with their boxes in the column `bbox`. A process that was killed continues
    when it is called in the same way: what is computed lies in a hidden folder beside the file until the file is whole.

    Args:
        encoder: where one is saved; it goes to the GPU if there is one.
        data: a corpus or its folder, or a folder of GeoTIFFs of one size.
        to: Parquet file to write.
        bands: band keys of the input; the encoder's own if not given.
        images: of a folder, what is not as the encoder's sensor has it; see `embed`.
        dates: `one` date of each location, or `each` in a row of its own. An encoder of series sees all in either case.
        storage: how vectors are stored; as they are if not given.
        batch_size: rows per call of the encoder.
        trusted: do not look at units and pixel size; see `Encoder.embed`.

    Raises:
        ContractError: the encoder cannot take these images, or gives values that are not finite.
        CorpusError: there is nothing to embed.
        SwathError: another process writes the same file.
    """
    with embedded(
        encoder, data, to, bands=bands, images=images, dates=dates, batch_size=batch_size, trusted=trusted
    ) as (
        rows,
        parts,
        header,
    ):
        written = store(rows.table, parts, header, to, storage or Storage(), rows)
        return replace(written, notes=(*_left_out(rows), *written.notes))


@contextmanager
def embedded(
    encoder: Path | str,
    data: Corpus | Path | str,
    to: Path,
    *,
    bands: Sequence[str] | None = None,
    images: Mapping[str, Any] | None = None,
    dates: Literal["one", "each"] = "one",
    among: Any = None,
    batch_size: int = 64,
    trusted: bool = False,
) -> Iterator[tuple[Plan, Parts, Header]]:
    """The rows of an index and the encoder's vectors, in parts that are removed afterwards; see `build_index`.

    Args:
        among: makes of a corpus the rows of its locations that are embedded; all if not given.
    """
    if to.suffix.lower() not in TABLES:
        raise ContractError(
            f"a table of embeddings is GeoParquet, and not {to.suffix or 'a folder'}",
            where=str(to),
            remedy="give a name that ends in .parquet; or, for a grid over a scene, in .zarr or .tif",
        )
    network, marked = load(encoder), mark(encoder)
    with opened(network.contract, data, bands, images) as corpus:
        chosen = bands_of(network.contract, bands, corpus)
        rows = plan(corpus, chosen, _dates(network, dates), None if among is None else among(corpus))
        header = _header(corpus, rows, chosen, marked, network, str(corpus.path if isinstance(data, Corpus) else data))
        to.parent.mkdir(parents=True, exist_ok=True)
        order = hashlib.sha256(rows.locations.tobytes() + repr(rows.dates).encode()).hexdigest()
        said = header.model_dump(mode="json", include={"encoder", "bands", "dates", "corpus", "swath_version"})
        with workplace(to, {**said, "order": order, "rows": len(rows), "part": ROWS}) as folder:
            network.to("cuda" if torch.cuda.is_available() else "cpu")
            yield rows, run(network, chosen, rows, folder, batch_size, trusted=trusted), header


def _dates(encoder: Encoder, dates: Literal["one", "each"]) -> Dates:
    if not isinstance(encoder, SeriesEncoder):
        return dates
    if dates == "each":
        raise ContractError("the encoder embeds whole series, not single dates", remedy="leave --dates out")
    return "series"


def _header(corpus: Corpus, rows: Plan, bands: Bands, marked: EncoderMark, encoder: Encoder, source: str) -> Header:
    layouts = [corpus.info.sensors[name] for name in rows.reader.reads if name in corpus.info.sensors]
    return Header(
        swath_version=swath.__version__,
        dates=rows.dates,
        encoder=marked,
        bands=bands,
        dims=encoder.dim,
        dtype="float32",
        chip_px=corpus.info.chip_px,
        gsd_m=layouts[0].gsd_m if layouts else 1.0,
        corpus=corpus.content_hash,
        corpus_path=source,
        licences=corpus.info.licences,
    )


def store(
    rows: gpd.GeoDataFrame, parts: Parts, header: Header, to: Path, storage: Storage, probed: Plan | None = None
) -> Written:
    """Write vectors as an index.

    Args:
        rows: columns but for the vectors, in WGS 84.
        parts: one vector a row.
        header: of the vectors as they are; what storage changes is added.
        to: Parquet file to write.
        storage: how they are stored.
        probed: what the rows are, where their labels shall be looked at; see `round_trip`.
    """
    notes: list[str] = []
    width = parts.read(0, 1).shape[1]
    reduce, reduction = _reduced(parts, width, header, to, storage)
    quantisation = None
    told: dict[str, Any] | None = None
    if storage.quantise is not None:
        quantisation = Quantisation.fitted(storage.quantise, map(reduce, parts.blocks()))
        told = round_trip(parts, reduce, quantisation, probed, storage.labels)
        notes += in_words(told)
    final = header.model_copy(
        update={
            "dims": reduction.dims if reduction else width,
            "dtype": "float32" if quantisation is None else "int8",
            "reduction": reduction,
            "quantisation": quantisation,
            "round_trip": told,
        }
    )
    if reduction is not None and reduction.explained is not None:
        notes.append(f"{reduction.dims} principal components hold {100 * reduction.explained:.1f} % of the variance")
    write_table(to, rows, parts, reduce, final)
    notes += describe(to, rows, final)
    return Written(to, len(rows), final, tuple(notes))


def _left_out(rows: Plan) -> list[str]:
    if not rows.left_out:
        return []
    lacking = (
        "a chip of every sensor" if "location" not in rows.reader.reads else "coordinates, or a chip of every sensor"
    )
    return [f"{rows.left_out:,} locations are left out, which lack {lacking}"]


def describe(to: Path, rows: gpd.GeoDataFrame, header: Header) -> list[str]:
    """Write STAC's collection and item beside an index; says what cannot be described."""
    known = gpd.GeoSeries(rows.geometry).dropna()
    notes = []
    if not len(known):
        remove_stac(to)
        return ["no row has coordinates: the file has no geometry, and there is no STAC collection"]
    if len(known) < len(rows):
        notes.append(f"{len(rows) - len(known):,} of {len(rows):,} rows have no coordinates, and no geometry")
    dates = pd.concat([pd.Series(rows[name]) for name in ("date", "last_date") if name in rows]).dropna()
    if dates.empty:
        notes.append("no date is known: there is a STAC collection, but no item")
    source = Path(header.corpus_path) / "corpus.json"
    write_stac(
        to,
        PARQUET,
        header.emb,
        bbox=box_around(known.to_numpy()),
        interval=None if dates.empty else (dates.min(), dates.max()),
        model=f"{header.encoder.path.removesuffix('.json').removesuffix('.safetensors')}.json",
        source=str(source if source.exists() else source.parent),
        licences=header.licences,
    )
    return notes


def _reduced(parts: Parts, width: int, header: Header, to: Path, storage: Storage) -> tuple[Apply, Reduction | None]:
    if storage.prefix is not None:
        if not 1 <= storage.prefix <= width:
            raise ContractError(
                f"a prefix of {storage.prefix} dimensions of {width}", remedy=f"give 1 to {width}: --prefix N"
            )
        dims = storage.prefix
        return (lambda vectors: vectors[:, :dims]), Reduction(method="prefix", from_dims=width, dims=dims)
    if storage.pca is None and storage.pca_from is None:
        return (lambda vectors: vectors), None
    pca = _components(parts, width, header.encoder.identity, storage)
    file = to.with_name(f"{to.name.removesuffix(to.suffix)}.pca.safetensors")
    return pca, Reduction(
        method="pca",
        from_dims=width,
        dims=len(pca.components),
        file=file.name,
        sha256=pca.save(file),
        explained=pca.explained,
    )


def _components(parts: Parts, width: int, identity: str, storage: Storage) -> Pca:
    source = storage.pca_from
    if source is None:
        assert storage.pca is not None
        return fit_pca(parts.blocks(), storage.pca, identity)
    if source.suffix.lower() in TABLES:
        header = Header.read(source)
        if header.reduction is not None or header.quantisation is not None or storage.pca is None:
            raise ContractError(
                "principal components are fitted on vectors as the encoder gives them, and on a number of dimensions",
                where=str(source),
                remedy="give an index without --quantise, --prefix and --pca, and say --pca N",
            )
        _check_same(header.encoder.identity, identity, source)
        values = mapped(source, header).values
        return fit_pca((values[i : i + ROWS] for i in range(0, len(values), ROWS)), storage.pca, identity)
    pca = Pca.load(source)
    _check_same(pca.encoder, identity, source)
    if pca.components.shape[1] != width or storage.pca not in {None, len(pca.components)}:
        raise ContractError(
            f"the file has {len(pca.components)} components of {pca.components.shape[1]} dimensions",
            where=str(source),
            remedy="leave --pca out, or fit them again",
        )
    return pca


def _check_same(theirs: str, ours: str, where: Path) -> None:
    if theirs != ours:
        raise ContractError(
            "the principal components are of another encoder", where=str(where), remedy="fit them on this one's vectors"
        )
