"""Autoencoders: their codes and interpolations."""
