"""Do the checks bite? Faults planted one at a time into a copy of the tree, and which claims and tests notice: ``python -m teeth``."""
