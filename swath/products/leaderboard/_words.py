"""What a leaderboard says in words, the same in the terminal, in Markdown and in the page."""

import numpy as np

from swath.products import words
from swath.products.leaderboard._board import Leaderboard, Line, Part, RunComparison
from swath.products.leaderboard._efficiency import Crossing, Efficiency, Saved
from swath.products.tables import VERDICTS
from swath.products.words import listing, plural
from swath.tasks.statistics import Reading


def summary(board: Leaderboard) -> list[str]:
    """What is compared, and what of it could be paired."""
    sets = len(board.parts)
    said = [f"{plural(len(board.runs), 'run')} on {plural(sets, 'data set')}."]
    shared = [part for part in board.parts if len(part.data_set.entries) > 1]
    if not shared:
        said.append("No two runs share a data set, so no rows of different runs are compared.")
        return said
    pairs = [pair for part in board.parts for pair in part.comparisons]
    decided = sum(pair.result.verdict in ("better", "worse") for pair in pairs)
    said.append(
        f"{plural(len(pairs), 'pair')} of rows of different runs "
        f"{'is' if len(pairs) == 1 else 'are'} compared on the same test units, {decided or 'none'} decided."
    )
    return said


def joined(part: Part) -> str:
    """Which runs of a data set test the same units, and how many."""
    entries = part.data_set.entries
    if len(entries) == 1:
        return f"Run: {entries[0].name}."
    tasks = [task for task in part.data_set.tasks if len(part.data_set.having(task)) > 1]
    if not tasks:
        return f"Runs: {listing([entry.name for entry in entries])}, which share no task."
    own = {task: _tested(part, task) for task in tasks}
    common = listing([f"{task} ({own[task]})" for task in tasks])
    return f"Runs: {listing([entry.name for entry in entries])}; all test units are common in {common}."


def _tested(part: Part, task: str) -> str:
    splits = part.data_set.having(task)[0].splits
    test = splits[(splits["task"] == task) & (splits["split"] == "test")]
    return plural(len(set(test["uid"])), "location")


def trainings(line: Line) -> str:
    """How many trainings stand behind a line."""
    return words.trainings(line.trainings, line.folds)


def value(line: Line) -> str:
    """A line's value with its interval."""
    interval = words.score_interval(line.metric, line.low, line.high)
    return f"{words.score(line.metric, line.value)} ({interval})"


def claims(line: Line) -> str:
    """What a line's run says of its claims."""
    said = {
        "better than": line.better_than,
        "worse than": line.worse_than,
        "not distinguishable from": line.not_distinguishable_from,
        "no verdict against": line.without_verdict_against,
    }
    return "; ".join(f"{how} {rows}" for how, rows in said.items() if rows)


def difference(pair: RunComparison) -> str:
    """The difference of a pair, with its interval."""
    result = pair.result
    gain = words.gain_with_unit(result.metric, result.difference, pair.unit)
    return f"{gain} ({words.gain_interval(result.metric, result.low, result.high)})"


def sentence(pair: RunComparison) -> str:
    """A comparison in words: `s4 of a is not distinguishable from s4 of b on crops@10% · …`."""
    result = pair.result
    verb = {"better": "is better than", "worse": "is worse than", "tie": "is not distinguishable from"}
    how = verb.get(result.verdict, f"against ({VERDICTS[result.verdict]})")
    said = f"{pair.a} of {pair.run_a} {how} {pair.b} of {pair.run_b} on {pair.where}: {difference(pair)}"
    return f"{said}, {words.p_value(result.p_holm)} after Holm's correction" if np.isfinite(result.p_holm) else said


def factor(saved: Saved) -> str:
    """A factor of labels with its interval: `4.1 times (2.2 to more than 5)`."""
    return _reading(saved.factor, " times")


def crossing(one: Crossing) -> str:
    """The number of labels at which another row has caught up, with its interval."""
    if one.labels is None:
        return "not ahead with the fewest labels"
    if one.labels.beyond:
        return f"not within the curve: {_reading(one.labels)}"
    return _reading(one.labels)


def _reading(found: Reading, unit: str = "") -> str:
    beyond = {"more": "more than ", "less": "less than "}.get(found.beyond, "")
    low = f"{'less than ' if found.is_low_open else ''}{_number(found.low)}"
    high = f"{'more than ' if found.is_high_open else ''}{_number(found.high)}"
    if found.low == found.high:  # all of the interval lies beyond an end of the curve
        return f"{beyond}{_number(found.value)}{unit} (95 % interval: {low if found.is_low_open else high})"
    return f"{beyond}{_number(found.value)}{unit} ({low} to {high})"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2g}"


def labels(efficiency: Efficiency) -> str:
    """What labels are, in the plural."""
    return "labelled pixels" if efficiency.label == "pixel" else "labels"


def ranks(board: Leaderboard) -> str:
    """What the ranks say, or why there are none."""
    ranking = board.ranking
    if ranking is None:
        return f"Average ranks are not given: {board.unranked}."
    differ = f"averages that differ by less than {ranking.critical_difference:.2f} are not distinguishable (Nemenyi)"
    return (
        f"Friedman's test over {ranking.data_sets} data sets: χ² = {ranking.chi_square:.2f}, "
        f"{words.p_value(ranking.p_chi_square)} (Iman and Davenport: {words.p_value(ranking.p_f)}); {differ}."
    )
