"""Adversarial losses, bandit feedback at once."""
