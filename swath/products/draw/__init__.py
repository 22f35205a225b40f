"""Everything that is drawn: the style of all figures, charts, strips in tables, pictures of chips, maps."""

from swath.products.draw import charts, figures, maps, pictures, robustness, strips, style, sweeps

__all__ = ["charts", "figures", "maps", "pictures", "robustness", "strips", "style", "sweeps"]
