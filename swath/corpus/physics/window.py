"""Where the pixels of a chip lie in a world without edges, so that neighbouring chips are parts of one picture."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True)
class Window:
    """Pixel centres of a chip with its margin, in world coordinates (metres)."""

    x: Float[np.ndarray, " w"]
    y: Float[np.ndarray, " h"]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, margin included."""
        return len(self.y), len(self.x)
