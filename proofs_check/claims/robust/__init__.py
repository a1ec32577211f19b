"""Robust MDPs."""
