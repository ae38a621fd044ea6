"""Compose batches: the rows of each step, and how many pass through the model at once."""

from collections.abc import Iterator

import numpy as np

from transformer.encoding import Ints, aligned

POOL_BATCHES = 50  # rows are grouped by length within a pool of this many batches


def epoch_batches(lengths: Ints, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """Return the rows of each step of an epoch; the rows of a step have similar lengths, the shortest first.

    They depend only on the seed and the epoch, not on the number of processes or on earlier steps, so a
    position in an epoch is a number.

    Args:
        lengths: The number of tokens of each row, of shape (rows,).
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), POOL_BATCHES * batch_size):
        pool = by_length(order[start : start + POOL_BATCHES * batch_size], lengths)
        batches += [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def by_length(rows: Ints, lengths: Ints) -> Ints:
    """Sort rows by length, the shortest first."""
    return rows[np.argsort(lengths[rows], kind="stable")]


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Return the number of batches that `epoch_batches` makes."""
    return -(-rows // batch_size)


def passes(rows: Ints, lengths: Ints, tokens: int) -> Iterator[Ints]:
    """Split rows into parts of at most `tokens` padded tokens each, or of one row.

    Args:
        rows: Row indices, the shortest row first.
    """
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end + 1 - start) * aligned(int(lengths[rows[end]])) > tokens:
            yield rows[start:end]
            start = end
