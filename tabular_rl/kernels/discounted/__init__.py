"""Discounted models: sweeps, chains, rollouts."""
