"""The recipes that come with swath, and how the text of any recipe is found. Needs nothing but the standard library."""

import errno
from importlib import resources
from pathlib import Path

from swath.errors import RecipeError, nearest

__all__ = ["is_file", "shipped", "source_text"]

LARGEST = 4_000_000
"""Bytes of a recipe."""


def shipped() -> list[str]:
    """Names of the recipes that come with swath."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def is_file(recipe: str | Path) -> bool:
    """Whether a recipe is given by its path, not by the name of one that comes with swath."""
    return Path(recipe).suffix in {".yaml", ".yml"}


def source_text(recipe: str | Path) -> tuple[str, str]:
    """Where a recipe is and what it says: a shipped one by name, or a file by path.

    Raises:
        RecipeError: neither exists.
    """
    path = Path(recipe)
    if is_file(path):
        return str(path), _text(path)
    if str(recipe) not in shipped():
        raise RecipeError(
            f"no recipe is called {str(recipe)!r}",
            remedy=f"{nearest(str(recipe), shipped())}; a recipe of your own is given by its path, ending in .yaml",
        )
    return f"swath recipe {recipe}", (resources.files(__name__) / f"{recipe}.yaml").read_text(encoding="utf-8")


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        said, remedy = f"byte {error.start} is no text in UTF-8", "save it as UTF-8"
    except OSError as error:
        said, remedy = str(error.strerror), "give the path of a YAML file"
    except ValueError as error:
        said, remedy = str(error), "give the path of a YAML file"
    raise RecipeError(f"cannot read the recipe: {said}", where=str(path), remedy=remedy)


def _bytes(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file")  # a pipe would be waited for
    if path.stat().st_size > LARGEST:
        raise OSError(errno.EFBIG, "it is too large")
    return path.read_bytes()
