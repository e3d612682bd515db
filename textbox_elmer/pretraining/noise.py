"""Random numbers that belong to an example: a function of (seed, epoch, example), whoever draws them and when.

Every number is a hash of its coordinates (the finaliser of SplitMix64, Steele et al. 2014), so that a whole batch is
drawn in a few array operations, and no generator's state has to be kept, shared between processes or saved.
"""

import numpy as np

Keys = np.ndarray  # uint64, one per example

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _mix(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def _below(keys: np.ndarray, numbers: np.ndarray | int) -> np.ndarray:
    """Return the key numbered so below each key: the `numbers`-th output of a SplitMix64 seeded with it."""
    return _mix(keys + (np.atleast_1d(numbers).astype(np.uint64) + np.uint64(1)) * _STEP)


def example_keys(seed: int, epochs: np.ndarray, examples: np.ndarray) -> Keys:
    """Return the key of each example's noise, given the seed, and its epoch and number, both `[batch]`."""
    return _below(_below(_below(np.zeros(len(examples), np.uint64), seed), epochs), examples)


def random_bits(keys: Keys, purpose: int, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return 64 random bits for each element of a ragged batch.

    Args:
        keys: one per example.
        purpose: what the numbers are for; each purpose has numbers of its own.
        rows: the example that each element belongs to.
        positions: the element's number within its example.
    """
    return _below(_below(keys, purpose)[rows], positions)


def uniform(keys: Keys, purpose: int, rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return a number in [0, 1) for each element of a ragged batch; the arguments are those of `random_bits`."""
    return (random_bits(keys, purpose, rows, positions) >> np.uint64(11)) * 2.0**-53
