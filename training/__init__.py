"""How the models that ship with the package were trained: see README.md."""
