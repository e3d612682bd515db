"""What is drawn, held to the distributions that it is to have; seeds are fixed, so that a verdict stays what it is."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from tests.conftest import FIXTURES
from tests.pretraining.oracle import chi_square, unlikely
from textbox_elmer.pretraining import PretrainingCollator
from textbox_elmer.pretraining.corruption import Infilling, Texts, draw_spans, poisson_table
from textbox_elmer.pretraining.noise import example_keys

TOKENIZER = AutoTokenizer.from_pretrained(FIXTURES / "textbox" / "tokenizer")
MASK = 1


def keys_of(count: int, seed: int = 0) -> np.ndarray:
    return example_keys(seed, np.zeros(count), np.arange(count))


def poisson(rate: float, length: int) -> float:
    return math.exp(-rate) * rate**length / math.factorial(length)


def last_spans(budget: int, rate: float) -> list[float]:
    """Return how likely a text's last span is to be 1, 2, …, `budget` words once it is cut to fit."""
    shares = [poisson(rate, length) for length in range(budget)]
    reached = [0.0] * budget  # how often, on average, the spans so far cover that many words
    for covered in range(budget):
        arrived = sum(reached[before] * shares[covered - before] for before in range(covered))
        reached[covered] = ((covered == 0) + arrived) / (1 - shares[0])
    at_least = [1 - sum(shares[:length]) for length in range(budget + 1)]
    return [reached[budget - length] * at_least[length] for length in range(1, budget + 1)]


@pytest.mark.parametrize("budget", [1, 3, 8, 30])
def test_the_last_span_is_what_poisson_leaves_of_it(budget: int) -> None:
    spans = draw_spans(np.full(20000, budget), keys_of(20000), poisson_table(3.5))
    counts = (spans >= 0).sum(axis=1)
    assert (spans[np.arange(spans.shape[1]) >= counts[:, None]] == -1).all()
    assert (np.where(spans > 0, spans, 0).sum(axis=1) == budget).all()
    last = spans[np.arange(20000), counts - 1]
    expected = np.array(last_spans(budget, 3.5)) * 20000
    assert expected.sum() == pytest.approx(20000)
    found = np.bincount(last, minlength=budget + 1)
    assert found[0] == 0, "an empty span never comes last, since the budget was covered before it"
    # Rare lengths are counted together.
    common = expected >= 5
    pairs = [*zip(found[1:][common], expected[common], strict=True)]
    if not common.all():
        pairs.append((found[1:][~common].sum(), expected[~common].sum()))
    assert chi_square(*zip(*pairs, strict=True)) < unlikely(max(len(pairs) - 1, 1))


def test_spans_of_one_text_say_nothing_about_each_other() -> None:
    spans = draw_spans(np.full(20000, 100), keys_of(20000), poisson_table(3.5))[:, :8].astype(float)
    assert spans.min() >= 0
    beside = np.corrcoef(spans.T) - np.eye(8)
    assert np.abs(beside).max() < 4.5 / math.sqrt(20000)
    assert abs(np.corrcoef(spans[1:, 0], spans[:-1, 0])[0, 1]) < 4.5 / math.sqrt(20000)


def arrangements(words: Sequence[int], spans: Sequence[int]) -> Counter:
    """Return how many orders of the slots (words that stay, and spans) lead to each output."""
    kept = len(words) - sum(spans)
    outputs: Counter = Counter()
    for places in permutations(range(kept + len(spans)), len(spans)):
        held, left, output = dict(zip(places, spans, strict=True)), list(words), []
        for slot in range(kept + len(spans)):
            output.append(MASK if slot in held else left[0])
            left = left[held.get(slot, 1) :]
        outputs[tuple(output)] += 1
    return outputs


def test_spans_of_any_lengths_stand_anywhere_alike() -> None:
    """Texts are told apart by the lengths of their spans, and for each all arrangements come out evenly."""
    words, count = list(range(10, 16)), 40000
    infill = Infilling(np.ones(20, bool), np.arange(10, 20), MASK, 0.5, poisson_table(1.5), replaced=0.0)
    starts = np.arange(count * 6) % 6 == 0
    keys = keys_of(count)
    corrupted, lengths = infill(Texts(np.tile(words, count), np.full(count, 6), starts), keys)
    found: dict[tuple[int, ...], Counter] = {}
    for row, spans in zip(
        np.split(corrupted, np.cumsum(lengths)[:-1]), draw_spans(np.full(count, 3), keys, infill.poisson), strict=True
    ):
        found.setdefault(tuple(spans[spans >= 0].tolist()), Counter())[tuple(row.tolist())] += 1
    common = {spans: outputs for spans, outputs in found.items() if outputs.total() > 1500}
    assert {(3,), (2, 1), (1, 2), (0, 3)} <= set(common)
    for spans, outputs in common.items():
        ways = arrangements(words, spans)
        assert set(outputs) <= set(ways), spans
        share = outputs.total() / ways.total()
        statistic = chi_square([outputs[output] for output in ways], [share * number for number in ways.values()])
        assert statistic < unlikely(len(ways) - 1), spans


def batch_of(texts: Sequence[str], **changes: object) -> dict[str, torch.Tensor]:
    collator = PretrainingCollator(TOKENIZER, **{"seed": 2, "canvas_positions": 1024, "exit_layers": 5} | changes)
    return collator([{"text": text, "index": number, "epoch": 1} for number, text in enumerate(texts)])


@pytest.mark.parametrize("tokens", [1, 20, 31, 32, 63])
def test_margins_are_1_to_32_all_as_likely(tokens: int) -> None:
    batch = batch_of(["!" * tokens] * 4000)
    length = int((batch["labels"][0] != -100).sum())
    assert length == tokens + 1
    canvases = Counter(batch["decoder_attention_mask"].sum(1).tolist())
    expected = Counter(-(-(length + margin) // 32) * 32 for margin in range(1, 33))
    assert set(canvases) == set(expected)
    if len(expected) > 1:
        pairs = [(canvases[canvas], number * 125) for canvas, number in expected.items()]
        assert chi_square(*zip(*pairs, strict=True)) < unlikely(len(expected) - 1)


def test_exit_layers_are_uniform_at_every_position_and_independent() -> None:
    layers = batch_of(["!" * 20] * 3000)["exit_layers"][:, :32].numpy()
    for position in range(32):
        assert chi_square(np.bincount(layers[:, position], minlength=5), [600] * 5) < unlikely(4), position
    pairs = np.bincount((layers[:, :-1] * 5 + layers[:, 1:]).ravel(), minlength=25)
    assert chi_square(pairs, [pairs.sum() / 25] * 25) < unlikely(24)
    beside = np.bincount((layers[:-1] * 5 + layers[1:]).ravel(), minlength=25)
    assert chi_square(beside, [beside.sum() / 25] * 25) < unlikely(24)


def test_seed_epoch_and_index_each_change_source_canvas_and_exit_layers() -> None:
    text = "It rained. " * 12

    def noise(seed: int, epoch: int, index: int) -> tuple[tuple[int, ...], ...]:
        collator = PretrainingCollator(TOKENIZER, seed, canvas_positions=1024, exit_layers=5)
        batch = collator([{"text": text, "index": index, "epoch": epoch}])
        return tuple(batch["input_ids"][0].tolist()), tuple(batch["exit_layers"][0][:90].tolist())

    drawn = [noise(*of) for of in np.ndindex(4, 4, 4)]
    assert [len(set(parts)) for parts in zip(*drawn, strict=True)] == [64, 64]
