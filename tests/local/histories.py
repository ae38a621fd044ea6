"""Histories of a feature group's records, and what each record is in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hypothesis import strategies as st

Fault = Literal["none", "throttled", "unprocessed", "answer lost"]

MOMENTS = tuple(f"2026-11-23T0{hour}:59:59.{ms}Z" for hour in (3, 4) for ms in ("000", "001", "999"))
KEYS = tuple(f"{number:02}" for number in range(24))
FAULTS: tuple[Fault, ...] = ("none", "throttled", "unprocessed", "answer lost")


@dataclass(frozen=True)
class Version:
    """What a record was made to be; `split` is empty where nothing was said."""

    text: str
    label: str
    split: str


@dataclass(frozen=True)
class Event:
    """What happened at one moment to some records, each by its id; None is a deletion."""

    moment: str
    changes: Mapping[str, Version | None]


@dataclass(frozen=True)
class Delivery:
    """An event, or what a job that failed had done of it, on its way into the feature store.

    Attributes:
        event: what is delivered.
        keys: the ids that are, in order.
        batch: the most records of one call.
        faults: what becomes of the first calls.
        flushing: whether the offline store is being written meanwhile.
    """

    event: Event
    keys: Sequence[str]
    batch: int
    faults: Sequence[Fault]
    flushing: bool


# A dataset needs both labels to train with, and a row to test with; without any to validate with, it takes
# some of train.
ALWAYS = Event(
    MOMENTS[0],
    {
        f"{split}/{label}": Version(f"{split} {label}", label, "")
        for split, label in (("train", "pos"), ("train", "neg"), ("validation", "pos"), ("test", "pos"))
    },
)


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """Several, of which some are of one moment."""
    labels = st.sampled_from(["pos", "neg"])
    splits = st.sampled_from(["", "train", "validation", "test"])
    change = st.one_of(st.none(), st.tuples(labels, splits), st.tuples(labels, splits))
    drawn = draw(
        st.lists(
            st.tuples(st.sampled_from(MOMENTS), st.dictionaries(st.sampled_from(KEYS), change, min_size=1)),
            min_size=1,
            max_size=8,
        )
    )
    # No text stands twice: a dataset drops it of all splits but one.
    return [ALWAYS] + [
        Event(
            moment,
            {key: said and Version(f"{key} of event {number}", *said) for key, said in changes.items()},
        )
        for number, (moment, changes) in enumerate(drawn)
    ]


@st.composite
def histories(draw: st.DrawFn) -> list[Delivery]:
    """Events delivered in any order: each whole once at least, and some again, whole or in part."""
    happened = draw(events())
    again = draw(st.lists(st.sampled_from(happened), max_size=4))
    orders = [draw(st.permutations(list(event.changes))) for event in happened]
    orders += [
        (order := draw(st.permutations(list(event.changes))))[: draw(st.integers(1, len(order)))]
        for event in again
    ]
    return [
        Delivery(
            event,
            keys,
            draw(st.integers(1, 25)),
            draw(st.lists(st.sampled_from(FAULTS), max_size=4)),
            draw(st.booleans()),
        )
        for event, keys in draw(st.permutations(list(zip(happened + again, orders, strict=True))))
    ]


def latest(history: Sequence[Delivery], as_of: str) -> dict[str, Version]:
    """Each record as of a moment: the version of the latest event, of one moment's that delivered last."""
    found: dict[str, tuple[str, int, Version | None]] = {}
    for position, delivery in enumerate(history):
        moment = delivery.event.moment
        for key in delivery.keys:
            if moment <= as_of and (key not in found or found[key][:2] < (moment, position)):
                found[key] = moment, position, delivery.event.changes[key]
    return {key: version for key, (*_, version) in found.items() if version is not None}
