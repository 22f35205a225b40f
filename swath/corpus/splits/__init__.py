"""Which locations train, validate and test, and whether a split is honest.

`partition` makes the parts, `audit` looks for what a split lets through, `seen` tells which locations an encoder knows
already, and `subset` picks locations by their columns.
"""
