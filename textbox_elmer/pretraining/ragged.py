"""Rows of different lengths, one after the other in flat arrays: how texts are worked on without a loop over them."""

import numpy as np


def row_of_each(lengths: np.ndarray) -> np.ndarray:
    """Return the row that each element belongs to."""
    return np.repeat(np.arange(len(lengths)), lengths)


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Return where each row begins."""
    return np.cumsum(lengths) - lengths


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return `starts[0], starts[0] + 1, …` for `lengths[0]` numbers, then the same of row 1, and so on."""
    return np.repeat(starts - starts_of(lengths), lengths) + np.arange(lengths.sum())


def positions_in(lengths: np.ndarray) -> np.ndarray:
    """Return each element's number within its row."""
    return ranges(np.zeros(len(lengths), dtype=np.int64), lengths)


def shuffled(bits: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the elements' numbers with each row's in random order, given 64 random bits an element.

    The order of a row depends on its own bits alone, not on where in the batch it stands.
    """
    return np.argsort((rows.astype(np.uint64) << np.uint64(40)) | (bits >> np.uint64(24)), kind="stable")


def padded(values: np.ndarray, lengths: np.ndarray, padding: int, width: int) -> np.ndarray:
    """Return the rows as `[rows, width]`, filled up on the right."""
    filled = np.full((len(lengths), width), padding, dtype=np.int64)
    filled[np.arange(width) < lengths[:, None]] = values
    return filled
