"""ELMER's configuration: BART's fields and four of its own."""

from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import BartConfig

BART_MASK_TOKEN_ID = 50264
DEFAULT_CANVAS_LENGTH = 64


@strict
class ElmerConfig(BartConfig):
    """Configuration of an ELMER model (arXiv 2210.13304); the defaults are ELMER-base, which has BART-base's sizes.

    A BART-format `config.json` (`model_type: bart`) loads as it is. Fields beside BART's:

    Attributes:
        exit_mode: where tokens are predicted. `"soft"`: every layer predicts and passes its prediction on to the next
            layer, the last layer's counts. `"hard"`: a token leaves at the first layer that is sure of it. `"last"`:
            only the last layer predicts.
        exit_threshold: entropy in nats below which a token leaves in `"hard"` mode.
        gold_mixing: probability per position that soft training passes on the gold token instead of the prediction.
        mask_token_id: the id that fills the decoder's canvas. By default BART's `<mask>` (50264), or the vocabulary's
            last id when it has fewer words.
        canvas_length: positions of the canvas that the model was trained with, `generate`'s default `max_length`. By
            default 64, or all positions of a smaller model.
    """

    model_type = "elmer"

    encoder_layers: int | None = 6
    encoder_ffn_dim: int | None = 3072
    encoder_attention_heads: int | None = 12
    decoder_layers: int | None = 6
    decoder_ffn_dim: int | None = 3072
    decoder_attention_heads: int | None = 12
    d_model: int | None = 768
    use_cache: bool = False
    exit_mode: Literal["soft", "hard", "last"] = "soft"
    exit_threshold: float | int = 0.5
    gold_mixing: float | int = 0.3
    mask_token_id: int | None = None
    canvas_length: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.mask_token_id is None:
            self.mask_token_id = min(BART_MASK_TOKEN_ID, self.vocab_size - 1)
        if self.canvas_length is None:
            self.canvas_length = min(DEFAULT_CANVAS_LENGTH, self.max_position_embeddings)
        if not 0 <= self.gold_mixing <= 1:
            raise ValueError(f"gold_mixing is a probability between 0 and 1, not {self.gold_mixing}.")
        if self.exit_threshold < 0:
            raise ValueError(f"exit_threshold is an entropy in nats, 0 or more, not {self.exit_threshold}.")
        if not 0 <= self.mask_token_id < self.vocab_size:
            raise ValueError(
                f"mask_token_id {self.mask_token_id} lies outside the vocabulary of {self.vocab_size} tokens."
            )

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> tuple[dict[str, Any], dict]:
        """Read `config.json`, taking a BART configuration as that of an ELMER with BART's weights."""
        config, unused = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if config.get("model_type") == "bart":
            config["model_type"] = cls.model_type
            # The canvas replaces BART's token-by-token cache; a stored `use_cache: true` would only mislead.
            config.pop("use_cache", None)
        return config, unused
