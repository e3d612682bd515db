"""Copying, against a mixture that is written out over the whole vocabulary."""

import hypothesis.strategies as st
import torch
from hypothesis import example, given, settings
from torch import Tensor
from torch.nn import functional as F

from textbox_elmer import ElmerConfig
from textbox_elmer.model.emissions import EmissionHead
from textbox_elmer.model.off_ramp import OffRamp
from textbox_elmer.model.pointer import Pointer, SourcePointer
from textbox_elmer.model.reading import CanvasHead

from .small import IDS, PAD, small_model

WIDTH, WORDS, POSITIONS = 8, 9, 5


def drawn(seed: int) -> tuple[SourcePointer, Tensor, Tensor, Tensor]:
    """A pointer over sources with duplicates, some not to be copied at all, and states, weight and bias of a head."""
    torch.manual_seed(seed)
    pointer = Pointer(ElmerConfig(d_model=WIDTH, encoder_attention_heads=2, decoder_attention_heads=2))
    for parameter in pointer.parameters():
        torch.nn.init.normal_(parameter)
    ids = torch.randint(0, WORDS, (3, 6))
    copied = torch.rand(ids.shape) < 0.6
    copied[2] = False
    bias = torch.randn(WORDS)
    bias[0] = -1e4
    over = pointer.over_source(ids, torch.randn(3, 6, WIDTH), copied)
    return over, torch.randn(3, POSITIONS, WIDTH), torch.randn(WORDS, WIDTH), bias


def dense(over: SourcePointer, states: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """What is written and what is copied of every word, probabilities `[batch, m, vocabulary]`."""
    written, copied = (states @ weight.T + bias).softmax(-1), torch.zeros(3, POSITIONS, WORDS)
    for row in range(len(states)):
        keys, words = over.keys[row, over.copied[row]], over.input_ids[row, over.copied[row]]
        if not len(keys):
            continue
        attention = (over.pointer.q_proj(states[row]) @ keys.T / WIDTH**0.5).softmax(-1)
        gate = over.pointer.gate(states[row])
        shares = torch.stack([attention[:, words == word].sum(-1) for word in range(WORDS)], -1)
        rows = torch.arange(len(states))[:, None, None] == row
        written = torch.where(rows, gate.sigmoid() * written, written)
        # 1 - gate.sigmoid() would round small shares.
        copied = torch.where(rows, (-gate).sigmoid() * shares, copied)
    return written, copied


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_the_likeliest_word_is_the_dense_mixtures(seed: int) -> None:
    over, states, weight, bias = drawn(seed)
    with torch.no_grad():
        written, copied = dense(over, states, weight, bias)
        words = CanvasHead(OffRamp(weight, bias[None]), over).read(states, with_entropies=True)
    both = written + copied
    assert torch.equal(words.tokens, both.argmax(-1))
    torch.testing.assert_close(words.log_probs, both.amax(-1).log(), atol=1e-4, rtol=1e-4)
    mostly = (copied > written).gather(-1, words.tokens[..., None])[..., 0]
    assert torch.equal(words.copied, mostly)
    assert not words.copied[2].any()
    torch.testing.assert_close(words.entropies, torch.special.entr(both).sum(-1), atol=1e-4, rtol=1e-4)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_mixed_log_probs_are_the_dense_mixtures_and_add_up_to_1(seed: int) -> None:
    over, states, weight, bias = drawn(seed)
    with torch.no_grad():
        written, copied = dense(over, states, weight, bias)
        actual = over.mixed_log_probs(states, states @ weight.T + bias)
    torch.testing.assert_close(actual.exp(), written + copied, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(actual.exp().sum(-1), torch.ones(3, POSITIONS))


@settings(deadline=None, max_examples=25)
@example(seed=56525, blank=None)
@given(seed=st.integers(0, 2**32), blank=st.sampled_from([None, 4]))
def test_emissions_are_the_dense_mixtures(seed: int, blank: int | None) -> None:
    over, states, weight, bias = drawn(seed)
    states.requires_grad_()
    weight.requires_grad_()
    # Words that the source has, words that it has not, and padding.
    targets = torch.cat([over.input_ids[:, :3], torch.randint(1, WORDS, (3, 2))], 1).clamp(min=1)
    head = EmissionHead(weight, bias, targets, over, blank)
    predicted = head.exit(states)
    actual = head.exits[0]
    written, copied = dense(over, states, weight, bias)
    expected = (
        (written + copied)
        .clamp(min=1e-37)
        .log()
        .transpose(1, 2)
        .gather(1, targets[..., None].expand(-1, -1, POSITIONS))
    )
    torch.testing.assert_close(actual.targets, expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(predicted, (written + copied).argmax(-1))
    assert torch.equal(actual.tokens, predicted)
    if blank is None:
        assert actual.blanks is None
    else:
        # Nobody copies a blank: it is no word of the source, whatever its id.
        torch.testing.assert_close(actual.blanks, written[..., blank].log(), atol=1e-4, rtol=1e-4)
    learnt = (states, weight, *over.pointer.parameters())
    ours = torch.autograd.grad(actual.targets.mean(), learnt, retain_graph=True)
    theirs = torch.autograd.grad(expected.mean(), learnt)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)


def test_a_source_with_nothing_to_copy_gives_the_pointer_no_gradient() -> None:
    over, states, weight, bias = drawn(0)
    head = EmissionHead(weight, bias, over.input_ids.clamp(min=1), over, blank=None)
    head.exit(states.requires_grad_())
    head.exits[0].targets[2].sum().backward()
    assert states.grad[2].isfinite().all()
    assert states.grad[2].any()
    for parameter in over.pointer.parameters():
        assert parameter.grad is None or not parameter.grad.any()


def test_special_ids_and_padding_are_never_copied() -> None:
    model = small_model(copy_source=True)
    ids = torch.tensor([[0, 11, 4, 2, 1, 1], [0, 2, 1, 11, 1, 1], [0, 5, 6, 7, 8, 2]])
    mask = (ids != PAD).long()
    mask[2, 3:] = 0  # padding need not have the padding's id
    torch.nn.init.constant_(model.pointer.gate.bias, -30.0)
    with torch.no_grad():
        probs = model(ids, mask).logits.exp()
    assert (probs[0, :, 4] > 0.999).all()
    torch.testing.assert_close(probs[2, :, [5, 6]].sum(-1), torch.ones(len(probs[2])))
    # The second source has nothing to copy: the gate does not count.
    plain = small_model(copy_source=False)
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            parameter.copy_(model.get_parameter(name))
        plain.final_logits_bias.copy_(model.final_logits_bias)
        plain.config.exit_mode = model.config.exit_mode = "last"
        torch.testing.assert_close(model(ids, mask).logits[1], plain(ids, mask).logits[1].log_softmax(-1))


def test_the_text_of_a_pointer_that_only_copies_is_of_the_source() -> None:
    model = small_model(copy_source=True, alignment="dag", canvas_length=4, canvas_scale=2)
    torch.nn.init.constant_(model.pointer.gate.bias, -30.0)
    output = model.generate(IDS, return_dict_in_generate=True)
    for source, text, copied in zip(IDS.tolist(), output.sequences.tolist(), output.copied.tolist(), strict=True):
        words = text[: text.index(2)]
        assert set(words) <= set(source) - {0, 1, 2, 11}
        assert copied == [True] * len(words) + [False] * (len(text) - len(words))


def test_16_bits() -> None:
    model = small_model(copy_source=True, alignment="dag", canvas_length=4)
    labels = F.pad(IDS[:, 1:4], (0, 1), value=2)
    model.bfloat16()(IDS, labels=labels).loss.backward()
    for parameter in model.pointer.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()
