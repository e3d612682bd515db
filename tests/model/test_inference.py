"""What decoding leaves out never shows: the same tokens, layers and scores as from all logits of the plain exits."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textbox_elmer.model import ElmerConfig, ElmerForConditionalGeneration, off_ramp, preparation
from textbox_elmer.model.decoding import NO_LAYER, kept_tokens, pack_left

EOS, PAD = 2, 1
MODES = ("soft", "hard", "last")
bounded = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.fixture(params=["screened", "chunked", "whole"], autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Force each way in which an off-ramp reads the vocabulary, whatever this machine would choose."""
    if request.param == "screened" and not torch.cpu._is_vnni_supported():
        pytest.skip("the processor has no int8 products")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparation, "screen_pays", lambda weight: request.param == "screened")
        if request.param == "chunked":
            patch.setattr(off_ramp, "MOST_WORDS", 7)
        yield


def model_of(seed: int, vocabulary: int, layers: int, spread: float = 0.5) -> ElmerForConditionalGeneration:
    """A model of wide random weights, which predicts many different tokens; small vocabularies often end a text."""
    torch.manual_seed(seed)
    config = ElmerConfig(
        vocab_size=vocabulary,
        d_model=16,
        encoder_layers=1,
        decoder_layers=layers,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=80,
        init_std=spread,
    )
    model = ElmerForConditionalGeneration(config).eval()
    with torch.no_grad():
        model.concat_head.weight.normal_(std=spread)
    model.prepare_for_inference()
    return model


def sources(seed: int, vocabulary: int, lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, vocabulary, (len(lengths), max(lengths)), generator=drawn)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return ids.masked_fill(mask == 0, PAD), mask


def from_all_logits(
    model: ElmerForConditionalGeneration, ids: torch.Tensor, mask: torch.Tensor, length: int, collapse: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        canvas = torch.full((len(ids), length), model.config.mask_token_id)
        canvas[:, 0] = model.config.bos_token_id
        output = model(ids, mask, decoder_input_ids=canvas)
    scores, tokens = output.logits.softmax(-1).max(-1)
    kept = kept_tokens(tokens, EOS, collapse)
    return (
        pack_left(tokens, kept, PAD),
        pack_left(output.exit_layers, kept, NO_LAYER),
        pack_left(scores, kept, 0.0),
    )


def compare(model: ElmerForConditionalGeneration, seed: int, lengths: list[int], canvas: int, collapse: bool) -> None:
    ids, mask = sources(seed, model.config.vocab_size, lengths)
    sequences, exit_layers, scores = from_all_logits(model, ids, mask, canvas, collapse)
    options = {"max_length": canvas, "collapse_repeats": collapse}
    full = model.generate(ids, mask, return_dict_in_generate=True, output_scores=True, **options)
    assert full.sequences.tolist() == sequences.tolist()
    assert full.exit_layers.tolist() == exit_layers.tolist()
    torch.testing.assert_close(full.scores, scores, atol=1e-5, rtol=1e-4)
    assert model.generate(ids, mask, **options).tolist() == sequences.tolist()
    unscored = model.generate(ids, mask, return_dict_in_generate=True, **options)
    assert unscored.scores is None
    assert unscored.exit_layers.tolist() == exit_layers.tolist()


@bounded
@given(
    seed=st.integers(0, 10**6),
    mode=st.sampled_from(MODES),
    vocabulary=st.sampled_from([5, 8, 40, 200]),
    layers=st.integers(1, 4),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    canvas=st.sampled_from([1, 2, 7, 40, 80]),
    threshold=st.sampled_from([0.0, 0.3, 1.0, 2.0, 9.0]),
    collapse=st.booleans(),
)
def test_texts_are_those_of_all_logits(
    seed: int,
    mode: str,
    vocabulary: int,
    layers: int,
    lengths: list[int],
    canvas: int,
    threshold: float,
    collapse: bool,
) -> None:
    model = model_of(seed, vocabulary, layers)
    model.config.exit_mode, model.config.exit_threshold = mode, threshold
    compare(model, seed, lengths, canvas, collapse)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", [0, 1, 30, 31, 32, 33, 62, 63, 64, 79])
def test_an_end_is_found_wherever_it_is(mode: str, end: int) -> None:
    """The first end lies at a planted position, in a batch with a row that never ends."""
    model = model_of(1, 60, 3, 0.1)
    model.config.exit_mode, model.config.exit_threshold = mode, 3.0
    with torch.no_grad():
        plant_end(model, end)
    ids, mask = sources(3, 60, [4])
    assert model.generate(ids, mask, max_length=80, collapse_repeats=False).shape == (1, end + 1)
    compare(model, 3, [4], 80, False)
    compare(model, 3, [4, 7, 1], 80, True)


def plant_end(model: ElmerForConditionalGeneration, position: int) -> None:
    """Give one position's state the direction of the end-of-text token's embedding, and no other state."""
    model.concat_head.weight.copy_(torch.eye(16, 32))
    direction = torch.zeros(16)
    direction[3] = 1.0
    model.model.shared.weight[EOS] = 4 * direction
    places = model.model.decoder.embed_positions.weight
    places[:, 3] = -2.0
    places[2 + position] = 60 * direction


@bounded
@given(
    seed=st.integers(0, 10**6),
    mode=st.sampled_from(MODES),
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    threshold=st.sampled_from([0.3, 1.0, 2.0]),
)
def test_batch_mates_change_no_text(seed: int, mode: str, lengths: list[int], threshold: float) -> None:
    model = model_of(seed, 40, 3)
    ids, mask = sources(seed, 40, lengths)
    options = {"max_length": 24, "exit_mode": mode, "exit_threshold": threshold}
    together = model.generate(ids, mask, **options)
    for row, length in enumerate(lengths):
        alone = model.generate(ids[row : row + 1, :length], mask[row : row + 1, :length], **options)[0].tolist()
        assert together[row].tolist() == alone + [PAD] * (together.shape[1] - len(alone))


@pytest.mark.parametrize("mode", MODES)
def test_a_bias_counts_where_it_did(mode: str) -> None:
    model = model_of(5, 200, 3)
    model.config.exit_mode, model.config.exit_threshold = mode, 1.0
    model.final_logits_bias.normal_(std=3)
    compare(model, 5, [3, 8], 20, False)


def test_changed_weights_are_read_anew() -> None:
    model = model_of(6, 200, 2)
    model.config.exit_mode = "last"
    ids, mask = sources(6, 200, [5])
    before = model.generate(ids, mask, max_length=20)
    with torch.no_grad():
        model.model.shared.weight.copy_(model.model.shared.weight.roll(11, 0))
    compare(model, 6, [5], 20, True)
    model.model.shared.weight.data = model.model.shared.weight.data.roll(7, 0)
    compare(model, 6, [5], 20, True)
    for weight in model.parameters():
        weight.data.copy_(weight.data.flip(0) * 1.5)  # which leaves its version as it was
    compare(model, 6, [5], 20, True)
    assert before.shape[0] == 1
