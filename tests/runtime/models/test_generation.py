"""What generation reads is what training reads: the same start, positions, padding and end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from tests.conftest import WORDS
from tests.runtime.models.peers import FORMATS, tiny_peer
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import Config, resolve_config
from textbox_elmer.runtime.data import CausalCollator, Split, encode_split
from textbox_elmer.runtime.data.collators import fine_tuning_collator, prompts
from textbox_elmer.runtime.data.tokenizer import build_tokenizer
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.models.generation import generate_ids
from textbox_elmer.runtime.models.special_ids import special_ids

SOURCES = ["alpha beta gamma delta epsilon zeta", "eta", "theta iota kappa"]
GREEDY = {"num_beams": 1, "do_sample": False}


def made(model: str, **changes: Any) -> tuple[Config, PreTrainedTokenizerBase, PreTrainedModel]:
    """Return a model with random weights, large enough to tell inputs apart, and its tokenizer."""
    config = resolve_config(model, "toy", None, tiny_peer(model, generation_kwargs=GREEDY, **changes))
    spec = find_model(model)
    tokenizer = build_tokenizer(config, spec, lambda: WORDS)
    set_seed(1)
    built = build_model(config, spec, tokenizer).eval()
    for name, weight in built.named_parameters():
        if weight.dim() > 1 and weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.3 if "embed" in name else 0.2)
    return config, tokenizer, built


def examples(config: Config, tokenizer: PreTrainedTokenizerBase, folder: Path) -> list[dict[str, Any]]:
    special = special_ids(find_model(config.model), tokenizer, config)
    split = Split("test", SOURCES, ["alpha"] * len(SOURCES))
    return list(encode_split(split, tokenizer, config, folder, (special.source, special.target)))


def generated(config: Config, model: PreTrainedModel, collate: Callable, rows: list[dict[str, Any]]) -> Tensor:
    batch = collate(rows)
    source, mask = batch["input_ids"], batch["attention_mask"]
    if isinstance(collate, CausalCollator):
        source, mask = prompts(batch, collate.pad_token_id)
    return generate_ids(model, find_model(config.model), config, source, mask).ids


@pytest.mark.parametrize("name", FORMATS)
def test_a_text_does_not_depend_on_what_stands_beside_it(tmp_path: Path, name: str) -> None:
    config, tokenizer, model = made(name)
    collate = fine_tuning_collator(config, find_model(name), tokenizer)
    rows = examples(config, tokenizer, tmp_path)
    together = tokenizer.batch_decode(generated(config, model, collate, rows), skip_special_tokens=True)
    alone = [tokenizer.decode(generated(config, model, collate, [row])[0], skip_special_tokens=True) for row in rows]
    assert together == alone
    assert not any(source in text for source, text in zip(SOURCES, together, strict=True))


# In transformers, the positions that ProphetNet's predicting stream sees depend on how many tokens it reads at once.
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "ProphetNet"])
def test_training_predicts_what_generation_writes(tmp_path: Path, name: str) -> None:
    """Read as a target behind the same source, each token of a generated text is the likeliest one."""
    config, tokenizer, model = made(name)
    spec = find_model(name)
    special = special_ids(spec, tokenizer, config)
    collate = fine_tuning_collator(config, spec, tokenizer)
    for row in examples(config, tokenizer, tmp_path):
        written = generated(config, model, collate, [row])[0].tolist()
        target = written if spec.causal else written[1:]
        assert spec.causal or written[0] == special.start
        assert special.forced in (None, target[0])
        batch = collate([row | {"target_ids": target + special.target[1][1:]}])
        with torch.no_grad():
            logits = model(**batch).logits[0]
        likeliest = logits.argmax(-1).tolist()
        likeliest = likeliest[len(row["source_ids"]) - 1 :] if spec.causal else likeliest
        free = slice(0 if special.forced is None else 1, len(target) - 1)  # the last one may be forced to end the text
        assert likeliest[free] == target[free]


@pytest.mark.parametrize("name", FORMATS)
def test_weights_that_learn_nothing_are_told(tmp_path: Path, name: str) -> None:
    """Several processes must know of them."""
    config, tokenizer, model = made(name)
    collate = fine_tuning_collator(config, find_model(name), tokenizer)
    model(**collate(examples(config, tokenizer, tmp_path))).logits.sum().backward()
    idle = [name for name, weight in model.named_parameters() if weight.requires_grad and weight.grad is None]
    assert bool(idle) == find_model(name).idle_weights, idle


def test_lengths_count_the_text_alone(tmp_path: Path) -> None:
    config, tokenizer, model = made("GPT-2", tgt_len=4)
    collate = fine_tuning_collator(config, find_model("GPT-2"), tokenizer)
    rows = examples(config, tokenizer, tmp_path)
    assert generated(config, model, collate, rows).shape == (3, 4)
    longer = resolve_config("GPT-2", "toy", None, dict(config) | {"generation_kwargs": GREEDY | {"max_length": 6}})
    assert generated(longer, model, collate, rows).shape == (3, 6)
