"""What every plug-in has to keep, for the tests of a package that offers some (docs/plugins.md).

    import pytest
    from swath import testing

    @pytest.mark.parametrize("check", testing.checks("methods"), ids=str)
    def test_my_method(check):
        check("my-method", hidden=16)

A check takes the plug-in's name and settings, and raises AssertionError, with a sentence, where a promise is broken.
Swath's own plug-ins are held to the same checks.
"""

from swath.testing._data import batch, contract, far, features, image
from swath.testing._far import Far
from swath.testing._kinds import KINDS, Check, checks

__all__ = ["KINDS", "Check", "Far", "batch", "checks", "contract", "far", "features", "image"]
