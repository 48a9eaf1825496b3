"""Generators from noise to data."""
