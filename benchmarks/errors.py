"""What can keep a benchmark from measuring.

BenchmarkError
├── DataError       the rows to work on cannot be read
├── LaptopError     localaws does not come up, or does not do what is asked
└── CommandError    a container's command fails
"""


class BenchmarkError(Exception):
    """Nothing was measured; the message says why."""


class DataError(BenchmarkError):
    """The rows to work on cannot be read."""


class LaptopError(BenchmarkError):
    """The laptop's AWS does not come up, or does not do what is asked."""


class CommandError(BenchmarkError):
    """A container's command fails."""
