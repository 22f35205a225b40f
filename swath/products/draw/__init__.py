"""Everything that is drawn: the style of all figures, charts, strips in tables, pictures of chips, maps."""
