"""The interface between a container's model and the server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

Weights = list[tuple[str, float]]


class Classifier(Protocol):
    """A loaded model.

    Set the attribute ``batching`` to a Batching to batch requests; otherwise each request is one call.
    """

    @property
    def labels(self) -> Sequence[str]:
        """The labels, in the order of the probabilities."""
        ...

    def predict(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return the probabilities, of shape (texts, labels).

        Without `batching` it is called from two threads, so that short requests do not wait for a long one.
        """
        ...


@runtime_checkable
class Explainer(Protocol):
    """A classifier that can explain its predictions."""

    def explain(self, texts: Sequence[str], top: int) -> list[Weights]:
        """Return for each text up to `top` features with their weights, largest absolute weight first.

        A weight is positive if the feature supports the label that `predict` finds most probable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Batching:
    """How concurrent requests are put into one call of `predict`.

    Attributes:
        texts: The maximum per call, unless a single request holds more.
        milliseconds: How long the first request of a call waits for others.
    """

    texts: int = 32
    milliseconds: float = 5
