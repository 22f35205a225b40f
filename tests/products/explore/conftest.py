"""Files of labels that a test opened are closed when it ends."""

import pytest

from swath.products.explore import Labels


@pytest.fixture(autouse=True)
def closed(monkeypatch):
    opened, begin = [], Labels.__init__

    def init(labels, *given):
        begin(labels, *given)
        opened.append(labels)

    monkeypatch.setattr(Labels, "__init__", init)
    yield
    for labels in opened:
        labels.close()
