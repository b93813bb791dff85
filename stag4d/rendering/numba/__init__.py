"""The CPU backend: kernels that Numba compiles on the user's machine, with vectors of eight floats.

``backend`` calls ``projection``, ``depth_sort``, ``tiling`` and ``compositing``; the gradients of the first
and the last are in ``*_backward``. ``layout`` defines the arrays between them, ``simd`` the vector code.
"""
