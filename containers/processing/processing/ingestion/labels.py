"""Compare the labels of new files with those of earlier runs.

A label is new if no record had it before the run. A new label that differs from an earlier one in case or
Unicode form only is most likely the same, misspelt: its rows are held back until the contract decides.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property

from processing.errors import FileError
from processing.ingestion.contract import Contract
from processing.ingestion.offline_store import OfflineStore, identifier, literal
from processing.ingestion.report import FileReport
from processing.ingestion.rows import Defect, excerpt

# What a query lists; Athena takes queries of 262,144 bytes.
MAX_FILES_BYTES = 200_000
MAX_IDS_BYTES = 60_000
NAMED_LABELS = 10

# Of the offline store's columns, Athena reads only those that are named here: a few percent, without texts.
QUERY = """
SELECT label, count(*) FROM (
  SELECT record_id, label, source, is_deleted, row_number() OVER (
    PARTITION BY record_id ORDER BY event_time DESC, api_invocation_time DESC, write_time DESC
  ) AS version FROM {table} WHERE event_time < '{before}'
) WHERE version = 1 AND NOT is_deleted{others} GROUP BY label
"""


class Held(Defect):
    """Why a row is held back: it is not bad, but its label needs a decision."""

    __slots__ = ()


class Labels:
    """The labels of the records before a run, and those of the run's files so far.

    Which labels are new, and which are held back, depends only on the records before the run. So it is the
    same on each instance, in each order of the files, and when the job is repeated.

    Args:
        contract: The contract, which may decide what a label is, and has the limit.
        load: Returns the number of records of each label before the run. It is called for the first good row.
    """

    def __init__(self, contract: Contract, load: Callable[[], Mapping[str, int]]) -> None:
        field = contract.fields["label"]
        self.limit = 0 if field.allowed else contract.max_labels  # 0: the contract lists the labels
        self.load = load
        self.ingested: Counter[str] = Counter()
        self.reasons: dict[str, str | None] = dict.fromkeys(field.allowed | set(field.values.values()))
        self.likes: dict[str, str] = {}

    @cached_property
    def stored(self) -> Mapping[str, int]:
        """Return the number of records of each label before the run."""
        return self.load()

    @cached_property
    def forms(self) -> dict[str, str]:
        """Return the most frequent label before the run by its form."""
        ordered = sorted(self.stored.items(), key=lambda item: (item[1], item[0]))
        return {form(label): label for label, _ in ordered}

    @property
    def known(self) -> Counter[str]:
        """Return the rows of each label before the run and in its files so far."""
        return self.ingested + Counter(self.stored)

    def reason(self, label: str) -> str | None:
        """Return why a label's rows are held back; None if they are not."""
        if label not in self.reasons:
            like = None if label in self.stored else self.forms.get(form(label))
            self.reasons[label] = like and self.describe(label, like)
        return self.reasons[label]

    def describe(self, label: str, like: str) -> str:
        """Return the reason for a new label that is like an earlier one."""
        self.likes[label] = like
        new, old = excerpt(label), excerpt(like)
        return (
            f"the label '{new}' is new, and differs from '{old}' ({self.stored[like]:,} records) in case or "
            f'Unicode form only; decide in [fields.label.values] of contract.toml: "{new}" = "{old}" if they '
            f'are one label, "{new}" = "{new}" if they are two, and upload the rows again'
        )

    def check_limit(self, labels: Collection[str]) -> None:
        """Refuse a file that brings more labels than a dataset may have.

        Raises:
            FileError: There are too many labels in the file, or with those of earlier files.
        """
        if not self.limit:
            return
        if len(labels) > self.limit:
            raise FileError(f"more than {self.limit:,} different labels: the wrong column?")
        earlier = len(self.known.keys() - labels)
        if earlier + len(labels) > self.limit:
            raise FileError(
                f"with {earlier:,} other labels of earlier files, more than {self.limit:,} different "
                "labels: the wrong column? If they are right, raise max_different in contract.toml"
            )

    def settle(self, file: FileReport) -> None:
        """Add to a file's report which of its labels are new, held back, or like others."""
        if not (file.labels or file.held):
            return
        file.new = frozenset(file.labels.keys() - self.stored.keys())
        file.likes = {label: self.likes[label] for label in file.held}
        if self.stored and file.new_labels:
            file.notes.append(f"labels that are new: {name(file.new_labels)}")
        file.notes += case_twins(file.labels, self.known)
        file.notes += [
            f"{rows:,} rows held back: {self.reasons[label]}" for label, rows in sorted(file.held.items())
        ]

    def add(self, file: FileReport) -> None:
        """Add the labels of a file that is ingested."""
        self.ingested.update(file.labels)


def form(label: str) -> str:
    """Return what labels have in common that differ in case or compatible form (Unicode, D146)."""
    text = unicodedata.normalize("NFD", label)
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text.casefold())
    return text


def name(labels: Mapping[str, int]) -> str:
    """Name labels with their rows, the most frequent first."""
    ordered = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    named = [f"'{excerpt(label)}' ({rows:,})" for label, rows in ordered[:NAMED_LABELS]]
    more = [f"and {len(ordered) - NAMED_LABELS:,} more"] if len(ordered) > NAMED_LABELS else []
    return ", ".join([*named, *more])


def case_twins(labels: Mapping[str, int], known: Mapping[str, int]) -> list[str]:
    """Name a file's labels that differ in case only, from each other or from labels of earlier files."""
    counts = Counter(labels)
    counts.update(known)
    groups: dict[str, list[str]] = {}
    for label in counts:
        groups.setdefault(form(label), []).append(label)
    notes = []
    for group in groups.values():
        if len(group) > 1 and any(label in labels for label in group):
            names = ", ".join(f"'{excerpt(label)}' ({counts[label]:,})" for label in sorted(group))
            notes.append(
                f"labels that differ in case only: {names}; if they are one, say so in [fields.label.values] "
                "of contract.toml"
            )
    return notes


def stored_labels(
    store: OfflineStore, before: str, replaced: Iterable[str], forgotten: Iterable[str]
) -> dict[str, int]:
    """Return the labels of the latest records before a time, with the number of records of each.

    Args:
        store: The offline store.
        before: The event time of the run's first file, so that a repeated job gets the same answer.
        replaced: The run's files, on all instances, and those that it forgets. What they gave earlier does
            not count: a file that comes again may spell its labels in another way.
        forgotten: The ids that the run forgets.

    Raises:
        VisibilityError: Athena fails repeatedly. No answer is not taken for no label.
    """
    others = unlisted("source", replaced, MAX_FILES_BYTES) + unlisted("record_id", forgotten, MAX_IDS_BYTES)
    query = QUERY.format(table=identifier(store.table), before=before, others=others)
    return {label: int(count) for label, count in store.find(query)}


def unlisted(column: str, names: Iterable[str], most_bytes: int) -> str:
    """Return the condition that a column has none of these names; none if they have too many bytes."""
    listed = ", ".join(map(literal, sorted(names)))
    return f" AND {column} NOT IN ({listed})" if 0 < len(listed.encode()) <= most_bytes else ""
