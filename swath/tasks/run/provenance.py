"""What results on an input of a task depend on whoever's they are, in short: to tell tables of earlier settings.

What `swath stress`, `swath represent` and `swath explain` leave in a run's folder stays there when the recipe's tasks
change and are judged anew.
"""

from swath.corpus.splits import SplitConfig
from swath.sensors import LOCATION
from swath.settings import counting
from swath.tasks.config import TaskConfig, inputs_of
from swath.tasks.run.results import digest
from swath.tasks.task import Task


def origin(name: str, config: TaskConfig, split: SplitConfig | None, corpus: str, item: str) -> str:
    """A short hash of a task's labels, parts, and images; empty where the task has no such input.

    Args:
        name: of the task, as the tables call it.
        config: its settings, with one number of labels.
        split: what makes its parts; which fold is tested does not matter.
        corpus: hash of its content.
        item: name of the input.
    """
    known = inputs_of(config)
    if item not in known:
        return ""
    sensors = dict.fromkeys(key.partition("/")[0] for one in known.values() for key in one.bands)
    parted = None if split is None else counting(split) | {"fold": None}
    seen = [sensor for sensor in sensors if sensor != LOCATION]
    return digest(corpus, parted, counting(config), name, seen, known[item].bands)


def origin_of(task: Task, item: str) -> str:
    """The same of a task whose corpus is open."""
    return origin(task.name, task.config, task.split_config, task.corpus.content_hash, item)
