"""Train a model: steps, evaluations, checkpoints."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from math import ceil, inf, isfinite
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from toolkit.errors import ContainerError
from toolkit.job import Job
from transformer import checkpoint
from transformer.batches import by_length, epoch_batches, passes, steps_per_epoch
from transformer.distributed import ProcessGroup, autocast
from transformer.encoding import Encoded, Ints
from transformer.settings import Settings


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to train on or to evaluate on, with label indices."""

    encoded: Encoded
    actual: Ints


@dataclass(slots=True)
class Progress:
    """The progress of a training, which checkpoints store.

    Attributes:
        step: The number of steps done.
        best_step: The step with the lowest log loss on the held-out rows.
        stale: The number of evaluations since the best step.
        due: Whether the evaluation after this step was interrupted and must be repeated.
    """

    step: int = 0
    best_step: int = 0
    best_log_loss: float = inf
    best_accuracy: float = 0
    stale: int = 0
    due: bool = False


class Trainer:
    """A training that can be interrupted and resumed in another process.

    Attributes:
        identity: The identity of this training, stored in its checkpoints.
        best: The weights of the best step; only the first process has them.
        since: This process's sums since the last log line: loss, rows, correct rows, tokens.
    """

    def __init__(
        self,
        job: Job,
        settings: Settings,
        group: ProcessGroup,
        model: Any,
        train: Split,
        held: Split,
        identity: str,
    ) -> None:
        self.job, self.settings, self.group, self.identity = job, settings, group, identity
        self.train, self.held = train, held
        self.model = model.to(group.device)
        self.shared = group.wrap(self.model)
        self.optimizer = torch.optim.AdamW(
            decayed(self.model, settings.weight_decay), fused=group.device.type == "cuda"
        )
        self.epoch_steps = steps_per_epoch(len(train.actual), settings.batch_size)
        self.steps = self.epoch_steps * settings.epochs
        self.progress = Progress()
        self.best: dict[str, torch.Tensor] = {}
        self.since = torch.zeros(4, dtype=torch.float64, device=group.device)
        self.last_report = monotonic()

    def run(self) -> bool:
        """Train to the end; return False if the job was interrupted and a checkpoint was saved."""
        progress, settings = self.progress, self.settings
        if progress.due and not self.evaluate():
            return self.save_interrupted()
        for batch in self.remaining_batches():
            if settings.patience and progress.stale >= settings.patience:
                self.log(
                    f"no improvement since step {progress.best_step}: stopping after step {progress.step}"
                )
                break
            if self.group.any(self.job.interrupted.is_set()):
                return self.save_interrupted()
            self.learn(batch)
            if progress.step % settings.log_steps == 0:
                self.report_progress()
            if self.evaluates() and not self.evaluate():
                return self.save_interrupted()
            if progress.step % settings.checkpoint_steps == 0:
                self.save()
        self.report_progress()
        return True

    def save_interrupted(self) -> bool:
        """Save a checkpoint for another process to resume from; return False."""
        self.save()
        self.log(f"interrupted: saved a checkpoint after step {self.progress.step} of {self.steps}")
        return False

    def remaining_batches(self) -> Iterator[Ints]:
        """Yield the batches of the remaining steps."""
        epoch, place = divmod(self.progress.step, self.epoch_steps)
        lengths = self.train.encoded.lengths
        for number in range(epoch, self.settings.epochs):
            batches = epoch_batches(lengths, self.settings.batch_size, self.settings.seed, number)
            yield from batches[place:]
            place = 0

    def learn(self, batch: Ints) -> None:
        """Do one training step: each process takes its share of the batch, in as many passes as it needs."""
        group, settings = self.group, self.settings
        self.reseed()
        share = batch[group.rank :: group.size]
        # A process without rows takes part too, otherwise the others would wait for its gradients.
        weight = group.size / len(batch) if len(share) else 0.0
        parts = list(
            passes(share if len(share) else batch[:1], self.train.encoded.lengths, settings.tokens_per_pass)
        )
        self.shared.train()
        for number, part in enumerate(parts, 1):
            with nullcontext() if group.size == 1 or number == len(parts) else self.shared.no_sync():
                losses, sums = self.losses(self.shared, self.train, part)
                (losses.sum() * weight).backward()
            if weight:
                self.since += sums
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.max_gradient_norm)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = self.learning_rate()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.step += 1

    def reseed(self) -> None:
        """Seed dropout by step and rank, so that a checkpoint needs no random state."""
        parts = [self.settings.seed, self.progress.step, self.group.rank]
        torch.manual_seed(int(np.random.SeedSequence(parts).generate_state(1)[0]))

    def learning_rate(self) -> float:
        """Return the learning rate: linear warm-up, then linear decay to 0."""
        step, rising = self.progress.step, ceil(self.steps * self.settings.warmup_fraction)
        share = (step + 1) / rising if step < rising else (self.steps - step) / (self.steps - rising)
        return share * self.settings.learning_rate

    def losses(self, model: Any, split: Split, rows: Ints) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of each row, and the sums of loss, rows, correct rows and tokens."""
        group = self.group
        ids, mask = split.encoded.padded(rows)
        actual, counts = (
            group.to_device(split.actual[rows]),
            group.to_device(np.array([len(rows), mask.sum()])),
        )
        attended = None if mask.all() else group.to_device(mask)
        with autocast(group.device, self.settings.precision):
            logits = model(input_ids=group.to_device(ids), attention_mask=attended).logits
        losses = cross_entropy(logits.float(), actual, reduction="none")
        right = (logits.argmax(dim=1) == actual).sum()
        sums = torch.stack([losses.detach().sum(), counts[0], right, counts[1]]).double()
        return losses, sums

    def report_progress(self) -> None:
        """Log the metrics of the steps since the last line."""
        loss, rows, right, tokens = self.group.sum(self.since)
        if not rows:
            return
        if not isfinite(loss):
            raise ContainerError(
                f"the loss is {loss} at step {self.progress.step}; "
                f"lower learning_rate ({self.settings.learning_rate:g}) or raise warmup_fraction"
            )
        if self.group.is_first:
            self.job.report(
                "train",
                step=self.progress.step,
                steps=self.steps,
                loss=loss / rows,
                accuracy=right / rows,
                tokens_per_second=round(tokens / (monotonic() - self.last_report)),
            )
        self.since.zero_()
        self.last_report = monotonic()

    def evaluates(self) -> bool:
        """Return whether to evaluate after this step: evaluations are spread evenly over an epoch."""
        if not len(self.held.actual):
            return False
        place, times = self.progress.step % self.epoch_steps, self.settings.evaluations_per_epoch
        return place == 0 or place * times // self.epoch_steps > (place - 1) * times // self.epoch_steps

    def evaluate(self) -> bool:
        """Evaluate on the held-out rows; keep the weights if they are the best so far.

        An evaluation may take longer than SageMaker waits after SIGTERM. Return False if it was interrupted:
        a process that resumes from the checkpoint repeats it.
        """
        self.group.synchronize()
        started = monotonic()
        self.shared.eval()
        encoded, group = self.held.encoded, self.group
        order = by_length(np.arange(len(self.held.actual)), encoded.lengths)
        total = torch.zeros(4, dtype=torch.float64, device=group.device)
        with torch.no_grad():
            for part in passes(
                order[group.rank :: group.size], encoded.lengths, self.settings.tokens_per_pass
            ):
                if self.job.interrupted.is_set():
                    break
                total += self.losses(self.model, self.held, part)[1]
        self.progress.due = group.any(self.job.interrupted.is_set())
        if self.progress.due:
            return False
        loss, rows, right, _ = group.sum(total)
        progress, log_loss, accuracy = self.progress, loss / rows, right / rows
        progress.stale += 1
        if log_loss < progress.best_log_loss:
            progress.stale, progress.best_step = 0, progress.step
            progress.best_log_loss, progress.best_accuracy = log_loss, accuracy
            if group.is_first:
                self.best = {
                    name: weight.to("cpu", copy=True) for name, weight in self.model.state_dict().items()
                }
        if group.is_first:
            self.job.report(
                "validation", step=progress.step, rows=int(rows), accuracy=accuracy, log_loss=log_loss
            )
        self.last_report += monotonic() - started
        return True

    def save(self) -> None:
        """Save a checkpoint, from which any number of processes can resume."""
        since = self.group.sum(self.since)
        if self.group.is_first:
            state = {
                "identity": self.identity,
                "progress": asdict(self.progress),
                "since": since,
                "best": self.best,
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            }
            checkpoint.save(self.job.checkpoint_dir, state)

    def resume(self) -> None:
        """Resume from the checkpoint, if there is one.

        Raises:
            ContainerError: The checkpoint belongs to another training, or not every instance has it.
        """
        state = checkpoint.load(self.job.checkpoint_dir, self.identity)
        if state is not None:
            self.progress = Progress(**state["progress"])
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.group.is_first:
                self.best = state["best"]
                self.since += torch.tensor(state["since"], device=self.group.device)
        step = self.progress.step
        if not self.group.all_equal(step):
            raise ContainerError(
                "the instances have checkpoints of different steps; empty the checkpoint folder"
            )
        if step:
            self.log(f"resumed after step {step} of {self.steps}")

    def restore_best(self) -> None:
        """Restore the best weights in the first process's model."""
        if self.best:
            self.model.load_state_dict(self.best)

    def log(self, message: str) -> None:
        """Log a message in the first process only."""
        if self.group.is_first:
            self.job.log(message)


def decayed(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Group the weights for the optimizer: biases and norms, which are vectors, have no weight decay."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    return [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
