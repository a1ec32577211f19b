"""Linear features: least squares and robust backward induction."""
