"""A tokenizer for training from scratch: a byte-level BPE learnt from the dataset's own texts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AddedToken, PreTrainedTokenizerFast

TEXT = "$A"
MOST_TOKENS = 10**6


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens of a tokenizer made from scratch.

    Attributes:
        roles: each role's token, e.g. `{"bos": "<s>"}`; their ids go up from 0 in this order.
        frame: what every text becomes, `$A` being the text.
        languages: the tokens of languages, whose ids follow.
    """

    roles: Mapping[str, str]
    frame: tuple[str, ...]
    languages: tuple[str, ...] = ()

    def all(self) -> list[str]:
        """Return every token once, in the order of their ids."""
        return list(dict.fromkeys([*self.roles.values(), *self.languages]))


BART_LIKE = SpecialTokens(
    {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>", "cls": "<s>", "sep": "</s>"},
    ("<s>", TEXT, "</s>"),
)


def learn_tokenizer(
    texts: Iterable[str], vocab_size: int, special: SpecialTokens = BART_LIKE
) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE of at most `vocab_size` tokens from some texts.

    Its special tokens are by default `<s> <pad> </s> <unk> <mask>`, ids 0 to 4, and every text becomes `<s> … </s>`,
    as BART's.

    Raises:
        ValueError: a vocabulary too small for the 256 bytes, or larger than any.
    """
    smallest = len(special.all()) + len(pre_tokenizers.ByteLevel.alphabet())
    if vocab_size < smallest:
        raise ValueError(f"vocab_size is {vocab_size}, but bytes and special tokens alone are {smallest}: raise it.")
    if vocab_size > MOST_TOKENS:  # the trainer makes room for all of them at once
        raise ValueError(
            f"vocab_size is {vocab_size}, and more than {MOST_TOKENS:,} tokens are never learnt: lower it."
        )
    roles: dict[str, str | AddedToken] = {f"{role}_token": token for role, token in special.roles.items()}
    learnt: dict[str, str | AddedToken] = {token: token for token in special.all()}
    if (mask := special.roles.get("mask")) is not None:
        # It takes the blank before it, as BART's does.
        roles["mask_token"] = learnt[mask] = AddedToken(mask, lstrip=True, special=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(learnt.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(iter(texts), trainer)
    frame = sorted({(token, tokenizer.token_to_id(token)) for token in special.frame if token != TEXT})
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(add_prefix_space=False, trim_offsets=True),
            processors.TemplateProcessing(" ".join(special.frame), special_tokens=frame),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,
        extra_special_tokens=list(special.languages),
        **roles,
    )
