"""BART in CTranslate2, the fastest token-by-token peer on a CPU."""

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import BartForConditionalGeneration

from textbox_elmer.errors import UserError


class Vocabulary:
    """What the converter asks of a tokenizer, for a vocabulary whose words are their ids."""

    bos_token, eos_token, unk_token = "0", "2", "3"

    def __init__(self, size: int) -> None:
        self.size = size

    def get_vocab(self) -> dict[str, int]:
        """Return all words with their ids."""
        return {str(number): number for number in range(self.size)}

    def convert_ids_to_tokens(self, number: int) -> str:
        """Return an id's word."""
        return str(number)


def check_installed() -> None:
    """Raise a UserError if CTranslate2 is not installed."""
    if importlib.util.find_spec("ctranslate2") is None:
        raise UserError(
            "CTranslate2 is missing: `pip install ctranslate2`, or go without it: --rows=bart,last,soft,hard,onnx."
        )


def load(bart: BartForConditionalGeneration, precision: str, device: torch.device) -> Callable[..., object]:
    """Convert a BART to CTranslate2 at a precision ("float32", "int8", …).

    Returns:
        a function of `input_ids` `[batch, source_length]`, `beams` and `length` that writes that many tokens.
    """
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    class FromMemory(TransformersConverter):
        def load_model(self, *args: object, **options: object) -> BartForConditionalGeneration:
            return bart

        def load_tokenizer(self, *args: object, **options: object) -> Vocabulary:
            return Vocabulary(bart.config.vocab_size)

    # BART's shape, which transformers 5 no longer writes into its configuration.
    for name, value in {"normalize_before": False, "normalize_embedding": True}.items():
        setattr(bart.config, name, value)
    for name in ("add_final_layer_norm", "add_bias_logits"):
        setattr(bart.config, name, False)
    with tempfile.TemporaryDirectory() as folder:
        bart.config.save_pretrained(folder)
        converted = Path(folder) / "converted"
        FromMemory(folder).convert(str(converted), quantization=precision)
        translator = ctranslate2.Translator(
            str(converted), device=device.type, compute_type=precision, intra_threads=torch.get_num_threads()
        )

    def write(input_ids: torch.Tensor, beams: int, length: int) -> object:
        sources = [[str(token) for token in row] for row in input_ids.tolist()]
        limits = {"min_decoding_length": length, "max_decoding_length": length}
        return translator.translate_batch(sources, beam_size=beams, max_batch_size=len(sources), **limits)

    return write
