import numpy as np
import pytest

from swath.corpus.splits.subset import rows_of
from swath.errors import CorpusError
from tests.corpus.fakes import make


@pytest.fixture
def corpus(tmp_path):
    made = make(tmp_path / "corpus", count=6)
    made.locations["region"] = ["a", "a", "b", None, "c", "b"]
    made.locations["year"] = [2018, 2019, 2018, 2018, 2018, 2019]
    return made


def test_all_columns_must_agree_and_the_order_stays(corpus):
    rows = np.array([5, 0, 2, 3])
    assert rows_of(corpus, rows, {}).tolist() == [5, 0, 2, 3]
    assert rows_of(corpus, rows, {"region": ["b", "c"]}).tolist() == [5, 2]
    assert rows_of(corpus, rows, {"region": ["b", "c"], "year": [2018]}).tolist() == [2]


def test_a_typo_suggests_the_nearest(corpus):
    with pytest.raises(CorpusError, match="did you mean 'region'"):
        rows_of(corpus, np.arange(6), {"regio": ["a"]})
    with pytest.raises(CorpusError, match="no location has region 'd'"):
        rows_of(corpus, np.arange(6), {"region": ["d"]})
