"""One view policy per module."""
