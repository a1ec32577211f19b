"""Robust MDPs with linear features."""
