"""The classifier: linear scores of the n-grams that it knows, one label against the others."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from errors import ModelError
from features import ngram_rows
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

FORMAT = 1
CHUNK_TEXTS = 5000
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """A trained classifier.

    Attributes:
        labels: In the order of the probabilities.
        columns: The hashed n-grams that it knows, ascending.
        weights: Of shape (columns, scores); two labels share one score, more have one each.
        intercepts: Of shape (scores,).
    """

    labels: tuple[str, ...]
    ngrams: int
    hash_bits: int
    columns: NDArray[np.int32]
    weights: Floats
    intercepts: Floats

    @cached_property
    def places(self) -> NDArray[np.int32]:
        """The place of each hashed n-gram among the known ones, -1 where it is not."""
        places = np.full(1 << self.hash_bits, -1, np.int32)
        places[self.columns] = np.arange(len(self.columns), dtype=np.int32)
        return places

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities, of shape (texts, labels)."""
        chunks = range(0, len(texts), CHUNK_TEXTS)
        parts = [self.predict_rows(self.rows(texts[start : start + CHUNK_TEXTS])) for start in chunks]
        return np.concatenate(parts) if parts else np.empty((0, len(self.labels)))

    def rows(self, texts: Sequence[str]) -> csr_array:
        """The texts' known n-grams."""
        return self.known(ngram_rows(texts, self.ngrams, self.hash_bits))

    def known(self, rows: csr_array) -> csr_array:
        """Keep the known n-grams of each row, and scale each row to length 1."""
        indices = self.places[rows.indices]
        kept = indices >= 0
        indptr = np.concatenate([[0], np.cumsum(kept)])[rows.indptr].astype(np.int32)
        sizes = np.diff(indptr)
        data = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes).astype(np.float32)
        return csr_array((data, indices[kept], indptr), shape=(rows.shape[0], len(self.columns)))

    def predict_rows(self, rows: csr_array) -> NDArray[np.float64]:
        """Return the probabilities of rows of known n-grams."""
        scores = expit((rows @ self.weights + self.intercepts).astype(np.float64))
        if len(self.labels) == 2:
            return np.hstack([1 - scores, scores])
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))

    def save(self, folder: Path) -> None:
        """Write weights.npz and model.json; neither can hold code, as a pickle can."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            folder / "weights.npz",
            columns=np.diff(self.columns, prepend=np.int32(0)),
            weights=self.weights.astype(np.float16),
            intercepts=self.intercepts,
        )
        content = {
            "format": FORMAT,
            "labels": self.labels,
            "ngrams": self.ngrams,
            "hash_bits": self.hash_bits,
        }
        (folder / "model.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def load(folder: Path) -> Model:
    """Read what `Model.save` wrote.

    Raises:
        ModelError: The files are missing or damaged, or of another version.
    """
    try:
        content = json.loads((folder / "model.json").read_text("utf-8"))
        if content["format"] != FORMAT:
            raise ModelError(f"the model has format {content['format']}, this image reads {FORMAT}")
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            return Model(
                labels=tuple(content["labels"]),
                ngrams=content["ngrams"],
                hash_bits=content["hash_bits"],
                columns=np.cumsum(arrays["columns"], dtype=np.int32),
                weights=arrays["weights"].astype(np.float32),
                intercepts=arrays["intercepts"],
            )
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ModelError(f"there is no readable model in {folder}: {error!r}") from error
