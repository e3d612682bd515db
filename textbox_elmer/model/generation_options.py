"""What `generate` may be asked for, checked before anything is computed."""

from collections.abc import Mapping
from typing import Any

from .configuration import ElmerConfig
from .writing import DECODINGS

EXIT_MODES = ("soft", "hard", "last")
DEFAULT_BEAMS = 5


class GenerationOptions:
    """The options of one call; None takes the configuration's value, or the usual one.

    Raises:
        ValueError: a value or a combination that means nothing, in one sentence.
    """

    def __init__(
        self,
        config: ElmerConfig,
        *,
        max_length: int | None = None,
        exit_mode: str | None = None,
        exit_threshold: float | None = None,
        decoding: str | None = None,
        num_beams: int | None = None,
        length_penalty: float | None = None,
    ) -> None:
        self.config = config
        self.exit_mode = _one_of("exit_mode", config.exit_mode if exit_mode is None else exit_mode, EXIT_MODES)
        self.max_length = config.canvas_length if max_length is None else max_length
        self._check_length()
        if exit_threshold is not None and exit_threshold < 0:
            raise ValueError(f"exit_threshold is an entropy in nats, 0 or more, not {exit_threshold}.")
        self.exit_threshold = config.exit_threshold if exit_threshold is None else exit_threshold
        self.decoding = "lookahead" if decoding is None else decoding
        self._check_walk(decoding, num_beams, length_penalty)
        self.num_beams = DEFAULT_BEAMS if num_beams is None else num_beams
        self.length_penalty = 1.0 if length_penalty is None else length_penalty

    def _check_length(self) -> None:
        limit, scale = self.config.max_position_embeddings, self.config.canvas_scale
        if self.max_length < 1 or self.config.canvas_positions(self.max_length) > limit:
            times = "" if scale == 1 else f", {scale} for each token"
            raise ValueError(f"max_length {self.max_length} lies outside the decoder's 1 to {limit} positions{times}.")

    def _check_walk(self, decoding: str | None, num_beams: int | None, length_penalty: float | None) -> None:
        given = {"decoding": decoding, "num_beams": num_beams, "length_penalty": length_penalty}
        named = [name for name, value in given.items() if value is not None]
        if named and self.config.alignment != "dag":
            raise ValueError(
                f"{named[0]} is for models with alignment=dag; this one has alignment={self.config.alignment}, which "
                "writes in one way: leave it out."
            )
        _one_of("decoding", self.decoding, DECODINGS)
        if named and self.decoding != "beam" and named != ["decoding"]:
            raise ValueError(f"{named[-1]} is for decoding=beam, not for {self.decoding}: give that, or leave it out.")
        if num_beams is not None and (not isinstance(num_beams, int) or num_beams < 1):
            raise ValueError(f"num_beams is a whole number, 1 or more, not {num_beams!r}.")
        if length_penalty is not None and not isinstance(length_penalty, int | float):
            raise ValueError(f"length_penalty is a number, not {length_penalty!r}.")


def refuse_unknown(unsupported: Mapping[str, Any]) -> None:
    """Raise a ValueError that names options which mean nothing to parallel decoding."""
    if unsupported:
        raise ValueError(
            f"generate() has no option {', '.join(sorted(unsupported))}: ELMER writes all tokens at once, so options "
            "of token-by-token decoding (sampling, n-gram blocking, …) mean nothing to it."
        )


def _one_of(name: str, value: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ValueError(f"{name} is one of {', '.join(words)}, not {value!r}.")
    return value
