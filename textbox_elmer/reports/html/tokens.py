"""An output token by token, as the page shows it: its colours, its marks, and its place on the canvas."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from textbox_elmer.reports.html.colours import confidence_class
from textbox_elmer.runtime.runs.traces import Trace


@dataclass(frozen=True)
class Legend:
    """Which marks some texts' tokens need.

    Attributes:
        settles: tokens stand since an earlier layer than the one where they left, as under soft exit.
        copies: tokens come from the source.
        draws: the texts' paths skip canvas positions, so that there is something to draw.
    """

    settles: bool = False
    copies: bool = False
    draws: bool = False

    def __or__(self, other: "Legend") -> "Legend":
        return Legend(self.settles or other.settles, self.copies or other.copies, self.draws or other.draws)


@dataclass(frozen=True)
class Token:
    """A token of an output.

    Attributes:
        piece: what it adds to the text.
        exit_layer: where it left.
        settled_layer: since when it has stood, if that is earlier.
        vertex: its canvas position, if paths are drawn.
        copied: whether it comes from the source.
        classes: its colours.
        confidence: in percent; empty where it is not known.
    """

    piece: str
    exit_layer: int
    settled_layer: int | None
    vertex: int | None
    copied: bool
    classes: str
    confidence: str


def deciding_layers(trace: Trace) -> list[int]:
    """Return the layer that decided on each token: since which it stood or, in older files, where it left."""
    return trace.exit_layers if trace.settled_layers is None else trace.settled_layers


def legend_of(traces: Sequence[Trace]) -> Legend:
    """Return which marks a run's texts need."""
    return Legend(
        settles=any(deciding_layers(trace) != trace.exit_layers for trace in traces),
        copies=any(any(trace.copied or ()) for trace in traces),
        draws=any(right - left > 1 for trace in traces for left, right in pairwise(trace.vertices or ())),
    )


def canvas_length(traces: Sequence[Trace], recorded: int | None) -> int:
    """Return how many positions a run's canvas has: as many as were recorded, or are seen to be used."""
    return max([recorded or 0, *(vertex + 1 for trace in traces for vertex in (trace.vertices or [])[-1:])])


def tokens_of(trace: Trace, legend: Legend) -> list[Token]:
    """Return a text's tokens with the marks of its run's legend."""
    tokens = []
    for place, (piece, exit_layer, layer) in enumerate(
        zip(trace.pieces, trace.exit_layers, deciding_layers(trace), strict=True)
    ):
        classes, confidence = f"l{layer}", ""
        if trace.scores is not None:
            classes += f" c{confidence_class(trace.scores[place])}"
            confidence = f"{100 * trace.scores[place]:.1f}"
        tokens.append(
            Token(
                piece,
                exit_layer,
                layer if layer < exit_layer else None,
                trace.vertices[place] if legend.draws and trace.vertices else None,
                bool(trace.copied and trace.copied[place]),
                classes,
                confidence,
            )
        )
    return tokens
