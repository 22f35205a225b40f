"""From a corpus to batches: which chips are drawn, in which order, and how their pixels are fetched."""
