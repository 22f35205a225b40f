"""Corpora from a folder of a user's own images, as the recipe describes it."""

from swath.corpus.sources.folder._build import Config, build, stock
from swath.corpus.sources.folder._section import FolderSection

__all__ = ["Config", "FolderSection", "build", "stock"]
