import numpy as np
import pytest

from transformer import batches, encoding


def test_epoch_has_every_row_once_and_rows_of_a_batch_are_alike() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 1003)
    made = batches.epoch_batches(lengths, 32, seed=1, epoch=0)
    assert len(made) == batches.steps_per_epoch(1003, 32) == 32
    assert sorted(np.concatenate(made).tolist()) == list(range(1003))
    assert max(np.ptp(lengths[batch]) for batch in made) < 40
    assert all((np.diff(lengths[batch]) >= 0).all() for batch in made)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.arange(100)

    def order(seed: int, epoch: int) -> list[int]:
        join_process_group: list[int] = np.concatenate(
            batches.epoch_batches(lengths, 8, seed, epoch)
        ).tolist()
        return join_process_group

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


@pytest.mark.parametrize("limit", [64, 100, 1000])
def test_passes_hold_no_more_tokens_than_allowed_unless_one_row_does(limit: int) -> None:
    lengths = np.array([3, 8, 9, 30, 31, 40, 90, 400])
    parts = list(batches.passes(np.arange(8), lengths, limit))
    assert np.concatenate(parts).tolist() == list(range(8))
    for part in parts:
        assert len(part) == 1 or len(part) * encoding.aligned(int(lengths[part[-1]])) <= limit


def test_no_row_is_no_pass() -> None:
    assert list(batches.passes(np.arange(0), np.array([1, 2]), 64)) == []
