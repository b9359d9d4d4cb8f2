"""The one exception that means: the user can fix this."""


class UsageError(ValueError):
    """Input that cannot be used. The message names the value, the rule and the known choices.

    The command line prints the message as one line and exits with code 2.
    """
