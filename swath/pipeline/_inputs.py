"""What a recipe and a corpus make of each other: splits, and what an arm is fed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from swath import tasks, views
from swath._progress import console
from swath.config import ArmConfig, Recipe
from swath.corpus import Corpus
from swath.corpus.splits import SplitConfig, rotations, split
from swath.encoders import InputContract
from swath.tasks.data import contract_of as contract_of_bands

Rows = dict[str, np.ndarray]
"""Rows of `corpus.locations` by part of the split: train, val, test."""


def folds(recipe: Recipe, corpus: Corpus) -> list[SplitConfig]:
    """The recipe's splits: one, or all folds that its seeds rotate over."""
    return rotations(corpus, recipe.split) if recipe.rotate else [recipe.split]


def parts_of(recipe: Recipe, corpus: Corpus, seed: int) -> Rows:
    """The split that a seed is trained with."""
    return split(corpus, tasks.folds_of(recipe.seeds, folds(recipe, corpus))[seed])


def contract_of(arm: ArmConfig, corpus: Corpus) -> InputContract:
    """What the arm's encoder is fed, with the corpus's statistics.

    Raises:
        ContractError: the corpus has no statistics of a band that the views hold.
    """
    inputs = views.build(arm.views).inputs
    contract = contract_of_bands(
        corpus, inputs.bands, channels=inputs.channels, fixed=inputs.fixed, branches=inputs.branches
    )
    return replace(contract, any_number=inputs.any_number)


def say_remarks(planned: Sequence[tasks.Task]) -> None:
    """Print what a reader must know of the tasks' labels and of what is tested."""
    for name in dict.fromkeys(task.name for task in planned):
        folds_of_it = [task for task in planned if task.name == name]
        remarks = [remark for task in folds_of_it for remark in task.remarks]
        for remark in dict.fromkeys([*remarks, *tasks.remarks_on_test(folds_of_it)]):
            console().print(f"task {name}: {remark}", soft_wrap=True)
