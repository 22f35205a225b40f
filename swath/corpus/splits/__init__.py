"""Which locations train, validate and test, and whether a split is honest."""
