"""Data sets, one module each; samples are generated or read from published files."""
