"""The one exception that speaks to the person at the keyboard."""


class InputError(ValueError):
    """What was given cannot be used.

    The text is one line that names the offending value and what was expected. The command line prints it after
    `error:` and exits with code 2; everything else is a bug and keeps its traceback.
    """
