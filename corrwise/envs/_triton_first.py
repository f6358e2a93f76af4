"""Load triton, where there is one, before anything draws with OpenGL.

Mesa's software OpenGL and triton bring two LLVMs, which clash (a segmentation fault) unless triton is loaded first;
torch loads it lazily, as soon as an optimizer is made. Whoever renders an environment and then trains an agent would
meet it.
"""

import contextlib

with contextlib.suppress(ImportError):
    import triton  # noqa: F401
