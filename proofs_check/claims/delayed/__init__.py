"""Delayed feedback."""
