"""Submodular returns."""
