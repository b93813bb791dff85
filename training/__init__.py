"""Training scripts of the bundled models: see README.md."""
