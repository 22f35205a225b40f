"""ConvNeXt V2 on some cells of a picture: nothing of the others enters, and what comes out is a sparse network's."""

import math
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

from swath import encoders, testing
from swath.encoders.convnext_v2 import Config
from swath.errors import RecipeError

SMALL = {"depths": (1, 1, 2, 1), "widths": (4, 6, 8, 10)}
STEMS = [{"cell": 8, "stem": "dense"}, {"cell": 16}, {"cell": 16, "stem": "dense"}]
GRID = 3


def make(**settings):
    """A small network in float64 none of whose weights are 0, and two pictures of 3 x 3 cells, some pixels invalid."""
    torch.manual_seed(0)
    encoder = encoders.build(Config(**{**SMALL, **settings}), testing.contract()).double()
    with torch.no_grad():
        for parameter in encoder.network.parameters():
            parameter.normal_(0, 0.3)
    image = testing.image(testing.contract().bands, b=2, px=GRID * encoder.cell, invalid=0.1)
    return encoder, replace(image, pixels=image.pixels.double())


KEPT = torch.tensor([[0, 4, 5], [7, 2, 3]])


# ------------------------------------------------------------------------------------ an independent sparse network


def norm(x, layer):
    weight, bias = layer.weight.numpy(), layer.bias.numpy()
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + layer.eps) * weight + bias


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def linear(x, layer):
    return x @ layer.weight.numpy().reshape(layer.weight.shape[0], -1).T + layer.bias.numpy()


def across(sites, x, conv):
    """A stride-1 convolution that has outputs and inputs at visible sites alone."""
    at = dict(zip(sites, x, strict=True))
    weight, bias, reach = conv.weight.numpy(), conv.bias.numpy(), conv.kernel_size[0] // 2
    out = np.tile(bias, (len(sites), 1))
    for i, (row, col) in enumerate(sites):
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                if (row + dy, col + dx) in at:
                    kernel, given = weight[:, :, dy + reach, dx + reach], at[row + dy, col + dx]
                    out[i] += kernel[:, 0] * given if conv.groups > 1 else kernel @ given
    return out


def down(sites, x, conv):
    """A convolution whose stride is its width."""
    side, weight = conv.stride[0], conv.weight.numpy()
    coarse = sorted({(row // side, col // side) for row, col in sites})
    out = {site: conv.bias.numpy().copy() for site in coarse}
    for (row, col), given in zip(sites, x, strict=True):
        kernel = weight[:, :, row % side, col % side]
        out[row // side, col // side] += kernel[:, 0] * given if conv.groups > 1 else kernel @ given
    return coarse, np.array([out[site] for site in coarse])


def through(sites, x, block):
    y = norm(across(sites, x, block.conv_dw), block.norm)
    y = gelu(linear(y, block.mlp.fc1))
    size = np.sqrt((y**2).sum(axis=0))
    grn = block.mlp.grn
    y = y + grn.weight.numpy() * y * (size / (size.mean() + grn.eps)) + grn.bias.numpy()
    return x + linear(y, block.mlp.fc2)


@torch.no_grad()
def sparse(encoder, picture, kept):
    """Features by cell, of one standardised picture of which only these cells exist."""
    cell = encoder.cell
    sites = [(r, c) for k in sorted(kept) for r in range(k // GRID * cell, (k // GRID + 1) * cell)
             for c in range(k % GRID * cell, (k % GRID + 1) * cell)]  # fmt: skip
    x = np.array([picture[:, row, col].numpy() for row, col in sites])
    for layer in encoder.network.stem:
        if isinstance(layer, torch.nn.GELU):
            x = gelu(x)
        elif not isinstance(layer, torch.nn.Conv2d):
            x = norm(x, layer)
        elif layer.kernel_size == layer.stride:
            sites, x = down(sites, x, layer)
        else:
            x = across(sites, x, layer)
    for stage in encoder.network.stages:
        if len(list(stage.downsample.children())):
            sites, x = down(sites, norm(x, stage.downsample[0]), stage.downsample[1])
        for block in stage.blocks:
            x = through(sites, x, block)
    return {row * GRID + col: features for (row, col), features in zip(sites, x, strict=True)}


# ------------------------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize("settings", STEMS, ids=str)
def test_cells_are_what_a_sparse_network_makes_of_them_alone(settings):
    encoder, image = make(**settings)
    said = encoder.tokens(image, KEPT).detach().numpy()
    standard = encoder.standardize(image.pixels, image.valid, image.band_ids)[:, 0]
    for sample, kept in enumerate(KEPT.tolist()):
        wanted = sparse(encoder, standard[sample], kept)
        np.testing.assert_allclose(said[sample], np.array([wanted[k] for k in kept]), rtol=1e-8)


@pytest.mark.parametrize("settings", [{"cell": 8}, *STEMS, {"size": "tiny"}], ids=str)
def test_masked_pixels_change_nothing_and_all_cells_are_the_network_itself(settings):
    encoder, image = make(**settings)
    side, hidden = encoder.cell, torch.ones(2, GRID * GRID, dtype=torch.bool).scatter(1, KEPT, value=False)
    whole = hidden.view(2, 1, 1, GRID, GRID).repeat_interleave(side, 3).repeat_interleave(side, 4)
    other = replace(image, pixels=torch.where(whole, 1e6, image.pixels))
    assert torch.equal(encoder.tokens(image, KEPT), encoder.tokens(other, KEPT))
    every = encoder.tokens(image, torch.arange(GRID * GRID).expand(2, -1))
    torch.testing.assert_close(encoder.pooled(every), encoder(image), rtol=1e-8, atol=1e-10)
    assert not torch.allclose(every[0, KEPT[0]], encoder.tokens(image, KEPT)[0])


def test_a_whole_picture_goes_through_timms_own_network():
    contract = testing.contract()
    torch.manual_seed(0)
    encoder = encoders.build(Config(size="atto"), contract)
    theirs = timm.create_model("convnextv2_atto", in_chans=3, num_classes=0)
    theirs.load_state_dict(encoder.network.state_dict())
    image = testing.image(contract.bands, b=1, px=64)
    standard = encoder.standardize(image.pixels, image.valid, image.band_ids)[:, 0]
    torch.testing.assert_close(encoder.embed(image), theirs.eval()(standard))
    assert [channels for channels, _ in encoder.map_sizes()] == [40, 80, 160, 320]


@pytest.mark.parametrize(("settings", "strides"), [({}, [4, 8, 16, 32]), ({"cell": 16}, [2, 4, 8, 16]),
                                                   ({"cell": 8, "stem": "dense"}, [1, 2, 4, 8])])  # fmt: skip
def test_maps_are_as_coarse_as_the_stem_makes_them(settings, strides):
    encoder = encoders.build(Config(**{**SMALL, **settings}), testing.contract())
    assert encoder.map_sizes() == list(zip(SMALL["widths"], strides, strict=True))


@pytest.mark.parametrize(("px", "remedy"), [(40, "crop.size to 32"), (8, "larger chips")])
def test_pictures_that_are_not_made_of_cells_are_refused(px, remedy):
    encoder = encoders.build(Config(**SMALL, cell=16), testing.contract())
    with pytest.raises(RecipeError, match=f"{px} x {px} pixels are not made of whole cells of 16") as refused:
        encoder.tokens(testing.image(testing.contract().bands, px=px), torch.zeros(4, 1, dtype=torch.long))
    assert remedy in refused.value.remedy


def test_published_weights_start_the_published_network_alone(tmp_path):
    theirs = timm.create_model("convnextv2_atto", num_classes=0, depths=(1, 1, 1, 1), dims=(4, 4, 4, 4))
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    start = {"depths": (1, 1, 1, 1), "widths": (4, 4, 4, 4), "weights": tmp_path / "theirs.pth"}
    encoder = encoders.build(Config(**start), testing.contract())
    assert torch.equal(encoder.network.state_dict()["stages.3.blocks.0.mlp.fc1.weight"],
                       theirs.state_dict()["stages.3.blocks.0.mlp.fc1.weight"])  # fmt: skip
    with pytest.raises(RecipeError, match="published weights are of the stem patch and cells of 32 pixels"):
        encoders.build(Config(**start, cell=16), testing.contract())
