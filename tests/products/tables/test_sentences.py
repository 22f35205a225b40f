from dataclasses import replace

from swath.products.tables import Pair, Panel, Score, outcome
from swath.products.words import NO_BREAK
from swath.tasks.schema import Role


def score(row: str, role: Role, value: float, *of_arm: str) -> Score:
    return Score(row, role, of_arm, "accuracy", value, value - 0.05, value + 0.05, (value,), 100, 20, "")


def pair(a: str, b: str, difference: float, verdict) -> Pair:
    low, high = difference - 0.02, difference + 0.03
    return Pair(a, b, difference, low, high, 0.01, 0.01, 0.01, 0.02, verdict, 20, "groups", "sign-flip", "")


def panel(*scores: Score, pairs: tuple[Pair, ...] = ()) -> Panel:
    return Panel("cover", "all", "linear", ("accuracy",), scores, (), pairs)


def test_words_of_an_outcome():
    rows = (
        score("byol", "pretrained", 0.8),
        score("simclr", "pretrained", 0.78),
        score("random-encoder", "random-twin", 0.6, "byol"),
    )
    pairs = (pair("simclr", "byol", -0.02, "tie"), pair("byol", "random-encoder", 0.2, "better"))
    said = " ".join(outcome(panel(*rows, pairs=pairs))).replace(NO_BREAK, " ")
    assert "byol came first with 80.0 % accuracy (95 % interval 75.0–85.0)." in said
    assert "2.0 points ahead of simclr, the next, but the two are not distinguishable" in said
    assert "It is better than the same network frozen at its random initial weights (60.0 %)" in said
    assert "+20.0 points (95 % interval +18.0 to +23.0, p = 0.020)" in said
    assert "It was not compared with the same network trained from scratch" in said
    worse = replace(pairs[1], verdict="worse", difference=-0.2)
    assert "It is worse than" in " ".join(outcome(panel(*rows, pairs=(worse,))))
    assert outcome(panel(rows[2])) == ["No pre-trained encoder has a result here."]
