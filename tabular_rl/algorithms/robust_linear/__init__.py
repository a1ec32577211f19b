"""Robust MDPs with linear features, learned episode by episode."""
