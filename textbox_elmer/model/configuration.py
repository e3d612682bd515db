"""ELMER's configuration: BART's fields and its own."""

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, TypeVar

from huggingface_hub.dataclasses import strict
from transformers import BartConfig

BART_MASK_TOKEN_ID = 50264
DEFAULT_CANVAS_LENGTH = 64
DEFAULT_CANVAS_SCALE = 4
LEAST_SCALE, MOST_SCALE = 2, 8
# How hard exit may tell that a token can leave, and the usual threshold of each.
EXIT_CRITERIA = {"entropy": 0.5, "saturation": 0.95, "classifier": 0.9}


def check_exit_threshold(criterion: str, threshold: float) -> None:
    """Raise a ValueError, in one sentence, if a threshold is none for this exit criterion."""
    if threshold >= 0:  # which no NaN is
        return
    if criterion == "entropy":
        raise ValueError(f"exit_threshold is an entropy in nats, 0 or more, not {threshold}.")
    raise ValueError(f"exit_threshold is a confidence under exit_criterion={criterion}, 0 or more, not {threshold}.")


T = TypeVar("T")
# What may be left to __post_init__, as None: whoever reads a configuration meets a value.
if TYPE_CHECKING:
    Derived = Annotated[T, "derived"]
else:
    Derived = Optional
LEFT: Any = None


@strict
class ElmerConfig(BartConfig):
    """Configuration of an ELMER model (arXiv 2210.13304); the defaults are ELMER-base, which has BART-base's sizes.

    A BART-format `config.json` (`model_type: bart`) loads as it is. Fields beside BART's:

    Attributes:
        exit_mode: where tokens are predicted. `"soft"`: every layer predicts and passes its prediction on to the next
            layer, the last layer's counts. `"hard"`: a token leaves at the first layer that is sure of it. `"last"`:
            only the last layer predicts.
        exit_criterion: what a layer is sure by in `"hard"` mode (see `criteria`). `"entropy"` (the paper): the entropy
            of the token's prediction, which takes a pass over the vocabulary. `"saturation"`: the cosine between the
            token's states before and behind the layer. `"classifier"`: a vector for each layer, whose weights the model
            has if this is its criterion (`exit_classifier.*`), and which have to be fitted.
        exit_threshold: in `"hard"` mode a token leaves below this entropy in nats, or at or above this confidence, the
            cosine or the classifier's probability (above 1: nobody leaves). By default 0.5, 0.95 and 0.9.
        gold_mixing: probability per position that soft training passes on the gold token instead of the prediction.
        mask_token_id: the id that fills the decoder's canvas. By default BART's `<mask>` (50264), or the vocabulary's
            last id when it has fewer words.
        canvas_length: most tokens of a text that the model was trained with, `generate`'s default `max_length`. By
            default 64, or as many as a smaller model's canvas has room for.
        alignment: how canvas positions and a text's tokens belong together. `"position"` (the paper): position t writes
            token t. `"dag"` (arXiv 2205.07459): positions are the vertices of a directed acyclic graph, a text is a
            path through it. `"ctc"` (Graves et al. 2006): positions write tokens or blanks, repeats are collapsed; the
            blank is `mask_token_id`.
        canvas_scale: positions of the canvas per token of `canvas_length`: 1 for `"position"`, 2 to 8 (by default 4)
            for the others, which need room to choose.
        canvas_input: what the decoder reads. `"mask"` (the paper): `<mask>` everywhere. `"source"`: the encoder's
            states, spread evenly over the canvas, are added to it (uniform copy, arXiv 1711.02281).
        copy_source: whether every exit mixes its distribution with one over the source's tokens (pointer-generator,
            arXiv 1704.04368).
        normalize_before: layer norms before attention and feed-forward instead of behind them (pre-norm), and one at
            the end of either stack. BART's order is behind; from random weights, before learns faster.
    """

    model_type = "elmer"

    encoder_layers: int = 6
    encoder_ffn_dim: int = 3072
    encoder_attention_heads: int = 12
    decoder_layers: int = 6
    decoder_ffn_dim: int = 3072
    decoder_attention_heads: int = 12
    d_model: int = 768
    activation_function: str = "gelu"
    dropout: float | int = 0.1
    attention_dropout: float | int = 0.0
    activation_dropout: float | int = 0.0
    pad_token_id: int = 1
    bos_token_id: int = 0
    eos_token_id: int = 2
    use_cache: bool = False
    exit_mode: Literal["soft", "hard", "last"] = "soft"
    exit_criterion: Literal["entropy", "saturation", "classifier"] = "entropy"
    exit_threshold: Derived[float | int] = LEFT
    gold_mixing: float | int = 0.3
    mask_token_id: Derived[int] = LEFT
    canvas_length: Derived[int] = LEFT
    alignment: Literal["position", "dag", "ctc"] = "position"
    canvas_scale: Derived[int | float] = LEFT
    canvas_input: Literal["mask", "source"] = "mask"
    copy_source: bool = False
    normalize_before: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.mask_token_id is None:
            self.mask_token_id = min(BART_MASK_TOKEN_ID, self.vocab_size - 1)
        if self.canvas_scale is None:
            self.canvas_scale = 1 if self.alignment == "position" else DEFAULT_CANVAS_SCALE
        least, most = (1, 1) if self.alignment == "position" else (LEAST_SCALE, MOST_SCALE)
        if not least <= self.canvas_scale <= most:
            allowed = "1" if most == 1 else f"from {least} to {most}"
            raise ValueError(f"canvas_scale is {allowed} for alignment={self.alignment}, not {self.canvas_scale}.")
        if self.canvas_length is None:
            self.canvas_length = min(DEFAULT_CANVAS_LENGTH, int(self.max_position_embeddings / self.canvas_scale))
        if not 0 <= self.gold_mixing <= 1:
            raise ValueError(f"gold_mixing is a probability between 0 and 1, not {self.gold_mixing}.")
        if self.exit_threshold is None:
            self.exit_threshold = EXIT_CRITERIA[self.exit_criterion]
        check_exit_threshold(self.exit_criterion, self.exit_threshold)
        if not 0 <= self.mask_token_id < self.vocab_size:
            raise ValueError(
                f"mask_token_id {self.mask_token_id} lies outside the vocabulary of {self.vocab_size} tokens."
            )

    def canvas_positions(self, length: int) -> int:
        """Return how many positions the canvas for texts of up to `length` tokens has."""
        return math.ceil(self.canvas_scale * length)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> "ElmerConfig":
        """Build it from a dictionary; what the caller names counts before anything is checked or derived.

        Another alignment than the dictionary's has its own usual `canvas_scale`, not that which belongs to the other;
        so has another exit criterion its `exit_threshold`.
        """
        named = {name: kwargs.pop(name) for name in cls.__annotations__ if name in kwargs}
        for choice, belonging in (("alignment", "canvas_scale"), ("exit_criterion", "exit_threshold")):
            stored = config_dict.get(choice, getattr(cls, choice))
            if named.get(choice, stored) != stored:
                config_dict = {name: value for name, value in config_dict.items() if name != belonging}
        return super().from_dict(config_dict | named, **kwargs)

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> tuple[dict[str, Any], dict]:
        """Read `config.json`, taking a BART configuration as that of an ELMER with BART's weights."""
        config, unused = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if config.get("model_type") == "bart":
            config["model_type"] = cls.model_type
            # The canvas replaces BART's token-by-token cache; a stored `use_cache: true` would only mislead.
            config.pop("use_cache", None)
        return config, unused
