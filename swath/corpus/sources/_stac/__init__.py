"""How a corpus is built from STAC catalogues: search, choose, read, and run on a Dask cluster."""
