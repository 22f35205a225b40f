"""The recipes that come with swath, and how the text of any recipe is found. Needs nothing but the standard library."""

from importlib import resources
from pathlib import Path

from swath.errors import RecipeError, nearest


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
        try:
            return str(path), path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"cannot read the recipe: {error}", remedy="give the path of a YAML file") from None
    if str(recipe) not in shipped():
        raise RecipeError(
            f"no recipe is called {str(recipe)!r}",
            remedy=f"{nearest(str(recipe), shipped())}; a recipe of your own is given by its path, ending in .yaml",
        )
    return f"swath recipe {recipe}", (resources.files(__name__) / f"{recipe}.yaml").read_text(encoding="utf-8")
