"""On the way to a canvas the host waits for no device, which would stand still while the host goes on."""

import pytest
import torch
from torch import Tensor

from tests.model.small import IDS, MODELS, small_model
from textbox_elmer.model import modeling
from textbox_elmer.model.off_ramp import OffRamp

OPTIONS = {"max_length": 9, "return_dict_in_generate": True, "output_scores": True}


def lay_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the end of `generate`, where the host has to learn how long the texts are."""
    monkeypatch.setattr(modeling, "pack_left", lambda values, kept, padding: values)


@pytest.mark.parametrize("exit_mode", ["soft", "last"])
@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS.keys())
def test_the_host_asks_for_no_value(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], exit_mode: str
) -> None:
    """Tensors on the device `meta` have no values: whoever asks for one, or for as many as are true, fails."""
    lay_bare(monkeypatch)
    model = small_model(**changes).to("meta")
    model.prepare_for_inference()
    written = model.generate(IDS.to("meta"), exit_mode=exit_mode, **OPTIONS)
    assert written.sequences.device.type == "meta"
    with pytest.raises((RuntimeError, NotImplementedError)):
        model.generate(IDS.to("meta"), exit_mode="hard", **OPTIONS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("exit_mode", ["soft", "last"])
@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS.keys())
def test_a_gpu_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], exit_mode: str, precision: torch.dtype
) -> None:
    lay_bare(monkeypatch)
    model, ids = small_model(**changes).to("cuda", precision), IDS.to("cuda")
    model.prepare_for_inference()
    torch.cuda.set_sync_debug_mode("error")
    try:
        model.generate(ids, exit_mode=exit_mode, **OPTIONS)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_device_reads_the_vocabulary_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []
    linear = torch.nn.functional.linear

    def note(states: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        pieces.append(len(weight))
        return linear(states, weight, bias)

    monkeypatch.setattr(torch.nn.functional, "linear", note)
    with torch.device("meta"):
        ramp = OffRamp(torch.empty(50265, 4), torch.empty(1, 50265))
        assert ramp.best(torch.empty(64, 4)).shape == (64,)
        assert pieces == [50265]
        ramp.read(torch.empty(2**13, 4))
    assert sum(pieces[1:]) == 50265
    assert max(pieces[1:]) == 2**14
