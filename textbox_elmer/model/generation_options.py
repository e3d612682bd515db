"""What `generate` may be asked for, checked before anything is computed."""

from collections.abc import Mapping
from typing import Any

from transformers import GenerationConfig

from .configuration import EXIT_CRITERIA, ElmerConfig, check_exit_threshold
from .writing import DECODINGS

EXIT_MODES = ("soft", "hard", "last")
DEFAULT_BEAMS = 5
EXITS = ("exit_mode", "exit_criterion", "exit_threshold")
OURS = ("max_length", "max_new_tokens", *EXITS, "decoding", "num_beams", "length_penalty")
# Options of transformers' generate() that mean nothing to parallel decoding, and the values that ask for nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "do_sample": (False,),
    "early_stopping": (False,),
    "num_beam_groups": (1,),
    "num_return_sequences": (1,),
    "temperature": (1.0,),
    "top_k": (0, 50),
    "top_p": (1.0,),
    "typical_p": (1.0,),
    "repetition_penalty": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "diversity_penalty": (0.0,),
    "no_repeat_ngram_size": (0,),
    "encoder_no_repeat_ngram_size": (0,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "use_cache": (False, True),
    "output_attentions": (False,),
    "output_hidden_states": (False,),
    "output_logits": (False,),
    "remove_invalid_values": (False, True),
    "renormalize_logits": (False, True),
    "synced_gpus": (False,),
    "logits_processor": ([],),
    "stopping_criteria": ([],),
}
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
# What a `GenerationConfig` says of itself.
ABOUT = ("transformers_version", "_from_model_config", "decoder_start_token_id", "forced_eos_token_id")


class GenerationOptions:
    """The options of one call: those given by name, then a `GenerationConfig`'s, then the model's or the usual ones.

    Args:
        config: the model's.
        generation_config: transformers' object for the same purpose, of which what is set counts.
        given: what was given by name; None says nothing.

    Raises:
        ValueError: a value or a combination that means nothing, or an option that means nothing to parallel decoding
            with a value that asks for something, in one sentence.
    """

    def __init__(self, config: ElmerConfig, generation_config: GenerationConfig | None = None, **given: Any) -> None:
        self.config = config
        of_config = {} if generation_config is None else generation_config.to_diff_dict()
        said = {name: value for name, value in (of_config | _set(given)).items() if name not in ABOUT}
        self.return_dict = bool(said.pop("return_dict_in_generate", False))
        self.scored = bool(said.pop("output_scores", False)) and self.return_dict
        _refuse_unknown({name: value for name, value in said.items() if name not in OURS}, config)
        self.exit_mode = _one_of("exit_mode", said.get("exit_mode", config.exit_mode), EXIT_MODES)
        if "max_length" in said and "max_new_tokens" in said:
            raise ValueError("max_length and max_new_tokens both say how long a text may be: give one of them.")
        self.max_length = said.get("max_length", said.get("max_new_tokens", config.canvas_length))
        self._check_length()
        self._choose_exit(said)
        self.decoding = said.get("decoding", "lookahead")
        walk: dict[str, Any] = {
            name: said[name] for name in ("decoding", "num_beams", "length_penalty") if name in said
        }
        if self.decoding != "beam":  # one beam, and no penalty, is what every other way of decoding has
            walk = {name: value for name, value in walk.items() if name == "decoding" or not _is(value, 1)}
        self._check_walk(walk)
        self.num_beams, self.length_penalty = walk.get("num_beams", DEFAULT_BEAMS), walk.get("length_penalty", 1.0)

    def _choose_exit(self, said: Mapping[str, Any]) -> None:
        own = self.config.exit_criterion
        criterion = _one_of("exit_criterion", said.get("exit_criterion", own), tuple(EXIT_CRITERIA))
        if criterion == "classifier" and own != criterion:
            raise ValueError(
                "exit_criterion=classifier is for models that have a classifier, and this one has none: give entropy "
                "or saturation."
            )
        usual = self.config.exit_threshold if criterion == own else EXIT_CRITERIA[criterion]
        self.exit_criterion, self.exit_threshold = criterion, said.get("exit_threshold", usual)
        check_exit_threshold(criterion, self.exit_threshold)

    def _check_length(self) -> None:
        limit, scale = self.config.max_position_embeddings, self.config.canvas_scale
        if not isinstance(self.max_length, int):
            raise ValueError(f"max_length is a whole number of tokens, not {self.max_length!r}.")
        if self.max_length < 1 or self.config.canvas_positions(self.max_length) > limit:
            times = "" if scale == 1 else f", {scale} for each token"
            raise ValueError(f"max_length {self.max_length} lies outside the decoder's 1 to {limit} positions{times}.")

    def _check_walk(self, said: Mapping[str, Any]) -> None:
        named = list(said)
        if named and self.config.alignment != "dag":
            raise ValueError(
                f"{named[0]} is for models with alignment=dag; this one has alignment={self.config.alignment}, which "
                "writes in one way: leave it out."
            )
        _one_of("decoding", self.decoding, DECODINGS)
        if named and self.decoding != "beam" and named != ["decoding"]:
            raise ValueError(f"{named[-1]} is for decoding=beam, not for {self.decoding}: give that, or leave it out.")
        num_beams, length_penalty = said.get("num_beams", 1), said.get("length_penalty", 1.0)
        if not isinstance(num_beams, int) or num_beams < 1:
            raise ValueError(f"num_beams is a whole number, 1 or more, not {num_beams!r}.")
        if not isinstance(length_penalty, int | float):
            raise ValueError(f"length_penalty is a number, not {length_penalty!r}.")


def _set(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _is(value: Any, neutral: Any) -> bool:
    return type(value) in (bool, int, float, list) and value == neutral


def _refuse_unknown(options: Mapping[str, Any], config: ElmerConfig) -> None:
    """Raise a ValueError that names options which ask for what parallel decoding does not do."""
    ids = {name: (getattr(config, name),) for name in SPECIAL_IDS}
    known = NEUTRAL | ids
    bad = [name for name, value in options.items() if not any(_is(value, known_) for known_ in known.get(name, ()))]
    if bad:
        raise ValueError(
            f"generate() has no option {', '.join(sorted(bad))}: ELMER writes all tokens at once, so options "
            "of token-by-token decoding (sampling, n-gram blocking, …) mean nothing to it."
        )


def _one_of(name: str, value: str, words: tuple[str, ...]) -> str:
    if value not in words:
        raise ValueError(f"{name} is one of {', '.join(words)}, not {value!r}.")
    return value
