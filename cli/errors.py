"""Faults of whoever calls the command. Needs nothing but Python, so that a bare install can say what it lacks."""


class UsageError(Exception):
    """What was asked for cannot be right; one sentence says why. Exit code 2."""
