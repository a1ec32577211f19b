"""Submodular problems: exact values, bounds, search."""
