"""What ground, plants, clouds and radar look like: shared by the synthetic landscape, the checks and painted clouds.

`spectra`, `phenology` and `radar` are surfaces, `clouds` and `weather` what is above them; `noise` is randomness as a
function of place, and `window` says where the pixels of a chip lie.
"""

from swath.corpus.physics import clouds, noise, phenology, radar, spectra, weather, window

__all__ = ["clouds", "noise", "phenology", "radar", "spectra", "weather", "window"]
