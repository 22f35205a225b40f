"""Refuse to judge an encoder on locations that it saw in its pre-training."""

from pathlib import Path

from swath.corpus.splits import first_few, refuse_seen
from swath.encoders import load_seen
from swath.tasks.task import Task


def checked(task: Task, row: str, path: Path) -> str:
    """What a reader must know of where an encoder comes from; empty for one of the same corpus.

    Raises:
        RecipeError: it was pre-trained on locations that the task tests.
        CheckpointError: the list of what it saw is missing or damaged.
    """
    seen, tested = load_seen(path), task.parts["test"].locations
    if seen is None:
        return "it is not known which locations the encoder was pre-trained on"
    met = refuse_seen(seen, task.corpus, tested, f"{row}, judged on {task.name},", path)
    perhaps = met.perhaps
    said = [] if task.corpus.content_hash in set(seen["corpus"]) else ["pre-trained on another corpus"]
    if perhaps:
        said.append(
            f"it may have seen {len(perhaps)} of the {len(tested)} test locations: the ids are those of locations that "
            f"it was pre-trained on ({first_few(perhaps)}), and where they lie is not known"
        )
    if met.roughly:
        said.append(
            "the encoder was saved by an earlier swath, whose list has no footprints: what it saw was taken as squares "
            "about the centres"
        )
    return "; ".join(said)
