"""A folder of images that a user has: as described in the recipe, from scan to corpus."""

from swath.corpus.sources.folder._build import Config, build, stock
from swath.corpus.sources.folder._section import FolderSection

__all__ = ["Config", "FolderSection", "build", "stock"]
