"""From texts to ids, as TextBox makes them: truncated, with prompts, in the tokenizer's own frame."""

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from textbox_elmer.runtime.data.cache import cached, content_key
from textbox_elmer.runtime.data.folder import Split
from textbox_elmer.runtime.errors import UserError

FORMAT = 1  # of the cached ids
BATCH = 2000  # texts
LONG = 5000  # texts, from which on a bar shows


def special_token_frame(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the special ids that a tokenizer's post-processor puts before and after a single text.

    Transformers 5 has no `build_inputs_with_special_tokens`; the frame is read off an encoded text instead.
    """
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    framed = tokenizer("a", add_special_tokens=True)["input_ids"]
    for start in range(len(framed) - len(bare) + 1):
        if framed[start : start + len(bare)] == bare:
            return framed[:start], framed[start + len(bare) :]
    raise UserError(f"The tokenizer {tokenizer.name_or_path!r} changes a text's own ids when it adds special tokens.")


def encode_split(
    split: Split, tokenizer: PreTrainedTokenizerBase, config: Mapping[str, Any], cache_dir: Any = None
) -> datasets.Dataset:
    """Tokenize a split once; later calls map the ids from disk.

    Args:
        split: its texts; of several references the first is the target, of none the empty text.
        tokenizer: any fast tokenizer.
        config: `src_len`, `tgt_len`, `truncate`, `prefix_prompt`, `suffix_prompt`.
        cache_dir: where ids are kept, by default inside `datasets`' own cache.

    Returns:
        a dataset with columns `source_ids` and `target_ids`, lists of ids with their special tokens.

    Raises:
        UserError: prompts and special tokens leave no room for the text.
    """
    targets = [target if isinstance(target, str) else (target or [""])[0] for target in split.target]
    keys = ("src_len", "tgt_len", "truncate", "prefix_prompt", "suffix_prompt")
    settings = {key: config.get(key) for key in keys}
    prompts = [_ids([settings[key] or ""], tokenizer)[0] for key in ("prefix_prompt", "suffix_prompt")]
    first, last = special_token_frame(tokenizer)
    source_room = settings["src_len"] - len(first) - len(last) - sum(map(len, prompts))
    target_room = settings["tgt_len"] - len(first) - len(last)
    if source_room < 1:
        raise UserError(
            f"src_len={settings['src_len']} leaves no room for a text beside {sum(map(len, prompts))} tokens of "
            f"prompts and {len(first) + len(last)} special tokens: raise --src_len or shorten the prompts."
        )
    if target_room < 1:
        raise UserError(
            f"tgt_len={settings['tgt_len']} leaves no room for a text beside {len(first) + len(last)} special tokens: "
            "raise --tgt_len."
        )
    kept = slice(None, source_room), slice(None, target_room)
    if settings["truncate"] == "head":
        kept = slice(-source_room, None), slice(-target_room, None)
    frames = (first + prompts[0], prompts[1] + last), (first, last)

    def encode() -> datasets.Dataset:
        columns = {"source_ids": split.source, "target_ids": targets}
        encoded = {}
        for (name, texts), (before, after), part in zip(columns.items(), frames, kept, strict=True):
            ids = _ids(texts, tokenizer, bar=f"{split.name} {name.removesuffix('_ids')}")
            encoded[name] = [before + row[part] + after for row in ids]
        features = datasets.Features({name: datasets.List(datasets.Value("int32")) for name in encoded})
        return datasets.Dataset.from_dict(encoded, features=features)

    key = content_key(FORMAT, split.source, targets, _fingerprint(tokenizer), settings)
    return cached(
        f"ids-{key}", cache_dir, encode, lambda ids, folder: ids.save_to_disk(folder), datasets.load_from_disk
    )


def _ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, bar: str = "") -> list[list[int]]:
    ids: list[list[int]] = []
    starts = range(0, len(texts), BATCH)
    for start in tqdm(starts, desc=f"tokenize {bar}", disable=True if len(texts) < LONG else None):
        batch = list(texts[start : start + BATCH])
        encoded = tokenizer(
            batch, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
        )
        ids += encoded["input_ids"]
    return ids


def _fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return all that decides a tokenizer's ids."""
    return tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else repr(tokenizer)
