"""Discounted MDPs without a generative model: the learner has to find its way."""
