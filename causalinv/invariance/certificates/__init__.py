"""Certificates: what is proved of a rule under interventions that nobody has seen, one class per method."""
