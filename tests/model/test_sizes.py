"""What is too large is said before it is made."""

from functools import partial
from pathlib import Path

import pytest

from textbox_elmer import ElmerConfig, ElmerForConditionalGeneration
from textbox_elmer.model import sizes


def test_training_takes_room_for_gradients_too(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16, "vocab_size": 50, "encoder_attention_heads": 2}
    build = partial(ElmerForConditionalGeneration, ElmerConfig(**small, decoder_attention_heads=2))
    model = build()
    weights = 4 * sum(part.numel() for part in model.parameters())
    monkeypatch.setattr(sizes, "memory_bytes", lambda: weights + 1000)
    sizes.check_fits(build, trains=False)
    with pytest.raises(ValueError, match=r"parameters take .* GB with its gradients, and this machine has"):
        sizes.check_fits(build, trains=True)


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v1").write_text("max\n")
    (tmp_path / "v2").write_text("1000000\n")
    monkeypatch.setattr(sizes, "CGROUP_LIMITS", (tmp_path / "none", tmp_path / "v1"))
    assert sizes.memory_bytes() > 10**8
    monkeypatch.setattr(sizes, "CGROUP_LIMITS", (tmp_path / "v1", tmp_path / "v2"))
    assert sizes.memory_bytes() == 10**6


def test_counts_are_found_however_deep() -> None:
    sizes.check_counts({"d_model": 10**9, "label2id": {"LABEL_2000": 2000}, "encoder": {"num_layers": 12}}, "it")
    for fields in ({"encoder": {"num_hidden_layers": 1001}}, {"attention_types": [[["global"], 10**9]]}):
        with pytest.raises(ValueError, match="in it, and no model has more than 1,000"):
            sizes.check_counts(fields, "it")
