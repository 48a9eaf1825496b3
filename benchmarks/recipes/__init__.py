"""Recipes: trained on several seeds."""
