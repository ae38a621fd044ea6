"""What the user can get wrong.

LinearError
├── HyperparameterError  an unknown name, or a value out of its range
├── TrainingDataError    the channel holds no rows to learn from
├── ModelError           the model's files cannot be loaded
└── RequestError         a request that cannot be answered, with its HTTP status
"""


class LinearError(Exception):
    """The input is at fault, not the code."""


class HyperparameterError(LinearError):
    """A hyperparameter cannot be used."""


class TrainingDataError(LinearError):
    """The training data cannot be used."""


class ModelError(LinearError):
    """The model cannot be loaded."""


class RequestError(LinearError):
    """A request cannot be answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
