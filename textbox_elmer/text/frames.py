"""The special tokens that a tokenizer puts around texts.

Transformers 5 has no `build_inputs_with_special_tokens`: what stands around a text is read off an encoded one instead.
"""

from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import UserError

PROBE = "a 1 一"  # a text of which any vocabulary knows something
Frame = tuple[list[int], list[int]]  # ids before and after a text


def special_token_frame(tokenizer: PreTrainedTokenizerBase) -> Frame:
    """Return the special ids that a tokenizer's post-processor puts before and after a single text.

    Raises:
        UserError: the tokenizer leaves nothing of a text, or changes its ids when it adds special tokens.
    """
    before, after = _around(tokenizer, 1)
    return before, after


def build_inputs_with_special_tokens(
    tokenizer: PreTrainedTokenizerBase, token_ids_0: list[int], token_ids_1: list[int] | None = None
) -> list[int]:
    """Return a text's ids, or those of a pair, with the special ids that the tokenizer's post-processor puts around.

    A short text is encoded each time, since setting a language, say, changes the post-processor.

    Raises:
        UserError: as `special_token_frame`.
    """
    texts = [token_ids_0] if token_ids_1 is None else [token_ids_0, token_ids_1]
    before, *behind = _around(tokenizer, len(texts))
    return before + [token for text, after in zip(texts, behind, strict=True) for token in (*text, *after)]


def _around(tokenizer: PreTrainedTokenizerBase, texts: int) -> list[list[int]]:
    """Return the special ids before the first of some texts that are encoded together, and behind each."""
    bare = tokenizer(PROBE, add_special_tokens=False)["input_ids"]
    framed = tokenizer(*[PROBE] * texts, add_special_tokens=True)["input_ids"]
    around, end = [], 0
    for start in range(len(framed) - len(bare) + 1):
        if bare and start >= end and framed[start : start + len(bare)] == bare:
            around.append(framed[end:start])
            end = start + len(bare)
    if len(around) != texts:
        raise UserError(
            f"The tokenizer {tokenizer.name_or_path!r} does not encode a text and put special tokens around it: "
            "give another by --tokenizer_path."
        )
    return [*around, framed[end:]]
