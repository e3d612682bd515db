"""Texts of made-up words, and models with random weights that read them, ready to write."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from textbox_elmer.bench.planted_weights import plant
from textbox_elmer.bench.sizes import sizes_of
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import resolve_config
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.models.generation import prepared
from textbox_elmer.runtime.models.special_ids import special_ids
from textbox_elmer.runtime.trained import TrainedModel
from textbox_elmer.text.vocabulary import learn_tokenizer

# The published ELMER, whose texts can be planted.
PUBLISHED = {"alignment": "position", "canvas_scale": 1, "copy_source": False, "normalize_before": False}
WORDS, VOCABULARY = 5000, 8000


def made_up_texts(count: int, longest: int) -> list[str]:
    """Return texts of 20 words to half as many as the tokens of the longest."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghilmnoprstuvy", k=draw.randint(2, 9))) for _ in range(WORDS)]
    return [" ".join(draw.choices(words, k=draw.randint(20, max(longest // 2, 20)))) for _ in range(count)]


def planted_elmer(settings: Mapping[str, Any], texts: Sequence[str]) -> TrainedModel:
    """Return an ELMER with soft exit which writes `output` tokens for every text.

    Args:
        settings: `layers`, `d_model`, `src_len`, `tgt_len`, `output`, `device` and, if it is to be larger than the
            tokenizer's, `vocab_size`.
        texts: those that its tokenizer is learnt of.
    """
    return made_up_model("ELMER", settings, texts, {"init_std": 0.02, "exit_mode": "soft", **PUBLISHED}, plants=True)


def made_up_model(
    name: str, settings: Mapping[str, Any], texts: Sequence[str], changes: Mapping[str, Any], plants: bool = False
) -> TrainedModel:
    """Return a model with random weights.

    Args:
        name: as `--model` calls it.
        settings, texts: as `planted_elmer` takes them.
        changes: further values of its configuration.
        plants: whether its texts shall end where `settings` say.
    """
    sizes = sizes_of(settings) | {key: settings[key] for key in ("src_len", "tgt_len")}
    config = resolve_config(name, "", config_dict=sizes | dict(changes))
    spec, tokenizer = find_model(name), learn_tokenizer(texts, VOCABULARY)
    torch.manual_seed(0)
    model = build_model(config, spec, tokenizer).eval()
    if settings.get("vocab_size", 0) > len(tokenizer):
        model.resize_token_embeddings(settings["vocab_size"], mean_resizing=False)
    if plants:
        plant(model, settings["output"], settings["tgt_len"])
    model.to(settings["device"])
    prepared(model)  # for good, as the command's
    return TrainedModel(spec, config, tokenizer, special_ids(spec, tokenizer, config), model)
