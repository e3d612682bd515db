"""An off-ramp reads what all logits would say, whatever the numbers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textbox_elmer.model import off_ramp, screening
from textbox_elmer.model.entropy_screen import EntropyScreen
from textbox_elmer.model.off_ramp import EXCLUDED, OffRamp
from textbox_elmer.model.screening import Screen

from .small import entropy

bounded = settings(deadline=None, derandomize=True, max_examples=80)
# Without them oneDNN's int8 products may saturate, and no screen is made.
natively = pytest.mark.skipif(not torch.cpu._is_vnni_supported(), reason="the processor has no int8 products")


def draw(seed: int, states: int, vocabulary: int, width: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(states, width) * scale, torch.randn(vocabulary, width)


@natively
@bounded
@given(
    seed=st.integers(0, 10**6),
    states=st.integers(1, 300),
    vocabulary=st.sampled_from([1, 63, 64, 65, 500, 3000]),
    scale=st.sampled_from([0.01, 1.0, 30.0]),
)
def test_a_screen_finds_the_exact_argmax(seed: int, states: int, vocabulary: int, scale: float) -> None:
    hidden, weight = draw(seed, states, vocabulary, 32, scale)
    bias = torch.zeros(1, vocabulary)
    found = OffRamp(weight, bias, Screen(weight)).best(hidden)
    logits = (hidden.double() @ weight.double().T).max(-1)
    chosen = (hidden.double() * weight.double()[found]).sum(-1)
    assert (chosen >= logits.values - 1e-6 * scale).all()


@natively
@bounded
@given(
    seed=st.integers(0, 10**6),
    precision=st.sampled_from([torch.float32, torch.bfloat16]),
    outlier=st.sampled_from([0.0, 30.0, 3000.0]),
    words=st.integers(0, 4),
)
def test_a_screen_leaves_words_out_and_stands_outliers(
    seed: int, precision: torch.dtype, outlier: float, words: int
) -> None:
    """Dimensions with numbers far beyond the others', and words that are out of the question though they fit best."""
    hidden, weight = draw(seed, 40, 700, 48, 1.0)
    hidden[:, 5] *= 1 + outlier
    weight[:, 7] *= 1 + outlier
    hidden, weight = hidden.to(precision), weight.to(precision)
    bias = torch.zeros(1, 700, dtype=precision)
    bias[0, (hidden @ weight.T).argmax(-1)[:words]] = EXCLUDED
    logits = (hidden @ weight.T).masked_fill(bias != 0, -torch.inf)
    ramp = OffRamp(weight, bias, Screen(weight))
    found = ramp.best(hidden)
    chosen = logits.gather(-1, found[:, None])[:, 0]
    largest = logits.masked_fill(bias != 0, 0.0).abs().amax(-1)
    assert (chosen >= logits.amax(-1) - 1e-5 * largest).all()
    assert ramp.best(hidden, with_bias=False).tolist() == OffRamp(weight, bias).best(hidden, with_bias=False).tolist()


@natively
def test_words_that_only_exact_arithmetic_tells_apart() -> None:
    """A thousand words that are one in bfloat16; whole numbers, so that the exact products are exact."""
    weight = torch.full((1000, 2), 4096.0)
    weight[:, 1] += torch.randperm(1000, generator=torch.Generator().manual_seed(0)) % 7
    hidden = torch.tensor([[1.0, 1.0], [1.0, -1.0], [0.0, 0.0]])
    exact = (hidden @ weight.T).argmax(-1)
    bias = torch.zeros(1, 1000)
    assert OffRamp(weight, bias, Screen(weight)).best(hidden).tolist() == exact.tolist()


@natively
@pytest.mark.parametrize("most", [0, 256])
def test_of_equal_words_the_first_is_chosen(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST_CANDIDATES", most)
    weight = torch.tensor([[1.0], [3.0], [2.0]] + [[3.0]] * 200)
    bias = torch.zeros(1, 203)
    assert OffRamp(weight, bias, Screen(weight)).best(torch.ones(5, 1)).tolist() == [1] * 5


@bounded
@given(
    seed=st.integers(0, 10**6),
    states=st.integers(0, 40),
    vocabulary=st.sampled_from([1, 6, 7, 8, 300]),
    scale=st.sampled_from([0.01, 0.3, 3.0]),
    words=st.sampled_from([3, 7, 10**6]),
)
def test_a_reading_is_that_of_a_softmax(seed: int, states: int, vocabulary: int, scale: float, words: int) -> None:
    hidden, weight = draw(seed, states, vocabulary, 8, scale)
    bias = torch.randn(1, vocabulary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(off_ramp, "MOST_WORDS", words)
        reading, best = OffRamp(weight, bias).read(hidden), OffRamp(weight, bias).best(hidden)
        quick = OffRamp(weight, bias).read(hidden, with_entropies=False)
    logits = hidden @ weight.T + bias
    assert reading.tokens.tolist() == best.tolist() == logits.argmax(-1).tolist()
    torch.testing.assert_close(reading.probabilities, logits.softmax(-1).amax(-1), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(reading.entropies, entropy(logits), atol=2e-5, rtol=1e-4)
    assert quick.entropies.isnan().all()
    for name in ("tokens", "probabilities", "log_totals"):
        assert getattr(quick, name).tolist() == getattr(reading, name).tolist()


@natively
@bounded
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.sampled_from([3, 64, 65, 400]),
    scale=st.sampled_from([0.01, 0.5, 1.0, 2.0, 5.0]),
    threshold=st.sampled_from([0.0, 0.1, 0.5, 2.0, 5.0]),
)
def test_confident_states_are_found(seed: int, vocabulary: int, scale: float, threshold: float) -> None:
    hidden, weight = draw(seed, 60, vocabulary, 16, scale)
    bias = torch.zeros(1, vocabulary)
    logits = hidden @ weight.T
    for ramp in (OffRamp(weight, bias, Screen(weight)), OffRamp(weight, bias)):
        confident = ramp.are_sure(hidden, threshold)
        entropies = entropy(logits)
        clear = (entropies - threshold).abs() > 2e-5
        assert (confident == (entropies < threshold))[clear].all()
        assert threshold or not confident.any()


@natively
@bounded
@given(
    seed=st.integers(0, 10**6),
    vocabulary=st.sampled_from([3, 64, 65, 400]),
    scale=st.sampled_from([0.01, 0.5, 2.0, 5.0]),
    threshold=st.sampled_from([0.0, 0.1, 0.5, 2.0, 5.0]),
)
def test_a_bfloat16_head_is_read_through_a_screen(seed: int, vocabulary: int, scale: float, threshold: float) -> None:
    hidden, weight = (numbers.bfloat16() for numbers in draw(seed, 60, vocabulary, 16, scale))
    bias = torch.zeros(1, vocabulary, dtype=torch.bfloat16)
    logits = hidden @ weight.T
    ramp = OffRamp(weight, bias, Screen(weight))
    assert ramp.best(hidden).tolist() == logits.argmax(-1).tolist()
    confident = ramp.are_sure(hidden, threshold)
    entropies = entropy(logits.float())
    clear = (entropies - threshold).abs() > 1e-4
    assert (confident == (entropies < threshold))[clear].all()


@bounded
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.01, 0.5, 1.0, 2.0, 5.0, 30.0]))
def test_entropies_lie_within_the_bounds(seed: int, scale: float) -> None:
    hidden, weight = draw(seed, 60, 400, 16, scale)
    least, most = EntropyScreen(weight)._look(hidden).entropy_bounds()
    exact = entropy(hidden @ weight.T)
    assert (least <= exact + 1e-4).all()
    assert (exact <= most + 1e-4).all()


@natively
def test_the_bounds_decide_what_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither sure nor very unsure states need an exact pass."""
    _, weight = draw(0, 1, 5000, 64, 1.0)
    bias = torch.zeros(1, 5000)
    hidden = torch.cat([weight[:50], 0.01 * weight[50:100]])
    ramp = OffRamp(weight, bias, Screen(weight))
    monkeypatch.setattr(screening, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(OffRamp, "_read", None)
    confident = ramp.are_sure(hidden, 0.5)
    assert confident.tolist() == [True] * 50 + [False] * 50


def test_all_logits_are_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    chunks = OffRamp._chunks

    def watched(*args: object) -> object:
        for start, logits in chunks(*args):
            held.append(logits.numel())
            yield start, logits

    monkeypatch.setattr(OffRamp, "_chunks", watched)
    weight = torch.randn(40000, 4)
    OffRamp(weight, torch.zeros(1, 40000)).read(torch.randn(1000, 4))
    assert len(held) > 1
    assert max(held) <= off_ramp.LOGITS_AT_A_TIME


@natively
def test_no_screen_is_made_where_int8_products_are_wrong_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.zeros(1, 1)
    assert screening.screen_pays(weight)
    product = screening._product

    def saturating(*given: torch.Tensor) -> torch.Tensor:
        return product(*given).clamp(max=2.0**15)

    def missing(*given: torch.Tensor) -> torch.Tensor:
        raise AttributeError("no such operator")

    for instead in (saturating, missing):
        screening._products_are_right.cache_clear()
        monkeypatch.setattr(screening, "_product", instead)
        assert not screening.screen_pays(weight)
    monkeypatch.undo()
    screening._products_are_right.cache_clear()
    assert screening.screen_pays(weight)
