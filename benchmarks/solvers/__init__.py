"""Solvers of optimal transport beside their peers."""
