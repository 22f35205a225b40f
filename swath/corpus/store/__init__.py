"""How a corpus lies on disk, and the one writer.

`format` is what corpus.json says and the opened `Corpus`; `part` what a build hands to the `writer`; `index` the tables
of locations and chips, `arrays` the pixels, masks and label maps; `codes` class codes, `digests` what the content hash
is made of, `statistics` the moments of every band.
"""
