"""Errors of the toolkit.

ContainerError
├── HyperparameterError  an unknown name, or a value out of its range
├── TrainingDataError    a channel does not hold rows to learn from
├── ModelError           the model's files cannot be loaded
├── ServerError          the server's own settings cannot be used
└── RequestError         a request that cannot be answered, with its HTTP status

A DeviceError is the machine's: the process cannot answer any more after it.
"""


class ContainerError(Exception):
    """The user's input is wrong, not the code."""


class HyperparameterError(ContainerError):
    """A hyperparameter cannot be used."""


class TrainingDataError(ContainerError):
    """The training data cannot be used."""


class ModelError(ContainerError):
    """The model cannot be loaded."""


class ServerError(ContainerError):
    """A setting of the server cannot be used."""


class DeviceError(Exception):
    """The model's device, such as a GPU, is lost to this process; only a new process can use it."""


class RequestError(ContainerError):
    """A request cannot be answered."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
