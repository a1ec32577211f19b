"""The suite's figures: one script per figure, gallery style. ``python -m figures`` makes them all."""
