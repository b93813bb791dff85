"""CPU kernels: how Numba compiles them on the user's machine, and how they run on several threads.

Only ``compilation`` imports Numba.
"""
