"""What can be wrong: with the call, or with the container.

Exception
├── ContractError    nothing can be checked: no such folder, a sample that cannot be used
│   └── SampleError
└── Finding          what a check found where its clause does not simply hold
    ├── Broken       the container breaks the clause
    ├── Noted        it keeps the clause, in a way that is worth knowing
    └── Unchecked    it cannot be told: what it needs is missing or failed
"""


class ContractError(Exception):
    """Nothing can be checked; the message says what to change."""


class SampleError(ContractError):
    """The sample is not one."""


class Finding(Exception):  # noqa: N818 (no error of the checker's)
    """The reason stands in the message."""


class Broken(Finding):
    """The container breaks the clause."""


class Noted(Finding):
    """The clause holds, and something is worth knowing."""


class Unchecked(Finding):
    """Whether the clause holds cannot be told."""
