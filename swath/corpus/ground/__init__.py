"""Geometry on the ground: UTM grids (`utm`), shapes from users' files (`vector`), images that touch (`adjacency`)."""
