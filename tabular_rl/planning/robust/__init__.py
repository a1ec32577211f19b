"""Robust MDPs: solvers, evaluation, worst cases."""
