"""Benchmarks of monge: what is measured, and the tables of the documentation.

Run ``python -m benchmarks`` at the root of the repository for the list.
"""
