"""What is trained of a location encoder: networks from the features of a positional encoding to an embedding."""

from swath.encoders.location.networks._base import USUAL_DIM, NetworkPlugin, NetworkSettings, build, names

__all__ = ["USUAL_DIM", "NetworkPlugin", "NetworkSettings", "build", "names"]
