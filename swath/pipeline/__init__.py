"""The main job from Python: `swath.run("quickstart")` and its single steps.

Every step continues where it stopped: a corpus is built in committed parts, a pre-training from its last checkpoint,
an evaluation cell by cell, and what is complete is not done again.
"""

from swath.pipeline._corpus import build_corpus, input_of, make_corpus
from swath.pipeline._evaluate import evaluate
from swath.pipeline._explain import explain_run
from swath.pipeline._explore import run_index
from swath.pipeline._export import export_run
from swath.pipeline._folder import arm_folder, corpus_path, run_folder
from swath.pipeline._inputs import contract_of, folds
from swath.pipeline._judge import evaluate_on, recipe_for
from swath.pipeline._map import Result, map_encoder, map_run
from swath.pipeline._map_locations import map_locations
from swath.pipeline._plan import plan_corpus
from swath.pipeline._pretrain import pretrain
from swath.pipeline._represent import represent
from swath.pipeline._run import report, run
from swath.pipeline._stress import stress

__all__ = [
    "Result",
    "arm_folder",
    "build_corpus",
    "contract_of",
    "corpus_path",
    "evaluate",
    "evaluate_on",
    "explain_run",
    "export_run",
    "folds",
    "input_of",
    "make_corpus",
    "map_encoder",
    "map_locations",
    "map_run",
    "plan_corpus",
    "pretrain",
    "recipe_for",
    "report",
    "represent",
    "run",
    "run_folder",
    "run_index",
    "stress",
]
