"""log.csv: one row per logged step, written so that a killed and continued run leaves the log of an undisturbed one."""

import csv
import io
from pathlib import Path

from swath._files import write_whole
from swath.errors import TrainingError

FIRST = ("step", "epoch", "loss", "lr", "seconds")
GAUGES = ("feature_std", "effective_rank", "rankme", "knn")


class Log:
    """Appends rows, each flushed at once; columns are fixed by the first row."""

    def __init__(self, path: Path):
        self.path = path

    def truncate(self, steps: int) -> None:
        """Drop what was written after the first `steps` steps, half-written rows included."""
        if not self.path.exists():
            return
        header, *rows = self.path.read_text().splitlines() or [""]
        complete = [row for row in rows if row.count(",") == header.count(",") and self._step(row) <= steps]
        write_whole(self.path, "".join(f"{line}\n" for line in [header, *complete]) if complete else "")

    def _columns(self) -> list[str]:
        """Those of the file, which an older version may have begun; none if there is no row yet."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return next(csv.reader(file), [])

    def _step(self, row: str) -> int:
        try:
            return int(row.split(",")[0])
        except ValueError:
            raise TrainingError(
                f"the log holds a line that is none of its own: {row[:60]!r}",
                where=str(self.path),
                remedy="remove that line, and give the same command again",
            ) from None

    def rows(self) -> list[dict[str, float]]:
        """All rows; columns that are empty in a row are left out of it."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]

    def append(self, row: dict[str, float | int | None], terms: dict[str, float]) -> None:
        """Write one row; absent values stay empty, and terms that the first row did not have are left out."""
        columns, values = self._columns(), {**row, **terms}
        line = io.StringIO()
        writer = csv.writer(line, lineterminator="\n")
        if not columns:
            columns = [*FIRST, *sorted(terms), *GAUGES]
            writer.writerow(columns)
        writer.writerow(["" if values.get(c) is None else repr(values[c]) for c in columns])
        with self.path.open("a") as file:
            file.write(line.getvalue())
