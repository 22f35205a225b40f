"""Geometry on the ground: UTM grids (`utm`), shapes from users' files (`vector`), images that touch (`adjacency`)."""

from swath.corpus.ground import adjacency, utm, vector

__all__ = ["adjacency", "utm", "vector"]
