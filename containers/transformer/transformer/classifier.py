"""Serve the fine-tuned model: on a GPU with PyTorch in bfloat16, on CPUs with ONNX Runtime."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from toolkit.classifier import Batching
from toolkit.errors import ContainerError, DeviceError, ModelError
from transformer.batches import by_length, passes
from transformer.encoding import Ints, encode
from transformer.gpu import usable_gpus

PASS_TOKENS = 8192  # maximum number of padded tokens per pass
Floats = NDArray[np.float64]
# Token ids and mask, each of shape (texts, tokens), to logits of shape (texts, labels).
Logits = Callable[[Ints, Ints], NDArray[Any]]


@dataclass(frozen=True)
class TransformerClassifier:
    """A fine-tuned model.

    Attributes:
        labels: The labels, in the order of the probabilities.
        padding: The id of the padding token.
        workers: One, because the model uses all cores with threads, which forked processes do not inherit.
    """

    labels: Sequence[str]
    tokenizer: Tokenizer
    padding: int
    logits: Logits
    batching: Batching = field(default_factory=Batching)
    workers: int = 1

    def predict(self, texts: Sequence[str]) -> Floats:
        """Return the probabilities, of shape (texts, labels); texts of similar length pass together."""
        encoded = encode(self.tokenizer, texts, self.padding)
        probabilities = np.empty((len(texts), len(self.labels)))
        for rows in passes(by_length(np.arange(len(texts)), encoded.lengths), encoded.lengths, PASS_TOKENS):
            probabilities[rows] = softmax(self.logits(*encoded.padded(rows)).astype(np.float64))
        return probabilities


def softmax(logits: Floats) -> Floats:
    """Return the softmax of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def load(folder: Path) -> TransformerClassifier:
    """Load the saved model.

    Raises:
        ModelError: The files are missing or damaged.
        ContainerError: There is a GPU that PyTorch cannot use.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        labels = [config["id2label"][str(place)] for place in range(len(config["id2label"]))]
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        logits = on_gpu(folder) if usable_gpus() else on_cpus(folder)
        return TransformerClassifier(labels, tokenizer, config["pad_token_id"], logits)
    except ContainerError:
        raise
    except Exception as error:  # the Rust and C++ libraries raise plain Exception
        raise ModelError(f"there is no readable model in {folder}: {error!r}") from error


def on_cpus(folder: Path) -> Logits:
    """Load the ONNX graph. PyTorch is not imported, because its import takes most of the start-up time."""
    from onnxruntime import InferenceSession

    session = InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])

    def run(ids: Ints, mask: Ints) -> NDArray[Any]:
        return np.asarray(session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0])

    return run


def on_gpu(folder: Path) -> Logits:
    """Load the PyTorch model, in bfloat16 if the GPU supports it."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from transformer.distributed import autocast, device

    place = device(0)
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval().to(place)

    def run(ids: Ints, mask: Ints) -> NDArray[Any]:
        try:
            with torch.inference_mode(), autocast(place, "auto"):
                inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
                logits = model(**{name: values.to(place) for name, values in inputs.items()}).logits
            return np.asarray(logits.float().cpu())
        except torch.OutOfMemoryError:
            raise
        except torch.AcceleratorError as error:  # CUDA is unusable in this process from now on
            raise DeviceError(str(error)) from error

    return run
