"""The errors that stop the demo, with their exit codes.

DemoError        1
├── InputError   2   a bad path, file or option
├── SetupError   2   no credentials, no stack, no AWS CLI
└── RunError     1   an upload, an execution or an endpoint failed
"""


class DemoError(Exception):
    """An error with a message for the user: what failed, for which value, and what to do."""

    exit_code = 1


class InputError(DemoError):
    """A path, file or option of the user is invalid."""

    exit_code = 2


class SetupError(DemoError):
    """The AWS account, the stack or a required tool is missing."""

    exit_code = 2


class RunError(DemoError):
    """An upload, an execution or an endpoint failed."""
