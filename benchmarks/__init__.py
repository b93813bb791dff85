"""The scripts that measure every figure of README and RESULTS: ``python3 tasks.py bench NAME``."""
