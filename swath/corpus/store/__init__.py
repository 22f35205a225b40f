"""How a corpus lies on disk: its parts, its tables and arrays, and the one writer."""
