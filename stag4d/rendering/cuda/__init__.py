"""The CUDA backend: kernels that are compiled on the user's machine by the NVRTC library that torch installs.

No CUDA toolkit, C++ compiler or header file is needed. ``kernels.cu`` is compiled once per GPU architecture
and number of channels (``nvrtc``), cached on disk (``compilation``), and launched through the CUDA driver's
API (``driver``). ``backend`` calls the kernels by way of ``autograd`` and ``tiling``; all memory is torch's.
"""
