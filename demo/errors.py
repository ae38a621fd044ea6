"""What can stop the demo, and the exit code of each.

DemoError        1
├── InputError   2   a bad path, file or option
├── SetupError   2   no credentials, no stack, no AWS CLI
└── RunError     1   AWS did not do what it should
"""


class DemoError(Exception):
    """A message for the user: what failed, on which value, and what to do next."""

    exit_code = 1


class InputError(DemoError):
    """The user named something that cannot be used."""

    exit_code = 2


class SetupError(DemoError):
    """The AWS account, the stack or a tool that the demo needs is not there."""

    exit_code = 2


class RunError(DemoError):
    """An upload, an execution or an endpoint failed."""
