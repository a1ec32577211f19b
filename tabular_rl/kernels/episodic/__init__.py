"""Finite horizons: episodes, losses, feedback, confidence sets, occupancy projections."""
