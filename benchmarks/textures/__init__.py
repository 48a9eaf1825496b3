"""Textures after an exemplar, and three other methods."""
