"""Methods, one file for each paper.

Each file has a ``Config``, the method, and ``build(config, shape)``. No method imports another.
"""
