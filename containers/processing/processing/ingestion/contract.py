"""Load and validate the data contract of contract.toml."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from processing.errors import ContractError
from processing.ingestion.identity import spelled

FILE = Path(__file__).parents[2] / "contract.toml"
FIELDS = ("id", "text", "label", "split")
REQUIRED_FIELDS = ("text", "label")  # a model is trained on both
TYPES = ("string", "integer")
SPLITS = ("train", "validation", "test")
LINE_BREAKS = ("refuse", "space")

# Feature Store's quotas: https://docs.aws.amazon.com/sagemaker/latest/dg/feature-store-quotas.html
RECORD_BYTES = 350 << 10
IDENTIFIER_BYTES = 2 << 10
# The record's overhead: the object's key, the event time, and the features' names.
KEY_BYTES = 1024
OVERHEAD_BYTES = (
    KEY_BYTES + 24 + sum(map(len, ("record_id", "event_time", "text", "label", "split", "source")))
)
UTF8_BYTES = 4  # maximum per character
MAX_INTEGER = 1 << 40  # upper limit of any integer setting


@dataclass(frozen=True, slots=True)
class Field:
    """The rules for one field of a row; an empty `allowed` allows any value."""

    name: str
    required: bool
    types: frozenset[str]
    min_length: int
    max_length: int
    max_bytes: int
    allowed: frozenset[str]
    line_breaks: str
    aliases: frozenset[str] = frozenset()  # other names of the column, in lower case
    null_words: frozenset[str] = frozenset()  # in lower case
    values: Mapping[str, str] = field(default_factory=dict)  # what a value in a file stands for

    @property
    def largest(self) -> int:
        """Return the maximum size of a value in bytes."""
        return max((len(value.encode()) for value in self.allowed), default=self.max_bytes)


@dataclass(frozen=True, slots=True)
class Contract:
    """The rules for rows, by field, and the limits of a file."""

    fields: Mapping[str, Field]
    unique: bool
    max_labels: int
    max_bad_share: float
    max_bytes: int
    max_rows: int
    max_members: int
    max_json_depth: int
    min_label_rows: int = 1
    # Of labels and splits, which come again and again: what a value gives.
    normalized: dict[tuple[str, str], str] = field(default_factory=dict, init=False, compare=False)

    @property
    def required(self) -> list[str]:
        """Return the fields that every row needs."""
        return [name for name, rules in self.fields.items() if rules.required]


def load(file: Path = FILE) -> Contract:
    """Load a contract.

    Raises:
        ContractError: The file cannot be read, or a setting is invalid; the message names it.
    """
    try:
        root = TomlTable(file.name, "", tomllib.loads(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ContractError(f"{file.name}: {error}") from error
    fields, files, dataset = root.table("fields"), root.table("files"), root.table("dataset")
    tables = {name: fields.table(name) for name in FIELDS}
    contract = Contract(
        unique=tables["id"].boolean("unique"),
        max_labels=tables["label"].integer("max_different", 2),
        fields={name: read_field(name, table) for name, table in tables.items()},
        max_bad_share=files.fraction("max_bad_share"),
        max_bytes=files.integer("max_bytes", 1),
        max_rows=files.integer("max_rows", 1),
        max_members=files.integer("max_members", 1),
        max_json_depth=files.integer("max_json_depth", 1, 500),  # the limit of Python's parser
        min_label_rows=dataset.integer("min_label_rows", 1),
    )
    for table in (*tables.values(), fields, files, dataset, root):
        table.reject_unknown()
    check_size(file.name, contract)
    return contract


def read_field(name: str, table: "TomlTable") -> Field:
    """Read the rules of one field."""
    required = table.boolean("required")
    if name in REQUIRED_FIELDS and not required:
        raise table.error("required", f"must be true: a model is trained on {' and '.join(REQUIRED_FIELDS)}")
    maximum = IDENTIFIER_BYTES if name == "id" else RECORD_BYTES
    min_length = table.integer("min_length", 1, default=1)
    max_length = table.integer("max_length", min_length, default=maximum)
    splits = SPLITS if name == "split" else ()
    return Field(
        name=name,
        required=required,
        types=frozenset(table.names("types", TYPES, default=TYPES)),
        min_length=min_length,
        max_length=max_length,
        max_bytes=table.integer("max_bytes", 1, maximum, default=min(maximum, max_length * UTF8_BYTES)),
        allowed=frozenset(table.spelled_names("allowed", name, splits) or splits),
        line_breaks=table.choice("line_breaks", LINE_BREAKS, default="refuse"),
        aliases=frozenset(map(str.casefold, table.names("aliases", (), default=()))),
        null_words=frozenset(map(str.casefold, table.spelled_names("null_words", name))),
        values=table.spelled_table("values", name),
    )


def check_size(where: str, contract: Contract) -> None:
    """Refuse a contract that allows a record larger than the feature store's limit."""
    largest = OVERHEAD_BYTES + sum(rules.largest for rules in contract.fields.values())
    if largest > RECORD_BYTES:
        raise ContractError(
            f"{where}: a record could have {largest:,} bytes; a feature store's holds {RECORD_BYTES:,}: "
            f"lower fields.text.max_bytes by {largest - RECORD_BYTES:,}"
        )


class TomlTable:
    """A TOML table that records which of its settings are read."""

    def __init__(self, file: str, path: str, content: dict[str, Any]) -> None:
        self.file, self.path, self.content = file, path, content
        self.read_names: list[str] = []

    def error(self, name: str, problem: str) -> ContractError:
        """Return an error that names the setting."""
        return ContractError(f"{self.file}: {self.path}{name} {problem}")

    def get(self, name: str, default: object = None) -> Any:
        """Return the value of a setting."""
        self.read_names.append(name)
        if name not in self.content and default is None:
            raise self.error(name, "is missing")
        return self.content.get(name, default)

    def table(self, name: str) -> "TomlTable":
        """Return a nested table."""
        content = self.get(name)
        if not isinstance(content, dict):
            raise self.error(name, f"is {content!r}; a table is needed")
        return TomlTable(self.file, f"{self.path}{name}.", content)

    def boolean(self, name: str) -> bool:
        """Return a boolean setting."""
        value = self.get(name)
        if not isinstance(value, bool):
            raise self.error(name, f"is {value!r}; true or false is needed")
        return value

    def integer(self, name: str, minimum: int, maximum: int = MAX_INTEGER, default: int | None = None) -> int:
        """Return an integer setting within bounds."""
        value = self.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise self.error(name, f"is {value!r}; a whole number from {minimum:,} to {maximum:,} is needed")
        return value

    def fraction(self, name: str) -> float:
        """Return a setting from 0 to 1."""
        value = self.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise self.error(name, f"is {value!r}; a number from 0 to 1 is needed")
        return float(value)

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """Return a setting that is one of the choices."""
        value = self.get(name, default)
        if value not in choices:
            raise self.error(name, f"is {value!r}; {' or '.join(choices)} is needed")
        return str(value)

    def names(self, name: str, choices: Collection[str], default: Collection[str]) -> list[str]:
        """Return a list of strings, all of them among the choices, if there are any."""
        values = self.get(name, list(default))
        if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
            raise self.error(name, f"is {values!r}; a list of strings is needed")
        if unknown := [value for value in values if choices and value not in choices]:
            raise self.error(name, f"holds {unknown[0]!r}; {', '.join(choices)} are known")
        return values

    def spelled_names(self, name: str, field: str, choices: Collection[str] = ()) -> list[str]:
        """Return an optional list of strings, each spelled as the field's values are."""
        return [self.spelled(name, value, field) for value in self.names(name, choices, default=choices)]

    def spelled_table(self, name: str, field: str) -> dict[str, str]:
        """Return an optional table of strings, keys and values spelled as the field's values are."""
        content = self.get(name, {})
        if not isinstance(content, dict) or not all(isinstance(v, str) and v for v in content.values()):
            raise self.error(name, f"is {content!r}; a table of strings is needed")
        table: dict[str, str] = {}
        for key, value in content.items():
            at, target = self.spelled(name, key, field), self.spelled(name, value, field)
            if table.setdefault(at, target) != target:
                raise self.error(
                    name, f"makes {at!r}, in several spellings, both {table[at]!r} and {target!r}"
                )
        return table

    def spelled(self, name: str, value: str, field: str) -> str:
        """Return a value as the field's values are spelled."""
        text = spelled(value, field)
        if not text:
            raise self.error(name, f"holds {value!r}, of which nothing can be seen; remove it")
        return text

    def reject_unknown(self) -> None:
        """Refuse unknown settings, which are most likely misspelt."""
        for name in self.content:
            if name not in self.read_names:
                meant = get_close_matches(name, self.read_names, 1)
                raise self.error(name, "is unknown" + (f"; did you mean {meant[0]}?" if meant else ""))
