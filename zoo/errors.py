"""The two kinds of error that a user of the zoo can meet."""


class InputError(ValueError):
    """A mistake in what the user gave: data, an option, a file (exit code 2 on the command line)."""


class RunError(RuntimeError):
    """A failure of a run that was asked for correctly (exit code 1 on the command line)."""
