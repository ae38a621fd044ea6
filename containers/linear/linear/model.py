"""The classifier: linear scores of n-grams, one label against the others."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from linear.calibration import Floats, probabilities
from linear.char_ngrams import CharNgrams
from linear.fitting import FittedModels
from linear.vocabulary import VocabularyRows
from linear.weight_table import WeightTable, load_table, prune, quantize
from linear.word_ngrams import WordNgrams
from toolkit.errors import ModelError

FORMAT = 2
View = WordNgrams | CharNgrams  # an n-gram extractor
KINDS: dict[str, type[View]] = {"words": WordNgrams, "letters": CharNgrams}
CHUNK_TEXTS = 5000


@dataclass(frozen=True)
class Model:
    """A trained classifier.

    Attributes:
        labels: The labels, in the order of the probabilities.
        views: The n-gram extractors.
        tables: The weights of each view's n-grams.
        intercepts: Of shape (scores,); two labels share one score, more have one each.
        scale: The factor that turns scores into log-odds.
    """

    labels: tuple[str, ...]
    views: tuple[View, ...]
    tables: tuple[WeightTable, ...]
    intercepts: Floats
    scale: float

    @property
    def size(self) -> int:
        """Return the number of nonzero weights."""
        return sum(table.size for table in self.tables)

    def predict(self, texts: Sequence[str]) -> Floats:
        """Return the probabilities, of shape (texts, labels)."""
        if len(texts) <= CHUNK_TEXTS:
            return probabilities(self.scores(texts), self.scale)
        chunks = range(0, len(texts), CHUNK_TEXTS)
        return np.concatenate([self.predict(texts[start : start + CHUNK_TEXTS]) for start in chunks])

    def scores(self, texts: Sequence[str]) -> Floats:
        """Return the scores, of shape (texts, scores)."""
        total = np.zeros((len(texts), len(self.intercepts)))
        for view, table in zip(self.views, self.tables, strict=True):
            table.add(view.rows(texts), total)
        return total + self.intercepts

    def explain(self, texts: Sequence[str], top: int) -> list[list[tuple[str, float]]]:
        """Return for each text up to `top` n-grams with weights in log-odds, largest absolute weight first.

        A weight is positive if the n-gram supports the label that `predict` finds most probable, against the
        other label or the mean of all labels. Marks distinguish equal n-grams: `…` near the text's end,
        `not:` after a negation, `_` a skipped word.
        """
        best = self.predict(texts).argmax(axis=1)
        return [self._explain(text, int(label), top) for text, label in zip(texts, best, strict=True)]

    def _explain(self, text: str, label: int, top: int) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        for view, table in zip(self.views, self.tables, strict=True):
            ngrams = view.ngrams(text)
            weights = table.weights(np.array([column for column, _ in ngrams], np.int32))
            if len(self.labels) == 2:
                contributions = weights[:, 0] if label else -weights[:, 0]
            else:
                contributions = weights[:, label] - weights.mean(axis=1)
            contributions = contributions * self.scale / np.sqrt(max(1, len(ngrams)))
            found += (
                (name, float(weight))
                for (_, name), weight in zip(ngrams, contributions, strict=True)
                if weight
            )
        return sorted(found, key=lambda pair: -abs(pair[1]))[:top]

    def save(self, folder: Path) -> None:
        """Write weights.npz and model.json; neither format can contain code, unlike a pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[np.generic]] = {}
        for place, table in enumerate(self.tables):
            arrays |= {f"{place}.{name}": array for name, array in table.arrays().items()}
        np.savez_compressed(folder / "weights.npz", allow_pickle=False, **arrays)
        kinds = {kind: name for name, kind in KINDS.items()}
        content = {
            "format": FORMAT,
            "labels": self.labels,
            "views": [{"kind": kinds[type(view)], **asdict(view)} for view in self.views],
            "intercepts": self.intercepts.tolist(),
            "scale": self.scale,
        }
        (folder / "model.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def assemble(
    labels: Sequence[str],
    views: Sequence[View],
    vocabularies: Sequence[VocabularyRows],
    fitted: FittedModels,
    scale: float,
) -> Model:
    """Build the model to save: quantized weights, without the smallest ones."""
    columns = [one.columns for one in vocabularies]
    weights = prune(fitted.weights, [view.bits for view in views])
    tables = tuple(
        quantize(named, kept, view.bits) for named, kept, view in zip(columns, weights, views, strict=True)
    )
    return Model(tuple(labels), tuple(views), tables, fitted.intercepts, scale)


def load(folder: Path) -> Model:
    """Read what `Model.save` wrote.

    Raises:
        ModelError: The files are missing, damaged, or of another version.
    """
    try:
        content = json.loads((folder / "model.json").read_text("utf-8"))
        if content["format"] != FORMAT:
            raise ModelError(
                f"the model has format {content['format']}, this image reads {FORMAT}; train the model again"
            )
        views = tuple(KINDS[view.pop("kind")](**view) for view in content["views"])
        intercepts = np.array(content["intercepts"], np.float64)
        with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
            tables = tuple(
                load_table(
                    {name: arrays[f"{place}.{name}"] for name in ("gaps", "jumps", "codes", "peak")},
                    len(intercepts),
                    view.bits,
                )
                for place, view in enumerate(views)
            )
        model = Model(tuple(content["labels"]), views, tables, intercepts, float(content["scale"]))
        model.predict([""])  # so that the first request finds the functions compiled
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, BadZipFile) as error:
        raise ModelError(f"there is no readable model in {folder}: {error!r}") from error
    return model
