"""Any number of views: which methods take them, which forward passes they share, and the rest's refusal."""

import pytest
import torch

from swath import methods, plugins
from swath.errors import RecipeError
from swath.methods._crops import together
from tests.methods import fakes

NAMES = methods.names()
SEVERAL = {name for name in NAMES if plugins.find("swath.methods", name).Method.multi_crop}


def test_which_methods_take_several_views():
    assert {"dino", "lejepa", "visreg"} == SEVERAL


@pytest.mark.parametrize("name", NAMES)
def test_a_method_takes_several_crops_or_says_that_it_does_not(name):
    if name in (*fakes.OF_OTHER_ENCODERS, *fakes.MASKED, *fakes.OF_TOKENS):
        method = fakes.method(name)
        views = [view for _ in range(3) for view in method.views(fakes.batch(4), torch.Generator())]
    else:
        method = fakes.method(name, fakes.crops)
        views = method.views(fakes.batch(4), torch.Generator().manual_seed(0))
    if name in fakes.OF_TOKENS:  # each view by itself
        loss = method.loss(views)
        loss.total.backward()
        assert bool(loss.total.isfinite())
        assert len(loss.features) == 4
    elif name in SEVERAL:
        loss = method.loss(views)
        loss.total.backward()
        assert bool(loss.total.isfinite())
        assert len(loss.features) == 4
        local = [view for view in views if view.local]
        with pytest.raises(RecipeError, match=f"{name} compares two or more views, one of them global"):
            method.loss(local)
    else:
        with pytest.raises(RecipeError, match=f"the view policy draws {len(views)}"):
            method.loss(views)


def test_views_of_a_size_share_a_forward_pass_and_come_back_in_order():
    views = fakes.crops(fakes.batch(4), torch.Generator().manual_seed(0))
    encoder, passes = fakes.encoder(), []
    encoder.network[0].register_forward_hook(lambda m, i, o: passes.append(len(i[0])))
    found = together(encoder, views)
    assert passes == [8, 12]
    for features, view in zip(found, views, strict=True):
        torch.testing.assert_close(features, encoder(view.image))
