"""What a recipe and a corpus make of each other: splits, and what an arm is fed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from swath import tasks, views
from swath._progress import console
from swath.config import ArmConfig, Recipe
from swath.corpus import Corpus
from swath.corpus.splits import SplitConfig, rotations, rows_of, split
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


def training_of(arm: ArmConfig, corpus: Corpus, train: np.ndarray) -> dict[str, Any]:
    """What `swath.training` is told of an arm, but for the seed: its settings, and what it learns from.

    Args:
        arm: of a recipe.
        corpus: of its run.
        train: rows of `corpus.locations` in the training part, of which the arm may leave some out.
    """
    return {
        "encoder_config": arm.encoder,
        "method_config": arm.method,
        "views_config": arm.views,
        "train": arm.training,
        "contract": contract_of(arm, corpus),
        "corpus": corpus,
        "locations": rows_of(corpus, train, arm.only),
    }


def say_remarks(planned: Sequence[tasks.Task]) -> None:
    """Print what a reader must know of the tasks' labels and of what is tested."""
    for name in dict.fromkeys(task.name for task in planned):
        folds_of_it = [task for task in planned if task.name == name]
        remarks = [remark for task in folds_of_it for remark in task.remarks]
        for remark in dict.fromkeys([*remarks, *tasks.remarks_on_test(folds_of_it)]):
            console().print(f"task {name}: {remark}", soft_wrap=True)
