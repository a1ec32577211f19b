"""Set functions along trajectories."""
