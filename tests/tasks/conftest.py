import pytest

from tests.tasks import fakes


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return fakes.make(tmp_path_factory.mktemp("corpus") / "small")


@pytest.fixture(scope="session")
def fields(tmp_path_factory):
    return fakes.make_fields(tmp_path_factory.mktemp("corpus") / "fields")
