"""Scripts that measure the figures in README.md and RESULTS.md: ``python3 tasks.py bench NAME``."""
