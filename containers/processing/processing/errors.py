"""Errors of a job's input, and of the services that it calls.

ProcessingError
├── SettingsError       an environment variable is missing or wrong
├── ContractError       contract.toml is not valid
├── PlanError           the plan does not match the files
├── FileError           one file cannot be read; its message is the reason
│   ├── UnreadableError the job may not read this object
│   └── VanishedError   the planned version of an object no longer exists, or is archived
├── ReadError           the job can read no object
├── RejectedFilesError  every file is quarantined, each with its reason
├── RecordError         the feature store rejects most records, or all calls
├── VisibilityError     written records do not appear in the offline store
├── DatasetError        the records do not make a dataset
└── QualityError        the predictions do not match the labels
"""

import json
from collections.abc import Callable, Sequence

MESSAGE_BYTES = 1024  # length of a processing job's ExitMessage
MIN_ENTRY_BYTES = 28  # minimum per rejected file


class ProcessingError(Exception):
    """The job's input or a service is at fault, not the code."""

    def message(self) -> str:
        """Return the job's exit message: one JSON object that fits in MESSAGE_BYTES."""
        return error_message(str(self))


class SettingsError(ProcessingError):
    """An environment variable is missing or wrong."""


class ContractError(ProcessingError):
    """The data contract is not valid."""


class PlanError(ProcessingError):
    """The plan does not match the files."""


class FileError(ProcessingError):
    """One file cannot be read."""


class UnreadableError(FileError):
    """The job may not read this object."""


class VanishedError(FileError):
    """The planned version of an object no longer exists, or is archived; a later run may take it."""


class ReadError(ProcessingError):
    """The job can read no object."""


class RecordError(ProcessingError):
    """The feature store rejects most records, or all calls."""


class VisibilityError(ProcessingError):
    """Written records do not appear in the offline store."""


class DatasetError(ProcessingError):
    """The rows do not make a dataset to train and test a model with."""


class QualityError(ProcessingError):
    """The predictions cannot be judged."""


class RejectedFilesError(ProcessingError):
    """Every raw file is quarantined."""

    def __init__(self, rejected: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{file}: {reason}" for file, reason in rejected))
        self.rejected = rejected

    def message(self) -> str:
        """Return the exit message: as many files as fit, and the number of the others.

        The first file is always listed with its full name, and only its reason is truncated; otherwise later
        runs would fail on the same file without naming it. The workflow does not plan files with longer
        names.
        """
        for count in range(min(len(self.rejected), MESSAGE_BYTES // MIN_ENTRY_BYTES), 1, -1):
            message = to_json(self.content(self.rejected[:count]))
            if fits(message):
                return message
        file, reason = self.rejected[0]
        message = truncate(reason, lambda part: self.content([(file, part)]))
        return message if fits(message) else super().message()

    def content(self, files: Sequence[tuple[str, str]]) -> dict[str, object]:
        """Return the content of an exit message that lists these files."""
        rejected = [{"file": file, "reason": reason} for file, reason in files]
        more = len(self.rejected) - len(files)
        return {"rejected": rejected} | ({"more": more} if more else {})


def error_message(text: str) -> str:
    """Return a JSON object with as much of the text as fits in MESSAGE_BYTES."""
    return truncate(text, lambda part: {"error": part})


def truncate(text: str, content: Callable[[str], dict[str, object]]) -> str:
    """Return a message with the text, truncated to fit."""
    message = to_json(content(text))
    kept = min(len(text), MESSAGE_BYTES)
    while kept and not fits(message):
        kept -= 1
        message = to_json(content(text[:kept] + "…"))
    return message


def to_json(content: dict[str, object]) -> str:
    """Return compact JSON; a lone surrogate, which UTF-8 cannot encode, is escaped."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def fits(message: str) -> bool:
    """Return whether SageMaker keeps the whole message."""
    return len(message.encode()) <= MESSAGE_BYTES
