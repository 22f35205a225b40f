"""What an encoder saw in its pre-training is not what it is judged on."""

from pathlib import Path

from swath.corpus.seen import met
from swath.encoders import load_seen
from swath.errors import RecipeError
from swath.tasks._task import Task


def checked(task: Task, row: str, path: Path) -> str:
    """What a reader must know of where an encoder comes from; empty for one of the same corpus.

    Raises:
        RecipeError: it was pre-trained on locations that the task tests.
        CheckpointError: the list of what it saw is missing or damaged.
    """
    seen, tested = load_seen(path), task.parts["test"].locations
    if seen is None:
        return "it is not known which locations the encoder was pre-trained on"
    found = met(seen, task.corpus, tested)
    if found.again:
        raise RecipeError(
            f"the encoder of {row} was pre-trained on {len(found.again)} of the {len(tested)} locations that task "
            f"{task.name} tests: {_some(found.again)}",
            where=str(path),
            remedy="test other locations (`split`), or pre-train it on the training part of this split",
        )
    said = [] if task.corpus.content_hash in set(seen["corpus"]) else ["pre-trained on another corpus"]
    if found.perhaps:
        said.append(
            f"it may have seen {len(found.perhaps)} of the {len(tested)} test locations: the ids are those of "
            f"locations that it was pre-trained on ({_some(found.perhaps)}), and where they lie is not known"
        )
    return "; ".join(said)


def _some(uids: list[str]) -> str:
    return ", ".join(uids[:3]) + (", …" if len(uids) > 3 else "")
