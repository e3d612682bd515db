"""`normalize_before`, against transformers' mBART, whose layers are in that order."""

import torch
from transformers import MBartConfig, MBartForConditionalGeneration

from textbox_elmer import ElmerForConditionalGeneration

from .small import BOS, IDS, MASK, PAD, SIZES, small_model


def mbart_and_ours() -> tuple[MBartForConditionalGeneration, ElmerForConditionalGeneration]:
    torch.manual_seed(0)
    sizes = {name: value for name, value in SIZES.items() if name != "gold_mixing"}
    mbart = MBartForConditionalGeneration(MBartConfig(**sizes, init_std=0.3, scale_embedding=True)).eval()
    for parameter in mbart.parameters():  # norms and biases, too, must have something to tell
        torch.nn.init.normal_(parameter, std=0.3)
    ours = small_model(normalize_before=True, exit_mode="last", scale_embedding=True)
    missing = ours.load_state_dict(mbart.state_dict(), strict=False)
    assert missing.missing_keys == ["concat_head.weight"]
    assert not missing.unexpected_keys
    return mbart, ours


@torch.no_grad()
def test_the_encoder_is_mbarts() -> None:
    mbart, ours = mbart_and_ours()
    mask = (IDS != PAD).long()
    theirs = mbart.model.encoder(IDS, mask).last_hidden_state
    torch.testing.assert_close(ours.encode(IDS, mask)[0][mask.bool()], theirs[mask.bool()], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_decoder_is_mbarts_without_its_causal_mask() -> None:
    mbart, ours = mbart_and_ours()
    ids, canvas = IDS[:1], torch.tensor([[BOS, MASK, MASK, MASK]])
    decoder, source = mbart.model.decoder, mbart.model.encoder(ids).last_hidden_state
    hidden = decoder.embed_tokens(canvas) + decoder.embed_positions.weight[2:6]
    hidden = decoder.layernorm_embedding(hidden)
    for layer in decoder.layers:
        # A mask that hides nothing: without one, they would hide what lies to the right.
        hidden = layer(hidden, attention_mask=torch.zeros(1, 1, 4, 4), encoder_hidden_states=source)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    theirs = mbart.lm_head(decoder.layer_norm(hidden)) + mbart.final_logits_bias
    torch.testing.assert_close(ours(ids, decoder_input_ids=canvas).logits, theirs, atol=1e-4, rtol=1e-4)


def test_pre_norm_trains_every_parameter() -> None:
    model = small_model(normalize_before=True, alignment="dag", copy_source=True, canvas_input="source").train()
    model(IDS, labels=IDS[:, 1:5]).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
