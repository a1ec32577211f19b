"""What every family stands on: Bellman equations, occupancies, bonuses, exponential weights."""
