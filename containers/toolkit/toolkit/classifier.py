"""What a container gives the server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

Weights = list[tuple[str, float]]


class Classifier(Protocol):
    """A loaded model. Its attribute ``batching`` may be a Batching; without it each request is a call."""

    @property
    def labels(self) -> Sequence[str]:
        """In the order of the probabilities."""
        ...

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return the probabilities, of shape (texts, labels).

        Without `batching` it is called from two threads: short requests do not wait for a long one.
        """
        ...


@runtime_checkable
class Explainer(Protocol):
    """A classifier that can tell what weighed most."""

    def explain(self, texts: Sequence[str], top: int) -> list[Weights]:
        """Return for each text up to `top` pieces of it with their weights, the heaviest first.

        A weight is above 0 where the piece speaks for the label that `predict` finds most probable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Batching:
    """How requests that come at the same time are put together into one call of `predict`.

    Attributes:
        texts: At most so many in a call, unless one request holds more.
        milliseconds: How long the first request of a call waits for others.
    """

    texts: int = 32
    milliseconds: float = 5
