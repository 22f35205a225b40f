"""The parts of the folder source; `folder.py` puts them together."""
