"""Discounted MDPs without a generative model."""
