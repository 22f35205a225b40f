"""Everything that is drawn: style, charts, pictures of chips, maps."""
