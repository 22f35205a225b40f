"""Panels, in which the rows of a task are compared: one input, read by one probe."""

from collections.abc import Callable
from dataclasses import dataclass

from swath.errors import SwathError
from swath.tasks._types import Outcome, Prediction
from swath.tasks.data import Bands
from swath.tasks.probes import ProbeSettings


@dataclass(frozen=True, slots=True)
class TaskInput:
    """One input of a task, and the probes that read it."""

    name: str
    bands: Bands
    probes: tuple[ProbeSettings, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One input, read by one probe."""

    input: TaskInput
    probe: ProbeSettings

    @property
    def key(self) -> tuple[str, str]:
        """Name of the input, and what the probe is called in the tables."""
        return self.input.name, self.probe.label()

    def outcome(self, prediction: Prediction | None, note: str = "") -> Outcome:
        """The outcome of a row in this panel: a prediction, or a note that says why there is none."""
        return Outcome(*self.key, prediction, note)

    def tried(self, predict: Callable[[], Prediction], note: str = "") -> Outcome:
        """The outcome of a row in this panel: of its prediction, or of the error that prevents it, which
        becomes the note.
        """
        try:
            return self.outcome(predict(), note)
        except SwathError as error:
            return self.outcome(None, error.what)
