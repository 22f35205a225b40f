"""One view policy per module."""

__all__ = []
