from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from swath.batch import NO_DAY, Batch, Image, collate, pad_dates


def image(b=2, t=3, c=2, px=4, seed=0, gsd_m=10.0):
    generator = torch.Generator().manual_seed(seed)
    return Image(
        pixels=torch.randn(b, t, c, px, px, generator=generator),
        valid=torch.rand(b, t, px, px, generator=generator) > 0.3,
        days=torch.randint(10_000, 20_000, (b, t), generator=generator, dtype=torch.int32),
        band_ids=torch.randint(0, 50, (b, c), generator=generator, dtype=torch.int32),
        gsd_m=gsd_m,
    )


def batch(sizes, first=0, sensors=("hls", "sentinel-1-grd")):
    """One location per size, whose series has that many dates."""
    return [
        Batch(
            images={name: image(b=1, t=t, seed=first + i) for name in sensors},
            lonlat=torch.tensor([[float(first + i), 50.0]], dtype=torch.float64),
            uid=[f"place-{first + i}"],
            targets={"class": torch.tensor([first + i])},
        )
        for i, t in enumerate(sizes)
    ]


def same(a: Image, b: Image) -> bool:
    fields = ("pixels", "valid", "days", "band_ids")
    return a.gsd_m == b.gsd_m and all(torch.equal(getattr(a, name), getattr(b, name)) for name in fields)


def test_shapes_are_checked():
    good = image()
    for wrong in (
        {"valid": good.valid[:, :1]},
        {"days": good.days[:1]},
        {"band_ids": good.band_ids[:, :1]},
        {"pixels": good.pixels.long()},
        {"pixels": good.pixels[0]},
    ):
        with pytest.raises(TypeCheckError):
            replace(good, **wrong)


def test_channels_go_with_their_bands():
    whole = image(c=4)
    part = whole.channels([3, 1, 1])
    assert torch.equal(part.pixels, torch.stack([whole.pixels[:, :, i] for i in (3, 1, 1)], dim=2))
    assert torch.equal(part.band_ids, torch.stack([whole.band_ids[:, i] for i in (3, 1, 1)], dim=1))
    assert same(replace(whole, pixels=part.pixels, band_ids=part.band_ids), part), "nothing else changes"


def test_take_keeps_samples_whole():
    whole = image(b=4)
    part = whole.take(torch.tensor([2, 0]))
    assert len(part) == 2
    for i, source in enumerate((2, 0)):
        assert same(part.take([i]), whole.take([source]))


def test_padding_keeps_series_and_marks_the_rest_invalid():
    short, long = image(b=2, t=1), image(b=1, t=4, seed=1)
    joined = pad_dates([short, long])
    assert joined.pixels.shape == (3, 4, 2, 4, 4)
    assert torch.equal(joined.pixels[:2, :1], short.pixels)
    assert torch.equal(joined.days[:2, :1], short.days)
    assert same(joined.take([2]), long)
    assert not joined.valid[:2, 1:].any()
    assert (joined.days[:2, 1:] == NO_DAY).all()
    assert (joined.pixels[:2, 1:] == 0).all()


def test_one_image_is_joined_to_itself():
    assert same(pad_dates([image()]), image())


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"c": 3}, r"sample 1 has \(c, h, w\) = \(3, 4, 4\)"),
        ({"px": 8}, r"\(2, 8, 8\)"),
        ({"gsd_m": 30.0}, "at 30.0 m"),
    ],
)
def test_images_that_differ_are_not_joined(other, what):
    with pytest.raises(ValueError, match=what):
        pad_dates([image(), image(**other)])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_collation_is_associative_and_keeps_every_sample(sizes, data):
    singles = batch(sizes)
    at_once = collate(singles)
    cut = data.draw(st.integers(0, len(sizes) - 1))
    parts = [collate(part) for part in (singles[:cut], singles[cut:]) if part]
    in_two = collate(parts)
    assert at_once.uid == in_two.uid == [f"place-{i}" for i in range(len(sizes))]
    assert torch.equal(at_once.lonlat, in_two.lonlat)
    assert torch.equal(at_once.targets["class"], torch.arange(len(sizes)))
    for name, joined in at_once.images.items():
        assert same(joined, in_two.images[name])
        for i, single in enumerate(singles):
            t = sizes[i]
            assert torch.equal(joined.pixels[i : i + 1, :t], single.images[name].pixels)
            assert not joined.valid[i, t:].any()
    assert len(at_once) == len(sizes)


def test_batches_that_differ_are_not_joined():
    one, other = batch([1])[0], batch([1], sensors=("hls",))[0]
    with pytest.raises(ValueError, match=r"batch 1 holds \['hls'\] with targets \['class'\], batch 0 holds"):
        collate([one, other])
    with pytest.raises(ValueError, match=r"with targets \[\]"):
        collate([one, replace(one, targets={})])


def test_a_batch_moves_whole():
    moved = collate(batch([1, 2])).to("meta")
    assert {moved.lonlat.device.type, moved.targets["class"].device.type} == {"meta"}
    for joined in moved.images.values():
        assert {joined.pixels.device.type, joined.valid.device.type} == {"meta"}
        assert {joined.days.device.type, joined.band_ids.device.type} == {"meta"}
    assert moved.uid == ["place-0", "place-1"]
