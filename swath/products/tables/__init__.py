"""Reading a run directory, and what its tables say."""
