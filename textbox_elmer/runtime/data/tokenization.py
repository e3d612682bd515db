"""From texts to ids, as TextBox makes them: truncated, with prompts, in the tokenizer's own frame."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
from pyarrow import compute
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from textbox_elmer.cache import cached, content_key
from textbox_elmer.errors import UserError, is_panic
from textbox_elmer.runtime.data.folder import Split
from textbox_elmer.terminal import reason_of
from textbox_elmer.text.frames import Frame, special_token_frame
from textbox_elmer.text.lines import references_of

FORMAT = 1  # of the cached ids
BATCH = 2000  # texts
LONG = 5000  # texts, from which on a bar shows
COLUMNS = datasets.Features({name: datasets.List(datasets.Value("int32")) for name in ("source_ids", "target_ids")})


class Encoded(NamedTuple):
    """Texts as ids.

    Attributes:
        ids: each text's, with the special tokens around them.
        cut: how many of each text's own tokens were left out, for want of room.
    """

    ids: list[list[int]]
    cut: list[int]


class TextEncoder:
    """Turns texts into ids as a configuration has them: cut to their lengths, between prompts and special tokens.

    Args:
        tokenizer: any; a fast one uses all cores.
        config: `src_len`, `tgt_len`, and, if wanted, `truncate` ("tail", the default, or "head"), `prefix_prompt`,
            `suffix_prompt`.
        frames: ids before and after each source, and before and after each target; by default the tokenizer's own.

    Attributes:
        settings: what decides the ids besides the texts, the tokenizer and the frames.
        frames: as given or found.

    Raises:
        UserError: prompts and special tokens leave no room for the text, or `truncate` is neither end.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, config: Mapping[str, Any], frames: tuple[Frame, Frame] | None = None
    ) -> None:
        settings: dict[str, Any] = {key: config.get(key) or "" for key in ("prefix_prompt", "suffix_prompt")}
        prompts = [_ids([prompt], tokenizer)[0] for prompt in settings.values()]
        settings |= {key: config[key] for key in ("src_len", "tgt_len")} | {
            "truncate": config.get("truncate") or "tail"
        }
        if settings["truncate"] not in ("tail", "head"):
            raise UserError(f"truncate must be one of tail, head, not {settings['truncate']!r}.")
        frames = frames or (special_token_frame(tokenizer),) * 2
        specials = [len(before) + len(after) for before, after in frames]
        source_room = settings["src_len"] - specials[0] - sum(map(len, prompts))
        target_room = settings["tgt_len"] - specials[1]
        if source_room < 1:
            raise UserError(
                f"src_len={settings['src_len']} leaves no room for a text beside {sum(map(len, prompts))} tokens of "
                f"prompts and {specials[0]} special tokens: raise --src_len or shorten the prompts."
            )
        if target_room < 1:
            raise UserError(
                f"tgt_len={settings['tgt_len']} leaves no room for a text beside {specials[1]} special tokens: "
                "raise --tgt_len."
            )
        self.settings, self.frames, self._tokenizer = settings, frames, tokenizer
        self._source_frame, self._source_room = (frames[0][0] + prompts[0], prompts[1] + frames[0][1]), source_room
        self._target_frame, self._target_room = frames[1], target_room

    def sources(self, texts: Sequence[str]) -> Encoded:
        """Return what a model reads."""
        return self._framed(_ids(texts, self._tokenizer), self._source_frame, self._source_room)

    def targets(self, texts: Sequence[str]) -> Encoded:
        """Return what a model learns to write."""
        return self._framed(_ids(texts, self._tokenizer, are_targets=True), self._target_frame, self._target_room)

    def _framed(self, rows: Sequence[list[int]], frame: Frame, room: int) -> Encoded:
        before, after = frame
        kept = slice(-room, None) if self.settings["truncate"] == "head" else slice(None, room)
        return Encoded([before + row[kept] + after for row in rows], [max(len(row) - room, 0) for row in rows])


def encode_split(
    split: Split,
    tokenizer: PreTrainedTokenizerBase,
    config: Mapping[str, Any],
    cache_dir: Path | None = None,
    frames: tuple[Frame, Frame] | None = None,
) -> datasets.Dataset:
    """Tokenize a split once; later calls map the ids from disk.

    Args:
        split: its texts; of several references the first is the target.
        tokenizer, config, frames: as `TextEncoder` takes them.
        cache_dir: where ids are kept, by default inside `datasets`' own cache.

    Returns:
        a dataset with columns `source_ids` and `target_ids`, lists of ids with their special tokens.

    Raises:
        UserError: prompts and special tokens leave no room for the text, or `truncate` is neither end.
    """
    targets = [references_of(target)[0] for target in split.target]
    encoder = TextEncoder(tokenizer, config, frames)
    sides = (encoder.sources, split.source), (encoder.targets, targets)

    def encode() -> datasets.Dataset:
        batches = []  # in Arrow's 4 bytes an id: a list's 36 would not fit into memory for a large corpus
        starts = range(0, len(targets), BATCH)
        for start in tqdm(starts, desc=f"tokenize {split.name}", disable=None if len(targets) > LONG else True):
            batch = {
                name: side(texts[start : start + BATCH]).ids for name, (side, texts) in zip(COLUMNS, sides, strict=True)
            }
            batches.append(datasets.Dataset.from_dict(batch, features=COLUMNS))
        return datasets.concatenate_datasets(batches)

    def load(folder: Path) -> datasets.Dataset:
        ids = datasets.load_from_disk(folder)
        if len(ids) != len(targets):  # an Arrow file cut between two of its batches reads as a shorter one
            raise ValueError(f"{len(ids)} rows instead of {len(targets)}")
        return ids

    key = content_key(FORMAT, split.source, targets, fingerprint(tokenizer), encoder.settings, encoder.frames)
    return cached(f"ids-{key}", cache_dir, encode, lambda ids, folder: ids.save_to_disk(folder), load)


def source_lengths(ids: datasets.Dataset) -> np.ndarray:
    """Return the number of tokens of each source of an encoded split, `[examples]`."""
    return compute.list_value_length(ids.data.column("source_ids")).to_numpy()


def _ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, are_targets: bool = False) -> list[list[int]]:
    options = {"add_special_tokens": False, "return_attention_mask": False, "return_token_type_ids": False}
    # Marian's cuts each of two languages by its own model.
    given = {"text_target" if are_targets and hasattr(tokenizer, "spm_target") else "text": texts}
    try:
        return tokenizer(**given, verbose=False, **options)["input_ids"]
    except BaseException as error:
        if type(error) is not Exception and not is_panic(error):  # what the Rust library raises
            raise
        raise UserError(
            f"The tokenizer {tokenizer.name_or_path!r} stops over a text ({reason_of(error)}): its tokenizer.json asks "
            "for what cannot be done; give another by --tokenizer_path."
        ) from error


def fingerprint(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return all that decides a tokenizer's ids."""
    if tokenizer.is_fast:
        return [tokenizer.backend_tokenizer.to_str()]
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return [f"{path.name} {path.read_bytes().hex()}" for path in sorted(Path(folder).iterdir())]
