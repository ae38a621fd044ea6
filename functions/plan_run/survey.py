"""The survey: what lies under raw/, compared with the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from plan_run.admission import Admission, SetAside
    from plan_run.ledger import Ledger
    from plan_run.raw_objects import RawObject


class Survey(NamedTuple):
    """The objects under raw/, in the order of arrival.

    Attributes:
        objects: what jobs can take, without versions that a job refused.
        new: those of them that no run has processed.
        set_aside: what no job can take.
        new_set_aside: those of them that no run has reported.
        ignored: the number of objects that are no data.
    """

    objects: Sequence[RawObject]
    new: Sequence[RawObject]
    set_aside: Sequence[SetAside]
    new_set_aside: Sequence[SetAside]
    ignored: int

    def counts(self) -> dict[str, int]:
        """Return the counts that every answer contains."""
        return {
            "objects": len(self.objects),
            "set_aside": len(self.set_aside),
            "new_set_aside": len(self.new_set_aside),
            "ignored": self.ignored,
        }


def survey(admission: Admission, ledger: Ledger) -> Survey:
    """Compare the objects with the ledger."""
    kept = [item for item in admission.usable if not ledger.refuses(item)]
    objects = sorted(kept, key=lambda item: (item.modified, item.key))
    return Survey(
        objects,
        [item for item in objects if not ledger.lists(item)],
        admission.set_aside,
        [found for found in admission.set_aside if not ledger.sets_aside(found.item)],
        admission.ignored,
    )
