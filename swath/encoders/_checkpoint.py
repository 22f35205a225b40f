"""Saving and loading an encoder: weights as safetensors, everything else as a JSON card beside them. No pickle."""

import hashlib
import io
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import pandas as pd
import pyarrow as pa
import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file

import swath
from swath import plugins
from swath._files import read_json, replacing, write_whole
from swath._parquet import measured
from swath.batch import NO_DAY, Image
from swath.encoders._base import Encoder, evaluating
from swath.encoders._contract import InputContract
from swath.encoders._plugin import EncoderPlugin, EncoderSettings, StartableSettings
from swath.encoders._units import check_means
from swath.errors import CheckpointError, ContractError, RecipeError, SwathError
from swath.sensors import SensorDefinition, SensorName, band, band_id, declare, definitions
from swath.settings import Settings, differences, plainly

FORMAT = 2
"""Version of the card, raised when a reader of the older one would misread it. Format 1 has no digest, and its
self-check uses a picture made from the very statistics that it should check."""


class SeenFile(Settings):
    """The list of the locations that an encoder was trained on, a file beside it."""

    locations: int
    corpora: list[str]
    """Content hashes of the corpora that the locations belong to."""
    sha256: str
    """SHA-256 of the file."""


class EncoderCard(Settings):
    """Everything that has to be known about the weights, as plain JSON."""

    format: Literal[1, 2] = FORMAT
    swath_version: str
    """Version of swath that wrote it."""
    encoder: dict[str, Any]
    """Settings of the encoder plug-in, without `weights`, which the checkpoint's own replace."""
    contract: InputContract
    """Bands, units and statistics of the input."""
    sensors: dict[SensorName, SensorDefinition] = Field(default_factory=dict)
    """Definitions of those of the input's sensors that swath does not ship, so that every machine can use the
    encoder."""
    sha256: str
    """SHA-256 of the safetensors file."""
    self_check: list[float]
    """Embeddings of reproducible pictures in physical units, which loading repeats."""
    provenance: dict[str, Any]
    """Whatever the writer recorded: recipe, corpus hash, seed, epochs."""
    seen: SeenFile | None = None
    """The list of locations that it was trained on; None where unknown."""
    digest: str = ""
    """SHA-256 of everything else in the card."""


def build(config: EncoderSettings, contract: InputContract) -> Encoder:
    """An encoder of the kind that `config.name` names, fresh or from the weights that its settings name.

    From a checkpoint of swath's own it takes the statistics of its bands as well: it begins as what it was.

    Raises:
        RecipeError: no such encoder, its settings do not fit together, or the weights are not such an encoder's.
        ContractError: the weights are of an encoder of other bands.
        CheckpointError: they are damaged.
    """
    name, plugin = config.name, _plugin(config.name)
    if len(contract.branches) > 1 and not config.HAS_BRANCHES:
        raise RecipeError(
            f"the views are of {len(contract.branches)} sensors in turn, and the encoder {name} has one input",
            remedy="choose an encoder with a branch per sensor, such as unet-3d",
        )
    if contract.any_number and not config.TAKES_ANY_NUMBER:
        raise RecipeError(
            f"the views hold changing numbers of bands, and the encoder {name} has as many channels as ever",
            remedy="choose the encoder any-sensor, or a policy whose views have fixed bands",
        )
    if start := _own_weights(config):
        _check_says_nothing_foreign(config, start)
        return _continued(plugin, config, contract, start)
    if isinstance(config, StartableSettings) and config.weights is not None and not config.TAKES_FOREIGN_WEIGHTS:
        raise RecipeError(
            "the weights have no card of swath's beside them",
            where=str(config.weights),
            remedy=f"{name} starts from checkpoints of swath only",
        )
    return plugin.build(config, contract)


def _check_says_nothing_foreign(config: EncoderSettings, start: Path) -> None:
    extra = config.OF_FOREIGN_WEIGHTS if isinstance(config, StartableSettings) else ()
    if said := [name for name in extra if getattr(config, name) != type(config).model_fields[name].default]:
        raise RecipeError(
            f"the weights are swath's own, and their card says what {', '.join(said)} would say",
            where=str(start),
            remedy=f"leave out {', '.join(said)}",
        )


def _plugin(name: str) -> EncoderPlugin:
    return cast(EncoderPlugin, plugins.find("swath.encoders", name))


def own_start(config: EncoderSettings) -> Path | None:
    """The checkpoint of swath's own that an encoder's settings, or those of a part of it, name as their start; None for
    any other start."""
    part = config.part if isinstance(config, StartableSettings) else None
    return _own_weights(config) or (None if part is None else own_start(part))


def _own_weights(config: EncoderSettings) -> Path | None:
    start = config.weights if isinstance(config, StartableSettings) else None
    return start if start is not None and _files(start)[1].exists() else None


def saw_unknown_places(config: EncoderSettings) -> bool:
    """Whether an encoder starts from published weights that were trained on Earth observation, nobody knows where."""
    return isinstance(config, StartableSettings) and own_start(config) is None and config.saw_the_earth


def untrained(config: EncoderSettings) -> EncoderSettings:
    """Settings of the encoder's random twin: the same, but without weights that were trained on Earth observation."""
    return _without_weights(config) if own_start(config) or saw_unknown_places(config) else config


def _continued(plugin: EncoderPlugin, config: EncoderSettings, contract: InputContract, start: Path) -> Encoder:
    """The encoder as it was saved, for the bands of a contract."""
    before = load(start)
    encoder = plugin.build(_without_weights(config), _with_statistics_of(before.contract, contract, start))
    try:
        encoder.load_state_dict(before.state_dict())
    except RuntimeError as error:
        raise RecipeError(
            f"the weights are not this encoder's: {str(error).splitlines()[-1].strip()}",
            where=str(start),
            remedy=f"give the encoder the settings of the checkpoint: {load_card(start).encoder}",
        ) from error
    _check_settings(config, start)
    return encoder


def _check_settings(config: EncoderSettings, start: Path) -> None:
    """Raise RecipeError if weights fit that are of another network nevertheless, as of one with other heads."""
    then, now = (_without_weights(one).model_dump(mode="json") for one in (_config(load_card(start)), config))
    if said := list(differences(then, now)):
        raise RecipeError(
            f"the weights are of an encoder with other settings: {'; '.join(said)}",
            where=str(start),
            remedy="give the encoder the settings of the checkpoint",
        )


def _with_statistics_of(then: InputContract, now: InputContract, start: Path) -> InputContract:
    """The new contract with the statistics of the old one; ContractError unless bands and units are the same."""
    if then.any_number:
        return _of_both(then, now, start)
    same = now.inputs == then.inputs if now.fixed else set(now.bands) <= set(then.bands)
    if (now.fixed, now.channels) != (then.fixed, then.channels) or not same:
        turned = now.fixed and then.fixed and sorted(now.bands) == sorted(then.bands)
        raise ContractError(
            f"the weights are of an encoder of {'the same bands in another order' if turned else 'other bands'}: "
            f"{_said(then)}; this one is of {_said(now)}",
            where=str(start),
            remedy=f"give the views the bands of the checkpoint{', in its order' if turned else ''}, or start from "
            "other weights",
        )
    _check_units(then, now, start)
    rows = [then.bands.index(key) for key in now.bands]
    return replace(now, mean=tuple(then.mean[i] for i in rows), std=tuple(then.std[i] for i in rows))


def _of_both(then: InputContract, now: InputContract, start: Path) -> InputContract:
    """The contract of an encoder of any bands that is trained further: bands that are new to it join those it knows."""
    _check_units(then, now.of([key for key in now.bands if key in then.bands]), start)
    return then.with_more(now)


def _check_units(then: InputContract, now: InputContract, start: Path) -> None:
    """Raise ContractError unless bands that a checkpoint knows are in its units, as far as their means tell."""
    rows = [then.bands.index(key) for key in now.bands]
    if (units := tuple(then.units[i] for i in rows)) != now.units:
        raise ContractError(
            f"the weights are of an encoder of other units: {', '.join(units)}; this one's are {', '.join(now.units)}",
            where=str(start),
            remedy="bring the corpus to the units of the checkpoint, or start from other weights",
        )
    check_means(then, now)


def _said(contract: InputContract) -> str:
    if contract.fixed:
        return "; or ".join(", ".join(keys) for keys in contract.inputs)
    return f"{contract.channels} of {', '.join(contract.bands)}"


def fresh(path: Path | str) -> Encoder:
    """The network of the encoder saved at `path` with new random weights, drawn from torch's global random state."""
    card = load_card(path)
    return build(_config(card), card.contract)


def save(
    encoder: Encoder,
    config: EncoderSettings,
    path: Path | str,
    provenance: dict[str, Any],
    seen: pd.DataFrame | None = None,
) -> None:
    """Write `path.safetensors`, `path.seen.parquet` and `path.json`; each appears whole or not at all, the card last.

    Args:
        encoder: what to save, in any mode, on any device.
        config: the settings it was built from.
        path: without suffix; the folder is made if it is missing.
        provenance: anything JSON can hold.
        seen: the locations it was trained on, as `swath.corpus.splits.seen.places` lists them; None where nobody knows.

    Raises:
        CheckpointError: its weights, statistics or embedding are not finite.
    """
    # the encoder's own layout is channels-last; what is written is a plain copy
    state = {key: value.detach().cpu().contiguous() for key, value in encoder.state_dict().items()}
    check = _self_check(encoder)
    if broken := _not_finite(state, encoder.contract, check):
        raise CheckpointError(f"{broken} not finite", remedy="train it again with a lower learning rate")
    weights, card_path, seen_path = _files(path)
    weights.parent.mkdir(parents=True, exist_ok=True)
    with replacing(weights) as partial:
        save_file(state, partial)
        card = EncoderCard(
            swath_version=swath.__version__,
            encoder=_without_weights(config).model_dump(mode="json"),
            contract=encoder.contract,
            sensors=definitions(dict.fromkeys(key.partition("/")[0] for key in encoder.contract.bands)),
            sha256=hashlib.sha256(partial.read_bytes()).hexdigest(),
            self_check=check,
            provenance=provenance | ({"start": encoder.start.as_dict()} if encoder.start else {}),
            seen=None if seen is None else _write_seen(seen, seen_path),
        )
        said = card.model_dump(mode="json", exclude=set() if card.sensors else {"sensors"})
        text = json.dumps(said | {"digest": _digest(said)}, indent=1)
    write_whole(card_path, text)


def load_card(path: Path | str) -> EncoderCard:
    """The card alone: what an encoder is, without its weights.

    Raises:
        CheckpointError: there is none, it is damaged or was changed, it comes from a newer swath, or it names unknown
            bands.
    """
    file = _files(path)[1]
    try:
        data = read_json(file)
    except FileNotFoundError:
        raise CheckpointError("there is no encoder here: its card is missing", where=str(file)) from None
    except ValueError as error:
        raise CheckpointError(f"the encoder's card is damaged: {error}", where=str(file), remedy=_AGAIN) from error
    if isinstance(data, dict) and data.get("format") not in range(1, FORMAT + 1):
        raise CheckpointError(
            f"the encoder's card has format {data.get('format')!r}, this swath {swath.__version__} reads 1 to {FORMAT}",
            where=str(file),
            remedy=f"use the swath that wrote it: {data.get('swath_version', 'unknown')}",
        )
    try:
        card = TypeAdapter(EncoderCard).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(
            f"the encoder's card is damaged: {at or 'all of it'}: {plainly(first)}", where=str(file), remedy=_AGAIN
        ) from error
    if unchanged := card.format == 1 or card.digest == _digest(data):
        _declare_sensors(card, file)
    _check_contract(card, file)
    if not unchanged:
        raise CheckpointError("the encoder's card was changed after it was written", where=str(file), remedy=_AGAIN)
    return card


def _declare_sensors(card: EncoderCard, file: Path) -> None:
    try:
        declare(card.sensors, str(file))
    except RecipeError as error:
        raise CheckpointError(error.what, where=str(file), remedy=error.remedy) from None


def load_seen(path: Path | str) -> pd.DataFrame | None:
    """The locations that the encoder saved at `path` was trained on; None where nobody knows.

    Columns: uid, lon and lat (NaN where unknown), corpus (its content hash), chip_m (the width of a chip in metres) and
    footprint (well-known binary in degrees, None where unknown; lists of an earlier swath lack the column).

    Raises:
        CheckpointError: the list is missing or not the card's, or the card cannot be read.
    """
    card, file = load_card(path), _files(path)[2]
    if card.seen is None:
        return None
    if not file.exists():
        raise CheckpointError(
            "the list of the locations that the encoder saw is missing", where=str(file), remedy=_AGAIN
        )
    if hashlib.sha256(content := file.read_bytes()).hexdigest() != card.seen.sha256:
        raise CheckpointError(
            "the list of the locations that the encoder saw is not the card's", where=str(file), remedy=_AGAIN
        )
    try:
        measured(file)
    except (ValueError, pa.ArrowException) as error:
        raise CheckpointError(str(error), where=str(file), remedy=_AGAIN) from None
    return pd.read_parquet(io.BytesIO(content))


def _write_seen(seen: pd.DataFrame, path: Path) -> SeenFile:
    seen = seen.drop_duplicates().sort_values(["corpus", "uid"], ignore_index=True)
    with replacing(path) as partial:
        seen.to_parquet(partial, index=False)
        digest = hashlib.sha256(partial.read_bytes()).hexdigest()
    return SeenFile(locations=len(seen), corpora=sorted(seen["corpus"].unique()), sha256=digest)


def load(path: Path | str, verify: bool = True) -> Encoder:
    """The encoder saved at `path`, in evaluation mode on the CPU.

    Args:
        path: without suffix, as given to `save`; with either suffix it means the same.
        verify: also repeat the embedding that was stored when it was saved, so that a library that computes something
            else now, or statistics that went astray, are noticed here and not in the results.

    Raises:
        CheckpointError: files are missing, damaged, of another format, or do not belong together; bands or the kind of
            encoder are unknown to this version; the stored embedding is not reproduced.
    """
    card, weights = load_card(path), _files(path)[0]
    encoder = _rebuild(card, weights)
    state = _read(weights, card.sha256)
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"weights and card do not fit: {error}", where=str(weights), remedy=_AGAIN) from error
    if broken := _not_finite(state, card.contract, card.self_check):
        raise CheckpointError(
            f"{broken} not finite", where=str(weights), remedy="take a checkpoint of another training"
        )
    encoder.eval()
    if verify:
        _verify(encoder, card, weights)
    return encoder


_AGAIN = "copy or write the checkpoint again, with all its files"


def _rebuild(card: EncoderCard, where: Path) -> Encoder:
    try:
        # the random initial weights are about to be overwritten; the caller's random numbers must not notice
        with torch.random.fork_rng(devices=[]):
            return build(_config(card), card.contract)
    except (SwathError, ValidationError) as error:
        raise CheckpointError(
            f"this swath {swath.__version__} cannot build the encoder: {error}",
            where=str(where),
            remedy=f"use the swath that wrote it: {card.swath_version}",
        ) from error


def _config(card: EncoderCard) -> EncoderSettings:
    return _plugin(str(card.encoder.get("name"))).Config.model_validate(card.encoder)


def _read(weights: Path, sha256: str) -> dict[str, torch.Tensor]:
    try:
        content = weights.read_bytes()
    except FileNotFoundError:
        raise CheckpointError("the encoder's weights are missing", where=str(weights), remedy=_AGAIN) from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CheckpointError("the weights are not those of the card", where=str(weights), remedy=_AGAIN)
    try:
        return load_bytes(content)
    except SafetensorError as error:
        raise CheckpointError(f"the weights are damaged: {error}", where=str(weights), remedy=_AGAIN) from error


def _check_contract(card: EncoderCard, where: Path) -> None:
    contract = card.contract
    lengths = {len(contract.bands), len(contract.units), len(contract.mean), len(contract.std)}
    fits = not contract.fixed or (
        contract.channels == len(contract.inputs[0]) and sum(map(len, contract.inputs)) == len(contract.bands)
    )
    sized = len(contract.gsd_m) in {0, len(contract.bands)} and all(size > 0 for size in contract.gsd_m)
    if len(lengths) != 1 or not contract.bands or not fits or not sized:
        raise CheckpointError("the encoder's card is damaged: its bands and statistics do not agree", where=str(where))
    for key, unit in zip(contract.bands, contract.units, strict=True):
        try:
            known = band(key).unit
        except SwathError as error:
            raise CheckpointError(
                f"this swath {swath.__version__} has no band {key!r}, which the encoder was trained on",
                where=str(where),
                remedy=f"use the swath that wrote it: {card.swath_version} ({error.remedy})",
            ) from error
        if unit != known:
            raise CheckpointError(
                f"the encoder was trained on {key} in {unit}, this swath {swath.__version__} reads it in {known}",
                where=str(where),
                remedy=f"use the swath that wrote it: {card.swath_version}",
            )


def _not_finite(state: Mapping[str, torch.Tensor], contract: InputContract, check: list[float]) -> str:
    """For a message: which parts of an encoder hold NaN or infinity; empty where none does."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            return f"the encoder's weights are ({name})"
    if not all(
        math.isfinite(mu) and 0 <= sigma < math.inf for mu, sigma in zip(contract.mean, contract.std, strict=True)
    ):
        return "the encoder's statistics of its bands are"
    return "" if all(map(math.isfinite, check)) else "the encoder's embedding is"


def _digest(card: dict[str, Any]) -> str:
    """SHA-256 of everything in a card but its digest."""
    rest = {key: value for key, value in card.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _self_check(encoder: Encoder, card_format: int = FORMAT) -> list[float]:
    device = encoder.standardize.mean.device
    images = _pictures(encoder) if card_format > 1 else [_picture_of_format_1(encoder)]
    with torch.no_grad(), torch.autocast(device.type, enabled=False), evaluating(encoder):
        return torch.cat([encoder(image.to(device)).float().flatten() for image in images]).tolist()


def _verify(encoder: Encoder, card: EncoderCard, where: Path) -> None:
    now, then = torch.tensor(_self_check(encoder, card.format)), torch.tensor(card.self_check)
    # other processors and libraries round differently, and training may have saved under reduced precision
    limit = 0.02 * then.norm() + 1e-6
    if now.shape != then.shape or not limit.isfinite() or not (now - then).norm() <= limit:
        raise CheckpointError(
            "the encoder does not give the embedding it gave when it was saved",
            where=str(where),
            remedy=f"it was saved by swath {card.swath_version}; compare the versions of torch and timm as well",
        )


USUAL = {
    "reflectance": (0.02, 0.5),
    "dB": (-22.0, -4.0),
    "K": (265.0, 310.0),
    "display": (0.1, 0.9),
    "degree": (-80.0, 80.0),
}
"""Range of values in the self-check's pictures, by unit."""


MIDSUMMER = 171
"""Day of the self-check's pictures, since 1970-01-01: an encoder that uses days would ignore undated series."""


def _pictures(encoder: Encoder) -> list[Image]:
    """Smooth, partly invalid pictures of all bands together, which depend on the bands' keys and units only."""
    contract = encoder.contract
    if contract.fixed:
        return [_picture([keys], encoder.example_px) for keys in contract.inputs]
    if contract.any_number:
        return [_picture([keys], encoder.example_px) for keys in dict.fromkeys((contract.bands, contract.bands[:1]))]
    count = len(contract.bands)
    starts = range(0, count, contract.channels)
    rows = [tuple(contract.bands[(i + k) % count] for k in range(contract.channels)) for i in starts]
    return [_picture(rows, encoder.example_px)]


def _picture(rows: list[tuple[str, ...]], px: int) -> Image:
    """An image whose samples hold these bands."""
    valid = torch.ones(len(rows), 1, px, px, dtype=torch.bool)
    valid[..., : px // 4, : px // 4] = False
    return Image(
        pixels=torch.stack([torch.stack([_surface(key, px) for key in keys]) for keys in rows])[:, None],
        valid=valid,
        days=torch.full((len(rows), 1), MIDSUMMER, dtype=torch.int32),
        band_ids=torch.tensor([[band_id(key) for key in keys] for keys in rows], dtype=torch.int32),
        gsd_m=10.0,
    )


def _surface(key: str, px: int) -> torch.Tensor:
    """Waves around a level that hardly two bands share, in the band's unit: the same on every machine."""
    low, high = USUAL[band(key).unit]
    own = zlib.crc32(key.encode()) / 2**32
    waves = torch.arange(px * px, dtype=torch.float64).mul(0.37).add(100 * own).sin()
    return (low + (high - low) * (0.3 + 0.4 * own + 0.3 * waves)).float().view(px, px)


def _picture_of_format_1(encoder: Encoder) -> Image:
    """A smooth picture around each band's mean, part of it invalid."""
    contract, px = encoder.contract, encoder.example_px
    order = [i % len(contract.bands) for i in range(contract.channels)]
    mean, std = (torch.tensor(values)[order][:, None, None] for values in (contract.mean, contract.std))
    phase = torch.arange(contract.channels * px * px, dtype=torch.float64).mul(0.37).sin().float()
    plain = _picture([tuple(contract.bands[i] for i in order)], px)
    pixels = (mean + std * phase.view(-1, px, px))[None, None]
    return replace(plain, pixels=pixels, days=torch.full_like(plain.days, NO_DAY))


def _without_weights(config: EncoderSettings) -> EncoderSettings:
    return config.without_start if isinstance(config, StartableSettings) else config


def _files(path: Path | str) -> tuple[Path, Path, Path]:
    """Paths of the weights, the card, and the list of locations."""
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    weights, card, seen = (stem.with_name(f"{stem.name}.{end}") for end in ("safetensors", "json", "seen.parquet"))
    return weights, card, seen
