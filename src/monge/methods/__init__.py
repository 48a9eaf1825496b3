"""One file per paper.

Each has a ``Config``, the method, and ``build(config, shape)``; no method imports another.
"""
