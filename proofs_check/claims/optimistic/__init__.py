"""Claims on optimistic algorithms."""
