"""The errors that stop a benchmark.

BenchmarkError
├── DataError        the input rows cannot be read
├── LocalAwsError    localaws does not start, or an operation of it fails
└── CommandError     a command or process fails
"""


class BenchmarkError(Exception):
    """The benchmark could not run; the message states the reason."""


class DataError(BenchmarkError):
    """The input rows cannot be read."""


class LocalAwsError(BenchmarkError):
    """localaws does not start, or an operation of it fails."""


class CommandError(BenchmarkError):
    """A command or process fails."""
