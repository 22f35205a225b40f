"""swath: self-supervised learning on Earth observation."""

__version__ = "0.1.0"
