"""Dances to music."""
