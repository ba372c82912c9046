"""The two kinds of error that a user of the zoo can meet."""


class InputError(ValueError):
    """A mistake in what the user gave: data, an option, a file (exit code 2 of a command)."""


class RunError(RuntimeError):
    """A failure of a run that was asked for correctly (exit code 1 of a command)."""
