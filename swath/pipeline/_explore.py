"""Embeddings of a run's own corpus by one of its encoders, for those who want to look at them."""

from pathlib import Path

from swath._progress import console
from swath.errors import RecipeError, nearest
from swath.pipeline._folder import arm_folder, opened
from swath.products import embeddings
from swath.training.folder import is_trained


def run_index(run: Path, arm: str | None = None) -> Path:
    """The embeddings of a run's corpus by the first encoder of an arm; made where they are not there yet.

    Args:
        run: the run's folder.
        arm: whose encoder it is; the only one that is trained if not given.

    Raises:
        RecipeError: it is no run's folder, nothing of it is trained, or several arms are and none is said.
        CorpusError: its corpus cannot be opened.
    """
    if (run / "corpus.json").is_file():
        raise RecipeError(
            "a corpus alone has no embeddings",
            where=str(run),
            remedy="make them: swath embed ENCODER CORPUS --to embeddings.parquet",
        )
    recipe, corpus = opened(run)
    trained = {
        name: seeds
        for name in recipe.arms
        if (seeds := [seed for seed in recipe.seeds if is_trained(arm_folder(run, name, seed))])
    }
    if not trained:
        raise RecipeError("the run has no encoder yet", where=str(run), remedy="swath run, or swath pretrain")
    if arm is None and len(trained) > 1:
        raise RecipeError(
            f"the run has encoders of several arms: {', '.join(trained)}", where=str(run), remedy="say which: --arm"
        )
    chosen = arm or next(iter(trained))
    if chosen not in trained:
        raise RecipeError(f"no encoder of the arm {chosen!r} is there", where=str(run), remedy=nearest(chosen, trained))
    encoder = arm_folder(run, chosen, trained[chosen][0]) / "encoder"
    to = encoder.parent / "embeddings.parquet"
    if not to.exists() or embeddings.Header.read(to).encoder.identity != embeddings.mark(encoder).identity:
        written = embeddings.build_index(encoder, corpus, to)
        for note in written.notes:
            console().print(note, soft_wrap=True, markup=False)
    return to
