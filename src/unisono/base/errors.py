"""Errors that are meant for users.

UnisonoError        a run failed (exit code 1)
├── DataError       a file breaks its contract, or is not what it should be
│   └── MissingFileError    a release lacks one of its files
└── UsageError      the command was asked for something it cannot do (exit code 2)

The command line prints `message` and, on a line of its own, `hint`: what to do next, ideally a command to type.
"""


class UnisonoError(Exception):
    """A failure that the user can understand and mend; printed without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(hint)  # a traceback, as in a notebook, shows it too


class DataError(UnisonoError):
    """A file or a record breaks its contract: the message says where, what was found and what was expected."""


class MissingFileError(DataError):
    """A release lacks one of its files."""


class UsageError(UnisonoError):
    """The options contradict each other or name something that does not exist."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", parameter: str = "") -> None:
        super().__init__(message, hint=hint)
        self.parameter = parameter
        """The parameter whose value is wrong, where it is one: the command line writes it as an option."""
