"""What users of transformers expect of any model."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForSeq2SeqLM

from tests.model.small import IDS, small_model

PAD = 1
LABELS = torch.tensor([[4, 7, 9, 2], [8, 5, 2, 1], [6, 2, 1, 1]])


@pytest.mark.parametrize("auto_class", [AutoModel, AutoModelForSeq2SeqLM])
def test_auto_classes(tmp_path: Path, auto_class: type) -> None:
    model = small_model(alignment="dag", canvas_scale=2, copy_source=True)
    model.save_pretrained(tmp_path)
    loaded = auto_class.from_pretrained(tmp_path)
    assert type(loaded) is type(model)
    assert torch.equal(loaded.generate(IDS), model.generate(IDS))


@pytest.mark.parametrize("before", [True, False])
def test_the_encoder_stands_alone(before: bool) -> None:
    model = small_model(normalize_before=before)
    mask = (IDS != PAD).long()
    states = model.get_encoder()(IDS, attention_mask=mask).last_hidden_state
    assert torch.equal(states, model.encode(IDS, mask)[0])
    alone = model.get_encoder()(IDS[1:2, :4]).last_hidden_state
    torch.testing.assert_close(alone, states[1:2, :4])
    assert model.get_decoder() is model.model.decoder


@pytest.mark.parametrize("alignment", ["position", "dag", "ctc"])
@pytest.mark.parametrize("exit_mode", ["soft", "hard", "last"])
def test_gradients_by_checkpointing_are_the_same(alignment: str, exit_mode: str) -> None:
    scale = 1 if alignment == "position" else 3
    model = small_model(alignment=alignment, canvas_scale=scale, exit_mode=exit_mode, dropout=0.1).train()

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        torch.manual_seed(5)
        model(IDS, labels=LABELS).loss.backward()
        return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]

    plain, calls = gradients(), []
    model.model.encoder.layers[0].fc1.register_forward_hook(lambda *_: calls.append(1))
    model.gradient_checkpointing_enable()
    found = gradients()
    assert len(calls) == 2  # once again in the backward pass
    assert len(found) == len(plain) > 10
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours, theirs)
