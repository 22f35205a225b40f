"""Encoders: networks that turn an `Image` into an embedding."""
