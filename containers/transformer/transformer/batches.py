"""Which rows a step learns from, who takes them, and how many go through the model at once."""

from collections.abc import Iterator

import numpy as np

from transformer.encoding import Ints, aligned

POOL_BATCHES = 50  # rows of about one length are looked for among so many batches


def epoch_batches(lengths: Ints, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """The rows of each step of an epoch, those of a step about equally long, the shortest first.

    They depend on neither the number of processes nor what came before, so that a position in an epoch is
    a number.

    Args:
        lengths: Each row's tokens, of shape (rows,).
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), POOL_BATCHES * batch_size):
        pool = by_length(order[start : start + POOL_BATCHES * batch_size], lengths)
        batches += [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


def by_length(rows: Ints, lengths: Ints) -> Ints:
    """The rows, the shortest first."""
    return rows[np.argsort(lengths[rows], kind="stable")]


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """How many batches `epoch_batches` makes."""
    return -(-rows // batch_size)


def passes(rows: Ints, lengths: Ints, tokens: int) -> Iterator[Ints]:
    """Cut rows into parts that hold at most so many tokens once they are padded, or one row.

    Args:
        rows: The shortest first.
    """
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end + 1 - start) * aligned(int(lengths[rows[end]])) > tokens:
            yield rows[start:end]
            start = end
