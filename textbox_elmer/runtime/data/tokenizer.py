"""The tokenizer: a checkpoint's own, or one trained on the dataset, with the special tokens that its model needs."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from textbox_elmer.cache import cached, content_key
from textbox_elmer.errors import UserError, as_user_error, is_panic
from textbox_elmer.hub import hub_arguments
from textbox_elmer.model.sizes import check_config_file
from textbox_elmer.runtime.catalogue.model_spec import LANGUAGES, ModelSpec, frame_of
from textbox_elmer.runtime.data.folder import Split
from textbox_elmer.terminal import reason_of
from textbox_elmer.text.lines import references_of
from textbox_elmer.text.vocabulary import BART_LIKE, TEXT, SpecialTokens, learn_tokenizer

logger = logging.getLogger(__name__)

FORMAT = 4  # of the cached tokenizer
PROBE = "A text, 1 of 2."
# How transformers says that a tokenizer's files need a package; of tiktoken it speaks where sentencepiece would do.
MISSING = re.compile(
    r"(requires the |need to install )(?P<library>SentencePiece|rjieba|sacremoses)|`tiktoken` is required"
)


def build_tokenizer(
    config: Mapping[str, Any], spec: ModelSpec, sample: Callable[[], list[str]]
) -> PreTrainedTokenizerBase:
    """Load the tokenizer of `tokenizer_path`, else of `model_path`; without either, train one on `sample()`.

    Raises:
        UserError: it cannot be loaded, or `vocab_size` is too small.
    """
    path = config["tokenizer_path"] or config["model_path"]
    if path is None:
        logger.info("Training a tokenizer on %s", config["dataset"])
        return train_tokenizer(sample(), config["vocab_size"], special=_special_tokens(config, spec))
    tokenizer = load_tokenizer(str(path), **(config["tokenizer_kwargs"] or {}))
    form = spec.format
    added = {f"{role}_token": form.tokens[role] for role in form.lacking}
    tokenizer.add_special_tokens({name: token for name, token in added.items() if getattr(tokenizer, name) is None})
    if spec.causal and tokenizer.pad_token is None:
        # Padding is masked and never learnt from, so the end of a text can stand for it.
        tokenizer.pad_token = getattr(tokenizer, f"{form.end}_token")
    return tokenizer


def _special_tokens(config: Mapping[str, Any], spec: ModelSpec) -> SpecialTokens:
    form = spec.format
    before, after = ([form.token(role, config) for role in roles] for roles in frame_of(form.source))
    languages = [form.token(role, config) for role in LANGUAGES] if form.has_languages else []
    return SpecialTokens(form.tokens, (*before, TEXT, *after), tuple(dict.fromkeys(languages)))


def train_tokenizer(
    texts: list[str], vocab_size: int, cache_dir: Path | None = None, special: SpecialTokens = BART_LIKE
) -> PreTrainedTokenizerBase:
    """Learn a byte-level BPE of at most `vocab_size` tokens from some texts, or find it cached.

    Raises:
        UserError: a vocabulary too small for the 256 bytes.
    """

    def train() -> PreTrainedTokenizerBase:
        with as_user_error():
            return learn_tokenizer(texts, vocab_size, special)

    key = content_key(FORMAT, texts, vocab_size, list(special.roles.items()), special.frame, special.languages)
    return cached(f"tokenizer-{key}", cache_dir, train, lambda made, path: made.save_pretrained(path), _read)


def training_texts(train: Split) -> list[str]:
    """Return what a dataset's own tokenizer learns from: the training sources and all their references."""
    return train.source + [text for target in train.target for text in references_of(target)]


def load_tokenizer(name_or_path: str, **tokenizer_kwargs: Any) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or by its name on the hub; code that comes with it is never run.

    Raises:
        UserError: it is in neither place, its files are missing or damaged, it needs a package that is not installed,
            or its own code is asked for.
    """
    if tokenizer_kwargs.pop("trust_remote_code", False):
        raise UserError(
            "tokenizer_kwargs must not set trust_remote_code: code that comes with a tokenizer is never run."
        )
    if os.path.isfile(configuration := os.path.join(name_or_path, "config.json")):
        # The tokenizer's class may depend on it, and would be blamed for it.
        with as_user_error():
            check_config_file(Path(configuration))
    try:
        return _read(name_or_path, **tokenizer_kwargs, **hub_arguments(name_or_path))
    except BaseException as error:  # the Rust library raises plain Exception for a damaged file, or panics
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        if match := MISSING.search(str(error)):
            package = (match["library"] or "sentencepiece").lower()
            raise UserError(
                f"The tokenizer {name_or_path!r} needs the package {package}: pip install {package}."
            ) from error
        reason = reason_of(error).split(". ")[0].rstrip(".")
        if os.path.isdir(name_or_path):  # unlike Path.is_dir, this raises nothing for an overlong name
            raise UserError(
                f"No tokenizer can be read from {name_or_path!r}, where tokenizer files are missing or damaged "
                f"({reason}): give a folder with tokenizer files by --tokenizer_path."
            ) from error
        raise UserError(
            f"No tokenizer can be read from {name_or_path!r}, which is no local folder, nor does the hub offer or "
            f"answer it ({reason}): give a folder with tokenizer files by --tokenizer_path, or connect, with "
            "`hf auth login` if it is private."
        ) from error


def _read(name_or_path: str | Path, **arguments: Any) -> PreTrainedTokenizerBase:
    # Left unset, trust_remote_code would make transformers ask on the terminal whether to run such code.
    tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=False, **arguments)
    # Where config.json stands alone, transformers makes up a tokenizer of special tokens and at most a blank.
    if len(tokenizer.get_vocab().keys() - tokenizer.get_added_vocab().keys()) <= 1:
        raise ValueError("there is no vocabulary")
    tokenizer(PROBE)
    return tokenizer
