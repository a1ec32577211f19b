"""Robust MDPs, the sets known."""
