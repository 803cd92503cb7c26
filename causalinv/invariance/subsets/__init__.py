"""Subsets of the features: their statistics, tests of their invariance, bounds on their excess, and the search."""
