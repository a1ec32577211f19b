"""Ambiguity sets: worst cases, sweeps, evaluation."""
