"""`generate` under a graph, without blanks and with copying, against what `forward` says of every word."""

from itertools import combinations, pairwise, product

import pytest
import torch
from torch import Tensor

from textbox_elmer import ElmerForConditionalGeneration
from textbox_elmer.model import ElmerGeneration
from textbox_elmer.model.dag import walk

from .small import BOS, EOS, IDS, MASK, PAD, Dense, dense_forward, small_model

LENGTH, NEARNESS = 5, 4.0
COPYING = {"copy_source": True, "canvas_input": "source"}
WALKS = ("greedy", "lookahead", "viterbi")


def canvas_of(model: ElmerForConditionalGeneration, length: int) -> Tensor:
    canvas = torch.full((len(IDS), model.config.canvas_positions(length)), MASK)
    canvas[:, 0] = BOS
    return canvas


@torch.no_grad()
def forward(model: ElmerForConditionalGeneration, length: int = LENGTH) -> Dense:
    return dense_forward(model, decoder_input_ids=canvas_of(model, length))


def graph(**changes: object) -> ElmerForConditionalGeneration:
    model = small_model(**{"alignment": "dag", "canvas_length": LENGTH, "canvas_scale": 3} | changes)
    # Near vertices draw more, which makes paths long: some must be cut, and some neighbours write the same word.
    positions, width = model.model.decoder.embed_positions.weight, model.config.d_model
    with torch.no_grad():
        positions[:, 0] = torch.linspace(2, -2, len(positions))
        model.links.k_proj.weight[:: width // model.links.heads, width] = NEARNESS
        model.links.q_proj.bias[:: width // model.links.heads] = NEARNESS
    return model


def cut(row: list, kept: list[bool], length: int) -> list:
    return [value for value, keep in zip(row, kept, strict=True) if keep][:length]


def rows(padded: Tensor, sequences: Tensor) -> list[list]:
    return [row[ids != PAD].tolist() for row, ids in zip(padded, sequences, strict=True)]


def generate(model: ElmerForConditionalGeneration, **options: object) -> ElmerGeneration:
    return model.generate(IDS, (IDS != PAD).long(), return_dict_in_generate=True, output_scores=True, **options)


@pytest.mark.parametrize("decoding", WALKS)
@pytest.mark.parametrize("exit_mode", ["soft", "hard", "last"])
@pytest.mark.parametrize("changes", [{}, COPYING | {"normalize_before": True}], ids=["plain", "copying"])
def test_a_graphs_texts_are_walks_over_what_forward_says(decoding: str, exit_mode: str, changes: dict) -> None:
    model = graph(exit_mode=exit_mode, exit_threshold=1.0, **changes)
    collapse = decoding != "viterbi"
    found = generate(model, decoding=decoding, collapse_repeats=collapse)
    dense = forward(model)
    log_probs = dense.output.logits.log_softmax(-1)
    best, tokens = log_probs.max(-1)
    words = best.clone()
    words[:, 0] = words[:, -1] = 0
    last = words.shape[1] - 1
    paths = walk(words, dense.transitions, torch.full((3,), last + 1), decoding)
    for row, path in enumerate(paths.tolist()):
        path = [vertex for vertex in path if vertex > 0]
        text = [EOS if vertex == last else tokens[row, vertex].item() for vertex in path]
        kept = [not (collapse and at and text[at] == text[at - 1]) for at in range(len(text))]
        assert rows(found.sequences, found.sequences)[row] == cut(text, kept, LENGTH)
        assert rows(found.vertices, found.sequences)[row] == cut(path, kept, LENGTH)
        exits = [dense.output.exit_layers[row, vertex].item() for vertex in path]
        assert rows(found.exit_layers, found.sequences)[row] == cut(exits, kept, LENGTH)
        scores = [1.0 if vertex == last else best[row, vertex].exp().item() for vertex in path]
        assert rows(found.scores, found.sequences)[row] == pytest.approx(cut(scores, kept, LENGTH), abs=1e-4)
        if exit_mode == "soft":
            layers = [exit_[row].argmax(-1) for exit_ in dense.exits]
            settled = [
                max((at + 1 for at in range(3) if layers[at][vertex] != tokens[row, vertex]), default=0)
                if vertex < last
                else exits[-1]  # eos stands there from the beginning: no layer made up its mind
                for vertex in path
            ]
            assert rows(found.settled_layers, found.sequences)[row] == cut(settled, kept, LENGTH)
        else:
            assert torch.equal(found.settled_layers, found.exit_layers)
    padding = found.sequences == PAD
    for part, value in ((found.vertices, -1), (found.exit_layers, -1), (found.copied, False), (found.scores, 0)):
        assert (part[padding] == value).all()
    if not changes:
        assert not found.copied.any()


def test_the_models_of_these_tests_write_different_texts_at_different_exits() -> None:
    model = graph(exit_mode="hard", exit_threshold=1.0)
    found = generate(model)
    assert len({tuple(row) for row in found.sequences.tolist()}) == 3
    assert len(found.exit_layers.unique()) > 2
    # Some end themselves, and some are cut.
    assert (found.sequences == EOS).any()
    short = generate(model, max_length=3)
    assert short.sequences.shape == (3, 3)
    assert (short.sequences[:, -1] != EOS).any()


def parts_of(model: ElmerForConditionalGeneration, dense: Dense) -> tuple[Tensor, Tensor]:
    """What the head and the pointer give to each word at the last exit, `[batch, canvas, vocabulary]` each."""
    gate = model.pointer.gate(dense.states[-1]).sigmoid()
    logits = dense.states[-1] @ model.lm_head.weight.T + model.final_logits_bias
    special = torch.tensor([BOS, PAD, EOS, MASK]) if model.links is not None else torch.tensor([], dtype=torch.long)
    written = gate * logits.index_fill(-1, special, -1e4).softmax(-1)
    return written, dense.exits[-1].exp() - written


@pytest.mark.parametrize("alignment", ["position", "dag", "ctc"])
@torch.no_grad()
def test_what_comes_from_the_source_is_marked(alignment: str) -> None:
    scale = {} if alignment == "position" else {"canvas_scale": 3}
    make = graph if alignment == "dag" else small_model
    model = make(alignment=alignment, canvas_length=LENGTH, **COPYING, **scale)
    found, dense = generate(model), forward(model)
    written, copied = parts_of(model, dense)
    for row in range(3):
        ids = found.sequences[row][found.sequences[row] != PAD]
        at = found.vertices[row][: len(ids)]
        expected = (copied > written)[row, at, ids] & (ids != EOS)
        assert found.copied[row][: len(ids)].tolist() == expected.tolist()
    assert found.copied.any()


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("changes", [{}, COPYING | {"exit_mode": "hard", "exit_threshold": 1.0}, COPYING])
@torch.no_grad()
def test_a_wide_beam_finds_the_likeliest_text(changes: dict, length_penalty: float) -> None:
    model = graph(canvas_length=3, canvas_scale=2, **changes)
    found = generate(model, decoding="beam", num_beams=80, length_penalty=length_penalty)
    dense = forward(model, 3)
    words = [word for word in range(12) if word not in (BOS, PAD, EOS, MASK)]
    for row in range(3):
        log_probs, links = dense.output.logits[row].log_softmax(-1), dense.transitions[row]
        best = (-torch.inf, [], [])
        for text in (text for length in range(3) for text in product(words, repeat=length)):
            ways = {
                inside: float(
                    sum(links[a, b] for a, b in pairwise((0, *inside, 5)))
                    + sum(log_probs[vertex, word] for vertex, word in zip(inside, text, strict=True))
                )
                for inside in combinations(range(1, 5), len(text))
            }
            total = torch.tensor(list(ways.values())).logsumexp(0).item() / (len(text) + 1) ** length_penalty
            best = max(best, (total, [*text, EOS], [*max(ways, key=ways.get), 5]))
        assert rows(found.sequences, found.sequences)[row] == best[1]
        assert rows(found.vertices, found.sequences)[row] == best[2]
        at = torch.tensor(best[2][:-1], dtype=torch.long)
        scores = [*log_probs[at, torch.tensor(best[1][:-1], dtype=torch.long)].exp().tolist(), 1.0]
        assert rows(found.scores, found.sequences)[row] == pytest.approx(scores, abs=1e-4)
        if model.pointer is not None:
            written, copied = parts_of(model, dense)
            expected = [bool(copied[row, v, w] > written[row, v, w]) for w, v in zip(*best[1:], strict=True)][:-1]
            assert rows(found.copied, found.sequences)[row] == [*expected, False]


@torch.no_grad()
def test_a_word_that_its_vertex_likes_less_is_not_marked_as_that_vertexs_favourite() -> None:
    chosen = 0
    for seed in range(5):
        model = graph(seed=seed, canvas_length=3, canvas_scale=2, **COPYING)
        found, dense = generate(model, decoding="beam", num_beams=80), forward(model, 3)
        written, copied = parts_of(model, dense)
        predicted = torch.stack(dense.exits).argmax(-1)
        for row, ids in enumerate(rows(found.sequences, found.sequences)):
            for at, word in enumerate(ids[:-1]):
                vertex = found.vertices[row, at].item()
                chosen += word != predicted[-1, row, vertex].item()
                assert found.copied[row, at].item() == (copied > written)[row, vertex, word].item()
                others = [layer for layer in range(3) if predicted[layer, row, vertex] != word]
                assert found.settled_layers[row, at].item() == min(max(others, default=-1) + 1, 2)
    assert chosen  # it does happen


@pytest.mark.parametrize("changes", [{}, COPYING])
@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("decoding", [*WALKS, "beam"])
def test_max_length_cuts(changes: dict, scale: int, length: int, decoding: str) -> None:
    model = graph(canvas_scale=scale, **changes)
    found = generate(model, decoding=decoding, max_length=length)
    assert found.sequences.shape[1] <= length
    if decoding == "beam":  # which looks for a text that ends
        assert (found.sequences == EOS).any(-1).all()


@pytest.mark.parametrize("exit_mode", ["soft", "hard", "last"])
@pytest.mark.parametrize("changes", [{}, COPYING], ids=["plain", "copying"])
@pytest.mark.parametrize("length", [3, 8])
@torch.no_grad()
def test_texts_without_blanks(exit_mode: str, changes: dict, length: int) -> None:
    model = small_model(alignment="ctc", exit_mode=exit_mode, exit_threshold=1.0, canvas_scale=3, **changes)
    found = generate(model, max_length=length)
    dense = forward(model, length)
    best, tokens = dense.output.logits.softmax(-1).max(-1)
    for row in range(3):
        written = tokens[row].tolist()
        starts = [place for place, token in enumerate(written) if place == 0 or token != written[place - 1]]
        at = [place for place in starts if written[place] != MASK]
        text = tokens[row, at].tolist()
        length_cut = min(text.index(EOS) + 1 if EOS in text else len(text), length)
        assert rows(found.sequences, found.sequences)[row] == text[:length_cut]
        assert found.vertices[row][:length_cut].tolist() == at[:length_cut]
        assert found.exit_layers[row][:length_cut].tolist() == dense.output.exit_layers[row, at][:length_cut].tolist()
        torch.testing.assert_close(found.scores[row][:length_cut], best[row, at][:length_cut], atol=1e-4, rtol=0)


@pytest.mark.parametrize("options", [{"decoding": "beam"}, {"decoding": "viterbi"}, {"exit_mode": "hard"}, {}])
@pytest.mark.parametrize("alignment", ["dag", "ctc", "position"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_text_is_the_same_alone_and_in_a_batch(options: dict, alignment: str, dtype: torch.dtype) -> None:
    if alignment != "dag":
        options = {name: value for name, value in options.items() if name != "decoding"}
    model = small_model(alignment=alignment, canvas_length=LENGTH, exit_threshold=1.0, **COPYING).to(dtype)
    padded = torch.nn.functional.pad(IDS, (0, 3), value=PAD)
    batch = model.generate(padded, (padded != PAD).long(), **options)
    for ids, sequence in zip(IDS, batch, strict=True):
        alone = model.generate(ids[ids != PAD][None], **options)[0]
        assert sequence[sequence != PAD].tolist() == alone.tolist()


@pytest.mark.parametrize("decoding", [*WALKS, "beam"])
@pytest.mark.parametrize("changes", [{}, COPYING])
def test_16_bits_write_much_the_same(decoding: str, changes: dict) -> None:
    same = 0
    for seed in range(3):
        model = graph(seed=seed, bias=0.0, **changes)
        ours = model.generate(IDS, decoding=decoding)
        rounded = model.bfloat16().generate(IDS, decoding=decoding)
        same += sum(a[a != PAD].tolist() == b[b != PAD].tolist() for a, b in zip(ours, rounded, strict=True))
    assert same >= 5  # of 9


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"decoding": "beams"}, "decoding is one of greedy, lookahead, viterbi, beam, not 'beams'."),
        ({}, {"num_beams": 4}, "num_beams is for decoding=beam, not for lookahead: give that, or leave it out."),
        (
            {},
            {"decoding": "viterbi", "length_penalty": 0.6},
            "length_penalty is for decoding=beam, not for viterbi: give that, or leave it out.",
        ),
        ({}, {"decoding": "beam", "num_beams": 0}, "num_beams is a whole number, 1 or more, not 0."),
        ({}, {"decoding": "beam", "num_beams": 2.5}, "num_beams is a whole number, 1 or more, not 2.5."),
        ({}, {"decoding": "beam", "length_penalty": "long"}, "length_penalty is a number, not 'long'."),
        ({}, {"exit_mode": "early"}, "exit_mode is one of soft, hard, last, not 'early'."),
        ({}, {"exit_threshold": -1.0}, "exit_threshold is an entropy in nats, 0 or more, not -1.0."),
        ({}, {"max_length": 14}, "max_length 14 lies outside the decoder's 1 to 40 positions, 3 for each token."),
        ({}, {"max_length": 0}, "max_length 0 lies outside the decoder's 1 to 40 positions, 3 for each token."),
        ({}, {"decoding": ""}, "decoding is one of greedy, lookahead, viterbi, beam, not ''."),
        (
            {"alignment": "ctc"},
            {"decoding": "greedy"},
            "decoding is for models with alignment=dag; this one has alignment=ctc, which writes in one way: leave it "
            "out.",
        ),
        (
            {"alignment": "position", "canvas_scale": 1},
            {"num_beams": 4},
            "num_beams is for models with alignment=dag; this one has alignment=position, which writes in one way: "
            "leave it out.",
        ),
        (
            {},
            {"do_sample": True, "top_k": 5},
            "generate() has no option do_sample, top_k: ELMER writes all tokens at once, so options of token-by-token "
            "decoding (sampling, n-gram blocking, …) mean nothing to it.",
        ),
    ],
)
def test_senseless_options_are_refused(changes: dict, options: dict, message: str) -> None:
    model = small_model(**{"alignment": "dag", "canvas_scale": 3} | changes)
    with pytest.raises(ValueError) as caught:
        model.generate(IDS, **options)
    assert str(caught.value) == message
