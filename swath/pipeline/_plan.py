"""Planning a corpus before it is built: its locations, their map, and what building will cost."""

from pathlib import Path

from swath import config as recipes
from swath import plugins
from swath._files import replacing
from swath.corpus.places import draw
from swath.corpus.sources.stac import Cost, Rate, StacSection, cost, footprint
from swath.errors import RecipeError, nearest
from swath.products.draw.maps import plan_map
from swath.recipes import is_file, shipped


def plan_corpus(
    what: str,
    settings: list[str] | None,
    to: Path,
    land: Path | None = None,
    chip_px: int = 264,
    gsd_m: float = 10.0,
    workers: int = 8,
    request_s: float = 0.1,
) -> tuple[int, Cost | None]:
    """Draw the locations of a corpus to be built, write them to `to` and a map beside it.

    Args:
        what: a recipe whose source is `stac`, or the name of a strategy.
        settings: overrides of the recipe, or settings of the strategy, `key=value` each.
        to: GeoParquet file; the map is the same with `.png`.
        land: polygons for the map.
        chip_px: width of a chip, for a strategy; a recipe says it itself.
        gsd_m: size of a pixel, likewise.
        workers: processes that the estimate counts on.
        request_s: seconds a request, likewise.

    Returns:
        How many locations there are, and what building will cost at most; no cost for a strategy, of which no products
        are known.

    Raises:
        RecipeError: neither a recipe of that kind nor a strategy.
    """
    strategies = plugins.names("swath.corpus.places")
    strategy = what in strategies
    if not is_file(what) and what not in (known := [*strategies, *shipped()]):
        raise RecipeError(f"neither a strategy nor a recipe is called {what!r}", remedy=nearest(what, known))
    if strategy:
        # what is not about places stands here only to make the section whole
        rest = ["when={name: seasons, year: 2020}", "products=[{sensor: sentinel-2-l2a}]"]
        where = [f"where.name={what}", *(f"where.{setting}" for setting in settings or [])]
        section = recipes.resolve_source("stac", [*where, *rest, f"chip_px={chip_px}", f"gsd_m={float(gsd_m)}"])
    else:
        section = recipes.load(what, settings).corpus.source
    if not isinstance(section, StacSection):
        raise RecipeError(
            f"the source of {what} is not stac, so there is nothing to plan", remedy="see build-s1-s2-series"
        )
    plan = draw(section.where, footprint(section))
    to.parent.mkdir(parents=True, exist_ok=True)
    with replacing(to) as temporary:
        plan.to_parquet(temporary, index=False)
    plan_map(plan, to.with_suffix(".png"), land)
    return len(plan), None if strategy else cost(section, plan, Rate(request_s, workers))
