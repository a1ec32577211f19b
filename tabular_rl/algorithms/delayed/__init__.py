"""Adversarial losses, feedback that is late."""
