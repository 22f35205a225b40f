"""Geometry on the ground: UTM grids, shapes from files, and footprints that touch."""
