"""The hyperparameters of the training; README.md describes each."""

from dataclasses import dataclass
from typing import Annotated, Literal

from toolkit.hyperparameters import Range


@dataclass(frozen=True, slots=True)
class Settings:
    """Hyperparameters. Those of NOT_IN_IDENTITY change how the model is computed, not which model results."""

    base_model: str = "distilbert/distilbert-base-uncased"
    base_model_revision: str = "main"
    epochs: Annotated[int, Range(1, 100)] = 3
    batch_size: Annotated[int, Range(1, 4096)] = 32
    learning_rate: Annotated[float, Range(1e-7, 1)] = 5e-5
    warmup_fraction: Annotated[float, Range(0, 0.9)] = 0.1
    weight_decay: Annotated[float, Range(0, 1)] = 0.01
    max_gradient_norm: Annotated[float, Range(1e-3, 1e3)] = 1.0
    max_tokens: Annotated[int, Range(8, 8192)] = 512
    keep: Literal["start", "end"] = "start"
    validation_fraction: Annotated[float, Range(0, 0.5)] = 0.1
    evaluations_per_epoch: Annotated[int, Range(1, 100)] = 2
    patience: Annotated[int, Range(0, 1000)] = 3
    seed: Annotated[int, Range(0, 2**31 - 1)] = 1
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    deterministic: bool = True
    tokens_per_pass: Annotated[int, Range(64, 1 << 22)] = 16384
    processes: Annotated[int, Range(0, 64)] = 0
    log_steps: Annotated[int, Range(1, 100_000)] = 50
    checkpoint_steps: Annotated[int, Range(1, 1_000_000)] = 500


NOT_IN_IDENTITY = ("tokens_per_pass", "processes", "log_steps", "checkpoint_steps")
