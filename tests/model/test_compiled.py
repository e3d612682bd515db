"""Compiled code writes the same texts, and is made for a few shapes."""

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.model.small import GRAPH, IDS, MODELS, PAD, small_model
from textbox_elmer.model import ElmerForConditionalGeneration, compiled

SHALLOW = {"encoder_layers": 1, "decoder_layers": 2}
OPTIONS = {"max_length": 9, "return_dict_in_generate": True, "output_scores": True}
Shapes = list[torch.Size]


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """Compile to the graph as it is, which takes no compiler, and note the sources' shape of each."""
    torch._dynamo.reset()
    met: Shapes = []

    def note(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        met.append(next(each.shape for each in inputs if each.dtype == torch.long and each.dim() == 2))
        return graph.forward

    monkeypatch.setattr(compiled, "BACKEND", note)
    return met


def check(model: ElmerForConditionalGeneration, ids: Tensor, mask: Tensor | None = None, **options: object) -> None:
    """Compare what the model writes, prepared or not, with what it writes without compiled code."""
    found = model.generate(ids, mask, **OPTIONS | options)
    twin = small_model(**model.config.to_diff_dict())
    twin.load_state_dict(model.state_dict())
    expected = twin.generate(ids, mask, **OPTIONS | options)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS.keys())
def test_the_same_texts(shapes: Shapes, changes: dict[str, object]) -> None:
    model = small_model(3, exit_mode="soft", **SHALLOW | changes)
    with model.prepare_for_inference(compiled=True):
        check(model, IDS)
        check(model, IDS[:, :4])  # some are cut, none is padded
        check(model, IDS, mask=(IDS != PAD) & (IDS != 7))  # a hole in a source
    assert shapes == [(4, 32)]


@pytest.mark.parametrize("decoding", ["greedy", "viterbi", "beam"])
def test_walks(shapes: Shapes, decoding: str) -> None:
    model = small_model(3, **SHALLOW | GRAPH)
    with model.prepare_for_inference(compiled=True):
        check(model, IDS, decoding=decoding, exit_mode="last")
    assert len(shapes) == (decoding == "greedy")


@torch._dynamo.config.patch(recompile_limit=2)  # torch's own is higher, and too low as well
def test_few_shapes(shapes: Shapes) -> None:
    """A bucket of sources is compiled once for each power of two of rows, a canvas's length once for each."""
    model = small_model(3, max_position_embeddings=40, encoder_layers=1, decoder_layers=1)
    long = IDS.repeat(1, 7)
    with model.prepare_for_inference(compiled=True):
        for length in (5, 32, 33, 40):
            check(model, long[:, :length])
        for rows in (2, 1):
            check(model, long[:rows, :32])
        check(model, long[:, :32], max_length=8)
        assert shapes == [(4, 32), (4, 40), (2, 32), (1, 32), (4, 32)]
        with pytest.raises(ValueError, match="42 positions asked for, but the model has 40"):
            model.generate(long)


def test_hard_exit_is_not_compiled(shapes: Shapes) -> None:
    model = small_model(3, exit_threshold=1.0)
    with model.prepare_for_inference(compiled=True):
        check(model, IDS, exit_mode="hard")
    assert not shapes


def test_buckets() -> None:
    sizes = {length: compiled.bucket(length) for length in range(1, 1025)}
    assert sorted(set(sizes.values())) == [32, 64, 96, 128, 192, 256, 384, 512, 768, 1024]
    assert all(length <= size < max(1.5 * length, 65) for length, size in sizes.items())


def test_changed_weights_are_read(shapes: Shapes) -> None:
    model = small_model(3, **SHALLOW)
    with model.prepare_for_inference(compiled=True):
        before = model.generate(IDS, max_length=9)
        model.lm_head.weight.data[4:8] *= -7
        check(model, IDS)
        model.load_state_dict(small_model(4, **SHALLOW).state_dict())
        check(model, IDS)
        assert not torch.equal(model.generate(IDS, max_length=9), before)


def test_when_it_is_used(shapes: Shapes) -> None:
    model = small_model(3, **SHALLOW)
    with model.prepare_for_inference(), model.prepare_for_inference(compiled=True):
        model.generate(IDS)
        assert len(shapes) == 1
        with model.prepare_for_inference():  # whoever prepared the model goes on with it
            model.generate(IDS[:1])
            assert len(shapes) == 2
    model.generate(IDS[:2])
    assert len(shapes) == 2


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler")
def test_machine_code() -> None:
    torch._dynamo.reset()
    model = small_model(3, encoder_layers=1, decoder_layers=1)
    with model.prepare_for_inference(compiled=True):
        check(model, IDS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS.keys())
def test_a_gpu_writes_the_same_texts(changes: dict[str, object]) -> None:
    torch._dynamo.reset()
    model, ids = small_model(3, **changes).to("cuda"), IDS.to("cuda")
    expected = model.generate(ids, max_length=9)
    with model.prepare_for_inference(compiled=True):
        for _ in range(4):  # compiled, warmed up, recorded, played
            assert torch.equal(model.generate(ids, max_length=9), expected)
