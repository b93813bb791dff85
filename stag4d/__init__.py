"""STAG4D: 4D Gaussian scenes from a short video of one object.

The method as a plain Python package. It knows nothing of ComfyUI; the nodes are thin adapters over it.
"""

__version__ = "0.2.0"
