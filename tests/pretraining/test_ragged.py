"""Ragged arrays do what loops over rows would do."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pretraining.oracle import chi_square, unlikely
from textbox_elmer.pretraining.noise import example_keys, random_bits
from textbox_elmer.pretraining.ragged import padded, positions_in, ranges, row_of_each, shuffled, starts_of

bounded = settings(deadline=None, derandomize=True, max_examples=60)
lengths = st.lists(st.integers(0, 9), max_size=8)
bits = st.integers(0, 2**64 - 1)


@bounded
@given(lengths)
def test_rows_starts_and_positions_are_those_of_a_loop(lengths: list[int]) -> None:
    array = np.array(lengths, np.int64)
    assert row_of_each(array).tolist() == [row for row, length in enumerate(lengths) for _ in range(length)]
    assert starts_of(array).tolist() == [sum(lengths[:row]) for row in range(len(lengths))]
    assert positions_in(array).tolist() == [place for length in lengths for place in range(length)]


@bounded
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 9)), max_size=8))
def test_ranges_follow_each_other(pairs: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    expected = [number for start, length in pairs for number in range(start, start + length)]
    assert ranges(starts, lengths).tolist() == expected


@bounded
@given(lengths, st.integers(0, 4))
def test_padding_fills_rows_up_on_the_right(lengths: list[int], more: int) -> None:
    values = np.arange(100, 100 + sum(lengths))
    width = max(lengths, default=0) + more
    filled = padded(values, np.array(lengths, np.int64), -7, width)
    assert filled.shape == (len(lengths), width)
    left = values.tolist()
    for row, length in zip(filled.tolist(), lengths, strict=True):
        assert row == left[:length] + [-7] * (width - length)
        left = left[length:]


@bounded
@given(st.lists(st.lists(bits, max_size=6), min_size=1, max_size=6))
def test_a_rows_order_is_its_bits_order_wherever_it_stands(rows: list[list[int]]) -> None:
    counts = np.array([len(row) for row in rows], np.int64)
    flat = np.array([number for row in rows for number in row], np.uint64)
    order = shuffled(flat, row_of_each(counts)).tolist()
    for row, start in zip(rows, starts_of(counts).tolist(), strict=True):
        found = [place - start for place in order[start : start + len(row)]]
        # The upper 40 bits decide, which is plenty for a text's few hundred sentences or words.
        assert found == sorted(range(len(row)), key=lambda place: row[place] >> 24)


def test_every_order_of_four_is_as_likely() -> None:
    keys = example_keys(1, np.zeros(12000), np.arange(12000))
    rows, places = np.repeat(np.arange(12000), 4), np.tile(np.arange(4), 12000)
    order = shuffled(random_bits(keys, 0, rows, places), rows).reshape(12000, 4) % 4
    counts = Counter(map(tuple, order.tolist()))
    assert len(counts) == 24
    assert chi_square(list(counts.values()), [500] * 24) < unlikely(23)
