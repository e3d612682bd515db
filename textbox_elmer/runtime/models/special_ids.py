"""A format in the ids of a tokenizer."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.model_spec import LANGUAGES, ModelSpec, frame_of
from textbox_elmer.suggest import nearest
from textbox_elmer.text.frames import Frame

# What tokenizers of BERT's kind have instead, for models such as fnlp/bart-base-chinese.
ALIASES = {"bos": "cls", "eos": "sep"}
CODE = r"[a-z]{2,3}(_[A-Za-z]+)?"  # en, en_XX, eng_Latn
FEW = 6


@dataclass(frozen=True)
class SpecialIds:
    """The ids of a format's special tokens.

    Attributes:
        source, target: ids before and after a text.
        start: what the decoder starts from, None for a causal model.
        forced: the first id of each generated text, None if it is free.
        end: what ends a text.
    """

    source: Frame
    target: Frame
    start: int | None
    forced: int | None
    end: int


def special_ids(spec: ModelSpec, tokenizer: PreTrainedTokenizerBase, config: Mapping[str, Any]) -> SpecialIds:
    """Return a model's format in a tokenizer's ids; `config` names the languages.

    Raises:
        UserError: the tokenizer lacks a token of the format, or knows no such language.
    """

    def frame(template: str) -> Frame:
        before, after = ([_id(role, spec, tokenizer, config) for role in roles] for roles in frame_of(template))
        return before, after

    form = spec.format
    start, forced = (None if role is None else _id(role, spec, tokenizer, config) for role in (form.start, form.forced))
    return SpecialIds(frame(form.source), frame(form.target), start, forced, _id(form.end, spec, tokenizer, config))


def check_languages(config: Mapping[str, Any], spec: ModelSpec) -> None:
    """Raise a UserError if a language that the model's format names is not given."""
    for role in LANGUAGES if spec.format.has_languages else ():
        if not config[role]:
            raise UserError(
                f"{spec.name} tells languages by their codes, and {role} is not given: give --{role}=<code>, as the "
                "model's tokenizer spells it."
            )


def _id(role: str, spec: ModelSpec, tokenizer: PreTrainedTokenizerBase, config: Mapping[str, Any]) -> int:
    if role in LANGUAGES:
        return _language_id(role, spec, tokenizer, config)
    found = getattr(tokenizer, f"{role}_token_id", None)
    if found is None and role in ALIASES:
        found = getattr(tokenizer, f"{ALIASES[role]}_token_id", None)
    if found is None:
        raise UserError(
            f"The tokenizer {tokenizer.name_or_path!r} has no {role} token, which {spec.name}'s texts need: give "
            "another by --tokenizer_path."
        )
    return found


def _language_id(role: str, spec: ModelSpec, tokenizer: PreTrainedTokenizerBase, config: Mapping[str, Any]) -> int:
    check_languages(config, spec)
    token = spec.format.token(role, config)
    found = tokenizer.convert_tokens_to_ids(token)
    if isinstance(found, int) and found != tokenizer.unk_token_id:
        return found
    known = _languages(spec, [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()])
    if not known:
        raise UserError(
            f"The tokenizer {tokenizer.name_or_path!r} knows no language's code, which {spec.name}'s texts need: give "
            "another by --tokenizer_path."
        )
    shown = ", ".join(known[:FEW]) + (" and others" if len(known) > FEW else "")
    guess = next((code for code in known if code.startswith(config[role])), None) or nearest(config[role], known)
    hint = f"did you mean {guess}? " if guess else ""
    raise UserError(f"{role} is {config[role]!r}, which the tokenizer does not know: {hint}It knows {shown}.")


def _languages(spec: ModelSpec, tokens: Iterable[str]) -> list[str]:
    spelling = re.compile(re.escape(spec.format.language).replace(r"\{\}", f"(?P<code>{CODE})"))
    return sorted({match["code"] for match in map(spelling.fullmatch, tokens) if match})
