"""``python -m stag4d``: the same as the ``stag4d`` command."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
