"""Random numbers that belong to an example."""

import numpy as np

from textbox_elmer.pretraining.noise import _below, example_keys, random_bits, uniform


def test_splitmix64_as_published() -> None:
    """The first outputs of the reference implementation for the seed 1234567."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert _below(np.full(5, 1234567, np.uint64), np.arange(5)).tolist() == published


def test_keys_depend_on_seed_epoch_and_example_alone() -> None:
    examples = np.arange(100)
    keys = example_keys(3, np.full(100, 7), examples)
    assert len(set(keys.tolist())) == 100
    assert example_keys(3, np.full(1, 7), np.array([42])).tolist() == [keys[42]]
    for other in (example_keys(4, np.full(100, 7), examples), example_keys(3, np.full(100, 8), examples)):
        assert not set(other.tolist()) & set(keys.tolist())


def test_purposes_and_positions_have_numbers_of_their_own() -> None:
    keys = example_keys(0, np.zeros(2), np.arange(2))
    rows, positions = np.repeat([0, 1], 50), np.tile(np.arange(50), 2)
    drawn = [random_bits(keys, purpose, rows, positions) for purpose in range(3)]
    assert len(set(np.concatenate(drawn).tolist())) == 300
    assert random_bits(keys, 1, np.array([1]), np.array([7])).tolist() == [drawn[1][57]]


def test_uniform_numbers_are_uniform() -> None:
    keys = example_keys(5, np.zeros(200), np.arange(200))
    rows, positions = np.repeat(np.arange(200), 500), np.tile(np.arange(500), 200)
    numbers = uniform(keys, 2, rows, positions)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=100, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 149, "chi-square with 99 degrees of freedom, p = 0.001"
    by_row = numbers.reshape(200, 500)
    assert abs(np.corrcoef(by_row[:, 0], by_row[:, 1])[0, 1]) < 0.25
    assert abs(np.corrcoef(by_row[:-1, 0], by_row[1:, 0])[0, 1]) < 0.25
