"""Exceptions of the zoo: mistakes in the input, and failed runs."""


class InputError(ValueError):
    """A mistake in the user's data, options or files (exit code 2 of a command)."""


class RunError(RuntimeError):
    """A failure of a run whose input was valid (exit code 1 of a command)."""
