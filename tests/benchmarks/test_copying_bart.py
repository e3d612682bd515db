"""The autoregressive peer that copies: its distribution, its loss and transformers' searches with it."""

import pytest
import torch
from transformers import BartConfig

from benchmarks.copying_bart import CopyingBart

BOS, PAD, EOS = 0, 1, 2


@pytest.fixture
def model() -> CopyingBart:
    sizes = {f"{part}_{name}": 2 for part in ("encoder", "decoder") for name in ("layers", "attention_heads")}
    sizes |= {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 16, "vocab_size": 30}
    config = BartConfig(
        **sizes,
        init_std=0.4,
        dropout=0.0,
        bos_token_id=BOS,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        forced_eos_token_id=None,
    )
    torch.manual_seed(0)
    return CopyingBart(config).eval()


@pytest.fixture
def sources() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[BOS, 7, 9, 7, 12, EOS], [BOS, 20, 21, EOS, PAD, PAD]])
    return ids, (ids != PAD).long()


@torch.no_grad()
def test_every_word_gets_its_share_of_head_and_source(
    model: CopyingBart, sources: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Against sums word by word, from the head's softmax, the gate and the attention over words alone."""
    ids, mask = sources
    begun = torch.tensor([[EOS, BOS, 7], [EOS, BOS, 5]])
    got = model(ids, mask, begun).logits.exp()
    hidden = model.model(ids, attention_mask=mask, decoder_input_ids=begun)
    for row, place in ((0, 0), (0, 2), (1, 1)):
        state = hidden.last_hidden_state[row, place]
        head = (model.lm_head.weight @ state).softmax(-1)
        gate = torch.sigmoid(model.pointer.gate(state))
        words = [number for number, word in enumerate(ids[row].tolist()) if word > EOS]
        keys = model.pointer.k_proj(hidden.encoder_last_hidden_state[row, words])
        attention = (keys @ model.pointer.q_proj(state) / 4).softmax(-1)
        expected = gate * head
        for number, share in zip(words, attention, strict=True):
            expected[ids[row, number]] += (1 - gate[0]) * share
        torch.testing.assert_close(got[row, place], expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(got.sum(-1), torch.ones(2, 3))


def test_loss_is_the_mean_over_the_labels(model: CopyingBart, sources: tuple[torch.Tensor, torch.Tensor]) -> None:
    ids, mask = sources
    labels = torch.tensor([[7, 12, EOS], [25, EOS, -100]])
    begun = torch.tensor([[EOS, 7, 12], [EOS, 25, EOS]])
    log_probs = model(ids, mask, begun).logits
    expected = -torch.stack([log_probs[row, place, labels[row, place]] for row, place in _counted(labels)]).mean()
    loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert model.pointer.gate.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("beams", [1, 4])
def test_searches_score_by_both(model: CopyingBart, sources: tuple[torch.Tensor, torch.Tensor], beams: int) -> None:
    """Greedily each token is the likeliest of all; a beam's score is its tokens' log-likelihood over their number."""
    ids, mask = sources
    output = model.generate(
        ids,
        attention_mask=mask,
        num_beams=beams,
        do_sample=False,
        max_length=8,
        return_dict_in_generate=True,
        output_scores=True,
    )
    plain = model.generate(ids, attention_mask=mask, num_beams=beams, do_sample=False, max_length=8, use_cache=False)
    assert output.sequences.tolist() == plain.tolist()
    with torch.no_grad():
        log_probs = model(ids, mask, output.sequences[:, :-1]).logits
    for row, text in enumerate(output.sequences.tolist()):
        length = text.index(EOS, 1) if EOS in text[1:] else len(text) - 1
        steps = log_probs[row, :length]
        if beams == 1:
            assert steps.argmax(-1).tolist() == text[1 : length + 1]
        else:
            total = sum(float(steps[place, text[place + 1]]) for place in range(length))
            assert float(output.sequences_scores[row]) == pytest.approx(total / length, abs=1e-4)


def _counted(labels: torch.Tensor) -> list[tuple[int, int]]:
    return [tuple(place) for place in (labels != -100).nonzero().tolist()]
