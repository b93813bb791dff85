"""The CPU backend: kernels that Numba compiles on the user's machine, with vectors of eight floats."""
