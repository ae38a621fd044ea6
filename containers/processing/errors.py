"""What can go wrong with a job's input.

ProcessingError
├── FileError           one file cannot be read; its message is the reason
├── RejectedFilesError  files that cannot be read, each with its reason
├── DatasetError        every file is readable, but together they make no dataset
└── QualityError        predictions and labels do not belong together
"""

import json
from collections.abc import Sequence

MESSAGE_BYTES = 1024  # SageMaker keeps this much of a processing job's exit message


class ProcessingError(Exception):
    """A job's input is at fault, not its code."""

    def message(self) -> str:
        """The job's exit message: one JSON object that fits in MESSAGE_BYTES."""
        return error_message(str(self))


class FileError(ProcessingError):
    """One file cannot be read."""


class DatasetError(ProcessingError):
    """The rows make no dataset to train and test a model with."""


class QualityError(ProcessingError):
    """The predictions cannot be judged."""


class RejectedFilesError(ProcessingError):
    """Some raw files cannot be read."""

    def __init__(self, rejected: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{file}: {reason}" for file, reason in rejected))
        self.rejected = rejected

    def message(self) -> str:
        """As many files as fit, and how many more there are."""
        fitting = [{"file": file, "reason": reason} for file, reason in self.rejected]
        while True:
            more = len(self.rejected) - len(fitting)
            content: dict[str, object] = {"rejected": fitting} | ({"more": more} if more else {})
            message = json.dumps(content)
            if len(message) <= MESSAGE_BYTES:
                return message
            fitting.pop()


def error_message(text: str) -> str:
    """One JSON object that holds as much of a text as fits in MESSAGE_BYTES."""
    while len(message := json.dumps({"error": text})) > MESSAGE_BYTES:
        excess = max(1, (len(message) - MESSAGE_BYTES) // 12)  # a character takes up to 12 bytes
        text = text[: -excess - 1] + "…"
    return message
