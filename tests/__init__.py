"""The suite; a package, so that helpers are imported as tests.<part>.<module> whatever else is installed."""
