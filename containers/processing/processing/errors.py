"""What can go wrong with a job's input, and with the services that it calls.

ProcessingError
├── SettingsError       an environment variable is missing or wrong
├── ContractError       contract.toml asks for what there is not
├── PlanError           the plan and the files do not belong together
├── FileError           one file cannot be read; its message is the reason
├── RejectedFilesError  every file is quarantined, each with its reason
├── RecordError         the feature store does not take a record
├── VisibilityError     written records do not appear in the offline store
├── DatasetError        the records make no dataset
└── QualityError        predictions and labels do not belong together
"""

import json
from collections.abc import Callable, Sequence

MESSAGE_BYTES = 1024  # SageMaker keeps this much of a processing job's exit message
MIN_ENTRY_BYTES = 28  # of a rejected file in it, at least


class ProcessingError(Exception):
    """A job's input or a service is at fault, not its code."""

    def message(self) -> str:
        """The job's exit message: one JSON object that fits in MESSAGE_BYTES."""
        return error_message(str(self))


class SettingsError(ProcessingError):
    """An environment variable is missing or wrong."""


class ContractError(ProcessingError):
    """The data contract cannot be kept as it is written."""


class PlanError(ProcessingError):
    """The plan and the files do not belong together."""


class FileError(ProcessingError):
    """One file cannot be read."""


class RecordError(ProcessingError):
    """The feature store does not take a record."""


class VisibilityError(ProcessingError):
    """Written records do not appear in the offline store."""


class DatasetError(ProcessingError):
    """The rows make no dataset to train and test a model with."""


class QualityError(ProcessingError):
    """The predictions cannot be judged."""


class RejectedFilesError(ProcessingError):
    """Every raw file is quarantined."""

    def __init__(self, rejected: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{file}: {reason}" for file, reason in rejected))
        self.rejected = rejected

    def message(self) -> str:
        """As many files as fit, and how many more there are.

        The first one always stands there, its name whole, or each later run would fail on it unseen;
        only its reason is cut. The workflow plans no file whose name is too long for that.
        """
        for count in range(min(len(self.rejected), MESSAGE_BYTES // MIN_ENTRY_BYTES), 1, -1):
            message = to_json(self.content(self.rejected[:count]))
            if fits(message):
                return message
        file, reason = self.rejected[0]
        message = truncate(reason, lambda part: self.content([(file, part)]))
        return message if fits(message) else super().message()

    def content(self, files: Sequence[tuple[str, str]]) -> dict[str, object]:
        """An exit message that tells of these files."""
        rejected = [{"file": file, "reason": reason} for file, reason in files]
        more = len(self.rejected) - len(files)
        return {"rejected": rejected} | ({"more": more} if more else {})


def error_message(text: str) -> str:
    """One JSON object that holds as much of a text as fits in MESSAGE_BYTES."""
    return truncate(text, lambda part: {"error": part})


def truncate(text: str, content: Callable[[str], dict[str, object]]) -> str:
    """Return a message whose content holds the text, or as much of its head as fits."""
    message = to_json(content(text))
    kept = min(len(text), MESSAGE_BYTES)
    while kept and not fits(message):
        kept -= 1
        message = to_json(content(text[:kept] + "…"))
    return message


def to_json(content: dict[str, object]) -> str:
    """JSON in as few bytes as there are; half a surrogate pair, which UTF-8 has no bytes for, is escaped."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def fits(message: str) -> bool:
    """Whether SageMaker keeps the whole message."""
    return len(message.encode()) <= MESSAGE_BYTES
