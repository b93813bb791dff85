"""The host's own library."""
