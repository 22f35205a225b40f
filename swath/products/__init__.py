"""What a run or a corpus leaves for people, a module each.

`report` is the HTML page of a run, `documents` the tables of runs in a Markdown document, `maps` predicted maps as
GeoTIFF, `embeddings` features of any images. Of a corpus, `contact_sheet` shows chips, `check_page` what a check found,
and `split_map` where the parts of a split lie. They share `tables` (a run's tables and what they say), `draw`,
`pages` and `words`.
"""
