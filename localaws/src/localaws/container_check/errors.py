"""Errors in the use of the check, and findings about the container.

Exception
├── ContractError    the check cannot run, for example because the folder does not exist
│   └── SampleError  the sample does not exist or is invalid
└── Finding          the result of a check whose clause does not simply hold
    ├── Broken       the container violates the clause
    ├── Noted        the clause holds, but there is something to note
    └── Unchecked    the clause could not be checked: a prerequisite is missing or failed
"""


class ContractError(Exception):
    """The check cannot run; the message states what to change."""


class SampleError(ContractError):
    """The sample does not exist or is invalid."""


class Finding(Exception):  # noqa: N818 (not an error of the checker)
    """A finding about the container; the message is the detail."""


class Broken(Finding):
    """The container violates the clause."""


class Noted(Finding):
    """The clause holds, but there is something to note."""


class Unchecked(Finding):
    """The clause could not be checked."""
