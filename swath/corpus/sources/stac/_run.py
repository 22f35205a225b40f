"""Building on a Dask cluster: tasks in any order, commits in the order of the plan, failures in a table.

A bounded number of locations is under way at any time, so memory does not grow with the corpus. The corpus is written
by this process alone, location by location in the plan's order, so its content hash depends neither on the order in
which results arrive nor on who died on the way.
"""

import json
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dask import config as dask_config
from distributed import CancelledError, Client, Future, KilledWorker
from distributed.client import ClosedClientError

from swath import _parquet
from swath._files import named, replacing
from swath._progress import console, track
from swath.corpus import places
from swath.corpus.cluster import active, threads
from swath.corpus.sources._contents import Contents, write_log
from swath.corpus.sources._shapes import Shapes
from swath.corpus.sources.stac import _cloudless as cloudless
from swath.corpus.sources.stac import _section as sections
from swath.corpus.sources.stac._hosts import Patience, TransientError
from swath.corpus.sources.stac._place import UNFORESEEN, Outcome, build
from swath.corpus.sources.stac._search import lacks
from swath.corpus.sources.stac._section import StacSection
from swath.corpus.sources.stac._site import Failure
from swath.corpus.store import CorpusWriter, Location
from swath.errors import CorpusError, RecipeError

AHEAD = 3
"""Number of locations under way per thread of the cluster: enough that none waits for the slowest."""
PART_BYTES = 32 * 2**20
PART_SECONDS = 60.0
"""Age in seconds at which a part is committed even if it is small: all that a kill can cost."""
ALONE_SECONDS, LOOK_SECONDS = 120.0, 5.0
"""Seconds that a cluster may be without workers, and seconds between two looks."""
PLAN, LOG, TABLE = "plan.parquet", "failures.jsonl", "failures.parquet"
SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("sensor", pa.string()),
        ("window", pa.string()),
        ("reason", pa.string()),
        ("transient", pa.bool_()),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
    ]
)


def run(section: StacSection, target: Path, data: Path | None = None, part_bytes: int = PART_BYTES) -> None:
    """Make the corpus, or continue one.

    Args:
        section: of the recipe.
        target: folder of the corpus.
        data: folder where files of label layers are looked for first.
        part_bytes: a part is committed when it holds so much.

    Raises:
        CorpusError: the folder cannot be used, a catalogue does not answer, no location has a chip, or hosts failed and
            the section says `stop`.
        RecipeError: a catalogue has no such collection, or the cloud mask needs a package that is not installed.
    """
    _look_ahead(section)
    shapes = Shapes(section.shapes, data)
    provenance = {"source": "stac", "section": section.model_dump(mode="json")}
    provenance |= {"shapes": shapes.digests} if section.shapes else {}
    layouts, layers = sections.layouts(section), shapes.layers
    with CorpusWriter(
        target, layouts, section.chip_px, layers, provenance, section.licences, section.compression
    ) as writer:
        shapes.begin(writer)
        plan = _plan(section, target)
        shapes.look_ahead(locations(plan), section.chip_px)
        log = FailureLog(target)
        todo = [one for one in locations(plan) if one.uid not in writer.committed and one.uid not in log.settled]
        with _client() as client:
            outcomes = track(_in_order(client, section, todo), len(todo), "building the corpus")
            for part in _parts(outcomes, part_bytes):
                log.add(part)
                _say_what_waits(part)
                contents = _labelled(part, shapes)
                write_log(target, contents.left_out)
                if contents.locations:
                    writer.append(contents.part())
        table = log.table()
        _say_what_failed(section, target, table, stored=bool(writer.committed))
        write_log(target, shapes.log)
        shapes.finish(writer)


def _labelled(outcomes: Iterable[Outcome], shapes: Shapes) -> Contents:
    """Outcomes that can be stored, with labels from the section's shapes."""
    contents = Contents()
    for outcome in outcomes:
        if outcome.location is not None:
            contents.locations.append(outcome.location)
            contents.chips += outcome.chips
            contents.labels.append({})
    return shapes.add_to(contents)


def _look_ahead(section: StacSection) -> None:
    """Refuse at once what would fail at every location."""
    if any(product.cloud_mask for product in section.products):
        cloudless.require()
    for product in section.products:
        address = sections.catalogue_of(product, section).address
        for collection in sections.entries(product, section).values():
            _require(address, collection, section, f"corpus.source.products: {product.sensor}")


def _require(address: str, collection: str, section: StacSection, where: str) -> None:
    """A catalogue that answers, which is not waited for as long as for one that did before, and has the collection."""
    patience = Patience(min(section.retries, 2), section.backoff_s, section.timeout_s, section.limits)
    try:
        lacking = lacks(address, collection, patience)
    except TransientError as error:
        raise CorpusError(
            f"the catalogue does not answer: {error}",
            where=where,
            remedy="look at the address and the network; the same command starts or continues the build",
        ) from None
    if lacking:
        raise RecipeError(
            f"there is no collection {collection!r} at {address}",
            where=where,
            remedy=f"see {address}/collections for what there is",
        )


def _say_what_waits(part: Sequence[Outcome]) -> None:
    """Tell the user which hosts are waited for: an outage lasts longer than anybody watches a bar that does not
    move.
    """
    waiting = {failure.uid: failure.reason for outcome in part for failure in outcome.failures if failure.transient}
    if waiting:
        said = (
            f"hosts fail, {len(waiting)} more location(s) have to be tried again; first: {next(iter(waiting.values()))}"
        )
        console().print(said, style="yellow")


def _say_what_failed(section: StacSection, target: Path, table: pd.DataFrame, *, stored: bool) -> None:
    unforeseen = pd.DataFrame(table[table["reason"].str.startswith(UNFORESEEN)])
    if len(unforeseen):
        said = f"{len(unforeseen)} location(s) are left out for errors that nobody foresaw: please report them"
        said += f"; first: {unforeseen['reason'].iloc[0]}; all: {target / TABLE}"
        console().print(said, style="red", soft_wrap=True, markup=False)
    waiting = pd.DataFrame(table[table["transient"]])
    if len(waiting) and section.on_failure == "stop":
        raise CorpusError(
            f"hosts failed for {waiting['uid'].nunique()} location(s); first: {waiting['reason'].iloc[0]}",
            where=str(target / TABLE),
            remedy="the same command tries them again; corpus.source.on_failure=leave-out finishes without them",
        )
    if not stored:
        most = Counter(table["reason"]).most_common(1)
        raise CorpusError(
            f"no location has a chip; most often: {most[0][0] if most else 'nothing was planned'}",
            where=str(target / TABLE),
            remedy="look at the table of failures; widen the windows, allow more cloud, or choose another area",
        )


# -- plan --------------------------------------------------------------------------------------------------------------


def _plan(section: StacSection, target: Path) -> gpd.GeoDataFrame:
    """The locations, drawn once and kept with the corpus, so that a continued build uses the same."""
    path = target / PLAN
    if not path.exists():
        drawn = places.draw(section.where, sections.footprint(section))
        with replacing(path) as temporary:
            drawn.to_parquet(temporary, index=False)
    try:
        return gpd.read_parquet(_parquet.measured(path))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise CorpusError(
            f"the plan cannot be read: {str(error).splitlines()[0]}",
            where=str(path),
            remedy="restore the file, or give another folder to build anew",
        ) from error


def locations(plan: gpd.GeoDataFrame) -> Iterator[Location]:
    """The locations of a plan, in its order; further columns become scalar labels."""
    facts = [name for name in plan.columns if name not in {"uid", "lon", "lat", "crs", "transform", "px", "geometry"}]
    for row in plan.to_dict("records"):
        a, b, c, d, e, f = (float(number) for number in row["transform"])
        yield Location(
            uid=row["uid"],
            lonlat=(row["lon"], row["lat"]),
            footprint=row["geometry"],
            crs=row["crs"],
            transform=(a, b, c, d, e, f),
            scalars={name: row[name] for name in facts},
        )


# -- tasks -------------------------------------------------------------------------------------------------------------


@contextmanager
def _client() -> Iterator[Client]:
    """The Dask client that is active in this process, or threads of this process."""
    if (client := active()) is not None:
        yield client
        return
    with dask_config.set({"distributed.admin.system-monitor.gil.enabled": False}), threads() as client:
        yield client


def _in_order(client: Client, section: StacSection, todo: Sequence[Location]) -> Iterator[Outcome]:
    """Outcomes in the order of the locations, whatever order they arrive in."""
    pending: deque = deque()
    for location in todo:
        if len(pending) >= AHEAD * max(1, _threads(client)):
            yield _outcome(client, *pending.popleft())
        with _connected():
            pending.append((location, client.submit(build, section, location, pure=False)))
    while pending:
        yield _outcome(client, *pending.popleft())


@contextmanager
def _connected() -> Iterator[None]:
    """Explain an error that means that the scheduler has gone."""
    try:
        yield
    except (CancelledError, ClosedClientError, OSError) as error:
        raise CorpusError(
            f"the connection to the cluster is lost: {error}",
            remedy="start the cluster again and give the same command: the build continues after what is committed",
        ) from error


def _threads(client: Client) -> int:
    """How many tasks the cluster works on at a time."""
    with _connected():
        if client.status == "closed":
            raise ClosedClientError("its client is closed")
        threads = client.nthreads()
    assert isinstance(threads, dict)
    return sum(threads.values())


def _outcome(client: Client, location: Location, future: Future) -> Outcome:
    try:
        with _connected():
            _wait(client, future)
            return future.result()
    except KilledWorker as error:
        lon, lat = location.lonlat or (0.0, 0.0)
        reason = f"every worker that tried it died: {str(error).splitlines()[0]}"
        return Outcome(None, (), (Failure(location.uid, "", None, reason, True, lon, lat),))


def _wait(client: Client, future: Future) -> None:
    """Wait for a task; a cluster without workers gets some time to find new ones.

    Raises:
        CorpusError: it found none.
    """
    seen = time.monotonic()
    while not future.done():
        with suppress(TimeoutError):
            future.result(timeout=LOOK_SECONDS)
        if _threads(client):
            seen = time.monotonic()
        elif time.monotonic() - seen > ALONE_SECONDS:
            raise CorpusError(
                f"the cluster has had no worker for {ALONE_SECONDS:.0f} s",
                remedy="see the workers' logs, start some, and give the same command: the build continues",
            )


def _parts(outcomes: Iterable[Outcome], part_bytes: int) -> Iterator[list[Outcome]]:
    part: list[Outcome] = []
    size, since = 0, time.monotonic()
    for outcome in outcomes:
        part.append(outcome)
        size += sum(chip.pixels.nbytes for chip in outcome.chips)
        if size >= part_bytes or time.monotonic() - since > PART_SECONDS:
            yield part
            part, size, since = [], 0, time.monotonic()
    if part:
        yield part


# -- failures ----------------------------------------------------------------------------------------------------------


class FailureLog:
    """What the corpus lacks: a line per location, appended before its part is committed, and a table at the end."""

    def __init__(self, folder: Path):
        self._path = folder / LOG
        self._table = folder / TABLE
        self._by_uid: dict[str, list[dict]] = {}
        self.settled: set[str] = set()
        """Locations that are left out for good."""
        for line in self._path.read_text().splitlines() if self._path.exists() else []:
            self._remember(line)

    def _remember(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return  # the last line of a build that was killed while it wrote
        self._by_uid[entry["uid"]] = entry["failures"]
        if entry["left_out"] and not any(failure["transient"] for failure in entry["failures"]):
            self.settled.add(entry["uid"])

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Append failures; a success takes back what an earlier attempt noted."""
        lines = [line for outcome in outcomes if (line := self._line(outcome))]
        if lines:
            with named(self._path), self._path.open("a") as file:
                # the first line ends what a full disk or a kill may have cut off
                file.write("\n".join(["", *lines, ""]))
                file.flush()
                os.fsync(file.fileno())
        for line in lines:
            self._remember(line)

    def _line(self, outcome: Outcome) -> str | None:
        uid = outcome.location.uid if outcome.location else outcome.failures[0].uid
        if not outcome.failures and uid not in self._by_uid:
            return None
        failures = [asdict(failure) for failure in outcome.failures]
        return json.dumps({"uid": uid, "left_out": outcome.location is None, "failures": failures})

    def table(self) -> pd.DataFrame:
        """Write the table of failures, and return it."""
        rows = [failure for failures in self._by_uid.values() for failure in failures]
        table = pa.Table.from_pylist(rows, SCHEMA)
        with replacing(self._table) as temporary:
            pq.write_table(table, temporary)
        return pd.DataFrame(table.to_pandas())
