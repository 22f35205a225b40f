"""Running an evaluation: what there is to compute, results on disk, and the tables that are written."""
