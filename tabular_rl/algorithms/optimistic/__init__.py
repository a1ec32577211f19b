"""Stochastic losses, optimistic planning."""
