"""How each token of a parallel model's test texts came about: generation.jsonl."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
from textbox_elmer.reading import parse_json, read_text
from textbox_elmer.terminal import reason_of
from textbox_elmer.text.decoding import decode_ids

TRACES = "generation.jsonl"
MOST_LAYERS = 256
MOST_VERTICES = 2**20
HALF_A_CHARACTER = "\ufffd"  # what a byte-level tokenizer decodes the first bytes of a character to


@dataclass(frozen=True)
class Trace:
    """One text, token by token.

    Attributes:
        pieces: what each token adds to the text; nothing for a special token, or until a character is complete.
        exit_layers: the layer (from 0) where each left.
        scores: the probability of each there; None if it was not asked for this text.
        settled_layers: the layer since which its position has predicted each; under soft exit earlier than where it
            left. None, as the next two, in files that are older than this.
        vertices: the canvas position that each came from, under a graph the path through it.
        copied: whether each came from the source rather than from the vocabulary.
    """

    pieces: list[str]
    exit_layers: list[int]
    scores: list[float] | None
    settled_layers: list[int] | None = None
    vertices: list[int] | None = None
    copied: list[bool] | None = None


def make_traces(tokenizer: PreTrainedTokenizerBase, *generated: np.ndarray) -> list[Trace]:
    """Return the traces of a parallel model's texts.

    Args:
        generated: all fields of `Generated`, `[texts, longest]` each; exit layers are negative at padding, scores NaN
            throughout a text whose scores are unknown.
    """
    traces = []
    for ids, layers, settled, vertices, copied, sure in zip(*generated, strict=True):
        written = layers >= 0
        traces.append(
            Trace(
                _pieces(tokenizer, ids[written].tolist()),
                layers[written].tolist(),
                None if np.isnan(sure[written]).any() else [round(float(score), 4) for score in sure[written]],
                settled[written].tolist(),
                vertices[written].tolist(),
                copied[written].astype(bool).tolist(),
            )
        )
    return traces


def _pieces(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[str]:
    *alone, together = decode_ids(tokenizer, [*([token] for token in ids), ids])
    if "".join(alone) == together:
        return alone
    # Several tokens write one character, or a token's text depends on those before it.
    pieces, shown = [], ""
    for end, text in enumerate(decode_ids(tokenizer, [ids[: place + 1] for place in range(len(ids))]), start=1):
        if text.endswith(HALF_A_CHARACTER) and end < len(ids):
            text = shown
        pieces.append(text[len(shown) :])
        shown = text
    return pieces


def format_traces(traces: Sequence[Trace]) -> str:
    """Return traces as lines of JSON."""
    return "".join(json.dumps(asdict(trace), ensure_ascii=False) + "\n" for trace in traces)


def read_traces(path: Path) -> list[Trace]:
    """Read what `format_traces` wrote.

    Raises:
        UserError: the file cannot be read or holds something else, with the line.
    """
    return [_read_line(line, number, path) for number, line in enumerate(read_lines_left(path), start=1)]


def read_lines_left(path: Path) -> list[str]:
    """Return the lines of a file that a run's test left, one for each text.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read_text(path).removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{str(path)!r} cannot be read ({reason_of(error)}): test the run's checkpoint again."
        ) from error


def _read_line(line: str, number: int, path: Path) -> Trace:
    try:
        trace = Trace(**parse_json(line))
        sound = _is_sound(trace)
    except (ValueError, TypeError):
        sound = False
    if not sound:
        raise UserError(f"{str(path)!r}, line {number}, is damaged: test the run's checkpoint again.")
    return trace


def _is_sound(trace: Trace) -> bool:
    layers, settled, vertices = trace.exit_layers, trace.settled_layers or [], trace.vertices or []
    return (
        len({len(values) for values in vars(trace).values() if values is not None}) == 1
        and all(isinstance(piece, str) for piece in trace.pieces)
        and all(type(layer) is int and 0 <= layer < MOST_LAYERS for layer in layers)
        and all(isinstance(score, float | int) and 0 <= score <= 1 for score in trace.scores or ())
        and all(type(first) is int and 0 <= first <= layer for first, layer in zip(settled, layers, strict=False))
        and all(type(vertex) is int and 0 <= vertex < MOST_VERTICES for vertex in vertices)
        and all(left < right for left, right in pairwise(vertices))
        and all(type(copied) is bool for copied in trace.copied or ())
    )
