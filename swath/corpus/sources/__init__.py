"""Where a corpus can come from: each module has `Config` and `build(config, target, data)`."""
