"""Fine-tune a base model on a job's rows, and save it."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.errors import ContainerError
from toolkit.job import Job
from toolkit.rows import Rows, hold_out, label_indices, training_labels
from transformer import checkpoint, onnx_graph, pretrained
from transformer.distributed import ProcessGroup
from transformer.encoding import Ints, encode
from transformer.pretrained import BaseModel
from transformer.settings import Settings
from transformer.trainer import Split, Trainer

IDENTITY_DIGITS = 8  # hexadecimal digits: their sum over two million processes is exact in float64


def finetune(job: Job, settings: Settings, base: BaseModel, group: ProcessGroup) -> None:
    """Fine-tune on the channel train; keep the model with the lowest log loss on the held-out rows.

    The held-out rows are the channel validation or, if it is missing or empty, a share of train.

    Raises:
        ContainerError: The data, the base model or the checkpoint cannot be used.
    """
    try:
        run(job, settings, base, group)
    except torch.OutOfMemoryError as error:
        raise ContainerError(
            f"out of GPU memory: lower tokens_per_pass ({settings.tokens_per_pass}) or max_tokens "
            f"({settings.max_tokens}), or choose an instance type with more memory"
        ) from error
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise ContainerError(
            f"the base model needs an operation that is not deterministic in PyTorch: {error}. "
            "Set deterministic=false"
        ) from error


def run(job: Job, settings: Settings, base: BaseModel, group: ProcessGroup) -> None:
    """Train, resuming from a checkpoint or leaving one."""
    if settings.deterministic:
        make_deterministic()
    training, validation = job.read("train"), job.read("validation")
    labels = training_labels(training)
    rows = Rows(training.texts + validation.texts, training.labels + validation.labels)
    actual = label_indices(rows, labels)
    held = np.arange(len(rows)) >= len(training)
    if not held.any():
        held = hold_out(actual, settings.validation_fraction, settings.seed)
    torch.manual_seed(settings.seed)
    model, tokenizer = pretrained.load(base, labels, settings)
    identity = checkpoint.identity(settings, rows, model.state_dict())
    # Checked before the model is wrapped, whose error would be hard to understand.
    if not group.all_equal(int(identity[:IDENTITY_DIGITS], 16)):
        raise ContainerError(
            "the instances have other rows, hyperparameters or base models than each other; give each all of "
            "them, with an S3DataDistributionType of FullyReplicated"
        )
    train, kept_back = (split(tokenizer, rows.texts, actual, chosen) for chosen in (~held, held))
    trainer = Trainer(job, settings, group, model, train, kept_back, identity)
    trainer.log(f"{base}; labels: {', '.join(labels)}; {group.size} process(es) on {group.device.type}")
    trainer.log(f"{len(train.actual):,} rows to learn from, {len(kept_back.actual):,} held out")
    trainer.resume()
    if trainer.run() and group.is_first:
        trainer.restore_best()
        save(job, trainer, tokenizer)


def split(tokenizer: Any, texts: Sequence[str], actual: Ints, chosen: NDArray[np.bool_]) -> Split:
    """Tokenize the chosen rows."""
    own = [text for text, wanted in zip(texts, chosen, strict=True) if wanted]
    return Split(encode(tokenizer.backend_tokenizer, own, tokenizer.pad_token_id), actual[chosen])


def save(job: Job, trainer: Trainer, tokenizer: Any) -> None:
    """Save the model with save_pretrained, its tokenizer and its ONNX graph; delete the checkpoint."""
    trainer.model.config._name_or_path = ""  # a path of this machine
    trainer.model.save_pretrained(job.model_dir)
    tokenizer.save_pretrained(job.model_dir)
    onnx_graph.export(trainer.model, job.model_dir)
    checkpoint.remove(job.checkpoint_dir)
    progress = trainer.progress
    if trainer.best:
        job.report(
            "validation",
            step=progress.best_step,
            accuracy=progress.best_accuracy,
            log_loss=progress.best_log_loss,
        )
    job.log(f"saved the model of step {progress.best_step or progress.step}")


def make_deterministic() -> None:
    """Make training deterministic: the same seed, rows and devices give the same model.

    An operation without a deterministic kernel raises an error. The mode that only warns would not do:
    attention then chooses nondeterministic kernels even where deterministic ones exist.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
