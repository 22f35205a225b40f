"""Corpora from a folder of a user's own images, as the recipe describes it, and the same images window by window."""

from swath.corpus.sources.folder._build import Config, build, stock
from swath.corpus.sources.folder._scenes import Pixels, Scene, scenes
from swath.corpus.sources.folder._section import FolderSection, ImageEntry, QualityEntry

__all__ = [
    "Config",
    "FolderSection",
    "ImageEntry",
    "Pixels",
    "QualityEntry",
    "Scene",
    "build",
    "scenes",
    "stock",
]
